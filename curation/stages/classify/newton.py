"""Logistic regressions on words, up to eight at once, to their minimum: Newton's method.

The objective is scikit-learn's: the sum of weight * log loss, and |w|^2 / 2 without the intercept.
scikit-learn's own solvers end far from it: with its tolerance at 1e-5, weights on the demo corpus
were up to 0.19 from it. Here a fit ends where the gradient is no longer than TOL. The
penalty curves the objective by at least 1, so the weights are then within TOL of the minimum
(nearly, for the intercept, which has none).

Each step is found by conjugate gradients in float32; gradients, losses and weights are float64, so
what the step lacks the next one makes good. Cost: several hundred passes over the features for
eight fits together. Memory, by its arrays: beside the features 4 bytes a count, about 600 a
document and 500 a distinct feature.

What was tried and does not help is in docs/results/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.kernels.lanes import (
    LANES,
    Lanes,
    add_curvature,
    add_transposed,
    advance,
    curvature_of,
    margins,
    turn,
)

TOL = 1e-6  # length of the gradient at which a fit ends
STEPS = 60  # of Newton's method at most
PRODUCTS = 1000  # for one step at most
LOOSEST, TIGHTEST = 0.3, 1e-3  # length of what a step leaves, as a part of the gradient's
PARTS = 2  # of the rows, for threads; a constant, since it sets the order of additions
Floats = npt.NDArray[np.float64]


def minima(x: Any, y: Any, weights: Floats, threads: int = 1) -> list[tuple[Floats, float]]:
    """Weights float64[columns] and intercept of each regression.

    `x`: csr float64[n, columns]; `y`: 0 or 1; `weights`: float64[k, n], C times what a row weighs
    in each of k fits, 0 where it is not seen. The result does not depend on `threads`.
    """
    out: list[tuple[Floats, float]] = []
    for first in range(0, len(weights), LANES):
        group = weights[first : first + LANES]
        rows = group.any(axis=0)
        seen = x if rows.all() else x[rows]
        places, indices = _compact(seen)
        matrix = _Matrix(seen.indptr, indices, seen.data, len(places), threads)
        signs = np.where(y[rows] == 1, 1.0, -1.0).reshape(-1, 1)
        c = np.zeros((len(signs), LANES))
        c[:, : len(group)] = group[:, rows].T
        fitted = _newton(matrix, signs, c)
        matrix.close()
        for lane in range(len(group)):
            w = np.zeros(x.shape[1])
            w[places] = fitted[:-1, lane]
            out.append((w, float(fitted[-1, lane])))
    return out


def _compact(x: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The columns that occur, the commonest first, so that these lie together in the cache; and the
    place of each stored value among them."""
    counts = np.bincount(x.indices, minlength=x.shape[1])
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    rank = np.zeros(x.shape[1], np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return order, rank[x.indices]


class _Matrix:
    """A csr matrix with a column of ones, times lanes; rows in PARTS of as many counts."""

    def __init__(self, indptr: Any, indices: Any, data: Any, columns: int, threads: int) -> None:
        self._arrays = indptr, indices, data
        self.shape = len(indptr) - 1, columns + 1
        cuts = np.searchsorted(indptr, np.arange(1, PARTS) * (indptr[-1] / PARTS))
        self._bounds = [0, *np.minimum(cuts, self.shape[0]).tolist(), self.shape[0]]
        self._pool = ThreadPoolExecutor(threads)

    def close(self) -> None:
        self._pool.shutdown()

    def _parts(
        self, kernel: Callable[..., None], arguments: Callable[[int], tuple[Any, ...]]
    ) -> None:
        list(
            self._pool.map(
                lambda k: kernel(*self._bounds[k : k + 2], *self._arrays, *arguments(k)),
                range(PARTS),
            )
        )

    def margins(self, v: Lanes) -> Lanes:
        out = np.empty((self.shape[0], LANES))
        self._parts(margins, lambda k: (v, out))
        return out

    def _summed(self, kernel: Callable[..., None], dtype: Any, *given: Lanes) -> Lanes:
        sums = [np.zeros((self.shape[1], LANES), dtype) for _ in range(PARTS)]
        self._parts(kernel, lambda k: (*given, sums[k]))
        for other in sums[1:]:
            sums[0] += other
        return sums[0]

    def transposed(self, t: Lanes) -> Lanes:
        return self._summed(add_transposed, np.float64, t)

    def curvature(self, d: Lanes, v: Lanes) -> Lanes:
        return self._summed(add_curvature, np.float32, d, v)


def _newton(x: _Matrix, signs: Floats, c: Lanes) -> Lanes:
    """Weights float64[columns + 1, lanes], the intercept last."""
    w = np.zeros((x.shape[1], LANES))
    z = np.zeros((x.shape[0], LANES))
    value = _objective(signs, c, z, w)
    first = np.zeros(LANES)
    for _ in range(STEPS):
        wrong = 1 / (1 + np.exp(np.clip(signs * z, -700, 700)))
        gradient = x.transposed(-c * signs * wrong)
        gradient[:-1] += w[:-1]
        length = np.sqrt((gradient**2).sum(axis=0))
        first = np.maximum(first, length)
        d = c * wrong * (1 - wrong)
        limit = TOL * np.minimum(1.0, d.sum(axis=0))  # no penalty curves the intercept
        if (length <= limit).all():
            break
        step = _step(x, d.astype(np.float32), gradient, length, first, limit)
        slope, change = (gradient * step).sum(axis=0), x.margins(step)
        size = np.where(length > limit, 1.0, 0.0)
        # Below the last bits of the objective the full step is the best known.
        sure = np.abs(slope) < 1e-9 * np.abs(value)
        for _ in range(40):
            moved = _objective(signs, c, z + size * change, w + size * step)
            short = (moved > value + 1e-4 * size * slope) & ~sure
            if not short.any():
                break
            size[short] /= 2
        w += size * step
        z += size * change
        value = moved
    return w


def _objective(signs: Floats, c: Lanes, z: Lanes, w: Lanes) -> Floats:
    loss = (c * np.logaddexp(0, -signs * z)).sum(axis=0)
    return np.asarray(loss + (w[:-1] ** 2).sum(axis=0) / 2)


def _step(
    x: _Matrix, d: Lanes, gradient: Lanes, length: Floats, first: Floats, limit: Floats
) -> Lanes:
    """Newton's step of each lane that is not done, by conjugate gradients."""
    unit = np.where(length > limit, length, 1.0)
    q = np.where(length > limit, -gradient / unit, 0).astype(np.float32)
    r, s = q.copy(), np.zeros_like(q)
    ratio = np.sqrt(unit / np.maximum(first, unit))
    least = np.maximum(np.clip(ratio, TIGHTEST, LOOSEST), 0.3 * limit / unit)
    square = (q.astype(np.float64) ** 2).sum(axis=0)
    going = square > 0
    for _ in range(PRODUCTS):
        h = x.curvature(d, q)
        bend = curvature_of(q, h)
        a = np.where(going & (bend > 0), square / np.where(bend > 0, bend, 1), 0)
        rest = advance(s, r, q, h, a.astype(np.float32))
        b = np.where(going, rest / np.where(going, square, 1), 0)
        going &= np.sqrt(rest) > least
        if not going.any():
            break
        square = rest
        turn(q, r, b.astype(np.float32))
    return s * unit
