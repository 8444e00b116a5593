"""Hits, documents and cuts of each benchmark.

Cost: the hits of a shard at a time, and the part of the gram table that names the examples of a
gram.

Trap: a gram may be in examples of several benchmarks, so the rows do not add up to the run's total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.inspect.evidence import frames
from curation.inspect.evidence.fate import common_grams, gram_examples

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

Int64s = npt.NDArray[np.int64]
LONGEST = 1 << 31  # code points; no text is longer


@dataclass(frozen=True, slots=True)
class BenchmarkHits:
    """One benchmark: its examples, the grams found in training text, and what they caused.

    `documents`: with a hit; `cuts`: stretches cut out. Grams in too many documents do not count.
    """

    benchmark: str
    examples: int
    hits: int
    documents: int
    cuts: int


def benchmark_hits(rundir: RunDirectory, plan: Plan) -> list[BenchmarkHits] | None:
    """Every benchmark, most hits first; None where decontaminate has not run."""
    if "decontaminate" not in rundir.recipe.stages:
        return None
    shards = [s for s in plan.shards if store.exists(rundir.decision("decontaminate", s))]
    if not shards:
        return None
    examples_table = rundir.path("decontaminate", "benchmarks", "examples.parquet")
    encoded = frames.column(examples_table, "benchmark").dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
    counts = np.zeros((len(names), 3), np.int64)
    indptr, examples = gram_examples(rundir)
    ignored = common_grams(rundir)
    for shard in shards:
        counts += _shard_counts(rundir, shard, indptr, codes[examples], ignored, len(names))
    sizes = np.bincount(codes, minlength=len(names)).tolist()
    rows = zip(names, sizes, counts.tolist(), strict=True)
    hits = [BenchmarkHits(name, size, *row) for name, size, row in rows]
    return sorted(hits, key=lambda row: (-row.hits, row.benchmark))


def _shard_counts(
    rundir: RunDirectory,
    shard: Shard,
    indptr: Int64s,
    benchmark_of: Int64s,
    ignored: Int64s,
    benchmarks: int,
) -> Int64s:
    """[benchmarks, 3]: hits, documents and cuts of one shard, in documents that dedup kept."""
    evidence = store.read_table(
        rundir.table("decontaminate", shard, "evidence"), ["row", "start", "gram"]
    )
    row, start, gram = (evidence.column(name).to_numpy() for name in ("row", "start", "gram"))
    cuts = frames.column(rundir.decision("decontaminate", shard), "cuts")
    counted = ~np.isin(gram, ignored) & cuts.is_valid().to_numpy(zero_copy_only=False)[row]
    row, start, gram = row[counted], start[counted], gram[counted]
    cut = _cut_of(cuts, row, start)
    lengths = indptr[gram + 1] - indptr[gram]
    hit = np.repeat(np.arange(len(gram)), lengths)
    within = np.arange(len(hit)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    benchmark = benchmark_of[indptr[gram][hit] + within]
    return np.stack(
        [_distinct(benchmark, ids[hit], benchmarks) for ids in (np.arange(len(gram)), row, cut)],
        axis=1,
    )


def _cut_of(cuts: pa.Array, row: Int64s, start: Int64s) -> Int64s:
    """The number, in its shard, of the cut that each hit lies in."""
    lengths = cuts.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.repeat(np.arange(len(cuts)), lengths)
    starts = cuts.flatten().field("start").to_numpy(zero_copy_only=False)
    return np.searchsorted(rows * LONGEST + starts, row * LONGEST + start, "right") - 1


def _distinct(benchmark: Int64s, ids: Int64s, benchmarks: int) -> Int64s:
    """How many distinct ids each benchmark has: int64[benchmarks].

    >>> _distinct(np.array([0, 0, 2]), np.array([5, 5, 5]), 3).tolist()
    [1, 0, 1]
    """
    pairs = np.unique(np.stack([benchmark, ids]), axis=1)
    return np.bincount(pairs[0], minlength=benchmarks)
