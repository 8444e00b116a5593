"""Deduplication in figures: clusters, pairs with differences, what was missed, repeated lines.

Cost: the evidence and decision tables column by column, and the texts of a few pairs and of the
sample that the estimate compares (`SAMPLE` documents, by brute force: a few seconds).

The estimate: documents are drawn by the least hash of their feature set (`least`), by a permutation
that no band uses. Two similar documents have the same least hash with the probability of their
Jaccard similarity J, so they are drawn together J times as often as either of them, instead of
almost never. Among the drawn documents that were kept every pair is measured; a duplicate found
counts 1 / (share drawn * J) times. The estimate depends neither on the bands nor on how buckets are
searched, and it has no bias. Documents of an index are not among them.

Trap: documents with one hash in common are drawn together or not at all, so one large group that
was missed can lie outside the sample; the interval counts groups, not documents.
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

from curation import draws, store
from curation.inspect.evidence import frames
from curation.inspect.evidence.differences import Part, compare
from curation.rundir import ledger
from curation.rundir.directory import ordinal_and_row
from curation.stages.dedup.candidates import spread

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

SAMPLE = 2000  # documents compared for the estimate
MOST = 3 * SAMPLE  # with more drawn (one hash common to many) there is no estimate
SHOWN = 3  # pairs shown from each end of the range of similarity
PLACES = 6  # differences shown of a pair
# Edges of the bins for the shares of repeated lines and paragraphs.
EDGES = (0.0, 0.001, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DatasetPair:
    """How many `documents` of `dataset` were removed as duplicates of one of `kept_dataset`."""

    dataset: str
    kept_dataset: str
    documents: int


@dataclass(frozen=True, slots=True)
class PairDifferences:
    """A near duplicate and the document that was kept, and where they differ.

    `jaccard`: similarity, 0 to 1. Words in both texts, only in the removed one, only in the kept
    one; `places`: where they differ; `parts`: the first of those places, as Part of `differences`.
    """

    dataset: str
    id: str
    kept_dataset: str
    kept_id: str
    jaccard: float
    common_words: int
    removed_words: int
    kept_words: int
    places: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """Kept documents that are duplicates of another kept one, estimated with a 95 % interval.

    `documents` are kept; `sample` of them were compared, `found` of those are duplicates.
    """

    documents: int
    sample: int
    found: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What dedup removed as duplicates.

    `removed`: documents, `exact` of them as exact copies. `cluster_sizes`: size (a kept document
    and its duplicates) -> clusters. `jaccard_counts`: near duplicates by similarity, between
    `jaccard_edges`. `missed` is None where there can be no estimate.
    """

    removed: int
    exact: int
    cluster_sizes: dict[str, int]
    jaccard_edges: list[float]
    jaccard_counts: list[int]
    between: list[DatasetPair]
    pairs: list[PairDifferences]
    missed: Missed | None


@dataclass(frozen=True, slots=True)
class Repeats:
    """A dataset's documents by the share of their characters in repeated lines and paragraphs.

    Counts between `edges` (0 to 1).
    """

    documents: int
    edges: tuple[float, ...]
    repeated_lines: list[int]
    repeated_paragraphs: list[int]


def duplicates(rundir: RunDirectory, plan: Plan) -> Duplicates | None:
    """What dedup removed as duplicates; None where it has not run."""
    if not _has_run(rundir, plan):
        return None
    table = frames.removed_duplicates(rundir, plan)
    clusters = Counter(_rows(table, "kept_dataset", "kept_id"))
    sizes = Counter(removed + 1 for removed in clusters.values())
    jaccard = table.filter(pc.equal(table.column("reason"), "duplicate")).column("jaccard")
    edges = np.linspace(rundir.recipe.dedup.min_jaccard, 1.0, 21)
    between = Counter(_rows(table, "dataset", "kept_dataset"))
    return Duplicates(
        removed=table.num_rows,
        exact=table.num_rows - len(jaccard),
        cluster_sizes={str(size): sizes[size] for size in sorted(sizes)},
        jaccard_edges=edges.tolist(),
        jaccard_counts=np.histogram(jaccard.to_numpy(), edges)[0].tolist(),
        between=[DatasetPair(a, b, count) for (a, b), count in sorted(between.items())],
        pairs=_pairs(rundir, plan),
        missed=missed(rundir, plan),
    )


