"""Logistic regressions on words, up to eight at once, to their minimum: Newton's method.

The objective is scikit-learn's: the sum of weight * log loss, and |w|^2 / 2 without the intercept.
scikit-learn's own solvers end far from it: with its tolerance at 1e-5, weights on the demo corpus
were up to 0.19 from it. Here a fit ends where the gradient is no longer than TOL. The
penalty curves the objective by at least 1, so the weights are then within TOL of the minimum
(nearly, for the intercept, which has none).

Each step is found by conjugate gradients in float32; gradients, losses and weights are float64, so
what the step lacks the next one makes good. Three things keep the passes over the features few: the
few directions with most of the curvature are taken out of the way (`_Steepest`); minima at a
hundredth and a tenth of C, which are found in few passes, are where the next one is looked for; and
each step goes as far as the objective falls along it. Nothing of this moves the minimum, of which
there is one. Cost: 300 to 700 passes for eight fits together, more for more documents. Memory, by
its arrays: beside the features 4 bytes a count, about 500 a document and 900 a distinct feature.

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
    losses,
    losses_along,
    margins,
    turn,
)

TOL = 1e-6  # length of the gradient at which a fit ends
LEAST = 1e-20  # curvature of the intercept: it has less only where all rows are of one class
# The parts of C at which minima are looked for, one from the other, and what may be left of the
# gradient at weights of 0 there.
PATH = ((0.01, 1e-3), (0.1, 1e-3), (1.0, 0.0))
STEPS = 60  # of Newton's method at most, for each of them
PRODUCTS = 1000  # for one step at most
LOOSEST, TIGHTEST = 0.3, 1e-3  # length of what a step leaves, as a part of the gradient's
RANK = 16  # directions of most curvature that are followed
FLATTEST = 1e-4  # part of a length they keep at least: float32 does not know 1 from 1 - 1e-8
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
        signs = np.where(y[rows] == 1, 1.0, -1.0)
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
        self._both = [_aligned(self.shape[1], 2 * LANES) for _ in range(PARTS)]
        self._pool = ThreadPoolExecutor(threads)

    def close(self) -> None:
        self._pool.shutdown()

    def _parts(self, product: Callable[..., None]) -> None:
        """Call it with rows, arrays and number of each part."""
        list(
            self._pool.map(
                lambda k: product(*self._bounds[k : k + 2], *self._arrays, k), range(PARTS)
            )
        )

    def margins(self, v: Lanes) -> Lanes:
        out = np.empty((self.shape[0], LANES))
        self._parts(lambda *part: margins(*part[:-1], v, out))
        return out

    def transposed(self, t: Lanes) -> Lanes:
        sums = np.zeros((PARTS, self.shape[1], LANES))
        self._parts(lambda *part: add_transposed(*part[:-1], t, sums[part[-1]]))
        return np.asarray(sums.sum(axis=0))

    def curvature(self, d: Lanes, v: Lanes) -> Lanes:
        def product(*part: Any) -> None:
            both = self._both[part[-1]]
            both[:, :LANES] = v
            both[:, LANES:] = 0
            add_curvature(*part[:-1], d, both)

        self._parts(product)
        return np.asarray(
            sum((both[:, LANES:] for both in self._both[1:]), self._both[0][:, LANES:])
        )


def _aligned(rows: int, columns: int) -> Lanes:
    """Float32, not set, that begins where a line of the cache does."""
    room = np.empty(rows * columns + 16, np.float32)
    start = -room.ctypes.data // 4 % 16
    return room[start : start + rows * columns].reshape(rows, columns)


class _Steepest:
    """The directions of most curvature, and what takes their length out of it.

    Conjugate gradients need as many products as the root of the largest curvature over the least,
    and twice as many where float32 rounds. On 10,000 texts the largest curvatures of 129,000
    directions were 32,515, 19,151, 10,376, 8,636 and 291. They hardly change from step to step, nor
    from fit to fit: so RANK of them are followed for the sum of all lanes, by one step of subspace
    iteration each time.
    """

    def __init__(self, x: _Matrix) -> None:
        self._x = x
        rank = min(RANK, x.shape[1])
        start = np.random.default_rng(0).standard_normal((x.shape[1], rank), np.float32)
        self._basis = _orthonormal(start)

    def follow(self, d: Floats) -> None:
        """Take another step; d: float64[n, lanes], of `losses`."""
        total = np.repeat(d.sum(axis=1, keepdims=True), LANES, axis=1).astype(np.float32)
        bent = np.empty_like(self._basis)
        for at in range(0, bent.shape[1], LANES):
            v = np.zeros((len(bent), LANES), np.float32)
            width = min(LANES, bent.shape[1] - at)
            v[:, :width] = self._basis[:, at : at + width]
            bent[:, at : at + width] = self._x.curvature(total, v)[:, :width]
        values, vectors = np.linalg.eigh(self._basis.T @ bent)
        self._directions = self._basis @ vectors
        self._basis = _orthonormal(bent @ vectors)
        # A lane has of each curvature what it has of the sum of d.
        own = np.maximum(values, 0).reshape(-1, 1) * (d.sum(axis=0) / max(d.sum(), 1e-300))
        left = np.maximum((1 + own.min(axis=0)) / (1 + own), FLATTEST)
        self._less = (1 - left).astype(np.float32)

    def eased(self, r: Lanes, square: Floats) -> tuple[Lanes, Floats]:
        """`r`, of the squares of length `square`, with less along these directions, and its product
        with `r` of each lane."""
        along = self._directions.T @ r
        less = (self._less * along.astype(np.float64) ** 2).sum(axis=0)
        return r - self._directions @ (self._less * along), square - less


def _orthonormal(y: Lanes) -> Lanes:
    """What the columns span, float32; a column that the others span comes out shorter."""
    y = y / np.maximum(np.linalg.norm(y, axis=0), 1e-30)
    values, vectors = np.linalg.eigh(y.T @ y)
    return np.asarray(y @ (vectors / np.sqrt(np.maximum(values, 1e-3))))


def _newton(x: _Matrix, signs: Floats, full: Lanes) -> Lanes:
    """Weights float64[columns + 1, lanes], the intercept last; `full`: float64[n, lanes], C times
    what a row weighs."""
    w = np.zeros((x.shape[1], LANES))
    z, t, d = (np.zeros((x.shape[0], LANES)) for _ in range(3))
    steepest, start = _Steepest(x), np.zeros(LANES)
    for part, rough in PATH:
        c, longest = part * full, np.full(LANES, 1e-300)
        for _ in range(STEPS):
            losses(signs, c, z, t, d)
            gradient = x.transposed(t)
            gradient[:-1] += w[:-1]
            length = np.sqrt((gradient**2).sum(axis=0))
            longest = np.maximum(longest, length)
            start = start if start.any() else length / part
            # No penalty curves the intercept.
            limit = np.maximum(rough * part * start, TOL * np.clip(d.sum(axis=0), LEAST, 1.0))
            if (length <= limit).all():
                break
            steepest.follow(d)
            least = np.clip(length / longest, TIGHTEST, LOOSEST) * length
            least = np.maximum(least, 0.3 * limit)
            step = _step(x, d.astype(np.float32), gradient, length, least, length > limit, steepest)
            change = x.margins(step)
            slope = (gradient * step).sum(axis=0)
            size = _size(signs, c, z, change, w[:-1], step[:-1], slope)
            w += size * step
            z += size * change
    return w


def _step(
    x: _Matrix,
    d: Lanes,
    gradient: Lanes,
    length: Floats,
    least: Floats,
    going: npt.NDArray[np.bool_],
    steepest: _Steepest,
) -> Lanes:
    """Newton's step of each lane that is going, by conjugate gradients, to a residual of `least`."""
    unit = np.where(going, length, 1.0)
    r = np.where(going, -gradient / unit, 0).astype(np.float32)
    s = np.zeros_like(r)
    q, square = steepest.eased(r, (r.astype(np.float64) ** 2).sum(axis=0))
    for _ in range(PRODUCTS):
        h = x.curvature(d, q)
        bend = curvature_of(q, h)
        a = np.where(going & (bend > 0), square / np.where(bend > 0, bend, 1), 0)
        rest = advance(s, r, q, h, a.astype(np.float32))
        going = going & (np.sqrt(rest) * unit > least)
        if not going.any():
            break
        z, product = steepest.eased(r, rest)
        going = going & (product > 0)  # else only rounding is left
        b = np.where(going, product / np.where(going, square, 1), 0)
        square = product
        turn(q, z, b.astype(np.float32))
    return s * unit


def _size(
    signs: Floats, c: Lanes, z: Lanes, change: Lanes, w: Lanes, step: Lanes, slope: Floats
) -> Floats:
    """How much of its step each lane takes: all, or where the objective hardly rises or falls along
    it. Margins are known along it, so this reads no feature."""
    square, linear = (step**2).sum(axis=0), (w * step).sum(axis=0)
    size, low, high = np.ones(LANES), np.zeros(LANES), np.full(LANES, np.inf)
    for _ in range(20):
        first, second = losses_along(signs, c, z, change, size)
        first += linear + size * square
        second += square
        moving = np.abs(first) > 0.1 * np.abs(slope)
        if not moving.any():
            break
        low, high = np.where(first < 0, size, low), np.where(first > 0, size, high)
        better = size - first / np.where(moving, second, 1)
        between = np.where(np.isinf(high), 2 * size, (low + high) / 2)
        inside = (better > low) & (better < high)
        size = np.where(moving, np.where(inside, better, between), size)
    return size
