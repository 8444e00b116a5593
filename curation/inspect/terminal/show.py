"""`curation sample`: random documents of one fate.

A document's place in the draw is a keyed hash of its dataset and id, so the same seed shows the same documents however the run was split
into shards. Memory: the columns of one shard's decisions, and `n` documents.

Trap: a page's text may hold anything; it is printed without control characters, and never as markup.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from curation import draws, store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.inspect.format import plain_table
from curation.inspect.terminal.explain import clean
from curation.rundir.schema import REASONS

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

REMOVING = ("extract", "classify", "dedup", "decontaminate", "tokenize")
CHARS = 600


@dataclass(frozen=True, slots=True)
class Sampled:
    """A document (or, from extract, a reject without text), and what the stage's table says of it."""

    dataset: str
    id: str | None
    url: str | None
    text: str | None
    chars: int
    evidence: dict[str, Any]


def show(
    rundir: RunDirectory,
    plan: Plan,
    console: Console,
    *,
    stage: str | None,
    reason: str | None,
    dataset: str | None,
    n: int,
    seed: int,
) -> None:
    """Print a sample: a panel each document, a line each reject."""
    found = sample(rundir, plan, stage=stage, reason=reason, dataset=dataset, n=n, seed=seed)
    what = " ".join(
        filter(None, (dataset, "documents", f"removed by {stage}" if stage else "", reason or ""))
    )
    if not found:
        console.print(
            f"There are no {what}." if stage or reason else "No documents are kept.", markup=False
        )
        return
    if all(one.text is None for one in found):
        console.print(_rejects_table(found))
        return
    for one in found:
        console.print(_panel(one))


def sample(
    rundir: RunDirectory,
    plan: Plan,
    *,
    stage: str | None = None,
    reason: str | None = None,
    dataset: str | None = None,
    n: int = 10,
    seed: int = 0,
) -> list[Sampled]:
    """At most `n` random documents that `stage` removed (for `reason`), or that are kept where neither is given.

    Raises InputError for a stage, reason or dataset that the run does not know, RunError where the stage has not run.
    """
    _known("dataset", dataset, rundir.recipe.names())
    _known("stage", stage, [name for name in REMOVING if name in rundir.recipe.stages])
    _known("reason", reason, list(REASONS))
    shards = plan.of(dataset) if dataset else list(plan.shards)
    if stage is None and reason is not None:
        stage = _stage_of(rundir, plan, reason)
    if stage is None:
        return _documents(
            rundir, shards, ((s, *frames.kept_rows(rundir, s)) for s in shards), None, n, seed
        )
    if reason == "not_a_page":
        raise InputError(
            "records that hold no page (not_a_page) are counted, not listed; name another reason"
        )
    if stage == "extract":
        return _rejects(rundir, shards, reason, n, seed)
    paths = [frames.decision_path(rundir, stage, shard) for shard in shards]
    if not any(map(store.exists, paths)):
        raise RunError(
            f"{rundir.out}: {stage} has decided nothing on {dataset or 'any dataset'} here"
        )
    return _documents(rundir, shards, _removed(rundir, shards, stage, reason), stage, n, seed)


