"""Quality scores of documents: as a table, by score band, and documents near a score.

Cost: score and draw of every document (16 bytes each), a shard at a time; texts only of the few
documents that are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.errors import RunError
from curation.inspect.evidence import frames
from curation.kernels.pareto import keep_chance, pareto_draw

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

Floats = npt.NDArray[np.float64]
BINS = 50  # of the histograms
BANDS = 10
CENTRES = tuple(i / 10 for i in range(11))  # scores near which documents are shown
CANDIDATES = 200  # of a shard, for one score and outcome
SCORES = pa.schema(
    [
        ("dataset", pa.string()),
        ("ordinal", pa.int64()),  # of the shard, over all datasets
        ("row", pa.int64()),  # in documents/
        ("score", pa.float64()),
        ("u", pa.float64()),
        ("fold", pa.int16()),  # the model that scored it has not seen this one; null: of all folds
        ("keep", pa.bool_()),  # null for datasets that classify does not filter
    ]
)


@dataclass(frozen=True, slots=True)
class ScoredDocument:
    """A document of a filtered dataset: kept where `draw` is more than `needed` = 1 - score.

    `chance`: of being kept at this score, 0 to 1. `text`: its first characters. `near`: the score
    that it was chosen for, where it was.
    """

    kept: bool
    score: float
    draw: float
    needed: float
    chance: float
    id: str
    url: str | None
    text: str
    near: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreBand:
    """Documents with scores in [low, high): how many, how many are kept, and are expected to be."""

    low: float
    high: float
    documents: int
    kept: int
    expected: float


@dataclass(frozen=True, slots=True)
class DatasetScores:
    """One dataset's documents by score bin; `kept` and `bands` are None if it is not filtered."""

    filtered: bool
    counts: list[int]
    kept: list[int] | None
    bands: list[ScoreBand] | None


@dataclass(frozen=True, slots=True)
class ScoreHistograms:
    """Scores of every dataset in the same bins; `keep_chance`: P(keep) at each of the `edges`."""

    alpha: float
    edges: list[float]
    keep_chance: list[float]
    datasets: dict[str, DatasetScores]


def score_parts(rundir: RunDirectory, plan: Plan, dataset: str | None = None) -> Iterator[pa.Table]:
    """A table of SCORES for each shard that classify has scored."""
    for shard in plan.shards if dataset is None else plan.of(dataset):
        path = rundir.table("classify", shard, "evidence")
        if "classify" not in rundir.recipe.stages or not store.exists(path):
            continue
        evidence = store.read_table(path)
        n = evidence.num_rows
        decision = rundir.ledger_table("classify", shard)
        decided = decision if decision and store.exists(decision) else None
        columns = [
            pa.array([shard.dataset] * n, pa.string()),
            np.full(n, shard.ordinal, np.int64),
            np.arange(n, dtype=np.int64),
            *(evidence.column(name).combine_chunks() for name in ("score", "u", "fold")),
            frames.column(decided, "keep") if decided else pa.nulls(n, pa.bool_()),
        ]
        yield pa.table(columns, schema=SCORES)


def scores(rundir: RunDirectory, plan: Plan, dataset: str | None = None) -> pa.Table:
    """Every document's score, draw and keep: a table of SCORES.

    Raises RunError where classify has not run.
    """
    parts = list(score_parts(rundir, plan, dataset))
    if not parts:
        what = f"dataset {dataset!r}" if dataset else "documents"
        raise RunError(
            f"{rundir.out}: there are no scores of {what}; "
            "the run has not got to the end of classify"
        )
    return pa.concat_tables(parts)


def margins(table: pa.Table, alpha: float) -> Floats:
    """Draw less what was needed, for each row of a SCORES table: kept where it is more than 0."""
    score, u = (table.column(name).to_numpy() for name in ("score", "u"))
    return np.asarray(pareto_draw(u, alpha) - (1.0 - score))


# ---- histograms


def score_histograms(rundir: RunDirectory, plan: Plan) -> ScoreHistograms | None:
    """Documents of each dataset by score, and those kept; None where classify has not scored."""
    alpha = rundir.recipe.classify.alpha
    edges = np.linspace(0.0, 1.0, BINS + 1)
    sums: dict[str, Floats] = {}  # counts, kept, expected: float64[3, BINS]
    for part in score_parts(rundir, plan):
        if not part.num_rows:
            continue
        score = part.column("score").to_numpy()
        keep = part.column("keep").fill_null(False).to_numpy().astype(np.float64)
        parts = sums.setdefault(part.column("dataset")[0].as_py(), np.zeros((3, BINS)))
        for row, weights in enumerate((None, keep, keep_chance(score, alpha))):
            parts[row] += np.histogram(score, edges, weights=weights)[0]
    if not sums:
        return None
    datasets = {name: _of_dataset(s, rundir.recipe.classified(name)) for name, s in sums.items()}
    chance = keep_chance(edges, alpha)
    return ScoreHistograms(alpha, edges.tolist(), chance.tolist(), datasets)


