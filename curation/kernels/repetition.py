"""How much of a text repeats: the counts behind Gopher's repetition rules.

Gopher's table A1 asks for grams of two to ten words. A gram can only repeat where both grams one
word shorter that it consists of repeat. So each length looks only at the places where the length
before found repetitions: few in prose, and never more than there are words. Grams of two words are
sieved first: a small table of bytes says which of them cannot repeat. Words, grams of two, lines and
paragraphs are known by hashes of 64 bits (`english.py`); a longer gram is known by the numbers of
its two halves, which is exact. Linear in the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.blocks8 import code_points, find_newline, hash_bytes
from curation.kernels.buffers import Bytes, Int
from curation.kernels.characters import SPACE, TERMINAL, kind_of, next_point, point_before, stripped

SHORT_LINE = 30  # code points
# What `line_counts` counts.
(
    PARAGRAPHS,
    DUPLICATE_PARAGRAPHS,
    DUPLICATE_PARAGRAPH_CHARS,
    LINES,
    DUPLICATE_LINES,
    DUPLICATE_LINE_CHARS,
    FULL_LINES,
    FULL_DUPLICATE_CHARS,
    ENDED_LINES,
    SHORT_LINES,
) = range(10)
_SCATTER = np.uint64(0x9E3779B97F4A7C15)
_FIRST_WORD = np.uint64(0x9FB21C651E98DF25)  # odd; makes "a b" another gram than "b a"
_NEWLINE = 10


@inner(_nrt=False)
def table_bits(items: Int) -> int:
    """Return the bits of a slot's number in a table that holds `items` and stays half empty."""
    bits = 4
    while 1 << bits < 2 * items:
        bits += 1
    return bits


@inner(_nrt=False)
def sieve_bits(words: Int) -> int:
    """Return the bits of a slot's number in the sieve of so many words: eight slots a word or
    more."""
    return table_bits(4 * words)


@inner(_nrt=False)
def gram_chars(
    words: npt.NDArray[np.int64],
    n: int,
    grams: npt.NDArray[np.int64],
    table: npt.NDArray[np.int64],
    sieve: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int64],
) -> None:
    """Write the code points of repeated grams of the n words of a text.

    out int64[9]: of the grams of 2, 3 and 4 words, those of the most frequent one, blanks between
    its words and all occurrences counted, the first where several are; of those of 5 to 10 words,
    those of all that occurred before, without blanks, none counted twice. grams int64[n, 2], table
    int64[2 ** table_bits(n), 2] and sieve uint8[2 ** sieve_bits(n)] are scratch.
    """
    size: Int = _sieved(words, n, grams, sieve)
    for width in range(2, 11):
        size = _repeated(grams, size if width == 2 else _longer(grams, size), table)
        if width <= 4:
            out[width - 2] = _top_chars(words, n, width, grams, size, table)
        else:
            out[width - 2] = _duplicate_chars(words, width, grams, size, table)


@inner(_nrt=False)
def _sieved(words, n, grams, sieve):  # type: ignore[no-untyped-def]
    """Write the grams of two words that may occur more than once, with their hashes; return how
    many. No branch depends on the text: what is not kept is written over."""
    if n < 2:
        return 0
    slots = np.uint64(1) << np.uint64(sieve_bits(n))
    for slot in range(slots):
        sieve[slot] = 0
    last = slots - np.uint64(1)
    for k in range(np.uint64(n - 1)):
        key = np.uint64(words[k, 1]) * _FIRST_WORD + np.uint64(words[k + np.uint64(1), 1])
        grams[k, 1] = np.int64(key)
        place: Int = key & last
        sieve[place] = sieve[place] << 1 | 1  # more than 1 where it was seen before
    kept = np.uint64(0)
    for k in range(np.uint64(n - 1)):
        key = np.uint64(grams[k, 1])
        grams[kept, 0], grams[kept, 1] = np.int64(k), np.int64(key)
        kept += np.uint64(sieve[key & last] > 1)
    return np.int64(kept)


@inner(_nrt=False)
def _longer(grams, size):  # type: ignore[no-untyped-def]
    """Join grams that begin at words side by side; return how many there are."""
    longer = 0
    for k in range(size - 1):
        if grams[k + 1, 0] == grams[k, 0] + 1:
            grams[longer, 1] = grams[k, 1] << 32 | grams[k + 1, 1]
            grams[longer, 0] = grams[k, 0]
            longer += 1
    return longer