def _known(what: str, value: str | None, known: Iterable[str]) -> None:
    names = list(known)
    if value is not None and value not in names:
        close = difflib.get_close_matches(value, names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
        raise InputError(f"no {what} {value!r}; {hint}")


def _stage_of(rundir: RunDirectory, plan: Plan, reason: str) -> str:
    """The stage whose books have a reason. Raises InputError where none of this run has."""

    from curation.pipeline.line import ledgers

    found = ledgers(rundir, plan)
    for stage, datasets in found.items():
        if any(reason in ledger for ledger in datasets.values()):
            return stage
    reasons = sorted(
        {r for d in found.values() for ledger in d.values() for r in ledger if r in REASONS}
    )
    raise InputError(
        f"{rundir.out}: nothing left for the reason {reason!r}; the reasons here are {', '.join(reasons) or 'none'}"
    )


Rows = Iterator[tuple["Shard", str | None, npt.NDArray[np.int64]]]


def _removed(rundir: RunDirectory, shards: list[Shard], stage: str, reason: str | None) -> Rows:
    """The rows each shard lost at a stage, in the table that the stage is row-aligned to."""
    for shard in shards:
        path = frames.decision_path(rundir, stage, shard)
        if not store.exists(path):
            continue
        table = store.read_table(path, ["keep", "reason"])
        gone = ~table.column("keep").fill_null(True).to_numpy()
        if reason is not None:
            gone &= np.array(table.column("reason").to_pylist(), object) == reason
        aligned = rundir.documents(shard) if stage == "classify" else rundir.survivors(shard)
        yield shard, aligned, np.flatnonzero(gone)


def _documents(
    rundir: RunDirectory, shards: list[Shard], rows: Rows, stage: str | None, n: int, seed: int
) -> list[Sampled]:
    """The `n` documents with the smallest draws, and what is known of them."""
    chosen: list[tuple[float, int, str, int]] = []
    by_ordinal = {shard.ordinal: shard for shard in shards}
    for shard, path, here in rows:
        if path is None or not len(here):
            continue
        ids = frames.column(path, "id").take(here).to_pylist()
        at = draws.uniforms(
            seed, "inspect/sample", (f"{shard.dataset}\x00{id_}".encode() for id_ in ids)
        )
        found = zip(
            at.tolist(), [shard.ordinal] * len(here), [path] * len(here), here.tolist(), strict=True
        )
        chosen = heapq.nsmallest(n, [*chosen, *found])
    return [
        _document(rundir, by_ordinal[ordinal], path, row, stage) for _, ordinal, path, row in chosen
    ]


def _document(
    rundir: RunDirectory, shard: Shard, path: str, row: int, stage: str | None
) -> Sampled:
    at = np.array([row])
    names = [name for name in ("id", "url", "text", "row") if name in store.read_schema(path).names]
    found = frames.take(path, at, names).to_pylist()[0]
    evidence: dict[str, Any] = {}
    scores = rundir.table("classify", shard, "evidence")
    if "classify" in rundir.recipe.stages and store.exists(scores):
        original = np.array([found.get("row", row)])
        evidence["score"] = frames.take(scores, original, ["score"]).column(0)[0].as_py()
    if stage is not None:
        decision = frames.decision_path(rundir, stage, shard)
        wanted = [
            name
            for name in store.read_schema(decision).names
            if name not in ("keep", "tokens", "id", "content")
        ]
        evidence |= frames.take(decision, at, wanted).to_pylist()[0]
        if stage == "dedup":
            measured = rundir.table("dedup", shard, "evidence")
            evidence |= frames.take(
                measured, at, ["repeated_lines", "repeated_paragraphs"]
            ).to_pylist()[0]
    elif store.exists(tokens := rundir.table("tokens", shard)):
        counts = frames.take(tokens, at, ["counts"]).column(0)[0].as_py()
        evidence["tokens"] = sum(counts or ())
    text = found["text"]
    return Sampled(shard.dataset, found["id"], found["url"], text[:CHARS], len(text), evidence)


def _rejects(
    rundir: RunDirectory, shards: list[Shard], reason: str | None, n: int, seed: int
) -> list[Sampled]:
    chosen: list[tuple[float, int, int, dict[str, Any]]] = []
    for shard in shards:
        path = rundir.table("rejects", shard)
        if not store.exists(path):
            continue
        for row, found in enumerate(store.read_table(path).to_pylist()):
            if reason in (None, found["reason"]):
                key = f"{shard.dataset}\x00{found['archive']}\x00{found['offset']}"
                at = draws.uniform(seed, "inspect/sample", key.encode())
                chosen.append((at, shard.ordinal, row, {"dataset": shard.dataset, **found}))
        chosen = heapq.nsmallest(n, chosen, key=lambda item: item[:3])
    return [Sampled(found["dataset"], None, found["url"], None, 0, found) for *_, found in chosen]


# ---- the terminal ----------------------------------------------------------------------------------------------------------------------


def _panel(one: Sampled) -> Panel:
    body = Text()
    if one.url:
        body.append(clean(one.url) + "\n", style="blue")
    said = "  ".join(
        f"{name} {_said(value)}" for name, value in one.evidence.items() if value not in (None, [])
    )
    body.append(f"{one.chars:,} characters  {said}\n\n", style="dim")
    shown = "\n".join(clean(line) for line in (one.text or "").splitlines() if line.strip())
    body.append(shown + (" …" if one.chars > CHARS else ""))
    return Panel(
        body,
        title=Text(f"{one.dataset} {clean(one.id or '')}"),
        title_align="left",
        border_style="dim",
    )


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return " ".join(
            f"[{v['start']}, {v['end']})" if isinstance(v, dict) else str(v) for v in value[:4]
        )
    return clean(str(value), 80)


def _rejects_table(found: list[Sampled]) -> Table:
    table = plain_table(["reason", "url", "detail", "where"], left=range(4))
    for one in found:
        told = one.evidence
        where = f"{one.dataset} {clean(told['archive'] or '')} {told['offset']}"
        cells = (clean(one.url or "", 200), clean(told["detail"] or "", 200))
        reason = Text(told["reason"], style="bold")
        table.add_row(reason, *map(Text, cells), Text(where, style="dim"))
    return table
