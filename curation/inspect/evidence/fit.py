"""The quality classifier: what a model says of its fit, the alpha that fits, and what others keep.

Cost: the evidence of classify, a shard at a time; url and id of one dataset for the fit of alpha.
The model's figures were measured when it was fitted and are only read here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.evidence.scores import BANDS, score_parts
from curation.inspect.numbers import metric
from curation.kernels import pareto
from curation.stages.classify.sample import site

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

ALPHAS = tuple(float(alpha) for alpha in range(1, 21))
BINS = 20
Floats = npt.NDArray[np.float64]


# ---- the model


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What one class learned from one dataset.

    `documents` there were, `fitted` of them, from so many `sites`; `weight`: share of the class;
    `sha256`: of the contents.
    """

    documents: int
    fitted: int
    sites: int
    weight: float
    sha256: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One dataset's documents of held-out sites by score; `auc`: against the other class."""

    documents: int
    sites: int
    auc: float | None
    scores: list[int]


@dataclass(frozen=True, slots=True)
class CalibrationBand:
    """Held-out documents with scores in [low, high): mean score, and share of positives."""

    low: float
    high: float
    documents: int
    score: float
    positive: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A fit that was measured: on `documents`, or with the regularisation `C`."""

    auc: float | None
    log_loss: float | None
    documents: int | None = None
    C: float | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of the model: its weight, documents of each class that have it, and its tokens.

    `tokens`: the commonest of `distinct_tokens`, with how often each occurs.
    """

    weight: float
    positive_documents: int
    negative_documents: int
    tokens: list[tuple[str, int]]
    distinct_tokens: int


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a fit went, measured on `documents` of held-out sites; measures are None without both classes.

    `edges`: of the score bins in `datasets`. `tried`: values of C. `curve`: the learning curve.
    `strongest`: features by class, the strongest first.
    """

    documents: int
    auc: float | None
    average_precision: float | None
    f1: float | None
    log_loss: float | None
    edges: list[float]
    datasets: dict[str, HeldOut]
    calibration: list[CalibrationBand]
    tried: list[Trial]
    curve: list[Trial]
    strongest: dict[str, list[Feature]]


@dataclass(frozen=True, slots=True)
class HeldOutMeasures:
    """What the card says of all `documents` of held-out sites; None without both classes."""

    documents: int = 0
    auc: float | None = None
    average_precision: float | None = None
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model's card, and how its fit went (None where no report stands beside the card).

    `features`: how many there are. `training`: class -> dataset -> what it learned from. `window_chars`: characters of a window,
    0 for whole texts. `versions`: of the libraries that fitted it.
    """

    kind: str
    features: int | None
    scaling: str
    C: float | None
    class_weight: str | None
    window_chars: int | None
    sha256: str | None
    versions: dict[str, str]
    heldout: HeldOutMeasures
    training: dict[str, dict[str, TrainingSet]]
    report: FitReport | None


def model_report(folder: str) -> Model | None:
    """What a model folder says of itself; None where it holds no model."""
    card_path, report_path = (store.join(folder, name) for name in ("card.json", "report.json"))
    if not store.exists(card_path):
        return None
    card = store.read_json(card_path)
    plain = ("features", "C", "class_weight", "window_chars", "sha256")
    return Model(
        **{key: card.get(key) for key in plain},
        kind=card.get("kind", "model"),
        scaling=card.get("scaling", ""),
        versions=card.get("versions", {}),
        heldout=HeldOutMeasures(**card.get("heldout", {})),
        training={
            side: {name: TrainingSet(**counts) for name, counts in part["datasets"].items()}
            for side, part in card.get("training", {}).items()
        },
        report=_fit_report(store.read_json(report_path)) if store.exists(report_path) else None,
    )


def _fit_report(stored: dict[str, Any]) -> FitReport:
    measures = ("documents", "auc", "average_precision", "f1", "log_loss", "edges")
    return FitReport(
        **{key: stored[key] for key in measures},
        datasets={name: HeldOut(**part) for name, part in stored["datasets"].items()},
        calibration=[
            CalibrationBand(b["from"], b["to"], b["documents"], b["score"], b["positive"])
            for b in stored["calibration"]
        ],
        tried=[Trial(**trial) for trial in stored["tried"]],
        curve=[Trial(**trial) for trial in stored["curve"]],
        strongest={
            side: [_feature(row) for row in rows] for side, rows in stored["strongest"].items()
        },
    )


def _feature(row: dict[str, Any]) -> Feature:
    tokens = [(token["token"], token["count"]) for token in row["tokens"]]
    counts = row["positive_documents"], row["negative_documents"]
    return Feature(row["weight"], *counts, tokens, row["distinct_tokens"])


# ---- its tables, the same rows for terminal and page


