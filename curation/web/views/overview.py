"""The first page of a run: its numbers, the funnel, hints, how far it is, and its settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.errors import RunError
from curation.inspect.evidence.flow import Flow, Line, funnel, funnel_rows
from curation.inspect.numbers import duration, volume
from curation.recipe import reading as recipes
from curation.recipe.line import STAGES, stage_named
from curation.rundir import ledger
from curation.version import __version__
from curation.web import render
from curation.web.flowchart import Step, funnel_chart

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

MOST_LEAVING = 8  # reasons of a stage that are drawn one by one
SENTENCES = {
    "finished": "The run is finished.",
    "at work": "The run is at work.",
    "failed": "The run ended without finishing: its lock is still there. Run the same command "
    "again: what finished is kept.",
    "stopped": "Nothing is at work here, and not all stages have ended. Run the same command again "
    "to go on.",
}
UNLISTED = "not_a_page"  # counted by extract, and in no table
# A word of a warning, and what to do about it; the first that fits.
HINTS = (
    ("download", "Run the same command again: it asks for the missing files once more."),
    ("extract", "Look at Documents with the fate “extract”: each record says what was wrong."),
    ("classif", "Look at Classifier: its figures on held-out sites say how far to trust it."),
    ("AUC", "Look at Classifier: its figures on held-out sites say how far to trust it."),
    ("dedup", "Look at Duplicates: the largest clusters show what the removed documents share."),
    ("decontaminate", "Look at Benchmarks: it names those with examples that were not looked for."),
    ("rule", "Look at Rules: what each removes alone, and where its threshold lies."),
    ("validation", "Set mix.validation higher, or give the dataset more documents."),
    ("epochs", "Look at Mixture; lower the dataset's weight, or give it more documents."),
    ("times", "Look at Mixture; lower the dataset's weight, or give it more documents."),
)


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
        "numbers": _numbers(flows) if flows else [],
        "chart": render.svg(_chart(run, flows[-1])) if flows else "",
        "table": _table(flows) if flows else None,
        "progress": progress(run),
        "settings": _settings(run),
        "version": __version__,
        "hints": hints(run) if run.small() else None,
    }
    return render.page(request, run, "overview.html", "Overview", values)


def live(run: OpenRun, request: Request) -> Response:
    """`/live`: how far the run is; asked for again and again while it works."""
    flows = flows_of(run)
    numbers = _numbers(flows) if flows else []
    values = {"progress": progress(run), "numbers": numbers}
    return render.page(request, run, "live.html", "Progress", values)


def hints_view(run: OpenRun, request: Request) -> Response:
    """`/hints`: the run's warnings, and what to do about each."""
    return render.page(request, run, "hints.html", "Hints", {"hints": hints(run)})


def hints(run: OpenRun) -> list[tuple[str, str]]:
    """(warning, what to do)."""
    from curation.pipeline import line as pipeline

    def read() -> list[tuple[str, str]]:
        if not run.finished():
            return []
        return [(text, _what_to_do(text)) for text in pipeline.warnings(run.rundir)]

    return run.cached("hints", read)


def _what_to_do(warning: str) -> str:
    return next((advice for word, advice in HINTS if word in warning), "")


def flows_of(run: OpenRun) -> list[Flow]:
    """The flows of the funnel; none where nothing has been extracted yet."""

    def read() -> list[Flow]:
        try:
            return funnel(*run.opened())
        except RunError:  # nothing has been extracted yet
            return []

    return run.cached("flows", read)


