"""GPT-3's keep rule (appendix A) and the fit of its alpha; no files.

A document of score s is kept iff `np.random.pareto(alpha) > 1 - s`. numpy's pareto is the Lomax law, P(draw > x) = (1 + x)**-alpha,
so P(keep | s) = (2 - s)**-alpha: 2**-alpha at s = 0, 1 at s = 1. Trap: the paper fitted alpha "to match the distribution of scores from
our classifier on WebText", and a score cannot be below 0: the law that is fitted is the one truncated at x = 1 - s = 1. Without the
truncation a poor classifier gets a plausible alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LN2 = math.log(2.0)
LOWEST = 1e-4  # below it the law is uniform to four digits
CHI2_95 = 3.841458820694124  # 95 % point of chi-square with one degree of freedom


def pareto_draw(u: Floats, alpha: float) -> Floats:
    """numpy's `pareto(alpha)` (the Lomax law) by inversion from u in [0, 1): P(draw > 1 - s) = (2 - s)**-alpha.

    >>> pareto_draw(np.array([0.0, 0.5]), 1.0).tolist()
    [0.0, 1.0]
    """
    from curation.kernels.elementary import powers  # Numba loads where documents are decided

    return powers(1.0 - u, -1.0 / alpha) - 1.0


def keep_chance(score: Floats, alpha: float) -> Floats:
    """P(keep | score) = (2 - score)**-alpha.

    >>> keep_chance(np.array([0.0, 1.0]), 9.0).round(5).tolist()
    [0.00195, 1.0]
    """
    return np.asarray((2.0 - score) ** -alpha)


def kept_counts(
    score: Floats, u: Floats, alphas: Sequence[float], edges: Floats
) -> npt.NDArray[np.int64]:
    """How many documents the rule keeps at each alpha, by score band, with the draws they have: int64[alphas, bands].

    Bands are [edges[i], edges[i + 1]), the last one closed.

    >>> kept_counts(np.array([0.1, 0.9]), np.array([0.0, 0.9]), [1.0, 9.0], np.array([0.0, 0.5, 1.0])).tolist()
    [[0, 1], [0, 1]]
    """
    return np.array(
        [np.histogram(score[pareto_draw(u, a) > 1.0 - score], edges)[0] for a in alphas], np.int64
    )


@dataclass(frozen=True, slots=True)
class AlphaFit:
    """The alpha whose truncated law is most likely to have made some scores.

    `low` and `high` bound the 95 % likelihood interval, which takes documents as independent. `distance` is Kolmogorov and Smirnov's:
    the widest gap between the share of scores below a value and what the law says.
    """

    alpha: float
    low: float
    high: float
    documents: int
    distance: float


def fit_alpha(score: Floats) -> AlphaFit:
    """The most likely alpha of scores in [0, 1] under the law of the keep rule, truncated at a score of 0.

    Its density at x = 1 - s is alpha (1 + x)**-(alpha + 1) / (1 - 2**-alpha) on [0, 1]; the likelihood is highest where
    1/alpha - ln 2 / (2**alpha - 1) is the mean of log(2 - s).

    Raises ValueError where there is no such alpha: no scores, a mean of log(2 - s) of ln 2 / 2 = 0.347 or more (scores lie no nearer to 1
    than to 0), or scores that are all 1.

    >>> u = (np.arange(10_000) + 0.5) / 10_000
    >>> inside = pareto_draw(u * (1 - 2.0**-9), 9.0)  # below 1
    >>> fit = fit_alpha(1.0 - inside)
    >>> round(fit.alpha, 2), round(fit.low, 2), round(fit.high, 2), round(fit.distance, 3)
    (9.0, 8.82, 9.18, 0.0)
    """
    n = len(score)
    if n == 0:
        raise ValueError("there are no scores")
    mean = float(np.log(2.0 - score).mean())
    if mean >= _mean_log(LOWEST):
        raise ValueError(
            f"the mean of log(2 - score) is {mean:.3f}, and no alpha gives 0.347 (ln 2 / 2) or more"
        )
    if mean <= 0.0:
        raise ValueError("every score is 1")

    def lost(
        alpha: float,
    ) -> float:  # twice the log likelihood lost against the best, less the 95 % point
        return 2.0 * n * (_log_likelihood(best, mean) - _log_likelihood(alpha, mean)) - CHI2_95

    best = _root(lambda alpha: _mean_log(alpha) - mean, LOWEST, 1.0 / mean)
    low = _root(lost, LOWEST, best) if lost(LOWEST) > 0 else 0.0
    top = 2.0 * best
    while lost(top) < 0:
        top *= 2.0
    high = _root(lambda alpha: -lost(alpha), best, top)
    x = np.sort(1.0 - score)
    law = law_share(x, best)
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - law).max(), (law - steps[:-1]).max()))
    return AlphaFit(best, low, high, n, distance)


def law_share(x: Floats, alpha: float) -> Floats:
    """Share of the truncated law up to x = 1 - score in [0, 1].

    >>> law_share(np.array([0.0, 1.0]), 9.0).tolist()
    [0.0, 1.0]
    """
    return np.asarray((1.0 - (1.0 + x) ** -alpha) / (1.0 - 2.0**-alpha))


def law_density(x: float, alpha: float) -> float:
    """Density of the truncated law at x = 1 - score in [0, 1].

    >>> round(law_density(0.0, 1.0), 3)
    2.0
    """
    return float(alpha * (1.0 + x) ** -(alpha + 1.0) / (1.0 - 2.0**-alpha))


def _mean_log(alpha: float) -> float:
    """The truncated law's mean of log(1 + x)."""
    return 1.0 / alpha - (LN2 / math.expm1(alpha * LN2) if alpha < 1000 else 0.0)


def _log_likelihood(alpha: float, mean: float) -> float:
    """Of one score, on average."""
    return math.log(alpha) - math.log(-math.expm1(-alpha * LN2)) - (alpha + 1.0) * mean


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses zero, by bisection."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return 0.5 * (low + high)
