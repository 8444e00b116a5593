"""Products of one sparse matrix with eight vectors side by side, for eight regressions on the same
features.

A row of eight numbers belongs to each feature, and the last row to the intercept, whose feature is
1. The matrix is read once for all eight, and a row is one vector instruction, so eight products
cost about as much as two one by one. Each function takes rows [first, last), for threads, and adds
in one order. Trap: written out number by number, since only then does LLVM see vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, wide

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
def _add_row(indices, values, first, last, t, out):  # type: ignore[no-untyped-def]
    a, b, c, d, e, f, g, h = t
    end = np.uint64(len(out) - 1)
    out[end, 0] += a
    out[end, 1] += b
    out[end, 2] += c
    out[end, 3] += d
    out[end, 4] += e
    out[end, 5] += f
    out[end, 6] += g
    out[end, 7] += h
    for k in range(np.uint64(first), np.uint64(last)):
        j, x = np.uint64(indices[k]), out.dtype.type(values[k])
        out[j, 0] += x * a
        out[j, 1] += x * b
        out[j, 2] += x * c
        out[j, 3] += x * d
        out[j, 4] += x * e
        out[j, 5] += x * f
        out[j, 6] += x * g
        out[j, 7] += x * h


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
        _add_row(indices, values, indptr[i], indptr[i + 1], _eight(t, i), out)


@wide
def add_curvature(first, last, indptr, indices, values, d, v, out):  # type: ignore[no-untyped-def]
    """Add x' (d * x v) of rows [first, last) to out[m + 1, 8]; d[n, 8], v[m + 1, 8]."""
    for i in range(np.uint64(first), np.uint64(last)):
        start, end = indptr[i], indptr[i + 1]
        a, b, c, e, f, g, h, k = _row_times(indices, values, start, end, v)
        t = (
            *(a * d[i, 0], b * d[i, 1], c * d[i, 2], e * d[i, 3]),
            *(f * d[i, 4], g * d[i, 5], h * d[i, 6], k * d[i, 7]),
        )
        _add_row(indices, values, start, end, t, out)


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
