"""How good a fitted classifier is on documents whose sites its model has not seen: AUC, average
precision, F1, log loss, calibration, scores by dataset; whether it can be told from chance; and how
much of it is layout.

Trap: the score is a probability only under the class balance it was fitted with, so calibration,
log loss and F1 weigh documents as the fit did. AUC and average precision weigh the documents of a
class as `positives_by` says. All are of the regression's own probability, before `calibration`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from curation.stages.classify.model import Floats
from curation.stages.classify.training import Bools, Ints, Training, class_sizes, class_weights

BINS = 20  # of histograms and calibration
NORMAL_95 = 1.959963984540054  # of 95 in 100 draws of a normal law, the distance from its mean


def measure(training: Training, rows: Bools, logit: Floats, class_weight: str) -> dict[str, Any]:
    """Figures of the logits float64[n] of all documents, on some rows; None where a class is
    missing there."""
    from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score

    from curation.kernels.elementary import sigmoid

    y, logit = training.y[rows], logit[rows]
    score = sigmoid(logit)
    size = class_sizes(training, rows)
    weight = class_weights(y, class_weight) * size
    figures: dict[str, Any] = {
        "documents": len(y),
        "auc": None,
        "chance": None,
        "average_precision": None,
        "f1": None,
        "log_loss": None,
    }
    if len(np.unique(y)) == 2:
        figures |= {
            "auc": rounded(roc_auc_score(y, logit, sample_weight=size)),
            "chance": rounded(chance_width(y, training.group[rows])),
            "average_precision": rounded(average_precision_score(y, logit, sample_weight=size)),
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


def chance_width(y: Ints, group: Ints) -> float:
    """How far from 0.5 the AUC of scores that know nothing lies in 95 of 100 cases.

    The law of the Mann-Whitney statistic with m positive and n negative groups, for documents of
    one site are no independent draws: 1.96 sqrt((m + n + 1) / (12 m n)).

    >>> round(chance_width(np.repeat([0, 1], 200), np.arange(400)), 3)
    0.057
    """
    m, n = (len(np.unique(group[y == label])) for label in (1, 0))
    return NORMAL_95 * math.sqrt((m + n + 1) / (12 * m * n))


def marks_auc(training: Training) -> float | None:
    """AUC on fold 0 of a fit on the shares of MARKS alone: how far layout by itself tells the
    classes apart. None where a class is missing there."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    test = training.fold == 0
    seen = training.marks[~test]
    marks = (training.marks - seen.mean(axis=0)) / (seen.std(axis=0) + 1e-9)
    if len(np.unique(training.y[test])) < 2:
        return None
    model = LogisticRegression(class_weight="balanced", max_iter=500)
    with threadpool_limits(1):
        model.fit(marks[~test], training.y[~test])
    return rounded(roc_auc_score(training.y[test], marks[test] @ model.coef_[0]))


def _calibration(y: Ints, score: Floats, weight: Floats, edges: Floats) -> list[dict[str, Any]]:
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
    """One dataset's documents among some rows: how many, of how many sites, their scores, and the
    AUC against the other class."""
    from sklearn.metrics import roc_auc_score

    of_dataset, y = training.dataset[rows] == place, training.y[rows]
    size = class_sizes(training, rows)
    against = of_dataset | (y != y[of_dataset][0]) if of_dataset.any() else of_dataset
    both = len(np.unique(y[against])) == 2
    return {
        "documents": int(of_dataset.sum()),
        "sites": len(np.unique(training.group[rows][of_dataset])),
        "auc": rounded(roc_auc_score(y[against], logit[against], sample_weight=size[against]))
        if both
        else None,
        "scores": np.histogram(score[of_dataset], edges)[0].tolist(),
    }


def rounded(value: Any) -> float:
    """Six decimals: figures for people, the same on every machine that agrees so far."""
    return round(float(value), 6)
