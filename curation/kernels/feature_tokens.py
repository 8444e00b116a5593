"""Which tokens of texts fall on given features: what makes a weight readable, and its hash
collisions visible.

Costs what `term_counts` costs, and a copy of the tokens. Trap: HashingTF maps the whole vocabulary
of a crawl to 2^18 features; most features stand for several tokens, and a weight belongs to all of
them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.blocks.jit import kernel
from curation.kernels.buffers import Bytes, Offsets, readonly, text_arrays
from curation.kernels.growing import with_room
from curation.kernels.hashingtf import NUM_FEATURES, is_space, longest_text, murmur3, token_features
from curation.kernels.unicode import lower_bytes, lowered_capacity, unicode_table


def feature_tokens(
    offsets: Offsets, data: Bytes, features: Iterable[int], num_features: int = NUM_FEATURES
) -> dict[int, dict[str, int]]:
    """Return feature -> token -> occurrences in the texts, for those of `features` that occur.

    >>> from curation.kernels.buffers import text_buffers
    >>> feature_tokens(*text_buffers(pa.array(["B a b", " "])), [148981, 5])
    {148981: {'b': 2}}
    """
    wanted = np.zeros(num_features, np.uint8)
    wanted[list(features)] = 1
    offsets, data = text_arrays(offsets, data)
    ends, token_bytes = _feature_tokens(offsets, data, *unicode_table(), readonly(wanted))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(token_bytes)]
    tokens = pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, buffers)
    out: dict[int, dict[str, int]] = {}
    for pair in pc.value_counts(tokens):
        token = pair["values"].as_py()
        padded = readonly(np.frombuffer(token + bytes(4), np.uint8))
        feature = int(murmur3(padded, 0, len(token)) & np.uint32(num_features - 1))
        out.setdefault(feature, {})[token.decode("utf-8", "replace")] = pair["counts"].as_py()
    return out


@kernel
def _feature_tokens(offsets, data, pages, cells, wanted):  # type: ignore[no-untyped-def]
    """Copies of the wanted tokens: ends int64[n + 1] and bytes."""
    capacity = lowered_capacity(longest_text(offsets))
    lowered = np.empty(capacity, np.uint8)
    seen = np.empty(capacity, np.int64)
    mask = np.uint32(len(wanted) - 1)
    ends = np.zeros(1024, np.int64)
    copied = np.empty(8192, np.uint8)
    n = np.int64(0)
    for d in range(len(offsets) - 1):
        length = lower_bytes(data, offsets[d], offsets[d + 1], pages, cells, lowered)
        tokens = token_features(lowered, length, mask, seen)
        k = 0
        start = 0
        for i in range(length + 1):
            if i < length and not is_space(lowered[i]):
                continue
            if k < tokens and wanted[seen[k]]:
                size = ends[n] + i - start
                ends = with_room(ends, n + 1, 1)
                copied = with_room(copied, ends[n], i - start)
                for at in range(start, i):
                    copied[ends[n] + at - start] = lowered[at]
                n += 1
                ends[n] = size
            k += 1
            start = i + 1
    return ends[: n + 1].copy(), copied[: ends[n]].copy()
