"""How good a fitted classifier is on some documents: AUC, average precision, F1, log loss,
calibration, scores by dataset.

Trap: the score is a probability only under the class balance it was fitted with, so calibration,
log loss and F1 weigh documents as the fit did; AUC and average precision count them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.stages.classify.model import Floats

BINS = 20  # of histograms and calibration
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """The training set: `x` csr float64[n, 2**18], scaled; `y` 0 or 1; `dataset` the place in
    `names`; `weight` of each example; `u` its draw for the learning curve; `site`; `held` says
    whose site is held out."""

    names: tuple[str, ...]
    x: Any
    y: npt.NDArray[np.int64]
    dataset: npt.NDArray[np.int64]
    weight: Floats
    u: Floats
    site: npt.NDArray[np.str_]
    held: Bools


def class_weights(y: npt.NDArray[np.int64], class_weight: str) -> Floats:
    """`balanced`: n / (2 n_class), so that both classes weigh alike; `none`: 1.

    >>> class_weights(np.array([1, 0, 0, 0]), "balanced").round(3).tolist()
    [2.0, 0.667, 0.667, 0.667]
    """
    counts = np.bincount(y, minlength=2)
    if class_weight != "balanced" or not counts.all():
        return np.ones(len(y))
    return np.asarray((len(y) / 2 / counts)[y])


def measure(
    training: Training, rows: Bools, w: Floats, intercept: float, class_weight: str
) -> dict[str, Any]:
    """Figures of a fit on some rows; None where a class is missing there."""
    from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score

    from curation.kernels.elementary import sigmoid

    y = training.y[rows]
    logit = training.x[rows] @ w + intercept
    score = sigmoid(logit)
    weight = class_weights(y, class_weight)
    figures: dict[str, Any] = {
        "documents": len(y),
        "auc": None,
        "average_precision": None,
        "f1": None,
        "log_loss": None,
    }
    if len(np.unique(y)) == 2:
        figures |= {
            "auc": rounded(roc_auc_score(y, logit)),
            "average_precision": rounded(average_precision_score(y, logit)),
            "f1": rounded(f1_score(y, score > 0.5, sample_weight=weight)),
            "log_loss": rounded(log_loss(y, score, sample_weight=weight)),
        }
    edges = np.linspace(0.0, 1.0, BINS + 1)
    figures["edges"] = edges.round(6).tolist()
    figures["calibration"] = _calibration(y, score, weight, edges)
    figures["datasets"] = {
        name: _dataset_figures(training, rows, place, logit, score, edges)
        for place, name in enumerate(training.names)
    }
    return figures


def _calibration(
    y: npt.NDArray[np.int64], score: Floats, weight: Floats, edges: Floats
) -> list[dict[str, Any]]:
    """For each band of scores with documents: how many, their mean score, and the share that is
    positive, as the fit weighs classes."""
    band = np.clip(np.searchsorted(edges, score, "right") - 1, 0, len(edges) - 2)
    out = []
    for b in np.unique(band).tolist():
        in_band = band == b
        total = weight[in_band].sum()
        mean, positive = (
            float((weight[in_band] * values[in_band]).sum() / total) for values in (score, y)
        )
        out.append(
            {
                "from": rounded(edges[b]),
                "to": rounded(edges[b + 1]),
                "documents": int(in_band.sum()),
                "score": rounded(mean),
                "positive": rounded(positive),
            }
        )
    return out


def _dataset_figures(
    training: Training, rows: Bools, place: int, logit: Floats, score: Floats, edges: Floats
) -> dict[str, Any]:
    """One dataset's held-out documents: how many, of how many sites, their scores, and the AUC
    against the other class."""
    from sklearn.metrics import roc_auc_score

    of_dataset, y = training.dataset[rows] == place, training.y[rows]
    against = of_dataset | (y != y[of_dataset][0]) if of_dataset.any() else of_dataset
    both = len(np.unique(y[against])) == 2
    return {
        "documents": int(of_dataset.sum()),
        "sites": len(np.unique(training.site[rows][of_dataset])),
        "auc": rounded(roc_auc_score(y[against], logit[against])) if both else None,
        "scores": np.histogram(score[of_dataset], edges)[0].tolist(),
    }


def rounded(value: Any) -> float:
    """Six decimals: figures for people, the same on every machine that agrees so far."""
    return round(float(value), 6)
