"""Features of the quality classifier: Spark's Tokenizer and HashingTF, exactly, without an object
per token.

pyspark.ml.feature.Tokenizer is Java's `text.toLowerCase().split("\\\\s")`: each of [
\\t\\n\\x0b\\f\\r] splits, empty tokens count, trailing empty ones do not, and the empty text is one
empty token. pyspark.ml.feature.HashingTF is murmur3_x86_32 over a token's UTF-8 with seed 42, as a
signed int, non-negative modulo the number of features. Costs about 4 ns a byte and a scratch array
of one int32 a feature for each call. Trap: sums run in the order in which a document's features
first appear, so a score depends on nothing but the document: not on its batch.
"""

from __future__ import annotations

import math
import re
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, Offsets, readonly, text_arrays
from curation.kernels.elementary import log_of
from curation.kernels.growing import with_room
from curation.kernels.sorting import sort_spread
from curation.kernels.unicode import java_lower, lower_bytes, lowered_capacity, unicode_table

Scaling = Literal["tf", "binary", "l2", "log-l2"]
FEATURE_BITS = 18
NUM_FEATURES = 1 << FEATURE_BITS
_TF, _BINARY, _L2, _LOG_L2 = range(4)
# From one table, so that training (numpy) and scoring (Numba) cannot differ in a last bit.
_LOG1P = readonly(np.array([log_of.py_func(1.0 + count) for count in range(1024)]))
_TAB, _BLANK = np.uint8(ord("\t")), np.uint8(ord(" "))
_SPLIT = re.compile("[ \t\n\x0b\f\r]")


def tokenize(text: str) -> list[str]:
    """Return Spark's tokens of a text: the readable reference of what the kernels count.

    >>> tokenize("  Hello  World\\t\\tfoo \\n bar ")
    ['', '', 'hello', '', 'world', '', 'foo', '', '', 'bar']
    >>> tokenize(""), tokenize(" ")
    ([''], [])
    """
    tokens = _SPLIT.split(java_lower(text))
    if len(tokens) > 1:
        while tokens and not tokens[-1]:
            tokens.pop()
    return tokens


