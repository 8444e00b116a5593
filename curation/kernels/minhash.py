"""Feature sets, MinHash signatures and band keys for deduplication, and the exact Jaccard of a
pair.

Features are HashingTF indices of Spark's tokens (`unigram`, GPT-3 appendix A.2) or 64-bit hashes of
runs of words (`shingle`). Permutation j sends a feature x to a_j * mix64(x) + b_j modulo 2^64, a_j
odd: a bijection, so no two features tie; mix64 first makes small integers uniform points, without
which multiplication would keep their order too well. Costs a tenth of a nanosecond a feature
and hash. Trap: an empty set has the signature of all ones, hence equal band keys with other empty
sets; the caller leaves such documents out by their count.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import kernel
from curation.kernels.buffers import Bytes, Offsets, readonly, text_arrays
from curation.kernels.canonical import canonical_texts
from curation.kernels.growing import with_room
from curation.kernels.hashingtf import FEATURE_BITS, NUM_FEATURES, document_features, longest_text
from curation.kernels.sorting import sort_spread
from curation.kernels.unicode import lowered_capacity, unicode_table
from curation.kernels.words import carry, mix64, mixed, next_words, window_hashes, word_block

Features = Literal["unigram", "shingle"]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
PIECES = 4  # of a sketch


def feature_sets(
    offsets: Offsets, data: Bytes, features: Features, shingle_words: int = 5
) -> tuple[Int64s, Int64s]:
    """Return (indptr int64[n+1], values int64): the features of text i, ascending and distinct.

    unigram: HashingTF's 2^18 indices of Spark's tokens. shingle: hashes of `shingle_words` words in
    a row (words as in `curation.kernels.words`); a text of fewer words has one shingle of all of
    them, a text without words none. Both are those of the text's canonical form. Takes what
    `text_buffers` returns. Raises ValueError for another kind or a shingle of no words.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> texts = pa.array(["One two, three", "one TWO three!", "", "a b c d e f"])
    >>> indptr, values = feature_sets(*text_buffers(texts), "shingle")
    >>> indptr.tolist(), bool(values[0] == values[1])
    ([0, 1, 2, 2, 4], True)
    """
    offsets, data, _ = canonical_texts(*text_arrays(offsets, data))
    if features == "unigram":
        return _unigrams(offsets, data, *unicode_table())
    if features != "shingle" or shingle_words < 1:
        raise ValueError(
            "expected features 'unigram' or 'shingle' of one word or more, "
            f"got {features!r} of {shingle_words}"
        )
    return _shingles(offsets, data, *unicode_table(), int(shingle_words))


def permutations(seed: int, k: int) -> tuple[UInt64s, UInt64s]:
    """Return (a uint64[k] odd, b uint64[k]): the first k permutations of the one sequence that seed
    has.

    >>> a, b = permutations(0, 3)
    >>> (a % 2).tolist(), bool((permutations(0, 2)[0] == a[:2]).all())
    ([1, 1, 1], True)
    """
    key = mixed(np.array([seed % 2**64], np.uint64))
    drawn = mixed(key + np.arange(1, 2 * k + 1, dtype=np.uint64) * _GOLDEN)
    return drawn[0::2] | np.uint64(1), drawn[1::2].copy()


def signatures(indptr: Int64s, values: Int64s, a: UInt64s, b: UInt64s) -> UInt64s:
    """Return uint64[n, k]: the least image of each document's features by permutation; all ones
    where empty.

    Two documents agree in one column with the probability of their Jaccard similarity.
    """
    kinds = (np.int64, np.int64, np.uint64, np.uint64)
    arrays = [
        readonly(np.ascontiguousarray(x, kind))
        for x, kind in zip((indptr, values, a, b), kinds, strict=True)
    ]
    if len(a) != len(b):
        raise ValueError(
            f"expected as many a as b, got {len(a)} and {len(b)}: take both from permutations()"
        )
    return _signatures(*arrays)


def band_keys(signatures: UInt64s, bands: int, rows: int) -> Int64s:
    """Return int64[n, bands]: a hash of the band's number and its `rows` columns, in order from the
    first.

    Raises ValueError where the signature has fewer than bands * rows columns.

    >>> band_keys(np.zeros((2, 4), np.uint64), 2, 2).shape
    (2, 2)
    """
    if signatures.shape[1] < bands * rows:
        raise ValueError(
            f"expected at least {bands} x {rows} columns, got {signatures.shape[1]}: "
            "make longer signatures"
        )
    keys = np.empty((len(signatures), bands), np.uint64)
    for band in range(bands):
        keys[:, band] = mixed(np.full(len(signatures), band + 1, np.uint64) * _GOLDEN)
        for row in range(band * rows, (band + 1) * rows):
            keys[:, band] = mixed((keys[:, band] ^ signatures[:, row]) + _GOLDEN)
    return keys.view(np.int64)


def sketches(signatures: UInt64s) -> Int64s:
    """Return int64[n]: 16 mixed bits of each of the first PIECES columns, the first column's
    foremost.

    Each piece of two documents is equal with the probability of their Jaccard similarity (b-bit
    MinHash, Li and Koenig 2010).

    >>> a, b = sketches(np.array([[1, 2, 3, 4], [1, 2, 3, 5]], np.uint64))
    >>> bool(a >> 16 == b >> 16), bool(a == b)
    (True, False)
    """
    pieces = mixed(signatures[:, :PIECES] + _GOLDEN) >> np.uint64(48)
    packed = np.zeros(len(signatures), np.uint64)
    for column in range(pieces.shape[1]):
        packed |= pieces[:, column] << np.uint64(48 - 16 * column)
    return packed.view(np.int64)


def intersection_and_union(a: Int64s, b: Int64s) -> tuple[int, int]:
    """Return the sizes of the intersection and of the union of two ascending, distinct int64
    arrays; exact.

    >>> intersection_and_union(np.array([1, 2, 3]), np.array([2, 3, 4, 5]))
    (2, 5)
    """
    arrays = [readonly(np.ascontiguousarray(x, np.int64)) for x in (a, b)]
    shared = int(_shared(*arrays))
    return shared, len(a) + len(b) - shared


def intersections(indptr: Int64s, values: Int64s, centers: Int64s, other: Int64s) -> Int64s:
    """Return int64[n]: the size of the intersection of set i with set centers[i], or with `other`
    where that is -1.

    >>> intersections(np.array([0, 2, 4]), np.array([1, 2, 2, 3]), np.array([-1, 0]), np.array([2]))
    array([1, 1])
    """
    arrays = [readonly(np.ascontiguousarray(x, np.int64)) for x in (indptr, values, centers, other)]
    return _intersections(*arrays)


@kernel
def _shared(a: Int64s, b: Int64s) -> int:
    i = j = shared = 0
    while i < len(a) and j < len(b):
        x, y = a[i], b[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared


@kernel
def _intersections(indptr, values, centers, other):  # type: ignore[no-untyped-def]
    shared = np.empty(len(centers), np.int64)
    for i in range(len(centers)):
        c = centers[i]
        center = other if c < 0 else values[indptr[c] : indptr[c + 1]]
        shared[i] = _shared(center, values[indptr[i] : indptr[i + 1]])
    return shared


@kernel
def _unigrams(offsets, data, pages, cells):  # type: ignore[no-untyped-def]
    longest = longest_text(offsets)
    lowered = np.empty(lowered_capacity(longest), np.uint8)
    seen = np.empty(lowered_capacity(longest), np.int64)
    counts = np.zeros(NUM_FEATURES, np.int32)
    indptr = np.zeros(len(offsets), np.int64)
    values = np.empty(1024, np.int64)
    mask = np.uint32(NUM_FEATURES - 1)
    size = np.int64(0)
    for d in range(len(offsets) - 1):
        n = document_features(
            data, offsets[d], offsets[d + 1], pages, cells, mask, counts, seen, lowered
        )
        values = with_room(values, size, n)
        features = values[size : size + n]
        for k in range(n):
            features[k] = seen[k]
            counts[seen[k]] = 0
        sort_spread(features, np.int64(FEATURE_BITS))
        size += n
        indptr[d + 1] = size
    return indptr, values[:size].copy()


@kernel
def _shingles(offsets, data, pages, cells, width):  # type: ignore[no-untyped-def]
    starts, ends, hashes, windows = word_block(width)
    indptr = np.zeros(len(offsets), np.int64)
    values = np.empty(1024, np.int64)
    size = np.int64(0)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        first = size
        carried = np.int64(0)
        while True:
            i, n = next_words(data, i, end, pages, cells, starts, ends, hashes, carried)
            is_short = 0 < n < width and size == first  # one shingle of all words
            shingles = window_hashes(hashes, n, n if is_short else width, windows)
            values = with_room(values, size, shingles)
            for k in range(shingles):
                values[size + k] = np.int64(windows[k])
            size += shingles
            if n < len(starts):
                break
            carried = carry(starts, ends, hashes, n, width - 1)
        repeated = values[first:size]
        sort_spread(repeated, np.int64(64))
        size = first
        for k in range(len(repeated)):
            if k == 0 or repeated[k] != values[size - 1]:
                values[size] = repeated[k]
                size += 1
        indptr[d + 1] = size
    return indptr, values[:size].copy()


@kernel
def _signatures(indptr, values, a, b):  # type: ignore[no-untyped-def]
    n, k = len(indptr) - 1, len(a)
    out = np.full((n, k), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64)
    for d in range(n):
        row, last = out[d], indptr[d + 1]
        # Four features at once: the row and the permutations are read once for all of them.
        for v in range(indptr[d], last - 3, 4):
            w = mix64(np.uint64(values[v]))
            x = mix64(np.uint64(values[v + 1]))
            y = mix64(np.uint64(values[v + 2]))
            z = mix64(np.uint64(values[v + 3]))
            for j in range(k):
                first = min(w * a[j] + b[j], x * a[j] + b[j])
                second = min(y * a[j] + b[j], z * a[j] + b[j])
                row[j] = min(row[j], min(first, second))
        for v in range(last - (last - indptr[d]) % 4, last):
            x = mix64(np.uint64(values[v]))
            for j in range(k):
                row[j] = min(row[j], x * a[j] + b[j])
    return out
