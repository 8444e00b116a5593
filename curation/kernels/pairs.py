"""Every pair of documents and how many features they share: brute force, the truth to measure
candidates by.

Counts through the lists of which documents have a feature, so that pairs without a common feature
cost nothing. Time: the sum over features of the square of their documents (5,000 web pages by
unigrams: seconds). Memory: the pairs returned. Trap: quadratic; take a random part of a corpus.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import kernel
from curation.kernels.buffers import readonly
from curation.kernels.growing import with_room

Int64s = npt.NDArray[np.int64]
BINS = 1000  # of Jaccard in the histogram


def similar_pairs(
    indptr: Int64s, values: Int64s, least: float
) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """Return (a, b, shared, total), int64[pairs] each, of every pair a < b with shared / total >=
    least.

    Ordered by a, then b.

    Takes what `feature_sets` returns. Raises ValueError unless 0 < least <= 1.

    >>> a, b, shared, total = similar_pairs(np.array([0, 2, 4, 5]), np.array([1, 2, 2, 3, 9]), 0.3)
    >>> (a.tolist(), b.tolist(), shared.tolist(), total.tolist())
    ([0], [1], [1], [3])
    """
    if not 0 < least <= 1:
        raise ValueError(
            f"least: a similarity in (0, 1] expected, got {least}; "
            "pairs that share nothing are not listed"
        )
    pairs = _pairs(*_inverted(indptr, values), least, np.zeros(BINS + 1, np.int64))
    a, b, shared, total = (column.copy() for column in pairs.reshape(-1, 4).T)
    return a, b, shared, total


def similarity_counts(indptr: Int64s, values: Int64s) -> Int64s:
    """Return int64[1001]: how many of all pairs of documents have a Jaccard of k / 1000, rounded
    up.

    >>> counts = similarity_counts(np.array([0, 2, 4, 5]), np.array([1, 2, 2, 3, 9]))
    >>> counts[0].item(), counts[334].item(), counts.sum().item()
    (2, 1, 3)
    """
    counts = np.zeros(BINS + 1, np.int64)
    _pairs(*_inverted(indptr, values), 2.0, counts)
    n = len(indptr) - 1
    counts[0] = n * (n - 1) // 2 - counts[1:].sum()
    return counts


def _inverted(indptr: Int64s, values: Int64s) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """(indptr, the number of each feature, the documents of each feature in order, where they
    start)."""
    _, codes = np.unique(values, return_inverse=True)
    owners = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[
        np.argsort(codes, kind="stable")
    ]
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int64)
    return (
        readonly(np.ascontiguousarray(indptr, np.int64)),
        readonly(codes),
        readonly(owners),
        readonly(starts),
    )


@kernel
def _pairs(indptr, codes, owners, starts, least, counts):  # type: ignore[no-untyped-def]
    n = len(indptr) - 1
    bins = len(counts) - 1
    common = np.zeros(n, np.int64)
    touched = np.empty(n, np.int64)
    out = np.empty(4096, np.int64)
    size = np.int64(0)
    for a in range(n):
        others = 0
        for at in range(indptr[a], indptr[a + 1]):
            for k in range(starts[codes[at] + 1] - 1, starts[codes[at]] - 1, -1):
                b = owners[k]
                if b <= a:
                    break
                if common[b] == 0:
                    touched[others] = b
                    others += 1
                common[b] += 1
        for b in np.sort(touched[:others]):
            shared = common[b]
            common[b] = 0
            total = indptr[a + 1] - indptr[a] + indptr[b + 1] - indptr[b] - shared
            counts[(shared * bins + total - 1) // total] += 1
            if shared >= least * total:
                out = with_room(out, size, 4)
                out[size], out[size + 1], out[size + 2], out[size + 3] = a, b, shared, total
                size += 4
    return out[:size].copy()
