"""Alpha of the keep rule: the value that fits the scores of trusted documents, and what others keep.

Cost: the evidence of classify, a shard at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation.errors import InputError, RunError
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.evidence.scores import BANDS, score_parts
from curation.inspect.numbers import percent
from curation.kernels import pareto
from curation.stages.classify.shipped import given_folder

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

ALPHAS = tuple(float(alpha) for alpha in range(1, 21))
BINS = 20
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AlphaFit:
    """The alpha whose law fits the scores of `dataset` best, or `refused`: why none does.

    `scored`: which documents, in words. `low`, `high`: the 95 % interval. `distance`: the widest
    gap between the scores and the law. Of each bin between `edges`: documents, and what the law
    expects.
    """

    dataset: str | None
    scored: str = ""
    documents: int = 0
    refused: str | None = None
    alpha: float = 0.0
    low: float = 0.0
    high: float = 0.0
    distance: float = 0.0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    expected: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptByAlpha:
    """Documents of a dataset by score band, and of each alpha those it keeps: [alphas][bands]."""

    counts: list[int]
    kept: list[list[int]]


@dataclass(frozen=True, slots=True)
class AlphaReport:
    """The recipe's alpha, the one that fits, and what every one of `alphas` keeps by dataset."""

    alpha: float
    fit: AlphaFit
    alphas: tuple[float, ...]
    edges: list[float]
    datasets: dict[str, KeptByAlpha]


def alpha_report(
    rundir: RunDirectory, plan: Plan, dataset: str | None = None
) -> AlphaReport | None:
    """The alpha that fits `dataset` (the first of the positives), and what alphas 1 to 20 keep.

    None where classify has not scored. Raises InputError for a dataset that the recipe lacks.
    """
    if dataset is not None and dataset not in rundir.recipe.names():
        raise InputError(f"no dataset {dataset!r}; there are {', '.join(rundir.recipe.names())}")
    kept = kept_by_alpha(rundir, plan)
    if not kept:
        return None
    edges = _edges(BANDS).round(6).tolist()
    fit = _alpha_fit(rundir, plan, dataset)
    return AlphaReport(rundir.recipe.classify.alpha, fit, ALPHAS, edges, kept)


def need_alpha_report(rundir: RunDirectory, plan: Plan, dataset: str | None = None) -> AlphaReport:
    """As `alpha_report`. Raises RunError where classify has not scored."""
    report = alpha_report(rundir, plan, dataset)
    if report is None:
        raise RunError(f"{rundir.out}: classify has not scored here; run it to the end of classify")
    return report


def kept_by_alpha(rundir: RunDirectory, plan: Plan) -> dict[str, KeptByAlpha]:
    """Of each filtered dataset: documents by score band, and those each alpha keeps."""
    edges = _edges(BANDS)
    sums: dict[str, npt.NDArray[np.int64]] = {}  # int64[1 + alphas, bands]
    for dataset in filter(rundir.recipe.classified, rundir.recipe.names()):
        for score, u in _scores_and_draws(rundir, plan, dataset):
            counts = np.histogram(score, edges)[0]
            kept = pareto.kept_counts(score, u, ALPHAS, edges)
            sums[dataset] = sums.get(dataset, 0) + np.vstack([counts, kept])
    return {name: KeptByAlpha(s[0].tolist(), s[1:].tolist()) for name, s in sums.items()}


def _scores_and_draws(
    rundir: RunDirectory, plan: Plan, dataset: str
) -> Iterator[tuple[Floats, Floats]]:
    for part in score_parts(rundir, plan, dataset):
        yield part.column("score").to_numpy(), part.column("u").to_numpy()


def _edges(bins: int) -> Floats:
    return np.linspace(0.0, 1.0, bins + 1)


def _alpha_fit(rundir: RunDirectory, plan: Plan, dataset: str | None) -> AlphaFit:
    name = dataset or next(iter(rundir.recipe.positives()), None)
    if name is None:
        refused = "the recipe names no positives; give a dataset to fit alpha to"
        return AlphaFit(None, refused=refused)
    score, scored = _scores(rundir, plan, name)
    try:
        fit = pareto.fit_alpha(score)
    except ValueError as error:
        return AlphaFit(name, scored, len(score), str(error))
    edges = _edges(BINS)
    expected = -np.diff(pareto.law_share(1.0 - edges, fit.alpha)) * len(score)
    return AlphaFit(
        name,
        scored,
        fit.documents,
        alpha=fit.alpha,
        low=fit.low,
        high=fit.high,
        distance=fit.distance,
        edges=tuple(edges.tolist()),
        counts=tuple(np.histogram(score, edges)[0].tolist()),
        expected=tuple(np.abs(expected.round(3)).tolist()),
    )


def _scores(rundir: RunDirectory, plan: Plan, dataset: str) -> tuple[Floats, str]:
    """Scores of a dataset's documents, and what scored them."""
    parts = list(score_parts(rundir, plan, dataset))
    score = np.concatenate([np.zeros(0), *(part.column("score").to_numpy() for part in parts)])
    if parts and not any(part.column("fold").null_count for part in parts):
        return score, "documents, each scored by a model that has not seen its fold"
    if given_folder(rundir.recipe):
        return score, "documents (the model was fitted elsewhere)"
    return score, "documents (one model scored them, and may have seen some)"


def alpha_sentence(report: AlphaReport) -> str:
    """The fit of alpha in words."""
    fit = report.fit
    if fit.refused is not None:
        return f"No alpha is fitted{f' to {fit.dataset}' if fit.dataset else ''}: {fit.refused}."
    return (
        f"alpha {fit.alpha:.2f} (95 % interval {fit.low:.2f} to {fit.high:.2f}) fits {fit.dataset} "
        f"best: {fit.documents:,} {fit.scored}. Widest gap to the law: {fit.distance:.3f}. "
        f"This run has {report.alpha:g}."
    )


def kept_listings(report: AlphaReport) -> list[Listing]:
    """What each alpha keeps of each filtered dataset, by score; the recipe's alpha has a `*`."""
    bands = [f"{a:.1f}-{b:.1f}" for a, b in itertools.pairwise(report.edges)]
    head = ("alpha", "kept", "share", *bands)
    strong = [i for i, alpha in enumerate(report.alphas, 1) if alpha == report.alpha]
    return [
        listing(
            f"What each alpha keeps of {name}, by score",
            head,
            [_band_row("all", dataset.counts), *_kept_rows(report, dataset)],
            strong=strong,
        )
        for name, dataset in report.datasets.items()
    ]


def _kept_rows(report: AlphaReport, dataset: KeptByAlpha) -> Iterator[tuple[str, ...]]:
    for alpha, kept in zip(report.alphas, dataset.kept, strict=True):
        mark = " *" if alpha == report.alpha else ""
        yield _band_row(f"{alpha:g}{mark}", kept, sum(dataset.counts))


def _band_row(name: str, counts: Sequence[int], whole: int = 0) -> tuple[str, ...]:
    share = percent(sum(counts) / whole) if whole else ""
    return name, f"{sum(counts):,}", share, *(f"{count:,}" for count in counts)