def _of_dataset(parts: Floats, filtered: bool) -> DatasetScores:
    counts, kept, expected = parts
    whole: list[int] = counts.astype(np.int64).tolist()
    if not filtered:
        return DatasetScores(False, whole, None, None)
    sums = (values.reshape(BANDS, -1).sum(1).tolist() for values in (counts, kept, expected))
    bands = [
        ScoreBand(i / BANDS, (i + 1) / BANDS, int(c), int(k), round(e, 3))
        for i, (c, k, e) in enumerate(zip(*sums, strict=True))
    ]
    return DatasetScores(True, whole, kept.astype(np.int64).tolist(), bands)


# ---- documents


def near_threshold(
    rundir: RunDirectory, plan: Plan, dataset: str, n: int = 5, chars: int = 300, seed: int = 0
) -> list[ScoredDocument]:
    """Random documents just kept and just removed: `n` of each, from the nearest 4 n."""
    table = scores(rundir, plan, dataset)
    margin = margins(table, rundir.recipe.classify.alpha)
    chosen: list[int] = []
    for side in (margin > 0, margin <= 0):
        rows = np.flatnonzero(side)
        nearest = rows[np.argsort(np.abs(margin[rows]), kind="stable")][: 4 * n]
        keys = [int(row).to_bytes(8, "little") for row in nearest]
        order = np.argsort(draws.uniforms(seed, "inspect/threshold", keys), kind="stable")
        chosen += nearest[order][:n].tolist()
    return _documents(rundir, plan, table.take(pa.array(chosen, pa.int64())), chars)


def by_score(
    rundir: RunDirectory, plan: Plan, dataset: str, n: int = 1, chars: int = 300, seed: int = 0
) -> list[ScoredDocument]:
    """Random documents at scores near 0, 0.1 ... 1: of each at most `n` kept and `n` removed."""
    if not rundir.recipe.classified(dataset):
        return []
    alpha = rundir.recipe.classify.alpha
    drawn: dict[tuple[float, bool], list[tuple[float, int, int]]] = {}
    tables: dict[int, pa.Table] = {}
    for part in score_parts(rundir, plan, dataset):
        if not part.num_rows:
            continue
        shard = plan.shards[part.column("ordinal")[0].as_py()]
        tables[shard.ordinal] = part
        score = part.column("score").to_numpy()
        keep = margins(part, alpha) > 0
        for near in CENTRES:
            for kept in (True, False):
                rows = np.flatnonzero((np.abs(score - near) <= 0.05) & (keep == kept))
                rows = rows[:: max(1, len(rows) // CANDIDATES)]
                keys = [shard.doc(row).to_bytes(8, "little") for row in rows.tolist()]
                at = draws.uniforms(seed, "inspect/by_score", keys).tolist()
                places = zip(at, [shard.ordinal] * len(rows), rows.tolist(), strict=True)
                drawn[near, kept] = sorted([*drawn.get((near, kept), []), *places])[:n]
    picks = [
        (near, tables[ordinal].slice(row, 1))
        for (near, _), rows_ in sorted(drawn.items(), key=lambda item: (item[0][0], not item[0][1]))
        for _, ordinal, row in rows_
    ]
    if not picks:
        return []
    table = pa.concat_tables([row for _, row in picks])
    return _documents(rundir, plan, table, chars, [near for near, _ in picks])


def _documents(
    rundir: RunDirectory,
    plan: Plan,
    table: pa.Table,
    chars: int,
    near: list[float] | None = None,
) -> list[ScoredDocument]:
    """The documents of the rows of a SCORES table, in its order."""
    alpha = rundir.recipe.classify.alpha
    ordinals, rows, score = (table.column(name).to_numpy() for name in ("ordinal", "row", "score"))
    draw = pareto_draw(table.column("u").to_numpy(), alpha)
    chance = keep_chance(score, alpha)
    texts: dict[int, dict[str, Any]] = {}
    for ordinal in np.unique(ordinals).tolist():
        at = np.flatnonzero(ordinals == ordinal)
        texts_of_shard = frames.with_texts(rundir, plan.shards[ordinal], rows[at], chars=chars)
        texts.update(zip(at.tolist(), texts_of_shard.to_pylist(), strict=True))
    return [
        ScoredDocument(
            kept=bool(draw[i] > 1.0 - score[i]),
            score=float(score[i]),
            draw=float(draw[i]),
            needed=float(1.0 - score[i]),
            chance=float(chance[i]),
            **texts[i],
            near=near[i] if near else None,
        )
        for i in range(len(score))
    ]