def _numbers(flows: list[Flow]) -> list[tuple[str, str, str]]:
    """(number, what it counts, what else to say of it)."""
    total = flows[-1]
    kept = next((line for line in reversed(total.lines) if line.outcome == ledger.KEPT), None)
    records = total.find("extract", ledger.IN)
    documents = total.find("extract", ledger.KEPT)
    numbers = []
    if records:
        numbers.append((f"{records.documents:,}", "records read", ""))
    if documents:
        numbers.append((f"{documents.documents:,}", "documents extracted", ""))
    if kept:
        whole = documents.documents if documents else 0
        share = f"{kept.documents / whole:.1%} of documents" if whole else ""
        numbers.append((f"{kept.documents:,}", "documents kept", share))
        if kept.tokens:
            about = "" if kept.exact else "about "
            numbers.append(
                (about + volume(kept.tokens), "tokens kept", f"{kept.chars:,} characters")
            )
    if total.placed:
        numbers.append((volume(total.placed), "tokens in training shards", "repetitions included"))
    return numbers


def _chart(run: OpenRun, total: Flow) -> str:
    """The funnel of all datasets, drawn."""
    steps = []
    stages = dict.fromkeys(line.stage for line in total.lines)
    for stage in stages:
        lines = [line for line in total.lines if line.stage == stage]
        entered, kept = (total.find(stage, outcome) for outcome in (ledger.IN, ledger.KEPT))
        if stage == "extract" and entered:
            steps.append(Step("records", entered.documents, ""))
        removed = [x for x in lines if x.outcome not in ledger.NO_REASONS and x.documents]
        name = "documents" if stage == "extract" else f"after {stage}"
        where = f"{run.prefix}/documents"
        if stage == [*stages][-1] and stage != "extract":
            name, where = "kept", where + render.query(fate="kept")
        if removed or stage == "extract":
            leaving = _leaving(run, stage, removed)
            steps.append(Step(name, kept.documents if kept else 0, where, leaving))
        elif steps:
            last = steps[-1]
            steps[-1] = Step(name, last.documents, where, last.leaving)
    return funnel_chart("The funnel: documents from records to kept", steps)


def _leaving(run: OpenRun, stage: str, removed: list[Line]) -> tuple[tuple[str, int, str], ...]:
    removed = sorted(removed, key=lambda line: -line.documents)
    most = MOST_LEAVING if len(removed) > MOST_LEAVING + 1 else len(removed)
    shown, rest = removed[:most], removed[most:]
    where = f"{run.prefix}/documents"
    leaving = [
        (
            x.outcome,
            x.documents,
            where + render.query(fate=f"{stage}: {x.outcome}") if x.outcome != UNLISTED else "",
        )
        for x in shown
    ]
    if rest:
        count = sum(line.documents for line in rest)
        leaving.append((f"{len(rest)} other reasons", count, where + render.query(fate=stage)))
    return tuple(leaving)


@dataclass(frozen=True, slots=True)
class FunnelTable:
    """The funnel in numbers: `rows` of (name, class, cells of each dataset, address)."""

    datasets: list[str]
    rows: list[tuple[str, str, list[str], str]]


def _table(flows: list[Flow]) -> FunnelTable:
    rows = []
    for row in funnel_rows(flows):
        cells = [_cell(row.removes, line) for line in (row.lines[-1], *row.lines[:-1])]
        name = row.name.removeprefix("- ")
        is_reason = row.removes and row.outcome not in (*ledger.NO_REASONS, UNLISTED)
        address = render.query(fate=f"{row.stage}: {row.outcome}") if is_reason else ""
        rows.append((name, "lost" if row.removes else "stay", cells, address))
    return FunnelTable([flow.dataset for flow in (flows[-1], *flows[:-1])], rows)


def _cell(removes: bool, line: Line | None) -> str:
    if line is None:
        return ""
    if removes and not line.documents:
        return f"{line.chars:,} characters" if line.chars else ""
    return f"{'−' if removes else ''}{line.documents:,}"


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


def _settings(run: OpenRun) -> list[tuple[str, str]]:
    recipe = recipes.as_dict(run.rundir.recipe)
    rows = [("seed", str(recipe["seed"]))]
    for table in recipe["stages"]:
        rows += [(f"{table}.{key}", str(value)) for key, value in recipe.get(table, {}).items()]
    return rows
