"""Which n-grams of benchmarks a text contains, n differing from benchmark to benchmark (GPT-3,
appendix C.2).

Unlike `grams` this says only whether a gram was seen, so one pass serves every n, and a gram once
seen costs no comparison. Hits are verified word by word, as there. Where no long gram begins with
the words at a place, no n is looked up there but the short ones, whose filter is small. Trap: a
gram's number means nothing in the table of `grams`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Offsets, readonly, text_arrays, text_buffers
from curation.kernels.canonical import canonical_texts
from curation.kernels.gram_index import (
    candidates,
    empty_slots,
    first_hashes,
    hash_filter,
    normalised,
    number_grams,
    same_words,
)
from curation.kernels.unicode import unicode_table
from curation.kernels.words import (
    carry,
    next_words,
    running_hashes,
    window_hash,
    window_hashes,
    word_block,
)

Int64s = npt.NDArray[np.int64]
FIRST_WORDS = 8  # of a gram: grams of fewer words are short


@dataclass(frozen=True)
class NgramTable:
    """The distinct n-grams of some fields, for every n together: the words say how many they
    are."""

    widths: Int64s  # the distinct n, ascending
    pool: Bytes  # the fields' words in lower case, one space between
    starts: Int64s  # [grams] of the gram's words in pool, bytes
    ends: Int64s
    hashes: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    filter: npt.NDArray[np.uint64]
    first_filter: npt.NDArray[np.uint64]  # of the first FIRST_WORDS words of grams that have them
    short_filter: npt.NDArray[np.uint64]  # of the other grams

    def __len__(self) -> int:
        return len(self.starts)


class Texts(NamedTuple):
    """The words of texts in lower case: a pool, offsets of each text in it int64[n+1], words of
    each int64[n]."""

    pool: Bytes
    offsets: Int64s
    words: Int64s


def normalised_texts(texts: Sequence[str]) -> Texts:
    """Return the words of texts.

    >>> normalised_texts(["It’s so.", "—"]).words.tolist()
    [3, 0]
    """
    offsets, data, _ = canonical_texts(*text_buffers(pa.array(texts, pa.large_string())))
    return Texts(*normalised(offsets, data, *unicode_table()))


def build_ngrams(texts: Texts, widths: npt.ArrayLike) -> tuple[NgramTable, Int64s, Int64s]:
    """Return (table, gram of each occurrence, text of each occurrence); text i has grams of
    widths[i] >= 1 words.

    >>> table, grams, fields = build_ngrams(normalised_texts(["a b c", "b c"]), [2, 1])
    >>> table.widths.tolist(), grams.tolist(), fields.tolist()
    ([1, 2], [0, 1, 2, 3], [0, 0, 1, 1])
    """
    each = readonly(np.ascontiguousarray(widths, np.int64))
    if len(each) != len(texts.words) or (len(each) and each.min() < 1):
        raise ValueError(
            f"expected a width of 1 or more for each of {len(texts.words)} texts, "
            f"got {each.tolist()[:5]} ..."
        )
    occurrences = int(np.maximum(texts.words - each + 1, 0).sum())
    slots = empty_slots(occurrences)
    grams, field_of, starts, ends, hashes = number_grams(
        readonly(texts.offsets), readonly(texts.pool), *unicode_table(), each, occurrences, slots
    )
    pool = readonly(texts.pool)
    first = first_hashes(pool, starts, ends, *unicode_table(), np.int64(FIRST_WORDS))
    is_long = np.zeros(len(starts), bool)
    is_long[grams] = each[field_of] >= FIRST_WORDS
    filters = map(hash_filter, (hashes, first[is_long], hashes[~is_long]))
    arrays = (np.unique(each), pool, starts, ends, hashes, slots, *filters)
    return NgramTable(*map(readonly, arrays)), grams, field_of


def mark_seen(
    offsets: Offsets, data: Bytes, table: NgramTable, seen: npt.NDArray[np.bool_]
) -> None:
    """Set seen[gram] (bool[grams], in place) for every gram of the table in the texts of
    `text_buffers`.

    >>> table, _, _ = build_ngrams(normalised_texts(["to be or not", "whether"]), [2, 1])
    >>> seen = np.zeros(len(table), bool)
    >>> mark_seen(*text_buffers(pa.array(["Be—or?", "Not whether"])), table, seen)
    >>> seen.tolist()
    [False, True, False, True]
    """
    offsets, data, _ = canonical_texts(*text_arrays(offsets, data))
    kinds = (np.int64, np.uint8, np.int64, np.int64, np.uint64, np.int32, *[np.uint64] * 3)
    parts = (
        table.widths,
        table.pool,
        table.starts,
        table.ends,
        table.hashes,
        table.slots,
        table.filter,
        table.first_filter,
        table.short_filter,
    )
    arrays = [
        readonly(np.ascontiguousarray(part, kind)) for part, kind in zip(parts, kinds, strict=True)
    ]
    _mark(offsets, data, *unicode_table(), *arrays, seen)


@kernel
def _mark(  # type: ignore[no-untyped-def]
    offsets, data, pages, cells, widths, pool, starts, ends, keys, slots, bits, first, short, seen
):
    if len(starts) == 0:
        return
    text, grams = (data, pages, cells), (pool, starts, ends, keys, slots)
    widest = max(widths[-1], FIRST_WORDS)
    word_starts, word_ends, hashes, windows = word_block(widest)
    maybe = np.empty(len(windows), np.int64)
    sums = np.zeros(len(windows) + 1, np.uint64)
    few_words, many_words = widths[widths < FIRST_WORDS], widths[widths >= FIRST_WORDS]
    shift, first_shift, short_shift = _shift(bits), _shift(first), _shift(short)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        carried = np.int64(0)
        while True:
            i, n = next_words(data, i, end, pages, cells, word_starts, word_ends, hashes, carried)
            for width in few_words:
                count = window_hashes(hashes, n, width, windows)
                for k in maybe[: candidates(windows, count, short, short_shift, maybe)]:
                    if _has(bits, shift, windows[k]):
                        last = word_ends[k + width - 1]
                        _look_up(text, word_starts[k], last, windows[k], grams, seen)
            count = np.int64(0)
            if widths[-1] >= FIRST_WORDS:
                count = window_hashes(hashes, n, FIRST_WORDS, windows)
                running_hashes(hashes, n, sums)
            for k in maybe[: candidates(windows, count, first, first_shift, maybe)]:
                for width in many_words:
                    if k + width <= n:
                        key = window_hash(sums, k, width)
                        if _has(bits, shift, key):
                            last = word_ends[k + width - 1]
                            _look_up(text, word_starts[k], last, key, grams, seen)
            if n < len(word_starts):
                break
            carried = carry(word_starts, word_ends, hashes, n, widest - 1)


@inner
def _shift(bits):  # type: ignore[no-untyped-def]
    """`filter_shift` in a kernel."""
    shift = np.uint64(64)
    size = 64 * len(bits)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    return shift


@inner
def _has(bits, shift, key):  # type: ignore[no-untyped-def]
    """Return whether a hash may be in a filter."""
    position = key >> shift
    return bits[position >> np.uint64(6)] >> (position & np.uint64(63)) & np.uint64(1)


@inner
def _look_up(text, start, stop, key, grams, seen):  # type: ignore[no-untyped-def]
    """Mark the gram that text[start:stop] is, where it is one and was not seen."""
    data, pages, cells = text
    pool, starts, ends, keys, slots = grams
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while slots[slot] >= 0:
        gram = np.int64(slots[slot])
        if keys[gram] == key and not seen[gram]:
            seen[gram] = same_words(data, start, stop, pages, cells, pool, starts[gram], ends[gram])
            if seen[gram]:
                return
        slot = (slot + np.uint64(1)) & mask