@inner(_nrt=False)
def _repeated(grams, size, table):  # type: ignore[no-untyped-def]
    """Keep the grams that occur more than once, numbered in place of their keys; return how many
    are left. The table holds key and count in the slot of a gram's number."""
    bits = table_bits(size)
    last = np.int64((1 << bits) - 1)
    for k in range(last + 1):
        table[k, 1] = 0
    shift = np.uint64(64 - bits)
    for k in range(size):
        key = grams[k, 1]
        slot: Any = np.int64((np.uint64(key) * _SCATTER) >> shift)
        while table[slot, 1] and table[slot, 0] != key:
            slot = (slot + 1) & last
        table[slot, 0] = key
        table[slot, 1] += 1
        grams[k, 1] = slot
    kept = 0
    for k in range(size):
        if table[grams[k, 1], 1] > 1:
            grams[kept, 0], grams[kept, 1] = grams[k, 0], grams[k, 1]
            kept += 1
    return kept


@inner(_nrt=False)
def _chars(words, first, width):  # type: ignore[no-untyped-def]
    chars = 0
    for k in range(first, first + width):
        chars += words[k, 2] >> 8
    return chars


@inner(_nrt=False)
def _top_chars(words, n, width, grams, size, table):  # type: ignore[no-untyped-def]
    if n < width:
        return 0
    most, first = 1, 0
    for k in range(size):
        if table[grams[k, 1], 1] > most:
            most, first = table[grams[k, 1], 1], grams[k, 0]
    return most * (_chars(words, first, width) + width - 1)


@inner(_nrt=False)
def _duplicate_chars(words, width, grams, size, table):  # type: ignore[no-untyped-def]
    """Marks the grams seen by the sign of their count."""
    chars = following = 0
    for k in range(size):
        if grams[k, 0] < following:
            continue
        slot = grams[k, 1]
        if table[slot, 1] < 0:
            chars += _chars(words, grams[k, 0], width)
            following = grams[k, 0] + width
        else:
            table[slot, 1] = -table[slot, 1]
    return chars


@inner(_nrt=False)
def line_counts(
    data: Bytes,
    a: int,
    b: int,
    newlines: int,
    kinds: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> None:
    """Count lines and paragraphs of data[a:b], which has so many line feeds, into out int64[10].

    table int64[2 ** table_bits(newlines + 2), 2] is scratch.
    """
    out[:] = 0
    bits = table_bits(newlines + 2)
    _clear(table, bits)
    i = a
    while i < b:
        end = find_newline(data, i, b)
        if end > i:
            _count_line(data, i, end, kinds, table, bits, out)
        i = end + 1
    # A line feed at an end of the text leaves an empty line there.
    empty = (b > a and data[a] == _NEWLINE) + (b > a and data[b - 1] == _NEWLINE)
    out[LINES] += empty + (a == b)
    out[DUPLICATE_LINES] += empty == 2
    _clear(table, bits)
    i, end = stripped(data, a, b, kinds)
    while True:
        stop = find_newline(data, i, end)
        while stop + 1 < end and data[stop + 1] != _NEWLINE:
            stop = find_newline(data, stop + 1, end)
        out[PARAGRAPHS] += 1
        if _seen(table, bits, hash_bytes(data, i, stop)):
            out[DUPLICATE_PARAGRAPHS] += 1
            out[DUPLICATE_PARAGRAPH_CHARS] += code_points(data, i, stop)
        while stop < end and data[stop] == _NEWLINE:
            stop += 1
        if stop >= end:
            break
        i = stop


@inner(_nrt=False)
def _count_line(data, i, end, kinds, table, bits, out):  # type: ignore[no-untyped-def]
    """Count data[i:end], a line that is not empty."""
    chars = code_points(data, i, end)
    duplicate = _seen(table, bits, hash_bytes(data, i, end))
    out[LINES] += 1
    out[DUPLICATE_LINES] += duplicate
    out[DUPLICATE_LINE_CHARS] += duplicate * chars
    visible = i
    while visible < end:
        c, following = next_point(data, visible, end)
        if kind_of(c, kinds) & SPACE == 0:
            break
        visible = following
    if visible == end:
        return
    out[FULL_LINES] += 1
    out[FULL_DUPLICATE_CHARS] += duplicate * chars
    out[SHORT_LINES] += chars <= SHORT_LINE
    last, _ = point_before(data, i, end, end)
    out[ENDED_LINES] += (kind_of(last, kinds) & TERMINAL) != 0


@inner(_nrt=False)
def _clear(table, bits):  # type: ignore[no-untyped-def]
    for slot in range(1 << bits):
        table[slot, 1] = 0


@inner(_nrt=False)
def _seen(table, bits, h):  # type: ignore[no-untyped-def]
    """Was the hash in the table? It is then."""
    last = np.uint64((1 << bits) - 1)
    slot = h >> np.uint64(64 - bits)
    while table[slot, 1]:
        if np.uint64(table[slot, 0]) == h:
            return True
        slot = (slot + np.uint64(1)) & last
    table[slot, 0], table[slot, 1] = np.int64(h), 1
    return False
