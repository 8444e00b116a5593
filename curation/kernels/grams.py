"""Benchmark overlap of GPT-3's appendix C: which runs of 13 words a text shares with any benchmark example.

A gram is so many words in a row (`curation.kernels.words`) within one field of one example. The table numbers
the distinct grams; the scan finds them by rolling hash, about 100 MB/s a core, and compares the words
themselves before it reports one, so a hash never makes a hit. Memory: the fields' words once, and about 60
bytes a distinct gram. Trap: offsets are code points of the text as it was given, never of the lower-cased or
stripped one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from curation.kernels.buffers import Bytes, Int, Offsets, readonly, text_arrays, text_buffers
from curation.kernels.unicode import BREAK, DELTA_SHIFT, cell_of, decode, encode, unicode_table
from curation.kernels.words import BLOCK_WORDS, next_words, window_hashes, words

__all__ = ["GramTable", "Hits", "build_table", "merge_cuts", "pieces", "scan", "words"]

Int64s = npt.NDArray[np.int64]
MAX_EXAMPLES = 10  # evidence names the first ten examples of a gram
_SEPARATOR = 32


class Hits(NamedTuple):
    """One entry an occurrence, by document and start: all int64[hits].

    document counts from 0 in the batch; start and end are code points of its text, half-open; gram is a
    number of the table.
    """

    document: Int64s
    start: Int64s
    end: Int64s
    gram: Int64s


@dataclass(frozen=True)
class GramTable:
    """The distinct grams of the benchmarks, by number of first appearance; plain arrays, so it pickles."""

    gram_words: int
    pool: Bytes  # the fields' words in lower case, one space between
    starts: Int64s  # [grams] of the gram's words in pool, bytes
    ends: Int64s
    hashes: npt.NDArray[np.uint64]  # [grams]
    slots: npt.NDArray[np.int32]  # open addressing: gram number or -1; a power of two long
    filter: npt.NDArray[
        np.uint64
    ]  # one bit for each hash, to stay out of slots; a power of two long
    example_indptr: Int64s  # [grams + 1]
    examples: Int64s  # the first ten distinct examples of each gram, ascending

    def __len__(self) -> int:
        return len(self.starts)

    def gram_text(self, gram: int) -> str:
        """Return the words of a gram, one space between."""
        return self.pool[self.starts[gram] : self.ends[gram]].tobytes().decode()

    def examples_of(self, gram: int) -> list[int]:
        """Return the numbers of the first ten examples that hold the gram, ascending."""
        found: list[int] = self.examples[
            self.example_indptr[gram] : self.example_indptr[gram + 1]
        ].tolist()
        return found


def build_table(
    texts: Sequence[str], example_of_field: npt.ArrayLike, gram_words: int = 13
) -> GramTable:
    """Return the table of the grams in `texts`, fields of examples; field i belongs to example_of_field[i].

    Raises ValueError unless there is one example number for each field and gram_words is 1 or more.

    >>> table = build_table(["A b, c d!", "b c d e"], [7, 9], gram_words=3)
    >>> [(table.gram_text(g), table.examples_of(g)) for g in range(len(table))]
    [('a b c', [7]), ('b c d', [7, 9]), ('c d e', [9])]
    """
    owners = np.asarray(example_of_field, np.int64)
    if len(owners) != len(texts) or gram_words < 1:
        raise ValueError(
            f"expected one example for each of {len(texts)} fields and grams of a word or more, "
            f"got {len(owners)} and {gram_words}"
        )
    offsets, data = text_buffers(pa.array(texts, pa.large_string()))
    pool, fields, sizes = normalised(offsets, data, *unicode_table())
    occurrences = int(np.maximum(sizes - gram_words + 1, 0).sum())
    slots = empty_slots(occurrences)
    widths = readonly(np.full(len(texts), gram_words, np.int64))
    made = number_grams(
        readonly(fields), readonly(pool), *unicode_table(), widths, occurrences, slots
    )
    grams, field_of, starts, ends, hashes = made
    bits = hash_filter(hashes)
    indptr, examples = _first_examples(grams, owners[field_of], len(starts))
    arrays = (readonly(x) for x in (pool, starts, ends, hashes, slots, bits, indptr, examples))
    return GramTable(gram_words, *arrays)


def scan(offsets: Offsets, data: Bytes, table: GramTable) -> Hits:
    """Return every occurrence of a table's gram in the texts of `text_buffers`, verified word by word.

    >>> table = build_table(["to be or not"], [0], gram_words=3)
    >>> hits = scan(*text_buffers(pa.array(["“To be”—or not?"])), table)
    >>> [(int(s), int(e), table.gram_text(g)) for _, s, e, g in zip(*hits)]
    [(1, 10, 'to be or'), (4, 14, 'be or not')]
    """
    offsets, data = text_arrays(offsets, data)
    kinds = (np.uint8, np.int64, np.int64, np.uint64, np.int32, np.uint64)
    parts = (table.pool, table.starts, table.ends, table.hashes, table.slots, table.filter)
    arrays = [
        readonly(np.ascontiguousarray(part, kind)) for part, kind in zip(parts, kinds, strict=True)
    ]
    found = _scan(
        offsets, data, *unicode_table(), table.gram_words, *arrays, filter_shift(table.filter)
    )
    return Hits(*(found[:, column].copy() for column in range(4)))


def merge_cuts(starts: Int64s, ends: Int64s, chars: int, margin: int) -> tuple[Int64s, Int64s]:
    """Return (starts, ends) of what to cut from a text of `chars` code points: hits and `margin` around them.

    Clipped to the text; overlapping and touching ones merged; ascending. Appendix C.1, margin 200.

    >>> [part.tolist() for part in merge_cuts(np.array([50, 5, 20]), np.array([60, 8, 30]), 65, 10)]
    [[0], [65]]
    >>> [part.tolist() for part in merge_cuts(np.array([50, 5]), np.array([60, 8]), 100, 10)]
    [[0, 40], [18, 70]]
    """
    order = np.argsort(starts, kind="stable")
    starts = np.maximum(np.asarray(starts, np.int64)[order] - margin, 0)
    ends = np.minimum(np.asarray(ends, np.int64)[order] + margin, chars)
    reach = np.maximum.accumulate(ends)
    new = np.ones(len(starts), bool)
    new[1:] = starts[1:] > reach[:-1]
    last = np.ones(len(starts), bool)
    last[:-1] = new[1:]
    return starts[new], reach[last]


def pieces(cut_starts: Int64s, cut_ends: Int64s, chars: int) -> tuple[Int64s, Int64s]:
    """Return (starts, ends) of the non-empty pieces that the cuts leave of a text of `chars` code points.

    >>> [part.tolist() for part in pieces(np.array([0, 40]), np.array([18, 70]), 100)]
    [[18, 70], [40, 100]]
    """
    starts = np.concatenate([[0], np.asarray(cut_ends, np.int64)]).astype(np.int64)
    ends = np.concatenate([np.asarray(cut_starts, np.int64), [chars]]).astype(np.int64)
    return starts[starts < ends], ends[starts < ends]


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()


def empty_slots(occurrences: int) -> npt.NDArray[np.int32]:
    """Return open addressing for so many grams at most."""
    return np.full(_power_of_two(2 * occurrences), -1, np.int32)


def hash_filter(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return one bit for each hash; a power of two long."""
    bits = np.zeros(_power_of_two(len(hashes) // 4), np.uint64)
    position = hashes >> filter_shift(bits)
    np.bitwise_or.at(bits, position >> np.uint64(6), np.uint64(1) << (position & np.uint64(63)))
    return bits


def filter_shift(bits: npt.NDArray[np.uint64]) -> np.uint64:
    """How far right a hash goes to become the number of a bit: the slots use its other end."""
    return np.uint64(64 - (64 * len(bits) - 1).bit_length())


def _first_examples(grams: Int64s, owners: Int64s, n: int) -> tuple[Int64s, Int64s]:
    """Return (indptr int64[n+1], examples): the first MAX_EXAMPLES distinct owners of each gram."""
    order = np.lexsort((owners, grams))
    grams, owners = grams[order], owners[order]
    new = np.ones(len(grams), bool)
    new[1:] = (grams[1:] != grams[:-1]) | (owners[1:] != owners[:-1])
    grams, owners = grams[new], owners[new]
    first = np.searchsorted(grams, np.arange(n))
    kept = np.arange(len(grams)) - first[grams] < MAX_EXAMPLES
    indptr = np.concatenate([[0], np.cumsum(np.bincount(grams[kept], minlength=n))])
    return indptr.astype(np.int64), owners[kept]


@njit(cache=True, nogil=True)
def normalised(offsets, data, pages, cells):  # type: ignore[no-untyped-def]
    """Return (pool, offsets of each field in it, words of each field)."""
    length = offsets[-1] - offsets[0]
    pool = np.empty(length + length // 2 + len(offsets) + 8, np.uint8)
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
            if not inside:
                if n > fields[f]:
                    pool[n] = _SEPARATOR
                    n += 1
                sizes[f] += 1
                inside = True
            n = encode(c + (cell >> DELTA_SHIFT), pool, n)
        fields[f + 1] = n
    return pool[:n].copy(), fields, sizes


@njit(cache=True, nogil=True)
def number_grams(fields, pool, pages, cells, widths, occurrences, slots):  # type: ignore[no-untyped-def]
    """Return (gram and field of each occurrence, start, end and hash of each distinct gram); fills slots.

    Field f has grams of widths[f] words.
    """
    most = np.int64(1)
    for f in range(len(widths)):
        most = max(most, widths[f])
    block = BLOCK_WORDS + most
    word_starts = np.empty(block, np.int64)
    word_ends = np.empty(block, np.int64)
    hashes = np.empty(block, np.uint64)
    windows = np.empty(block, np.uint64)
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
        held = 0
        while True:
            i, n = next_words(
                pool, i, fields[f + 1], pages, cells, word_starts, word_ends, hashes, held
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
            if n < block:
                break
            held = width - 1
            carry(word_starts, word_ends, hashes, n, held)
    return (
        gram_of[:seen],
        field_of[:seen],
        starts[:grams].copy(),
        ends[:grams].copy(),
        keys[:grams].copy(),
    )


@njit(cache=True, nogil=True)
def _equal(pool: Bytes, start: int, end: int, other_start: int, other_end: int) -> bool:
    same = end - start == other_end - other_start
    k = 0
    while same and k < end - start:
        same = pool[start + k] == pool[other_start + k]
        k += 1
    return same


@njit(cache=True, nogil=True)
def carry(starts, ends, hashes, n, held):  # type: ignore[no-untyped-def]
    """Move the last `held` of n words to the front: a gram may span two blocks."""
    for k in range(held):
        starts[k], ends[k], hashes[k] = (
            starts[n - held + k],
            ends[n - held + k],
            hashes[n - held + k],
        )


@njit(cache=True, nogil=True)
def same_words(data, i, end, pages, cells, pool, j, pool_end):  # type: ignore[no-untyped-def]
    """Are the words of data[i:end] in lower case those of pool[j:pool_end]? Both begin and end with one."""
    inside = True
    while i < end:
        c = np.int64(data[i])
        if c < 0x80:  # a call of decode for each letter would cost more than the rest
            cell = np.int64(cells[c])
            i += 1
        else:
            c, i = decode(data, i, end)
            cell = cell_of(c, pages, cells)
        expected = np.int64(_SEPARATOR)
        if cell & BREAK:
            if not inside:
                continue
            inside = False
        else:
            inside = True
            expected = c + (cell >> DELTA_SHIFT)
        if j >= pool_end:
            return False
        found = np.int64(pool[j])
        j += 1
        if found >= 0x80:
            found, j = decode(pool, j - 1, pool_end)
        if found != expected:
            return False
    return j == pool_end


@njit(cache=True, nogil=True)
def _code_points(data: Bytes, start: Int, end: Int) -> Int:
    """Return how many code points start in data[start:end]: all bytes but continuation bytes."""
    n = 0
    for i in range(start, end):
        n += (data[i] & 0xC0) != 0x80
    return n


@njit(cache=True, nogil=True)
def _scan(offsets, data, pages, cells, width, pool, starts, ends, keys, slots, bits, shift):  # type: ignore[no-untyped-def]
    """Return int64[hits, 4]: document, start, end, gram."""
    block = BLOCK_WORDS + width
    word_starts = np.empty(block, np.int64)
    word_ends = np.empty(block, np.int64)
    hashes = np.empty(block, np.uint64)
    windows = np.empty(block, np.uint64)
    maybe = np.empty(block, np.int64)
    found = np.empty((64, 4), np.int64)
    size = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        held = 0
        at_byte, at_point = i, 0
        while True:
            i, n = next_words(data, i, end, pages, cells, word_starts, word_ends, hashes, held)
            made = window_hashes(hashes, n, width, windows)
            candidates: Int = 0
            for k in range(made):  # no dependence from word to word: the cache misses overlap
                position = windows[k] >> shift
                maybe[candidates] = k
                candidates += np.int64(
                    bits[position >> np.uint64(6)] >> (position & np.uint64(63)) & np.uint64(1)
                )
            for m in range(candidates):
                k = maybe[m]
                start, stop = word_starts[k], word_ends[k + width - 1]
                gram = _lookup(
                    data, start, stop, pages, cells, windows[k], pool, starts, ends, keys, slots
                )
                if gram < 0:
                    continue
                if size == len(found):
                    longer = np.empty((2 * size, 4), np.int64)
                    longer[:size] = found
                    found = longer
                at_point += _code_points(data, at_byte, start)
                at_byte = start
                found[size, 0], found[size, 1] = d, at_point
                found[size, 2], found[size, 3] = at_point + _code_points(data, start, stop), gram
                size += 1
            if n < block:
                break
            held = width - 1
            carry(word_starts, word_ends, hashes, n, held)
    return found[:size].copy()


@njit(cache=True, nogil=True)
def _lookup(data, start, stop, pages, cells, key, pool, starts, ends, keys, slots):  # type: ignore[no-untyped-def]
    """Return the number of the gram that data[start:stop] is, or -1."""
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
