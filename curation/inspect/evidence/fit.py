"""The quality classifier: what a model says of its fit.

Cost: two small files. The figures were measured when the model was fitted and are only read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation import store
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.numbers import metric, percent


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What one class learned from one dataset.

    `documents` of so many `sites` (a document without a URL, or of a spread site, is one of its
    own), `share` of the dataset; `weight`: share of the fit; `sha256`: of the contents.
    """

    documents: int
    share: float
    sites: int
    weight: float
    sha256: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One dataset's documents by the score of a model that has not seen them; `auc`: against the
    other class."""

    documents: int
    sites: int
    auc: float | None
    scores: list[int]


@dataclass(frozen=True, slots=True)
class CalibrationBand:
    """Documents with held-out scores in [low, high): mean score, and share of positives."""

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
    """How a fit went on `documents`, each scored by a model that has not seen its fold; measures
    are None without both classes.

    `chance`: how far from 0.5 the AUC of a model that knows nothing may be. `edges`: of the score
    bins in `datasets`. `tried`: values of C. `curve`: the learning curve.
    `strongest`: features by class, the strongest first.
    """

    documents: int
    auc: float | None
    chance: float | None
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
    """What the card says of `documents`, each scored by a model that has not seen its fold.

    `marks_auc`: of a fit on the shares of line breaks, punctuation and bullets alone. None without
    both classes.
    """

    documents: int = 0
    auc: float | None = None
    chance: float | None = None
    average_precision: float | None = None
    f1: float | None = None
    marks_auc: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model's card, and how its fit went (None where no report stands beside the card).

    `features`: how many there are. `note`: why there is nothing to show of its fit, for a model that
    was not fitted here. `training`: class -> dataset -> what it learned from.
    `window_chars`: characters of a window, 0 for whole texts. `folds`: how many, by site; the
    documents of the sites in `spread` are in folds one by one. `signal_weights`: of each signal, in
    standard deviations. `versions`: of the libraries that fitted it.
    """

    kind: str
    note: str
    features: int | None
    scaling: str
    C: float | None
    class_weight: str | None
    window_chars: int | None
    folds: int | None
    spread: tuple[str, ...]
    sha256: str | None
    versions: dict[str, str]
    signal_weights: dict[str, float]
    heldout: HeldOutMeasures
    training: dict[str, dict[str, TrainingSet]]
    report: FitReport | None


def model_report(folder: str) -> Model | None:
    """What a model folder says of itself; None where it holds no model."""
    card_path, report_path = (store.join(folder, name) for name in ("card.json", "report.json"))
    if not store.exists(card_path):
        return None
    card = store.read_json(card_path)
    plain = ("features", "C", "class_weight", "window_chars", "folds", "sha256")
    return Model(
        **{key: card.get(key) for key in plain},
        kind=card.get("kind", "model"),
        note=card.get("note", ""),
        scaling=card.get("scaling", ""),
        spread=tuple(name for names in card.get("spread", {}).values() for name in names),
        versions=card.get("versions", {}),
        signal_weights=card.get("signal_weights", {}),
        heldout=HeldOutMeasures(**card.get("heldout", {})),
        training={
            side: {name: TrainingSet(**counts) for name, counts in part["datasets"].items()}
            for side, part in card.get("training", {}).items()
        },
        report=_fit_report(store.read_json(report_path)) if store.exists(report_path) else None,
    )


def _fit_report(stored: dict[str, Any]) -> FitReport:
    measures = ("documents", "auc", "chance", "average_precision", "f1", "log_loss", "edges")
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


def note_sentence(model: Model) -> str:
    """Why nothing is shown of a model that was not fitted here."""
    return f"There is nothing to show of a fit: {model.note}."


def fit_sentence(heldout: HeldOutMeasures) -> str:
    """What the figures are of, and how far from chance, and from layout alone."""
    documents = (
        f"{heldout.documents:,} documents, each scored by a model that has not seen its fold"
    )
    if heldout.auc is None or heldout.chance is None:
        return f"On {documents}: no figures, for they are all of one class."
    low, high = (0.5 + sign * heldout.chance for sign in (-1, 1))
    marks = (
        ""
        if heldout.marks_auc is None
        else f"; line breaks and marks alone {heldout.marks_auc:.3f}"
    )
    return (
        f"On {documents}: AUC {heldout.auc:.3f} (a model that knows nothing: {low:.3f} to "
        f"{high:.3f}{marks})."
    )


# ---- its tables, the same rows for terminal and page


def training_listing(model: Model) -> Listing:
    """What each class learned from."""
    head = ("class", "dataset", "documents", "share", "sites", "weight", "sha256")
    rows = [
        (
            side,
            name,
            f"{part.documents:,}",
            percent(part.share),
            f"{part.sites:,}",
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
    title = "C, on fold 0, which the figures above leave out"
    return [
        *([listing(title, ("C", "AUC", "log loss"), tried)] if tried else []),
        listing("Learning curve, on fold 0", ("training documents", "AUC", "log loss"), curve),
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
        if features
    ]


def token_list(feature: Feature) -> str:
    """The tokens of a feature, the commonest first, with their counts.

    >>> token_list(Feature(1.0, 2, 0, [("a", 2), ("", 1)], 7))
    "'a' 2, '' 1 and 5 more"
    """
    shown = ", ".join(f"{token!r} {count:,}" for token, count in feature.tokens)
    more = feature.distinct_tokens - len(feature.tokens)
    return f"{shown} and {more} more" if more > 0 else shown