def _rows(table: pa.Table, first: str, second: str) -> Iterator[tuple[str, str]]:
    return zip(table.column(first).to_pylist(), table.column(second).to_pylist(), strict=True)


def _has_run(rundir: RunDirectory, plan: Plan) -> bool:
    ran = (store.exists(rundir.decision("dedup", shard)) for shard in plan.shards)
    return "dedup" in rundir.recipe.stages and any(ran)


def _pairs(rundir: RunDirectory, plan: Plan) -> list[PairDifferences]:
    """The least and the most similar of some random near duplicates, with their differences."""
    pairs = frames.duplicate_pairs(rundir, plan, n=8 * SHOWN)
    pairs.sort(key=lambda pair: (pair.jaccard, pair.id))
    shown = pairs if len(pairs) <= 2 * SHOWN else pairs[:SHOWN] + pairs[-SHOWN:]
    return [_differences(pair) for pair in shown]


def _differences(pair: frames.DuplicatePair) -> PairDifferences:
    differences = compare(pair.text, pair.kept_text)
    return PairDifferences(
        pair.dataset,
        pair.id,
        pair.kept_dataset,
        pair.kept_id,
        pair.jaccard,
        differences.count("both"),
        differences.count("removed"),
        differences.count("kept"),
        differences.places,
        tuple(differences.shown(PLACES)),
    )


# ---- what was missed


def missed(rundir: RunDirectory, plan: Plan, size: int = SAMPLE) -> Missed | None:
    """How many kept documents are duplicates of another, estimated from about `size` of them.

    None where one hash is common to too many of them.
    """
    paths = [rundir.decision("dedup", shard) for shard in plan.shards]
    footers = [store.need_footer(path) for path in paths if store.exists(path)]
    kept = sum(ledger.documents(footer.ledger, ledger.KEPT) for footer in footers)
    share = min(1.0, size / max(1, kept))
    documents, docs, least = _drawn(rundir, plan, share)
    if len(docs) > MOST:
        return None
    count, weights, groups = _found(rundir, plan, docs, least, share)
    if share == 1.0:
        return Missed(documents, len(docs), count, *[float(count)] * 3)
    estimate = float(weights.sum())
    low, high = _poisson_interval(groups)
    each = estimate / groups if groups else 1 / (share * rundir.recipe.dedup.min_jaccard)
    high = min(high * each, float(documents))
    return Missed(documents, len(docs), count, estimate, low * each, high)


