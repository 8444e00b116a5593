"""The counts behind the signals of `quality.py`: one pass over a column of texts, a row for each.

The words of a text are split and hashed once, for all groups. Scratch arrays grow with the longest
text and are used again for every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.blocks8 import code_points, count_newlines, hash_bytes
from curation.kernels.buffers import Bytes, Offsets, readonly
from curation.kernels.c4_lines import BITS, COLUMNS, CURLY, LOREM, TO, scan_lines
from curation.kernels.c4_spans import count_sentences, flags_of, write_spans
from curation.kernels.english import HAS_LETTER, IS_SYMBOL, Rules, room_for_words, split_words
from curation.kernels.growing import with_room
from curation.kernels.repetition import gram_chars, line_counts, sieve_bits, table_bits

ALL_WORDS, WORDS, WORD_CHARS, ALPHA_WORDS, STOP_WORDS, HASHES, ELLIPSES, CHARS, NEWLINES = range(9)
LINES = 9  # three: lines, those with a bullet, those with an ellipsis
GRAMS = 12  # nine, of 2 to 10 words
LINE_COUNTS = 21  # ten, see `repetition.line_counts`
FLAGS = 31  # four: lorem ipsum and curly bracket; the two again for any ending
SENTENCES = 35  # two
WIDTH = 37
_GOPHER, _REPETITION, _C4, _C4_ANY, _FINEWEB = range(5)
_DOT, _HASH = ord("."), ord("#")
_BLOCK = 64  # bytes that are searched for marks at once


class StopWords(NamedTuple):
    """Hashes of stop words, int64[64], 0 where free: each in the slot that six of its bits name,
    those from `shift` on."""

    slots: npt.NDArray[np.int64]
    shift: int


def stop_words(words: Sequence[str]) -> StopWords:
    """Return the table of up to 64 words, few enough that some six bits tell them apart."""
    data = [readonly(np.frombuffer(word.encode(), np.uint8)) for word in words]
    hashes = np.array([hash_bytes(each, 0, len(each)) for each in data], np.uint64)
    for shift in range(59):
        slots = (hashes >> np.uint64(shift) & np.uint64(63)).astype(np.int64)
        if len({*slots.tolist()}) == len(words):
            table = np.zeros(64, np.int64)
            table[slots] = hashes.view(np.int64)
            return StopWords(readonly(table), shift)
    raise ValueError(f"expected words that six bits of their hashes tell apart, got {words}")


class Scratch(NamedTuple):
    """Words of a text and of an edited line, repeated grams, hash table, sieve of grams, lines,
    citations, the edited line."""

    words: npt.NDArray[np.int64]
    edited_words: npt.NDArray[np.int64]
    grams: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    sieve: npt.NDArray[np.uint8]
    lines: npt.NDArray[np.int64]
    citations: npt.NDArray[np.int64]
    edited: npt.NDArray[np.uint8]
    state: npt.NDArray[np.int64]


@kernel
def count_texts(
    offsets: Offsets,
    data: Bytes,
    wanted: npt.NDArray[np.bool_],
    rules: Rules,
    stops: StopWords,
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]
]:
    """Return counts int64[n, WIDTH]; where the spans of each text end, int64[n + 1, 2], for C4 and
    for any ending; and the spans of both: int64, start and end by turns.

    wanted bool[5]: the groups, as `quality.GROUPS` has them.
    """
    n = len(offsets) - 1
    counts = np.zeros((n, WIDTH), np.int64)
    span_ends = np.zeros((n + 1, 2), np.int64)
    spans, any_spans = np.empty(64, np.int64), np.empty(64, np.int64)
    scratch = _scratch()
    for d in range(n):
        a, b = offsets[d], offsets[d + 1]
        out = counts[d]
        scratch = _with_room(scratch, data, a, b)
        words = split_words(data, a, b, rules.kinds, rules.table, rules.maybe, scratch.words)
        out[ALL_WORDS], out[CHARS] = words, code_points(data, a, b)
        out[NEWLINES] = count_newlines(data, a, b)
        scratch = _with_table(scratch, words, out[NEWLINES])
        kept, cited = _count_text(data, a, b, wanted, rules, stops, scratch, out)
        size, any_size = span_ends[d, 0], span_ends[d, 1]
        if wanted[_C4]:
            spans = with_room(spans, size, 2 * (kept + cited + 2))
            size = _spans(data, a, kept, False, rules.kinds, scratch, out, spans, size)
        if wanted[_C4_ANY]:
            any_spans = with_room(any_spans, any_size, 2 * (kept + cited + 2))
            any_size = _spans(data, a, kept, True, rules.kinds, scratch, out, any_spans, any_size)
        span_ends[d + 1, 0], span_ends[d + 1, 1] = size, any_size
    return counts, span_ends, spans[: span_ends[n, 0]].copy(), any_spans[: span_ends[n, 1]].copy()


@inner
def _scratch():  # type: ignore[no-untyped-def]
    return Scratch(
        room_for_words(1),
        room_for_words(1),
        np.empty((1, 2), np.int64),
        np.empty((1, 2), np.int64),
        np.empty(1, np.uint8),
        np.empty((1, COLUMNS), np.int64),
        np.empty((1, 4), np.int64),
        np.empty(1, np.uint8),
        np.empty(4, np.int64),
    )


@inner
def _rows(array, rows):  # type: ignore[no-untyped-def]
    """The array, or one of twice the rows that are needed; its content is lost then."""
    if len(array) >= rows:
        return array
    return np.empty((2 * rows, array.shape[1]), np.int64)


@inner
def _with_room(scratch, data, a, b):  # type: ignore[no-untyped-def]
    """Scratch large enough for the words and lines of data[a:b]. Of the room for words only what
    words need is touched, so memory that stays unused costs nothing."""
    size = b - a + 1
    ends, brackets = _most_lines(data, a, b)
    edited, edited_words = scratch.edited, scratch.edited_words
    if brackets and len(edited) < size:
        edited = np.empty(2 * size, np.uint8)
        edited_words = _rows(edited_words, 2 * size)
    words = _rows(scratch.words, size)
    lines = _rows(scratch.lines, ends + 2)
    citations = _rows(scratch.citations, brackets + 1)
    return Scratch(
        words,
        edited_words,
        scratch.grams,
        scratch.table,
        scratch.sieve,
        lines,
        citations,
        edited,
        scratch.state,
    )


@inner
def _with_table(scratch, words, newlines):  # type: ignore[no-untyped-def]
    """Scratch large enough for the grams of so many words and so many lines."""
    rows, slots = 1 << table_bits(max(words, newlines) + 2), 1 << sieve_bits(words)
    if len(scratch.grams) > words and len(scratch.table) >= rows and len(scratch.sieve) >= slots:
        return scratch
    grams = _rows(scratch.grams, words + 1)
    table = scratch.table if len(scratch.table) >= rows else np.empty((rows, 2), np.int64)
    sieve = scratch.sieve if len(scratch.sieve) >= slots else np.empty(slots, np.uint8)
    return Scratch(
        scratch.words,
        scratch.edited_words,
        grams,
        table,
        sieve,
        scratch.lines,
        scratch.citations,
        scratch.edited,
        scratch.state,
    )


@inner(_nrt=False)
def _most_lines(data, a, b):  # type: ignore[no-untyped-def]
    """(at most so many lines end in data[a:b], "[" in it)."""
    ends = brackets = 0
    for i in range(np.uint64(a), np.uint64(b)):
        c = data[i]
        ends += (c < 0x20) | (c == 0xC2) | (c == 0xE2)
        brackets += c == 0x5B
    return ends, brackets


@inner
def _count_text(data, a, b, wanted, rules, stops, scratch, out):  # type: ignore[no-untyped-def]
    """Count data[a:b], whose words are split; return (lines that are not blank, citations)."""
    kinds, words = rules.kinds, scratch.words
    kept = cited = 0
    c4 = wanted[_C4] or wanted[_C4_ANY]
    if wanted[_GOPHER]:
        _count_words(words, out[ALL_WORDS], stops, out)
        out[HASHES], out[ELLIPSES] = _count_marks(data, a, b)
    if wanted[_GOPHER] or c4:
        counted = out[LINES : LINES + 3]
        kept = scan_lines(
            data, a, b, kinds, c4, scratch.lines, scratch.citations, scratch.edited, counted
        )
        cited = scratch.lines[kept - 1, TO] if kept else 0
    if wanted[_REPETITION]:
        counted = out[GRAMS : GRAMS + 9]
        gram_chars(words, out[ALL_WORDS], scratch.grams, scratch.table, scratch.sieve, counted)
    if wanted[_REPETITION] or wanted[_FINEWEB]:
        counted = out[LINE_COUNTS : LINE_COUNTS + 10]
        line_counts(data, a, b, out[NEWLINES], kinds, scratch.table, counted)
    if c4:
        count_sentences(
            data,
            a,
            scratch.lines,
            kept,
            scratch.citations,
            words,
            out[ALL_WORDS],
            kinds,
            rules.table,
            rules.maybe,
            scratch.edited,
            scratch.edited_words,
            out[SENTENCES : SENTENCES + 2],
        )
    return kept, cited


@inner(_nrt=False)
def _count_words(words, n, stops, out):  # type: ignore[no-untyped-def]
    """No branch depends on the words."""
    symbols = chars = alpha = 0
    seen = np.uint64(0)
    shift = np.uint64(stops.shift)
    for k in range(np.uint64(n)):
        bits, h = words[k, 2], words[k, 1]
        is_symbol = bits & IS_SYMBOL
        symbols += is_symbol
        chars += (bits >> 8) * (1 - is_symbol)
        alpha += (bits & HAS_LETTER) // HAS_LETTER
        slot = np.uint64(h) >> shift & np.uint64(63)
        seen |= np.uint64(stops.slots[slot] == h) << slot
    out[WORDS], out[WORD_CHARS], out[ALPHA_WORDS] = n - symbols, chars, alpha
    while seen:
        out[STOP_WORDS] += 1
        seen &= seen - np.uint64(1)


@inner(_nrt=False)
def _count_marks(data, a, b):  # type: ignore[no-untyped-def]
    """("#", "..." and "…") in data[a:b]."""
    hashes = ellipses = 0
    i = a
    while i < b:
        if i + _BLOCK <= b and i + _BLOCK + 2 <= len(data) and not _may_hold_marks(data, i):
            i += _BLOCK
            continue
        stop = min(i + _BLOCK, b)
        while i < stop:
            i, hash_, ellipsis = _mark(data, i, b)
            hashes += hash_
            ellipses += ellipsis
    return hashes, ellipses


@inner(_nrt=False)
def _may_hold_marks(data, i):  # type: ignore[no-untyped-def]
    """Does one of the marks begin in the block at data[i:]? Compiled to few instructions."""
    found = False
    for k in range(np.uint64(_BLOCK)):
        at = np.uint64(i) + k
        x, y, z = data[at], data[at + np.uint64(1)], data[at + np.uint64(2)]
        found |= (
            (x == _HASH)
            | ((x == _DOT) & (y == _DOT) & (z == _DOT))
            | ((x == 0xE2) & (y == 0x80) & (z == 0xA6))
        )
    return found


@inner(_nrt=False)
def _mark(data, i, b):  # type: ignore[no-untyped-def]
    """(where to go on, is "#" at data[i], how many ellipses begin there)."""
    c = data[np.uint64(i)]
    if c == _DOT:
        first = i
        while i < b and data[i] == _DOT:
            i += 1
        return i, 0, (i - first) // 3
    is_ellipsis = c == 0xE2 and i + 2 < b and data[i + 1] == 0x80 and data[i + 2] == 0xA6
    return i + 1, int(c == _HASH), int(is_ellipsis)


@inner
def _spans(data, a, kept, any_ending, kinds, scratch, out, spans, size):  # type: ignore[no-untyped-def]
    """Write the spans of one variant, and the flags into the text's counts; return the new size."""
    at = FLAGS + 2 * any_ending
    for k in range(kept):
        flags = flags_of(scratch.lines[k, BITS], any_ending)
        out[at] |= (flags & LOREM) != 0
        out[at + 1] |= (flags & CURLY) != 0
    return write_spans(
        data,
        a,
        scratch.lines,
        kept,
        scratch.citations,
        out[CHARS],
        any_ending,
        kinds,
        scratch.state,
        spans,
        size,
    )
