"""What the documents of each dataset are: their languages and lengths.

Cost: some columns of each table; the texts where nothing was tokenized.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.inspect.evidence import frames
from curation.inspect.numbers import counted
from curation.recipe.languages import three_letters
from curation.rundir.survivors import char_lengths

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

LANGUAGES = 15  # named of each dataset


@dataclass(frozen=True, slots=True)
class LanguageCount:
    """Documents in one language, how many of them are kept at the end, the mean probability of their
    language (None where it was not guessed), and for how many the crawl itself named a language,
    and this one."""

    language: str
    documents: int
    kept: int
    mean_score: float | None
    named: int
    agreed: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of each dataset, kept documents with a length of [2**i, 2**(i+1)) `unit`, at place i.

    `unit` is "tokens", or "characters" where nothing was tokenized.
    """

    unit: str
    datasets: dict[str, list[int]]


def languages(rundir: RunDirectory, plan: Plan) -> dict[str, list[LanguageCount]]:
    """Of each dataset, the commonest languages first, and all others as one."""
    by_dataset = {}
    for name in rundir.recipe.names():
        sums: dict[str, Counter[str]] = {}
        for shard in plan.of(name):
            if not store.exists(rundir.documents(shard)):
                continue
            for language, sum_ in _sums(rundir.documents(shard)):
                sums.setdefault(language, Counter()).update(sum_)
            path, rows = frames.kept_rows(rundir, shard)
            if path is not None:
                kept = _counts(frames.column(path, "language").take(pa.array(rows)))
                for language, count in kept.items():
                    sums[language]["kept"] += count
        order = sorted(sums, key=lambda language: (-sums[language]["documents"], language))
        counts = [_count(language, sums[language]) for language in order[:LANGUAGES]]
        if rest := order[LANGUAGES:]:
            counts.append(
                _count(counted(len(rest), "other"), sum((sums[x] for x in rest), Counter()))
            )
        by_dataset[name] = counts
    return by_dataset


def _sums(path: str) -> Iterator[tuple[str, Counter[str]]]:
    """Sums over the documents of a shard, by language; a language may come several times."""
    table = store.read_table(path, ["language", "language_score", "crawl_language"])
    groups = table.group_by(["language", "crawl_language"])
    sums = groups.aggregate(
        [("language_score", "sum"), ("language_score", "count"), ([], "count_all")]
    )
    for row in sums.to_pylist():
        language, count = row["language"] or "unknown", row["count_all"]
        named = row["crawl_language"]
        yield (
            language,
            Counter(
                documents=count,
                score=row["language_score_sum"] or 0,
                scored=row["language_score_count"],
                named=count if named else 0,
                agreed=count if named and named == three_letters(language) else 0,
            ),
        )


def _count(language: str, sums: Counter[str]) -> LanguageCount:
    mean = sums["score"] / sums["scored"] if sums["scored"] else None
    return LanguageCount(
        language, sums["documents"], sums["kept"], mean, sums["named"], sums["agreed"]
    )


def _counts(column: pa.Array) -> dict[str, int]:
    pairs = pc.value_counts(column.fill_null("unknown"))
    return {pair["values"]: pair["counts"] for pair in pairs.to_pylist()}


def lengths(rundir: RunDirectory, plan: Plan) -> Lengths:
    """Kept documents by length."""
    tokenized = any(store.exists(rundir.table("tokens", shard)) for shard in plan.shards)
    shard_lengths = _token_lengths if tokenized else _char_lengths
    datasets = {}
    for name in rundir.recipe.names():
        counts: Counter[int] = Counter()
        for shard in plan.of(name):
            powers = np.log2(np.maximum(shard_lengths(rundir, shard), 1)).astype(np.int64)
            counts.update(powers.tolist())
        if counts:
            datasets[name] = [counts[i] for i in range(max(counts) + 1)]
    return Lengths("tokens" if tokenized else "characters", datasets)


def _token_lengths(rundir: RunDirectory, shard: Shard) -> npt.NDArray[np.int64]:
    path = rundir.table("tokens", shard)
    if not store.exists(path):
        return np.zeros(0, np.int64)
    return np.array([sum(c) for c in frames.column(path, "counts").to_pylist() if c], np.int64)


def _char_lengths(rundir: RunDirectory, shard: Shard) -> npt.NDArray[np.int64]:
    survivors, rows = frames.kept_rows(rundir, shard)
    if survivors is None:
        return np.zeros(0, np.int64)
    parts = [char_lengths(batch.column(0)) for batch in store.read_groups(survivors, ["text"])]
    return np.concatenate([np.zeros(0, np.int64), *parts])[rows]
