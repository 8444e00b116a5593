"""What the documents of each dataset are: their languages and lengths.

Cost: one column of each table; the texts where nothing was tokenized.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.inspect.evidence import frames
from curation.rundir.survivors import char_lengths

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

LANGUAGES = 15  # named of each dataset


@dataclass(frozen=True, slots=True)
class LanguageCount:
    """Documents in one language, and how many of them are kept at the end."""

    language: str
    documents: int
    kept: int


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
        documents: Counter[str] = Counter()
        kept: Counter[str] = Counter()
        for shard in plan.of(name):
            if not store.exists(rundir.documents(shard)):
                continue
            documents.update(_counts(frames.column(rundir.documents(shard), "language")))
            path, rows = frames.kept_rows(rundir, shard)
            if path is not None:
                kept.update(_counts(frames.column(path, "language").take(pa.array(rows))))
        order = sorted(documents, key=lambda language: (-documents[language], language))
        counts = [LanguageCount(x, documents[x], kept[x]) for x in order[:LANGUAGES]]
        if rest := order[LANGUAGES:]:
            sums = (sum(counter[x] for x in rest) for counter in (documents, kept))
            counts.append(LanguageCount(f"{len(rest)} others", *sums))
        by_dataset[name] = counts
    return by_dataset


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
