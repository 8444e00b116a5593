"""Every cut of decontaminate: the text, what was cut, which words matched, and whose they are.

Cost: the decision table of every shard, and the texts of the documents asked for. Memory: those of
one shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.inspect.evidence import frames
from curation.inspect.evidence.fate import common_grams, owners_of
from curation.stages.decontaminate.benchmarks import load_table

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

Span = tuple[int, int]  # code points of a text, half-open
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """A gram of a benchmark in a text: where, its words, and "benchmark id" of its examples."""

    span: Span
    words: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """One document that was cut, and its kept `pieces`; `reason`: why it was removed."""

    dataset: str
    id: str
    url: str | None
    text: str
    reason: str | None
    cuts: tuple[Span, ...]
    pieces: tuple[Span, ...]
    matches: tuple[Match, ...]


def cuts(rundir: RunDirectory, plan: Plan, benchmark: str = "", n: int = 100) -> Iterator[Cut]:
    """Documents that were cut (for one benchmark), at most `n` of them drawn by place (0: all)."""
    places = [
        (shard, row)
        for shard in plan.shards
        for row in _cut_rows(rundir, shard, benchmark).tolist()
    ]
    if n and len(places) > n:
        keys = [f"{shard} {row}".encode() for shard, row in places]
        chosen = np.argsort(draws.uniforms(0, "inspect/cuts", keys), kind="stable")[:n]
        places = [places[i] for i in sorted(chosen.tolist())]
    for shard in dict.fromkeys(shard for shard, _ in places):
        yield from _read(rundir, shard, np.array([r for s, r in places if s == shard], np.int64))


def _cut_rows(rundir: RunDirectory, shard: Shard, benchmark: str) -> Int64s:
    path = rundir.decision("decontaminate", shard)
    if not store.exists(path):
        return np.zeros(0, np.int64)
    rows = np.flatnonzero(np.asarray(frames.column(path, "cuts").is_valid()))
    if not benchmark or not len(rows):
        return rows
    hits = _hits(rundir, shard)
    names = owners_of(rundir, hits["gram"])
    of_benchmark = [
        any(name.rpartition(" ")[0] == benchmark for name in names[gram])
        for gram in hits["gram"].tolist()
    ]
    return rows[np.isin(rows, hits["row"][np.array(of_benchmark, bool)])]


def _hits(rundir: RunDirectory, shard: Shard) -> dict[str, Int64s]:
    """The hits that counted, by column."""
    path = rundir.table("decontaminate", shard, "evidence")
    table = store.read_table(path, ["row", "start", "end", "gram"])
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    counted = ~np.isin(columns["gram"], common_grams(rundir))
    return {name: column[counted] for name, column in columns.items()}


def _read(rundir: RunDirectory, shard: Shard, rows: Int64s) -> Iterator[Cut]:
    hits = _hits(rundir, shard)
    shown = np.isin(hits["row"], rows)
    hits = {name: column[shown] for name, column in hits.items()}
    names = owners_of(rundir, hits["gram"])
    folder = rundir.path("decontaminate", "benchmarks")
    table = load_table(folder, store.read_json(store.join(folder, "card.json"))["identity"])
    texts = frames.take(rundir.survivors(shard), rows, ["id", "url", "text"]).to_pylist()
    decision = rundir.decision("decontaminate", shard)
    outcomes = frames.take(decision, rows, ["reason", "cuts", "pieces"]).to_pylist()
    for row, document, outcome in zip(rows.tolist(), texts, outcomes, strict=True):
        at = np.flatnonzero(hits["row"] == row)
        columns = (hits[name][at].tolist() for name in ("start", "end", "gram"))
        matches = tuple(
            Match((start, end), table.gram_text(gram), tuple(names[gram]))
            for start, end, gram in zip(*columns, strict=True)
        )
        place = (shard.dataset, document["id"], document["url"], document["text"])
        cut, pieces = _spans(outcome["cuts"]), _spans(outcome["pieces"])
        yield Cut(*place, outcome["reason"], cut, pieces, matches)


def _spans(rows: list[dict[str, int]] | None) -> tuple[Span, ...]:
    return tuple((span["start"], span["end"]) for span in rows or ())
