"""The first page of a run: its numbers, the funnel, hints, how far it is, and its settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.errors import RunError
from curation.inspect.evidence.flow import Flow, funnel
from curation.inspect.evidence.mixture import placed_mixture
from curation.inspect.evidence.report import all_warnings
from curation.inspect.numbers import duration
from curation.recipe import reading as recipes
from curation.recipe.line import STAGES, stage_named
from curation.version import __version__
from curation.web import parts, render, templating

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

SENTENCES = {
    "finished": "The run is finished.",
    "at work": "The run is at work.",
    "failed": "The run ended without finishing: its lock is still there. Run the same command "
    "again: what finished is kept.",
    "stopped": "Nothing is at work here, and not all stages have ended. Run the same command again "
    "to go on.",
}


@dataclass(frozen=True, slots=True)
class StageProgress:
    """A stage: tables of `shards` that are there; `rate` in tables a minute and `left`: time left in
    words, where they are known."""

    name: str
    ended: bool
    tables: int
    shards: int
    rate: float | None = None
    left: str = ""


def overview(run: OpenRun, request: Request) -> Response:
    """`/`."""
    flows = flows_of(run)
    values = {
        "flows": flows,
        "numbers": parts.numbers(flows) if flows else [],
        "chart": templating.svg(parts.chart(flows[-1], run.prefix)) if flows else "",
        "table": parts.table(flows) if flows else None,
        "progress": progress(run),
        "settings": parts.settings(recipes.as_dict(run.rundir.recipe)),
        "version": __version__,
        "hints": hints(run) if run.small() else None,
        "is_finished": run.finished(),
    }
    return render.page(request, run, "overview.html", "Overview", values)


def live(run: OpenRun, request: Request) -> Response:
    """`/live`: how far the run is; asked for again and again while it works."""
    flows = flows_of(run)
    numbers = parts.numbers(flows) if flows else []
    values = {"progress": progress(run), "numbers": numbers}
    return render.page(request, run, "live.html", "Progress", values)


def hints_view(run: OpenRun, request: Request) -> Response:
    """`/hints`: the run's warnings, and what to do about each."""
    return render.page(
        request, run, "hints.html", "Hints", {"hints": hints(run), "is_finished": run.finished()}
    )


def hints(run: OpenRun) -> list[tuple[str, str]]:
    """(warning, what to do), as in the report."""

    def read() -> list[tuple[str, str]]:
        if not run.finished():
            return []
        found = all_warnings(run.rundir, flows_of(run), placed_mixture(run.rundir))
        return [(text, parts.what_to_do(text)) for text in found]

    return run.cached("hints", read)


def flows_of(run: OpenRun) -> list[Flow]:
    """The flows of the funnel; none where nothing has been extracted yet."""

    def read() -> list[Flow]:
        try:
            return funnel(*run.opened())
        except RunError:  # nothing has been extracted yet
            return []

    return run.cached("flows", read)


def progress(run: OpenRun) -> dict[str, object]:
    """How far each stage is, and whether a run is at work."""
    ended, finished = set(run.ended()), run.finished()
    stages = [_stage_progress(run, stage, stage in ended) for stage in STAGES
              if stage in run.rundir.recipe.stages and stage != "download"]  # fmt: skip
    at_work = run.at_work()
    state = "finished" if finished else {True: "at work", None: "failed", False: "stopped"}[at_work]
    return {"word": state, "say": SENTENCES[state], "stages": stages, "at_work": bool(at_work)}


def _stage_progress(run: OpenRun, stage: str, ended: bool) -> StageProgress:
    folder = stage_named(stage).ledger or "shards"
    paths = [p for s in run.plan.shards if (p := run.rundir.ledger_table(stage, s))]
    shards = len(paths) if stage_named(stage).ledger else run.rundir.recipe.mix.shards
    if ended:
        return StageProgress(stage, True, shards, shards)
    names = [file.name for file in store.listing(run.rundir.path(*folder.split("/")))]
    there = sum(name.endswith((".parquet", ".bin")) for name in names)
    there = min(there, shards)
    first = run.seen.setdefault(stage, (time.monotonic(), there))
    seconds, made = time.monotonic() - first[0], there - first[1]
    if made <= 0 or seconds < 2:
        return StageProgress(stage, False, there, shards)
    left = duration((shards - there) * seconds / made)
    return StageProgress(stage, False, there, shards, 60 * made / seconds, left)
