"""A hash table over the distinct runs of words of some fields: what `grams` and `ngrams` look texts
up in.

A gram's words stand in a pool of the fields in lower case; its hash is that of
`words.window_hashes`. Slots are open addressing at most half full; a filter of one bit for each
hash, read from the hash's other end, answers most look-ups without touching them. Trap: equal
hashes are not equal words, so every find is compared (`same_words`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes
from curation.kernels.unicode import ALONE, BREAK, DELTA_SHIFT, cell_of, decode, encode
from curation.kernels.words import carry, next_words, window_hashes, word_block

Int64s = npt.NDArray[np.int64]
_SPACE = ord(" ")


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()


def empty_slots(occurrences: int) -> npt.NDArray[np.int32]:
    """Return int32[a power of two] of -1: open addressing for at most so many grams."""
    return np.full(_power_of_two(2 * occurrences), -1, np.int32)


def hash_filter(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return uint64[a power of two] with one bit set for each hash."""
    bits = np.zeros(_power_of_two(len(hashes) // 4), np.uint64)
    position = hashes >> filter_shift(bits)
    np.bitwise_or.at(bits, position >> np.uint64(6), np.uint64(1) << (position & np.uint64(63)))
    return bits


def beginnings(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the same with two bits for each hash in one of its numbers: it answers wrongly ten times
    as rarely. The second bit is that of the last six of a hash."""
    bits = hash_filter(hashes)
    again = np.uint64(1) << (hashes & np.uint64(63))
    np.bitwise_or.at(bits, hashes >> filter_shift(bits) >> np.uint64(6), again)
    return bits


def filter_shift(bits: npt.NDArray[np.uint64]) -> np.uint64:
    """Return the shift that makes a hash the number of its bit in the filter."""
    return np.uint64(64 - (64 * len(bits) - 1).bit_length())


@kernel
def normalised(offsets, data, pages, cells):  # type: ignore[no-untyped-def]
    """Return (pool, offsets of each field in it, words of each field)."""
    length = offsets[-1] - offsets[0]
    pool = np.empty(2 * length + len(offsets) + 8, np.uint8)
    fields = np.zeros(len(offsets), np.int64)
    sizes = np.zeros(len(offsets) - 1, np.int64)
    n = 0
    for f in range(len(sizes)):
        i, end = offsets[f], offsets[f + 1]
        inside = False
        while i < end:
            c, i = decode(data, i, end)
            cell = cell_of(c, pages, cells)
            if cell & BREAK:
                inside = False
                continue
            if not inside or cell & ALONE:
                if n > fields[f]:
                    pool[n] = _SPACE
                    n += 1
                sizes[f] += 1
            inside = not cell & ALONE
            n = encode(c + (cell >> DELTA_SHIFT), pool, n)
        fields[f + 1] = n
    return pool[:n].copy(), fields, sizes


@kernel
def number_grams(fields, pool, pages, cells, widths, occurrences, slots):  # type: ignore[no-untyped-def]
    """Return (gram and field of each occurrence, start, end and hash of each distinct gram); fills
    slots.

    Field f has grams of widths[f] words.
    """
    most = np.int64(1)
    for f in range(len(widths)):
        most = max(most, widths[f])
    word_starts, word_ends, hashes, windows = word_block(most)
    gram_of = np.empty(occurrences, np.int64)
    field_of = np.empty(occurrences, np.int64)
    starts = np.empty(occurrences, np.int64)
    ends = np.empty(occurrences, np.int64)
    keys = np.empty(occurrences, np.uint64)
    mask = np.uint64(len(slots) - 1)
    seen = grams = 0
    for f in range(len(fields) - 1):
        width = widths[f]
        i = fields[f]
        carried = np.int64(0)
        while True:
            i, n = next_words(
                pool, i, fields[f + 1], pages, cells, word_starts, word_ends, hashes, carried
            )
            for k in range(window_hashes(hashes, n, width, windows)):
                start, end = word_starts[k], word_ends[k + width - 1]
                slot = windows[k] & mask
                while slots[slot] >= 0:
                    gram = slots[slot]
                    if keys[gram] == windows[k] and _equal(
                        pool, start, end, starts[gram], ends[gram]
                    ):
                        break
                    slot = (slot + np.uint64(1)) & mask
                if slots[slot] < 0:
                    slots[slot] = grams
                    starts[grams], ends[grams], keys[grams] = start, end, windows[k]
                    grams += 1
                gram_of[seen] = slots[slot]
                field_of[seen] = f
                seen += 1
            if n < len(word_starts):
                break
            carried = carry(word_starts, word_ends, hashes, n, width - 1)
    return (
        gram_of[:seen],
        field_of[:seen],
        starts[:grams].copy(),
        ends[:grams].copy(),
        keys[:grams].copy(),
    )


@kernel
def run_hashes(fields, pool, pages, cells, words, widths):  # type: ignore[no-untyped-def]
    """Return the hashes of each run of widths[f] words of field f, which has words[f]; none where
    the width is 0."""
    most, total = np.int64(1), np.int64(0)
    for f in range(len(widths)):
        most = max(most, widths[f])
        total += max(words[f] - widths[f] + 1, 0) * (widths[f] > 0)
    word_starts, word_ends, hashes, windows = word_block(most)
    out = np.empty(total, np.uint64)
    size = 0
    for f in range(len(widths)):
        i, carried = fields[f], np.int64(0)
        while widths[f] > 0:
            i, n = next_words(
                pool, i, fields[f + 1], pages, cells, word_starts, word_ends, hashes, carried
            )
            for k in range(window_hashes(hashes, n, widths[f], windows)):
                out[size] = windows[k]
                size += 1
            if n < len(word_starts):
                break
            carried = carry(word_starts, word_ends, hashes, n, widths[f] - 1)
    return out


@inner
def _equal(pool: Bytes, start: int, end: int, other_start: int, other_end: int) -> bool:
    same = end - start == other_end - other_start
    k = 0
    while same and k < end - start:
        same = pool[start + k] == pool[other_start + k]
        k += 1
    return same


@inner
def same_words(data, i, end, pages, cells, pool, j, pool_end):  # type: ignore[no-untyped-def]
    """Return whether the words of data[i:end] in lower case are those of pool[j:pool_end]; both
    begin and end with one."""
    begun = gap = False
    while i < end:
        c = np.int64(data[i])
        if c < 0x80:  # a call of decode for each letter would cost more than the rest
            cell = np.int64(cells[c])
            i += 1
        else:
            c, i = decode(data, i, end)
            cell = cell_of(c, pages, cells)
        if cell & BREAK:
            gap = True
            continue
        if begun and (gap or cell & ALONE):
            if j >= pool_end or pool[j] != _SPACE:
                return False
            j += 1
        begun = True
        gap = cell & ALONE != 0
        if j >= pool_end:
            return False
        point = np.int64(pool[j])
        j += 1
        if point >= 0x80:
            point, j = decode(pool, j - 1, pool_end)
        if point != c + (cell >> DELTA_SHIFT):
            return False
    return j == pool_end


@kernel
def lookup(text, start, stop, key, grams):  # type: ignore[no-untyped-def]
    """Return the number of the gram that text[start:stop] is, or -1.

    `text`: data, pages, cells. `grams`: pool, starts, ends, hashes, slots, and what else there is.
    """
    data, pages, cells = text
    pool, starts, ends, keys, slots = grams[0], grams[1], grams[2], grams[3], grams[4]
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while slots[slot] >= 0:
        gram = np.int64(slots[slot])
        if keys[gram] == key and same_words(
            data, start, stop, pages, cells, pool, starts[gram], ends[gram]
        ):
            return gram
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)