def _drawn(rundir: RunDirectory, plan: Plan, share: float) -> tuple[int, Int64s, Int64s]:
    """How many documents with features dedup kept; number and least hash of those drawn."""
    key = np.uint64(int(draws.uniform(rundir.recipe.seed, "dedup/missed", b"") * 2**53))
    documents, docs, least = 0, [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for shard in plan.shards:
        decision, evidence = (
            rundir.decision("dedup", shard),
            rundir.table("dedup", shard, "evidence"),
        )
        if store.exists(decision) and store.exists(evidence):
            table = store.read_table(evidence, ["features", "least"])
            kept = frames.column(decision, "keep").to_numpy(zero_copy_only=False).astype(bool)
            kept &= table.column("features").to_numpy() > 0
            documents += int(kept.sum())
            hashes = table.column("least").to_numpy()
            at = spread((hashes.view(np.uint64) ^ key).view(np.int64)) >> np.uint64(11)
            kept &= at < np.uint64(int(share * 2**53))
            docs.append(shard.doc(0) + np.flatnonzero(kept))
            least.append(hashes[kept])
    return documents, np.concatenate(docs), np.concatenate(least)


def _found(
    rundir: RunDirectory, plan: Plan, docs: Int64s, least: Int64s, share: float
) -> tuple[int, npt.NDArray[np.float64], int]:
    """Of the drawn documents the duplicates: how many, how often each counts, and their groups."""
    from curation.kernels.pairs import similar_pairs

    config = rundir.recipe.dedup
    texts, priorities, places = [], [], []
    ordinals, all_rows = ordinal_and_row(docs)
    for ordinal in np.unique(ordinals).tolist():
        shard, rows = plan.shards[ordinal], all_rows[ordinals == ordinal]
        texts += frames.take(rundir.survivors(shard), rows, ["text"]).column(0).to_pylist()
        evidence = rundir.table("dedup", shard, "evidence")
        priorities += frames.take(evidence, rows, ["priority"]).column(0).to_pylist()
        places += [rundir.recipe.place(shard.dataset)] * len(rows)
    best: dict[int, float] = {}
    sets = frames.feature_sets(config, texts)
    for a, b, shared, total in zip(*similar_pairs(*sets, config.min_jaccard), strict=True):
        first, second = sorted((int(a), int(b)), key=lambda i: (priorities[i], int(docs[i])))
        if _compared(rundir, places[first], places[second]):
            best[second] = max(best.get(second, 0.0), shared / total)
    documents = sorted(best)
    weights = np.array([1 / min(1.0, share * best[i]) if share < 1 else 1.0 for i in documents])
    return len(documents), weights, len({int(least[i]) for i in documents})


def _compared(rundir: RunDirectory, first: int, second: int) -> bool:
    """Whether a document of the second dataset may be a duplicate of one of the first."""
    config, datasets = rundir.recipe.dedup, rundir.recipe.dataset
    names = {datasets[first].name, datasets[second].name}
    if config.across == "all" or (
        first == second and config.within and datasets[first].role != "reference"
    ):
        return True
    return first != second and any(names == set(pair) for pair in config.across)


def _poisson_interval(count: int) -> tuple[float, float]:
    """The exact 95 % interval of a Poisson mean (Garwood 1936).

    >>> [round(x, 2) for x in (*_poisson_interval(0), *_poisson_interval(4))]
    [0.0, 3.69, 1.09, 10.24]
    """
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2)


# ---- inside documents


def repeats(rundir: RunDirectory, plan: Plan) -> dict[str, Repeats] | None:
    """Of each dataset, documents by the share of repeated text; None where dedup has not run."""
    if not _has_run(rundir, plan):
        return None
    by_dataset = {}
    columns = ["repeated_lines", "repeated_paragraphs"]
    for name in rundir.recipe.names():
        paths = [rundir.table("dedup", shard, "evidence") for shard in plan.of(name)]
        parts = [store.read_table(path, columns) for path in paths if store.exists(path)]
        if parts:
            table = pa.concat_tables(parts)
            counts = [np.histogram(table.column(c).to_numpy(), EDGES)[0].tolist() for c in columns]
            by_dataset[name] = Repeats(table.num_rows, EDGES, *counts)
    return by_dataset


def missed_sentence(missed: Missed) -> str:
    """The estimate in words.

    >>> missed_sentence(Missed(9000, 2000, 0, 0.0, 0.0, 20.7))
    'Missed: an estimated 0 of 9,000 kept documents are duplicates of another (0 to 21, 95 %); 2,000 of them were compared, and 0 found.'
    """
    kept = f"{missed.documents:,} kept documents are duplicates of another"
    if missed.sample == missed.documents:
        return f"Missed: {missed.found:,} of {kept}; every pair of them was compared."
    return (
        f"Missed: an estimated {missed.estimate:,.0f} of {kept} "
        f"({missed.low:,.0f} to {missed.high:,.0f}, 95 %); "
        f"{missed.sample:,} of them were compared, and {missed.found:,} found."
    )
