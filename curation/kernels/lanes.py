"""Products of one sparse matrix with eight vectors side by side, and losses of eight rows of margins,
for eight logistic regressions on the same features.

A row of eight numbers belongs to each feature, and the last row to the intercept, whose feature is
1. The matrix is read once for all eight, and a row is one vector instruction, so eight products
cost about as much as two one by one. Each function takes rows [first, last), for threads, and adds
in one order. Trap: written out number by number, since only then does LLVM see vectors.

The product that conjugate gradients need reads one row of a feature and adds to another. Both stand
in one row of 16 float32, which is a line of the cache: 3.5 ns a count in place of 5.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel, wide
from curation.kernels.elementary import exp_of

LANES = 8
Lanes = npt.NDArray[Any]  # float[n, LANES]


@inner(inline="always")
def _row_times(indices, values, first, last, v):  # type: ignore[no-untyped-def]
    end = np.uint64(len(v) - 1)
    a, b, c, d = v[end, 0], v[end, 1], v[end, 2], v[end, 3]
    e, f, g, h = v[end, 4], v[end, 5], v[end, 6], v[end, 7]
    for k in range(np.uint64(first), np.uint64(last)):
        j, x = np.uint64(indices[k]), v.dtype.type(values[k])
        a += x * v[j, 0]
        b += x * v[j, 1]
        c += x * v[j, 2]
        d += x * v[j, 3]
        e += x * v[j, 4]
        f += x * v[j, 5]
        g += x * v[j, 6]
        h += x * v[j, 7]
    return a, b, c, d, e, f, g, h


@inner(inline="always")
def _add_row(indices, values, first, last, t, out, at):  # type: ignore[no-untyped-def]
    a, b, c, d, e, f, g, h = t
    end = np.uint64(len(out) - 1)
    out[end, at] += a
    out[end, at + 1] += b
    out[end, at + 2] += c
    out[end, at + 3] += d
    out[end, at + 4] += e
    out[end, at + 5] += f
    out[end, at + 6] += g
    out[end, at + 7] += h
    for k in range(np.uint64(first), np.uint64(last)):
        j, x = np.uint64(indices[k]), out.dtype.type(values[k])
        out[j, at] += x * a
        out[j, at + 1] += x * b
        out[j, at + 2] += x * c
        out[j, at + 3] += x * d
        out[j, at + 4] += x * e
        out[j, at + 5] += x * f
        out[j, at + 6] += x * g
        out[j, at + 7] += x * h


@inner(inline="always")
def _eight(array, i):  # type: ignore[no-untyped-def]
    return (
        *(array[i, 0], array[i, 1], array[i, 2], array[i, 3]),
        *(array[i, 4], array[i, 5], array[i, 6], array[i, 7]),
    )


@wide
def margins(first, last, indptr, indices, values, v, out):  # type: ignore[no-untyped-def]
    """Write x v to rows [first, last) of out[n, 8]; v[m + 1, 8]."""
    for i in range(np.uint64(first), np.uint64(last)):
        a, b, c, d, e, f, g, h = _row_times(indices, values, indptr[i], indptr[i + 1], v)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d
        out[i, 4], out[i, 5], out[i, 6], out[i, 7] = e, f, g, h


@wide
def add_transposed(first, last, indptr, indices, values, t, out):  # type: ignore[no-untyped-def]
    """Add x' t of rows [first, last) to out[m + 1, 8]; t[n, 8]."""
    for i in range(np.uint64(first), np.uint64(last)):
        _add_row(indices, values, indptr[i], indptr[i + 1], _eight(t, i), out, np.uint64(0))


@wide
def add_curvature(first, last, indptr, indices, values, d, both):  # type: ignore[no-untyped-def]
    """Add x' (d * x v) of rows [first, last) to columns 8 to 15 of both[m + 1, 16], whose first 8 are
    v; d[n, 8]."""
    for i in range(np.uint64(first), np.uint64(last)):
        start, end = indptr[i], indptr[i + 1]
        a, b, c, e, f, g, h, k = _row_times(indices, values, start, end, both)
        t = (
            *(a * d[i, 0], b * d[i, 1], c * d[i, 2], e * d[i, 3]),
            *(f * d[i, 4], g * d[i, 5], h * d[i, 6], k * d[i, 7]),
        )
        _add_row(indices, values, start, end, t, both, np.uint64(8))


@wide
def curvature_of(q, out):  # type: ignore[no-untyped-def]
    """Add q to out, but for the intercept, and return float64[8]: q' out of each lane."""
    total = np.zeros(8)
    last = len(q) - 1
    for j in range(len(q)):
        for lane in range(8):
            if j < last:
                out[j, lane] += q[j, lane]
            total[lane] += np.float64(q[j, lane]) * out[j, lane]
    return total


@wide
def advance(s, r, q, h, a):  # type: ignore[no-untyped-def]
    """s += a q and r -= a h, float32[m + 1, 8]; return float64[8]: the square of r's length."""
    total = np.zeros(8)
    for j in range(len(q)):
        for lane in range(8):
            s[j, lane] += a[lane] * q[j, lane]
            rest = r[j, lane] - a[lane] * h[j, lane]
            r[j, lane] = rest
            total[lane] += np.float64(rest) * rest
    return total


@wide
def turn(q, r, b):  # type: ignore[no-untyped-def]
    """q = r + b q."""
    for j in range(len(q)):
        for lane in range(8):
            q[j, lane] = r[j, lane] + b[lane] * q[j, lane]


@kernel
def losses(signs, c, z, t, d):  # type: ignore[no-untyped-def]
    """Write the first and second derivative of c * log(1 + e**-(sign * z)) by z to t and d, all
    float64[n, 8]; signs: float64[n]."""
    for i in range(len(z)):
        for lane in range(8):
            t[i, lane] = d[i, lane] = 0.0
            if c[i, lane] > 0:
                wrong = 1 / (1 + exp_of(signs[i] * z[i, lane]))
                t[i, lane] = -c[i, lane] * signs[i] * wrong
                d[i, lane] = c[i, lane] * wrong * (1 - wrong)


@kernel
def losses_along(signs, c, z, change, size):  # type: ignore[no-untyped-def]
    """First and second derivative of each lane's losses by its size float64[8], at margins z + size *
    change."""
    first, second = np.zeros(8), np.zeros(8)
    for i in range(len(z)):
        for lane in range(8):
            if c[i, lane] > 0:
                by = signs[i] * change[i, lane]
                wrong = 1 / (1 + exp_of(signs[i] * z[i, lane] + size[lane] * by))
                first[lane] -= c[i, lane] * by * wrong
                second[lane] += c[i, lane] * by * by * wrong * (1 - wrong)
    return first, second
