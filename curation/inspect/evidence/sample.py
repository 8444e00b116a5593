"""Random documents of one fate.

A document's place in the draw is a keyed hash of its dataset and id, so the same seed shows the
same documents however the run was split into shards. Memory: the columns of one shard's decisions,
and `n` documents.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.recipe.rules import columns_of
from curation.rundir import ledger
from curation.rundir.schema import REASONS

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

CHARS = 600  # of each text
# Columns of a decision table that say nothing about why.
NO_EVIDENCE = ("keep", "tokens", "id", "content")


@dataclass(frozen=True, slots=True)
class SampledDocument:
    """A document, and what the table of the stage that decided says of it, by column.

    `text`: its first `CHARS` characters of `chars`; a reject of extract has neither id nor text.
    """

    dataset: str
    id: str | None
    url: str | None
    text: str | None
    chars: int
    evidence: dict[str, Any]


Rows = Iterator[tuple["Shard", str | None, npt.NDArray[np.int64]]]


def sample(
    rundir: RunDirectory,
    plan: Plan,
    *,
    stage: str | None = None,
    reason: str | None = None,
    dataset: str | None = None,
    n: int = 10,
    seed: int = 0,
) -> list[SampledDocument]:
    """At most `n` random documents that `stage` removed (for `reason`); without both, kept ones.

    Raises InputError for a stage, reason or dataset that the run does not have, RunError where the
    stage has not run.
    """
    stages = [name for name in frames.REMOVING if name in rundir.recipe.stages]
    _need_known("dataset", dataset, rundir.recipe.names())
    _need_known("stage", stage, stages)
    _need_known("reason", reason, [*REASONS, *rundir.recipe.filter.reasons()])
    shards = plan.of(dataset) if dataset else list(plan.shards)
    if stage is None and reason is not None:
        stage = _stage_of(rundir, plan, reason)
    if stage is None:
        kept = ((shard, *frames.kept_rows(rundir, shard)) for shard in shards)
        return _documents(rundir, plan, kept, None, n, seed)
    if reason == "not_a_page":
        raise InputError(
            "records that hold no page (not_a_page) are counted, not listed; name another reason"
        )
    if stage == "extract":
        return _rejects(rundir, shards, reason, n, seed)
    if not any(map(store.exists, filter(None, (rundir.ledger_table(stage, s) for s in shards)))):
        where = dataset or "any dataset"
        raise RunError(f"{rundir.out}: {stage} has decided nothing on {where} here")
    removed = _removed(rundir, shards, stage, reason)
    return _documents(rundir, plan, removed, stage, n, seed)


def _need_known(what: str, value: str | None, names: Iterable[str]) -> None:
    names = list(names)
    if value is not None and value not in names:
        close = difflib.get_close_matches(value, names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
        raise InputError(f"no {what} {value!r}; {hint}")


def _stage_of(rundir: RunDirectory, plan: Plan, reason: str) -> str:
    """The stage that removed for a reason. Raises InputError where none of this run did."""
    from curation.pipeline.line import ledgers

    reasons: dict[str, str] = {}
    for stage, datasets in ledgers(rundir, plan).items():
        for name in ledger.removed(ledger.total(datasets.values())):
            reasons.setdefault(name, stage)
    if reason not in reasons:
        raise InputError(
            f"{rundir.out}: nothing was removed for the reason {reason!r}; "
            f"the reasons here are {', '.join(sorted(reasons)) or 'none'}"
        )
    return reasons[reason]


def _removed(rundir: RunDirectory, shards: list[Shard], stage: str, reason: str | None) -> Rows:
    """The rows that each shard lost at a stage, in the table that the stage is row-aligned to."""
    for shard in shards:
        path = rundir.ledger_table(stage, shard)
        if path is None or not store.exists(path):
            continue
        table = store.read_table(path, ["keep", "reason"])
        removed = ~table.column("keep").fill_null(True).to_numpy()
        if reason is not None:
            removed &= np.array(table.column("reason").to_pylist(), object) == reason
        yield shard, frames.aligned_table(rundir, stage, shard), np.flatnonzero(removed)


def _documents(
    rundir: RunDirectory, plan: Plan, rows: Rows, stage: str | None, n: int, seed: int
) -> list[SampledDocument]:
    """The `n` documents with the smallest draws, and what is known of them."""
    chosen: list[tuple[float, int, str, int]] = []
    for shard, path, shard_rows in rows:
        if path is None or not len(shard_rows):
            continue
        ids = frames.column(path, "id").take(shard_rows).to_pylist()
        keys = (f"{shard.dataset}\x00{id_}".encode() for id_ in ids)
        order = draws.uniforms(seed, "inspect/sample", keys).tolist()
        places = zip(order, shard_rows.tolist(), strict=True)
        drawn = ((draw, shard.ordinal, path, row) for draw, row in places)
        chosen = heapq.nsmallest(n, [*chosen, *drawn])
    return [
        _document(rundir, plan.shards[ordinal], path, row, stage)
        for _, ordinal, path, row in chosen
    ]


def _document(
    rundir: RunDirectory, shard: Shard, path: str, row: int, stage: str | None
) -> SampledDocument:
    names = [name for name in ("id", "url", "text", "row") if name in store.read_schema(path).names]
    document = frames.take_one(path, row, names)
    evidence: dict[str, Any] = {}
    scores = rundir.table("classify", shard, "evidence")
    if "classify" in rundir.recipe.stages and store.exists(scores):
        evidence |= frames.take_one(scores, document.get("row", row), ["score"])
    if stage is not None:
        decision = rundir.ledger_table(stage, shard) or ""
        columns = [name for name in store.read_schema(decision).names if name not in NO_EVIDENCE]
        evidence |= frames.take_one(decision, row, columns)
        if stage == "filter":
            evidence = _rules(rundir, shard, row, evidence)
        if stage == "dedup":
            measured = rundir.table("dedup", shard, "evidence")
            evidence |= frames.take_one(measured, row, ["repeated_lines", "repeated_paragraphs"])
    elif store.exists(tokens := rundir.table("tokens", shard)):
        evidence["tokens"] = sum(frames.take_one(tokens, row, ["counts"])["counts"] or ())
    text = document["text"]
    return SampledDocument(
        shard.dataset, document["id"], document["url"], text[:CHARS], len(text), evidence
    )


def _rules(
    rundir: RunDirectory, shard: Shard, row: int, evidence: dict[str, Any]
) -> dict[str, Any]:
    """The reason, the other rules that are true, and the signals that all of them read."""
    rules = [rundir.recipe.filter.rule[place] for place in evidence["fired"]]
    read = {name for rule in rules for name in columns_of(rule.name, rule.drop)}
    table = rundir.table("filter", shard, "evidence")
    names = [name for name in store.read_schema(table).names if name in read]
    also = {"also": ", ".join(rule.name for rule in rules[1:])} if len(rules) > 1 else {}
    return {"reason": evidence["reason"], **also, **frames.take_one(table, row, names)}


def _rejects(
    rundir: RunDirectory, shards: list[Shard], reason: str | None, n: int, seed: int
) -> list[SampledDocument]:
    chosen: list[tuple[float, int, int, SampledDocument]] = []
    for shard in shards:
        path = rundir.table("rejects", shard)
        if not store.exists(path):
            continue
        for row, reject in enumerate(store.read_table(path).to_pylist()):
            if reason in (None, reject["reason"]):
                key = f"{shard.dataset}\x00{reject['archive']}\x00{reject['offset']}"
                draw = draws.uniform(seed, "inspect/sample", key.encode())
                document = SampledDocument(shard.dataset, None, reject["url"], None, 0, reject)
                chosen.append((draw, shard.ordinal, row, document))
        chosen = heapq.nsmallest(n, chosen, key=lambda item: item[:3])
    return [document for *_, document in chosen]
