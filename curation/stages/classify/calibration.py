"""What makes a score of a logit: `classify.calibration`, fitted to the logits of documents by the
models that have not seen their fold.

Trap: all folds together set the few numbers of a calibration, so a document has a small part in its
own. And what `platt` and `isotonic` make true is the probability of being trusted text rather than
crawl, as the fit weighs the two; the crawl holds good pages too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curation.stages.classify.measure import rounded
from curation.stages.classify.model import Floats, Link
from curation.stages.classify.training import (
    Fitted,
    Training,
    class_weights,
    example_weights,
)

if TYPE_CHECKING:
    from curation.recipe.tables import ClassifyConfig

QUARTILE = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A score is `link` of slope * logit + shift. `steps`: float64[2, k], of link "isotonic", the
    corners of the broken line from logits to scores."""

    link: Link
    slope: float = 1.0
    shift: float = 0.0
    steps: Floats | None = None

    def applied(self, model: Fitted) -> Fitted:
        """Weights and intercept of the same model with slope and shift in them."""
        weights, intercept = model
        return weights * self.slope, intercept * self.slope + self.shift

    def described(self) -> dict[str, Any]:
        """What the card says of it."""
        out: dict[str, Any] = {"link": self.link, "anchor": rounded(0.0)}
        if self.link == "odds":
            out["anchor"] = rounded(-self.shift)
        elif (self.slope, self.shift) != (1.0, 0.0):
            out |= {"slope": rounded(self.slope), "shift": rounded(self.shift)}
        return out


def calibration(config: ClassifyConfig, training: Training, logit: Floats) -> Calibration:
    """The calibration that a recipe asks for. `logit`: float64[n], of each document by the model
    that has not seen its fold."""
    if config.calibration == "trusted":
        return Calibration("odds", shift=-trusted_anchor(training, logit))
    if config.calibration == "none":
        return Calibration("sigmoid")
    weight = example_weights(training, np.ones(len(training.y), bool))
    weight = weight * class_weights(training.y, config.class_weight)
    fitted = platt if config.calibration == "platt" else isotonic
    return fitted(logit, training.y, weight)


def trusted_anchor(training: Training, logit: Floats) -> float:
    """The upper quartile of the held-out positives' logits, as the fit weighs them.

    A score is then the odds of a text being trusted, over those of text that is surely of the
    trusted kind. The crawl that is learned from as negative holds good pages too, so the
    regression's own probability of a good page stays far below 1 (Elkan and Noto 2008).
    """
    rows = training.y == 1
    weight, order = example_weights(training, rows), np.argsort(logit[rows], kind="stable")
    above = np.cumsum(weight[order]) >= QUARTILE * weight.sum()
    return float(logit[rows][order][np.argmax(above)])


def platt(logit: Floats, y: Any, weight: Floats) -> Calibration:
    """The sigmoid of a line, of least log loss (Platt 1999, without his smoothing of labels)."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Standardised, so that the penalty, which is as good as none, does not depend on the unit.
    middle, width = float(logit.mean()), float(logit.std()) or 1.0
    model = LogisticRegression(C=1e6, solver="newton-cholesky", tol=1e-10, max_iter=200)
    with threadpool_limits(1):
        model.fit(((logit - middle) / width).reshape(-1, 1), y, sample_weight=weight)
    slope = float(model.coef_[0, 0]) / width
    return Calibration("sigmoid", slope, float(model.intercept_[0]) - slope * middle)


def isotonic(logit: Floats, y: Any, weight: Floats) -> Calibration:
    """The rising line of steps that is nearest to the labels (Zadrozny and Elkan 2002)."""
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(logit, y, sample_weight=weight)
    return Calibration("isotonic", steps=np.array([model.X_thresholds_, model.y_thresholds_]))
