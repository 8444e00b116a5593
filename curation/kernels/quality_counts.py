"""The counts behind the signals of `quality.py`: one pass over a column of texts, a row for each.

The words of a text are split and hashed once, for all groups. Scratch arrays grow with the longest
text and are used again for every other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.kernels.blocks8 import code_points, count_newlines
from curation.kernels.buffers import Bytes, Offsets, readonly
from curation.kernels.c4_lines import BITS, COLUMNS, CURLY, LOREM, TO, scan_lines
from curation.kernels.c4_spans import count_sentences, flags_of, write_spans
from curation.kernels.english import HAS_LETTER, IS_SYMBOL, Rules, room_for_words, split_words
from curation.kernels.growing import with_room
from curation.kernels.repetition import gram_chars, line_counts, table_bits

ALL_WORDS, WORDS, WORD_CHARS, ALPHA_WORDS, STOP_WORDS, HASHES, ELLIPSES, CHARS, NEWLINES = range(9)
LINES = 9  # three: lines, those with a bullet, those with an ellipsis
GRAMS = 12  # nine, of 2 to 10 words
LINE_COUNTS = 21  # ten, see `repetition.line_counts`
FLAGS = 31  # four: lorem ipsum and curly bracket; the two again for any ending
SENTENCES = 35  # two
WIDTH = 37
_GOPHER, _REPETITION, _C4, _C4_ANY, _FINEWEB = range(5)
_STOP_CHARS = 4  # of the longest stop word
_DOT, _HASH = ord("."), ord("#")


def _mark_bytes() -> npt.NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[[_DOT, _HASH, 0xE2]] = True
    return readonly(table)


_MARKS = _mark_bytes()


class Scratch(NamedTuple):
    """Words of a text and of an edited line, repeated grams, hash table, lines, citations, the
    edited line."""

    words: npt.NDArray[np.int64]
    edited_words: npt.NDArray[np.int64]
    grams: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    citations: npt.NDArray[np.int64]
    edited: npt.NDArray[np.uint8]
    state: npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def count_texts(
    offsets: Offsets,
    data: Bytes,
    wanted: npt.NDArray[np.bool_],
    rules: Rules,
    stops: npt.NDArray[np.int64],
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]
]:
    """Return counts int64[n, WIDTH]; where the spans of each text end, int64[n + 1, 2], for C4 and
    for any ending; and the spans of both: int64, start and end by turns.

    wanted bool[5]: the groups, as `quality.GROUPS` has them; stops: the hashes of stop words.
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


@njit(cache=True, nogil=True)
def _scratch():  # type: ignore[no-untyped-def]
    return Scratch(
        room_for_words(1),
        room_for_words(1),
        np.empty((1, 2), np.int64),
        np.empty((1, 2), np.int64),
        np.empty((1, COLUMNS), np.int64),
        np.empty((1, 4), np.int64),
        np.empty(1, np.uint8),
        np.empty(4, np.int64),
    )


@njit(cache=True, nogil=True)
def _rows(array, rows):  # type: ignore[no-untyped-def]
    """The array, or one of twice the rows that are needed; its content is lost then."""
    if len(array) >= rows:
        return array
    return np.empty((2 * rows, array.shape[1]), np.int64)


@njit(cache=True, nogil=True)
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
        words, edited_words, scratch.grams, scratch.table, lines, citations, edited, scratch.state
    )


@njit(cache=True, nogil=True)
def _with_table(scratch, words, newlines):  # type: ignore[no-untyped-def]
    """Scratch large enough for the grams of so many words and so many lines."""
    rows = 1 << table_bits(max(words, newlines) + 2)
    if len(scratch.grams) > words and len(scratch.table) >= rows:
        return scratch
    grams = _rows(scratch.grams, words + 1)
    table = scratch.table if len(scratch.table) >= rows else np.empty((rows, 2), np.int64)
    return Scratch(
        scratch.words,
        scratch.edited_words,
        grams,
        table,
        scratch.lines,
        scratch.citations,
        scratch.edited,
        scratch.state,
    )


@njit(cache=True, nogil=True, _nrt=False)
def _most_lines(data, a, b):  # type: ignore[no-untyped-def]
    """(at most so many lines end in data[a:b], "[" in it)."""
    ends = brackets = 0
    for i in range(np.uint64(a), np.uint64(b)):
        c = data[i]
        ends += (c < 0x20) | (c == 0xC2) | (c == 0xE2)
        brackets += c == 0x5B
    return ends, brackets


@njit(cache=True, nogil=True)
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
        gram_chars(words, out[ALL_WORDS], scratch.grams, scratch.table, out[GRAMS : GRAMS + 9])
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


@njit(cache=True, nogil=True, _nrt=False)
def _count_words(words, n, stops, out):  # type: ignore[no-untyped-def]
    seen = 0
    for k in range(n):
        bits = words[k, 2]
        if not bits & IS_SYMBOL:
            out[WORDS] += 1
            out[WORD_CHARS] += bits >> 8
        if bits & HAS_LETTER:
            out[ALPHA_WORDS] += 1
            if bits >> 8 <= _STOP_CHARS:
                for stop in range(len(stops)):
                    if stops[stop] == words[k, 1]:
                        seen |= 1 << stop
    while seen:
        out[STOP_WORDS] += seen & 1
        seen >>= 1


@njit(cache=True, nogil=True, _nrt=False)
def _count_marks(data, a, b):  # type: ignore[no-untyped-def]
    """("#", "..." and "…") in data[a:b]."""
    hashes = ellipses = 0
    i = a
    while i < b:
        c = data[np.uint64(i)]
        i += 1
        if not _MARKS[c]:
            continue
        if c == _HASH:
            hashes += 1
        elif c == _DOT:
            first = i - 1
            while i < b and data[i] == _DOT:
                i += 1
            ellipses += (i - first) // 3
        elif i + 1 < b and data[i] == 0x80 and data[i + 1] == 0xA6:
            ellipses += 1
    return hashes, ellipses


@njit(cache=True, nogil=True)
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