def training_listing(model: Model) -> Listing:
    """What each class learned from."""
    head = ("class", "dataset", "documents", "fitted", "sites", "weight", "sha256")
    rows = [
        (
            side,
            name,
            *(f"{count:,}" for count in (part.documents, part.fitted, part.sites)),
            f"{part.weight:.3f}",
            part.sha256[:16],
        )
        for side, datasets in model.training.items()
        for name, part in datasets.items()
    ]
    return listing("Training sets", head, rows, left=(0, 1))


def calibration_listing(report: FitReport) -> Listing:
    """Mean score and share of positives by score band."""
    rows = [
        (f"{b.low:.2f} to {b.high:.2f}", f"{b.documents:,}", f"{b.score:.3f}", f"{b.positive:.3f}")
        for b in report.calibration
    ]
    title = "Calibration: mean score and share of positives, classes weighed as in the fit"
    return listing(title, ("score", "documents", "mean score", "positive"), rows)


def trial_listings(report: FitReport) -> list[Listing]:
    """The learning curve, and before it the values of C where several were tried."""
    tried = [(f"{t.C:g}", metric(t.auc), metric(t.log_loss)) for t in report.tried]
    curve = [(f"{t.documents:,}", metric(t.auc), metric(t.log_loss)) for t in report.curve]
    title = "C, on the other half of the held-out sites"
    return [
        *([listing(title, ("C", "AUC", "log loss"), tried)] if tried else []),
        listing("Learning curve", ("training documents", "AUC", "log loss"), curve),
    ]


def feature_listings(report: FitReport, most: int | None = None) -> list[Listing]:
    """The strongest features of each class, at most `most` of each."""
    return [
        listing(
            f"Strongest features of the {side}s, and the tokens that share each",
            ("weight", "in positives", "in negatives", "tokens"),
            [
                (
                    f"{feature.weight:+.2f}",
                    f"{feature.positive_documents:,}",
                    f"{feature.negative_documents:,}",
                    token_list(feature),
                )
                for feature in features[:most]
            ],
            left=(0, 3),
        )
        for side, features in report.strongest.items()
    ]


def token_list(feature: Feature) -> str:
    """The tokens of a feature, the commonest first, with their counts.

    >>> token_list(Feature(1.0, 2, 0, [("a", 2), ("", 1)], 7))
    "'a' 2, '' 1 and 5 more"
    """
    shown = ", ".join(f"{token!r} {count:,}" for token, count in feature.tokens)
    more = feature.distinct_tokens - len(feature.tokens)
    return f"{shown} and {more} more" if more > 0 else shown


# ---- alpha


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
    for dataset in filter(rundir.recipe.filtered, rundir.recipe.names()):
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
    score, scored = _unseen_scores(rundir, plan, name)
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


def _unseen_scores(rundir: RunDirectory, plan: Plan, dataset: str) -> tuple[Floats, str]:
    """Scores of a dataset's documents that the fit did not see, and which documents those are."""
    config = rundir.recipe.classify
    if config.model:
        parts = [score for score, _ in _scores_and_draws(rundir, plan, dataset)]
        scored = "all documents (the model was fitted elsewhere)"
        return np.concatenate([np.zeros(0), *parts]), scored
    parts = []
    for table in score_parts(rundir, plan, dataset):
        if table.num_rows:
            path = rundir.documents(plan.shards[table.column("ordinal")[0].as_py()])
            urls, ids = (frames.column(path, name).to_pylist() for name in ("url", "id"))
            sites = [(site(url) or id_).encode() for url, id_ in zip(urls, ids, strict=True)]
            draw = draws.uniforms(rundir.recipe.seed, "classify/heldout", sites)
            parts.append(table.column("score").to_numpy()[draw < config.heldout])
    return np.concatenate([np.zeros(0), *parts]), "documents of held-out sites"


def alpha_sentence(report: AlphaReport) -> str:
    """The fit of alpha in words."""
    fit = report.fit
    if fit.refused is not None:
        return f"No alpha fits {fit.dataset}: {fit.refused}."
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
            [_band_row("documents", dataset.counts), *_kept_rows(report, dataset)],
            strong=strong,
        )
        for name, dataset in report.datasets.items()
    ]


def _kept_rows(report: AlphaReport, dataset: KeptByAlpha) -> Iterator[tuple[str, ...]]:
    for alpha, kept in zip(report.alphas, dataset.kept, strict=True):
        mark = " *" if alpha == report.alpha else ""
        yield _band_row(f"{alpha:g}{mark}", kept, sum(dataset.counts))


def _band_row(name: str, counts: Sequence[int], whole: int = 0) -> tuple[str, ...]:
    share = f"{sum(counts) / whole:.2%}" if whole else ""
    return name, f"{sum(counts):,}", share, *(f"{count:,}" for count in counts)
