"""The first page of a run: its numbers, the funnel, hints, how far it is, and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curation.errors import RunError
from curation.inspect.evidence.flow import Flow, funnel
from curation.inspect.evidence.mixture import placed_mixture
from curation.inspect.evidence.report import all_warnings
from curation.inspect.evidence.status import run_status
from curation.inspect.numbers import duration
from curation.recipe import reading as recipes
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


# Reasons of extract that say something about the machine, the network or a damaged file.
FAILURES = ("unreachable", "crashed", "too_slow", "too_heavy", "truncated", "malformed")


def overview(run: OpenRun, request: Request) -> Response:
    """`/`."""
    flows = flows_of(run)
    values = {
        "flows": flows,
        "numbers": numbers_of(run, flows),
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
    values = {"progress": progress(run), "numbers": numbers_of(run, flows)}
    return render.page(request, run, "live.html", "Progress", values)


def numbers_of(run: OpenRun, flows: list[Flow]) -> list[tuple[str, str, str]]:
    """The numbers of a run; none where nothing has been extracted yet."""
    return parts.numbers(flows, run.rundir.recipe.stages) if flows else []


def hints_view(run: OpenRun, request: Request) -> Response:
    """`/hints`: the run's warnings, and what to do about each."""
    return render.page(
        request, run, "hints.html", "Hints", {"hints": hints(run), "is_finished": run.finished()}
    )


def hints(run: OpenRun) -> list[parts.Hint]:
    """The run's warnings and what to do about each, as in the report."""

    def read() -> list[parts.Hint]:
        if not run.finished():
            return []
        found = all_warnings(run.rundir, flows_of(run), placed_mixture(run.rundir))
        return [parts.hint(text, run.prefix) for text in found]

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
    """How far each stage is, what was lost so far, and whether a run is at work."""
    at_work = run.at_work()
    state = {True: "at work", None: "failed", False: "stopped"}[at_work]
    state = "finished" if run.finished() else state
    status = run.cached("status", lambda: run_status(run.out))
    lost = [
        (name, line.documents, templating.query(fate=f"extract: {name}"))
        for flow in flows_of(run)[-1:]
        for name in FAILURES
        if (line := flow.find("extract", name)) and line.documents
    ]
    left = "" if status.seconds_left is None else duration(status.seconds_left)
    return {
        "word": state,
        "say": SENTENCES[state],
        "at_work": bool(at_work),
        "stages": status.stages,
        "rate": status.documents_per_s,
        "left": left,
        "lost": lost,
    }