def term_counts(
    offsets: Offsets, data: Bytes, num_features: int = NUM_FEATURES
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return CSR (indptr int64[n+1], indices int32, counts int32), indices ascending within a
    document.

    Takes what `text_buffers` returns. Raises ValueError unless num_features is a power of two up to
    2^31.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> [part.tolist() for part in term_counts(*text_buffers(pa.array(["b a b", " "])))]
    [[0, 2, 2], [107107, 148981], [1, 2]]
    """
    offsets, data = text_arrays(offsets, data)
    bits = _checked(num_features).bit_length() - 1
    return _term_counts(offsets, data, *unicode_table(), bits)


def logits(
    offsets: Offsets,
    data: Bytes,
    weights: npt.NDArray[np.float64],
    intercept: float,
    scaling: Scaling,
) -> npt.NDArray[np.float64]:
    """Return the logit float64[n] of each text: intercept + scaled features . weights
    float64[num_features].

    The same as scaling the term counts and multiplying, to 1e-9, without building them. Raises
    ValueError for an unknown scaling or a number of weights that is not a power of two.
    """
    offsets, data = text_arrays(offsets, data)
    weights = readonly(np.ascontiguousarray(weights, np.float64))
    _checked(len(weights))
    code = _code(scaling)
    return _logits(offsets, data, *unicode_table(), weights, float(intercept), code, _LOG1P)


def scale(
    indptr: npt.NDArray[np.int64], counts: npt.NDArray[np.int32], scaling: Scaling
) -> npt.NDArray[np.float64]:
    """Return the values float64 of a CSR matrix of term counts.

    tf: the count (the paper's HashingTF); binary: 1; l2: the count over the document's L2 norm;
    log-l2: log(1 + count) over its L2 norm.

    >>> scale(np.array([0, 2, 2]), np.array([3, 4]), "l2").tolist()
    [0.6, 0.8]
    """
    code = _code(scaling)
    if code == _BINARY:
        return np.ones(len(counts))
    values = np.asarray(counts, np.float64)
    if code == _LOG_L2:
        values = _LOG1P[np.minimum(counts, len(_LOG1P) - 1)]
        for i in np.flatnonzero(np.asarray(counts) >= len(_LOG1P)):
            values[i] = log_of.py_func(1.0 + counts[i])
    if code in (_L2, _LOG_L2):
        lengths = np.diff(indptr)
        filled = lengths > 0  # reduceat would repeat a neighbour's value for an empty document
        squares = (
            np.add.reduceat(values * values, indptr[:-1][filled]) if filled.any() else np.zeros(0)
        )
        values = values / np.repeat(np.sqrt(squares), lengths[filled])
    return values


def _code(scaling: str) -> int:
    names = get_args(Scaling)
    if scaling not in names:
        raise ValueError(f"expected a scaling of {', '.join(names)}, got {scaling!r}")
    return names.index(scaling)


def _checked(num_features: int) -> int:
    if not 0 < num_features <= 1 << 31 or num_features & (num_features - 1):
        raise ValueError(
            f"expected a power of two up to 2^31 as the number of features, got {num_features}"
        )
    return num_features


@kernel
def murmur3(data: Bytes, start: int, end: int) -> np.uint32:
    """Return murmur3_x86_32 of data[start:end], seed 42 (Spark's Murmur3_x86_32.hashUnsafeBytes2).

    Reads up to four bytes behind `end`, which must exist: no branch for the last bytes (three times
    as fast).
    """
    h = np.uint32(42)
    size = end - start
    for _ in range(size >> 2):
        h = _mixed(h, _four_bytes(data, start))
        h = np.uint32(np.uint32(h << np.uint32(13)) | (h >> np.uint32(19)))
        h = np.uint32(h * np.uint32(5) + np.uint32(0xE6546B64))
        start += 4
    tail = np.uint32((np.uint64(1) << np.uint64((size & 3) * 8)) - np.uint64(1))
    h = _mixed(h, np.uint32(_four_bytes(data, start) & tail))  # an empty tail mixes in 0: no change
    h = np.uint32(h ^ np.uint32(size))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@inner
def _mixed(h: np.uint32, k: np.uint32) -> np.uint32:
    k = np.uint32(k * np.uint32(0xCC9E2D51))
    k = np.uint32(np.uint32(k << np.uint32(15)) | (k >> np.uint32(17)))
    return np.uint32(h ^ np.uint32(k * np.uint32(0x1B873593)))


@inner
def _four_bytes(data: Bytes, i: int) -> np.uint32:
    u = np.uint64(i)  # unsigned: without the test for negative indices LLVM makes this one load
    low = np.uint32(data[u]) | np.uint32(data[u + np.uint64(1)]) << np.uint32(8)
    high = np.uint32(data[u + np.uint64(2)]) | np.uint32(data[u + np.uint64(3)]) << np.uint32(8)
    return np.uint32(low | high << np.uint32(16))


@inner
def is_space(b: np.uint8) -> bool:
    """Return whether a byte is what Java's `\\s` matches: a blank or \\t to \\r; without a
    branch."""
    return (b == _BLANK) | (np.uint8(b - _TAB) < np.uint8(5))


@inner
def token_features(lowered: Bytes, length: int, mask: np.uint32, out: npt.NDArray[np.int64]) -> int:
    """Write the feature of each token of a lower-cased text, in order; return how many. out holds
    length + 1.

    lowered is four bytes longer than the text, for `murmur3`.
    """
    n: Int = 0
    for i in range(length):  # where tokens end, without a branch
        b = lowered[np.uint64(i)]
        out[np.uint64(n)] = i
        n += np.int64(is_space(b))
    out[n] = length
    last = 0  # tokens up to the last one that is not empty
    start = np.int64(0)
    for k in range(n + 1):
        end = out[k]
        out[k] = np.int64(murmur3(lowered, start, end) & mask)
        if end > start:
            last = k + 1
        start = end + 1
    return 1 if length == 0 else last


@inner
def document_features(
    data: Bytes,
    start: int,
    end: int,
    pages: npt.NDArray[np.uint16],
    cells: npt.NDArray[np.int32],
    mask: np.uint32,
    counts: npt.NDArray[np.int32],
    seen: npt.NDArray[np.int64],
    lowered: Bytes,
) -> int:
    """Count the features of data[start:end] into counts (all 0 before); return how many `seen`
    lists.

    seen (end - start + 2 long) and lowered are scratch; the features stand in seen in order of
    first appearance.
    """
    length = lower_bytes(data, start, end, pages, cells, lowered)
    tokens = token_features(lowered, length, mask, seen)
    n = 0
    for k in range(tokens):  # in place: the distinct ones never overtake the tokens
        feature = seen[k]
        if counts[feature] == 0:
            seen[n] = feature
            n += 1
        counts[feature] += 1
    return n


@inner
def longest_text(offsets: Offsets) -> int:
    """Return the length of the longest text in bytes."""
    longest = 0
    for d in range(len(offsets) - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    return longest


@kernel
def _term_counts(offsets, data, pages, cells, bits):  # type: ignore[no-untyped-def]
    longest = longest_text(offsets)
    lowered = np.empty(lowered_capacity(longest), np.uint8)
    seen = np.empty(lowered_capacity(longest), np.int64)
    scratch = np.zeros(1 << bits, np.int32)
    indptr = np.zeros(len(offsets), np.int64)
    indices = np.empty(1024, np.int32)
    counts = np.empty(1024, np.int32)
    mask = np.uint32((1 << bits) - 1)
    size = np.int64(0)
    for d in range(len(offsets) - 1):
        n = document_features(
            data, offsets[d], offsets[d + 1], pages, cells, mask, scratch, seen, lowered
        )
        features = seen[:n]
        sort_spread(features, bits)
        indices, counts = with_room(indices, size, n), with_room(counts, size, n)
        for feature in features:
            indices[size] = feature
            counts[size] = scratch[feature]
            scratch[feature] = 0
            size += 1
        indptr[d + 1] = size
    return indptr, indices[:size].copy(), counts[:size].copy()


@kernel
def _logits(offsets, data, pages, cells, weights, intercept, scaling, log1p):  # type: ignore[no-untyped-def]
    longest = longest_text(offsets)
    lowered = np.empty(lowered_capacity(longest), np.uint8)
    seen = np.empty(lowered_capacity(longest), np.int64)
    counts = np.zeros(len(weights), np.int32)
    out = np.empty(len(offsets) - 1, np.float64)
    mask = np.uint32(len(weights) - 1)
    for d in range(len(out)):
        n = document_features(
            data, offsets[d], offsets[d + 1], pages, cells, mask, counts, seen, lowered
        )
        total = 0.0
        squares = 0.0
        for feature in seen[:n]:
            count = counts[feature]
            counts[feature] = 0
            value = float(count)
            if scaling == _BINARY:
                value = 1.0
            elif scaling == _LOG_L2:
                value = log1p[count] if count < len(log1p) else log_of(1.0 + value)
            total += value * weights[feature]
            squares += value * value
        if scaling >= _L2 and n > 0:
            total /= math.sqrt(squares)
        out[d] = intercept + total
    return out
