"""What the report says of deduplication: who left for whom, pairs with their differences, an estimate of what was missed, repeated lines.

Cost: the evidence and decision tables column by column, and the texts of a few pairs and of the sample that the estimate compares (`SAMPLE`
documents, by brute force: a few seconds).

The estimate: documents are drawn by the least hash of their feature set (`least`), by a permutation that no band uses. Alike documents
have the same one with the probability of their Jaccard similarity J, so they are drawn together J times as often as either of them, instead
of almost never. Among the drawn that stay every pair is measured; one found stands for 1 / (share drawn * J) in the whole. It depends
neither on the bands nor on how buckets are searched, and in expectation it is right. Documents of an index are not among them.

Trap: documents with one hash in common are drawn together or not at all, so one large group that was missed can lie outside; the interval
counts groups, not documents.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import draws, store
from curation.inspect.evidence import frames
from curation.inspect.evidence.differences import compare
from curation.rundir import ledger
from curation.stages.dedup.candidates import spread

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

SAMPLE = 2000  # documents compared for the estimate
MOST = 3 * SAMPLE  # where one hash is common to more; then none is told
SHOWN = 3  # pairs shown from each end of the range of similarity
PLACES = 6  # differences shown of a pair
EDGES = [
    0.0,
    0.001,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
]  # of the shares of repeated lines and paragraphs
Data = dict[str, Any]
Int64s = npt.NDArray[np.int64]


def duplicates(rundir: RunDirectory, plan: Plan) -> Data | None:
    """Sizes of clusters (a document that stays and those that left for it), the Jaccard of near duplicates, pairs, and what was missed."""
    if not _has_run(rundir, plan):
        return None
    table = frames.removed_duplicates(rundir, plan)
    centres = Counter(
        zip(*(table.column(n).to_pylist() for n in ("kept_dataset", "kept_id")), strict=True)
    )
    sizes = Counter(left + 1 for left in centres.values())
    near = pc.equal(table.column("reason"), "duplicate")
    jaccard = table.filter(near).column("jaccard").to_numpy()
    edges = np.linspace(rundir.recipe.dedup.min_jaccard, 1.0, 21)
    pairs = Counter(
        zip(*(table.column(n).to_pylist() for n in ("dataset", "kept_dataset")), strict=True)
    )
    return {
        "removed": table.num_rows,
        "exact": table.num_rows - len(jaccard),
        "cluster_sizes": {str(size): sizes[size] for size in sorted(sizes)},
        "jaccard_edges": edges.tolist(),
        "jaccard_counts": np.histogram(jaccard, edges)[0].tolist(),
        "between": [
            {"left": a, "stayed": b, "documents": n} for (a, b), n in sorted(pairs.items())
        ],
        "pairs": _pairs(rundir, plan),
        "missed": missed(rundir, plan),
    }


def _has_run(rundir: RunDirectory, plan: Plan) -> bool:
    ran = (store.exists(rundir.decision("dedup", shard)) for shard in plan.shards)
    return "dedup" in rundir.recipe.stages and any(ran)


def _pairs(rundir: RunDirectory, plan: Plan) -> list[Data]:
    """The least and the most similar of some random near duplicates, with their differences."""
    found = sorted(
        frames.duplicate_pairs(rundir, plan, n=8 * SHOWN), key=lambda p: (p["jaccard"], p["id"])
    )
    some = found if len(found) <= 2 * SHOWN else found[:SHOWN] + found[-SHOWN:]
    out = []
    for pair in some:
        differs = compare(pair["text"], pair["kept_text"])
        named = {
            name: pair[name] for name in ("dataset", "id", "kept_dataset", "kept_id", "jaccard")
        }
        counts = {kind: differs.count(kind) for kind in ("both", "own", "kept")}
        parts = [[part.kind, " ".join(part.words)] for part in differs.shown(PLACES)]
        out.append({**named, "words": counts, "places": differs.places, "parts": parts})
    return out


# ---- what was missed -------------------------------------------------------------------------------------------------------------------


def missed(rundir: RunDirectory, plan: Plan, size: int = SAMPLE) -> Data | None:
    """How many documents stay that resemble another that stays, estimated from about `size` of them, with a 95 % interval.

    None where one hash is common to too many of them.
    """
    decided = [
        path for shard in plan.shards if store.exists(path := rundir.decision("dedup", shard))
    ]
    kept = sum(ledger.documents(store.need_footer(path).ledger, ledger.KEPT) for path in decided)
    share = min(1.0, size / max(1, kept))
    documents, docs, least = _drawn(rundir, plan, share)
    if len(docs) > MOST:
        return None
    due, weights, groups = _due(rundir, plan, docs, least, share)
    estimate = float(weights.sum())
    low, high = _poisson(groups)
    each = estimate / groups if groups else 1 / (share * rundir.recipe.dedup.min_jaccard)
    high = min(high * each, float(documents))
    exact = share == 1.0
    return {
        "documents": documents,
        "sample": len(docs),
        "found": due,
        "estimate": float(due) if exact else estimate,
        "low": float(due) if exact else low * each,
        "high": float(due) if exact else high,
    }


def _drawn(rundir: RunDirectory, plan: Plan, share: float) -> tuple[int, Int64s, Int64s]:
    """How many documents dedup kept, those without features left out, and the number and least hash of those drawn."""
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


def _due(
    rundir: RunDirectory, plan: Plan, docs: Int64s, least: Int64s, share: float
) -> tuple[int, npt.NDArray[np.float64], int]:
    """Of the drawn documents those that resemble another: how many, what each stands for, and the groups they are drawn in."""
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers
    from curation.kernels.pairs import similar_pairs

    config = rundir.recipe.dedup
    texts, priorities, places = [], [], []
    for ordinal in np.unique(docs >> 32).tolist():
        shard = plan.shards[ordinal]
        rows = docs[docs >> 32 == ordinal] & 0xFFFFFFFF
        texts += frames.take(rundir.survivors(shard), rows, ["text"]).column(0).to_pylist()
        evidence = rundir.table("dedup", shard, "evidence")
        priorities += frames.take(evidence, rows, ["priority"]).column(0).to_pylist()
        places += [rundir.recipe.place(shard.dataset)] * len(rows)
    width = config.shingle_words if config.features == "shingle" else 1
    sets = minhash.feature_sets(
        *text_buffers(pa.array(texts, pa.large_string())), config.features, width
    )
    best: dict[int, float] = {}
    for a, b, shared, total in zip(*similar_pairs(*sets, config.min_jaccard), strict=True):
        first, second = sorted((int(a), int(b)), key=lambda i: (priorities[i], int(docs[i])))
        if _compared(rundir, places[first], places[second]):
            best[second] = max(best.get(second, 0.0), shared / total)
    due = sorted(best)
    weights = np.array([1 / min(1.0, share * best[i]) if share < 1 else 1.0 for i in due])
    return len(due), weights, len({int(least[i]) for i in due})


def _compared(rundir: RunDirectory, first: int, second: int) -> bool:
    """Whether a document of the second dataset may leave for one of the first."""
    config, datasets = rundir.recipe.dedup, rundir.recipe.dataset
    names = {datasets[first].name, datasets[second].name}
    if config.across == "all" or (
        first == second and config.within and datasets[first].role != "reference"
    ):
        return True
    return first != second and any(names == set(pair) for pair in config.across)


def _poisson(count: int) -> tuple[float, float]:
    """The exact 95 % interval of a Poisson mean (Garwood 1936).

    >>> [round(x, 2) for x in (*_poisson(0), *_poisson(4))]
    [0.0, 3.69, 1.09, 10.24]
    """
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2)


# ---- inside documents ------------------------------------------------------------------------------------------------------------------


def repeats(rundir: RunDirectory, plan: Plan) -> Data | None:
    """Per dataset: documents by the share of their characters in lines, and in paragraphs, that they said before."""
    if not _has_run(rundir, plan):
        return None
    out: Data = {}
    for name in rundir.recipe.names():
        tables = [rundir.table("dedup", shard, "evidence") for shard in plan.of(name)]
        columns = ("repeated_lines", "repeated_paragraphs")
        parts = [store.read_table(path, list(columns)) for path in tables if store.exists(path)]
        if parts:
            table = pa.concat_tables(parts)
            counts = {
                column: np.histogram(table.column(column).to_numpy(), EDGES)[0].tolist()
                for column in columns
            }
            out[name] = {"documents": table.num_rows, "edges": EDGES, **counts}
    return out
