"""Measured signals of a text: how much prose it holds, and the counts behind Gopher's rules.

One pass over the bytes counts whole numbers; the signals are float64 made from them, so they are
the same on every machine, in every batch and order.

| signal | definition | source |
|---|---|---|
| log_chars | ln(1 + code points) | |
| log_prose_chars | ln(1 + code points of prose lines) | C4 (Raffel et al. 2020) keeps such lines |
| log_commas | ln(1 + commas) | Readability (Arc90) counts commas to find prose |
| letters | letters and marks among the code points that are not white space | |
| words | words: runs without white space | Gopher (Rae et al. 2021), table A1; so all below |
| mean_word_length | code points a word | |
| symbol_word_ratio | "#" and ellipses ("..." or "…") a word | |
| bullet_lines | lines that begin with a bullet, among lines | |
| ellipsis_lines | lines that end in an ellipsis, among lines | |
| alpha_words | words with a letter or mark, among words | |
| stop_words | how many of the, be, to, of, and, that, have, with occur | |

A line ends at a line feed; white space around it does not count, and an empty one is none. A prose
line is at least 30 code points long and ends in a full stop, question or exclamation mark, quotes
and brackets behind it aside, and not in an ellipsis. C4 asks for five words; a length suits scripts
without spaces too. "Letters and marks" are what breaks no word (`words.py`), ASCII digits aside. A
ratio of nothing is 0. Stop words are compared as they are written, as datatrove does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.kernels.buffers import Bytes, Offsets, readonly, text_arrays
from curation.kernels.elementary import log_of
from curation.kernels.unicode import BREAK, cell_of, decode, unicode_table

PROSE_LINE_CHARS = 30
# What the pass counts, one column each.
(
    _CHARS,
    _VISIBLE,
    _LETTERS,
    _COMMAS,
    _WORDS,
    _ALPHA_WORDS,
    _STOP_WORDS,
    _SYMBOLS,
    _LINES,
    _BULLETS,
    _ELLIPSES,
    _PROSE,
) = range(12)
_SPACE, _COMMA, _END, _CLOSER, _BULLET, _LETTER, _SYMBOL = 1, 2, 4, 8, 16, 32, 64
_KINDS = {
    _SPACE: "\t\n\x0b\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
    _COMMA: ",\u060c\u3001\uff0c",
    _END: ".!?\u061f\u06d4\u0964\u3002\uff01\uff1f",
    _CLOSER: "\"'\u2019\u201d\u00bb)]",
    _BULLET: "-*\u2022\u2023\u25aa\u25cf\u25e6",
    _SYMBOL: "#\u2026",
}
_ELLIPSIS, _DOT, _NEWLINE = 0x2026, ord("."), ord("\n")
_LONG = 5  # more than a stop word has
_STOPS = readonly(
    np.array(
        [
            int.from_bytes(word.encode(), "big")
            for word in ("the", "be", "to", "of", "and", "that", "have", "with")
        ],
        np.int64,
    )
)


@lru_cache(maxsize=1)
def _kind_table() -> npt.NDArray[np.uint8]:
    """What a code point below U+10000 is: uint8[65536], bits of the kinds."""
    pages, cells = unicode_table()
    points = np.arange(1 << 16)
    letters = (cells[pages[points >> 7].astype(np.int64) * 128 + (points & 127)] & BREAK) == 0
    letters[ord("0") : ord("9") + 1] = False
    table = np.where(letters, np.uint8(_LETTER), np.uint8(0))
    for kind, characters in _KINDS.items():
        for character in characters:
            table[ord(character)] |= kind
    return readonly(table)


def signals(offsets: Offsets, data: Bytes, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return float64[n, len(names)]: the signals of each text; takes what `text_buffers` returns.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> texts = pa.array(["- Home\\n- 12 News ...", "One, two and three, of course. Four!"])
    >>> signals(*text_buffers(texts), ["words", "bullet_lines", "stop_words"]).tolist()
    [[6.0, 1.0, 0.0], [7.0, 0.0, 2.0]]
    """
    offsets, data = text_arrays(offsets, data)
    counts = _count(offsets, data, *unicode_table(), _kind_table(), _STOPS)
    out = np.empty((len(counts), len(names)))
    for k, name in enumerate(names):
        out[:, k] = _of_counts(name, counts)
    return out


def _of_counts(name: str, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    logs = {"log_chars": _CHARS, "log_prose_chars": _PROSE, "log_commas": _COMMAS}
    plain = {"words": _WORDS, "stop_words": _STOP_WORDS}
    ratios = {
        "letters": (_LETTERS, _VISIBLE),
        "mean_word_length": (_VISIBLE, _WORDS),
        "symbol_word_ratio": (_SYMBOLS, _WORDS),
        "bullet_lines": (_BULLETS, _LINES),
        "ellipsis_lines": (_ELLIPSES, _LINES),
        "alpha_words": (_ALPHA_WORDS, _WORDS),
    }
    if name in logs:
        return np.asarray(_logs(readonly(np.ascontiguousarray(counts[:, logs[name]]))))
    if name in plain:
        return counts[:, plain[name]].astype(np.float64)
    part, whole = ratios[name]
    return np.asarray(counts[:, part] / np.maximum(1, counts[:, whole]), np.float64)


@njit(cache=True, nogil=True)
def _logs(counts):  # type: ignore[no-untyped-def]
    out = np.empty(len(counts), np.float64)
    for i in range(len(out)):
        out[i] = log_of(1.0 + counts[i])
    return out


@njit(cache=True, nogil=True)
def _count(offsets, data, pages, cells, kinds, stops):  # type: ignore[no-untyped-def]
    out = np.zeros((len(offsets) - 1, 12), np.int64)
    for d in range(len(out)):
        _count_text(data, offsets[d], offsets[d + 1], pages, cells, kinds, stops, out[d])
    return out


@njit(cache=True, nogil=True)
def _count_text(data, i, end, pages, cells, kinds, stops, out):  # type: ignore[no-untyped-def]
    """Count one text; the end of the text ends a line."""
    seen_stops = 0
    first = width = length = 0  # of the line: first visible code point, code points from there,
    last = last_dots = body = body_dots = 0  # and up to the last visible one; see `_end_line`
    size = key = dots = 0  # of the word: its bytes, as one number; dots in a row
    has_letter = False
    chars = visible = letters = commas = 0
    while i <= end:
        c: Any = np.int64(_NEWLINE)  # of int64 in compiled code
        following = i + 1
        if i < end:
            c = np.int64(data[np.uint64(i)])  # unsigned: no test for negative indices
            if c >= 0x80:
                c, following = decode(data, i, end)
            chars += 1
        i = following
        kind = kinds[np.uint64(c)] if c < 0x10000 else _kind_beyond(c, pages, cells)
        if c == _DOT:
            dots += 1
        else:
            if dots or kind & _SYMBOL:
                out[_SYMBOLS] += dots // 3 + ((kind & _SYMBOL) != 0)
            dots = 0
        width += (kind & _SPACE) == 0 or first != 0
        if kind & _SPACE:
            if size:
                out[_WORDS] += 1
                out[_ALPHA_WORDS] += has_letter
                seen_stops |= _stop_bit(key, size, stops)
                size, has_letter = 0, False
            if c == _NEWLINE and first:
                _end_line(kinds, first, length, last, last_dots, body, body_dots, out)
                first = width = body = body_dots = 0
            continue
        letter = (kind & _LETTER) != 0
        visible += 1
        letters += letter
        commas += (kind & _COMMA) != 0
        key = c if size == 0 else key << 8 | c  # only short words of ASCII are looked up
        size += 1 if c < 0x80 else _LONG
        has_letter |= letter
        first = first or c
        length, last, last_dots = width, c, dots
        if not kind & _CLOSER:
            body, body_dots = c, dots
    out[_CHARS], out[_VISIBLE], out[_LETTERS], out[_COMMAS] = chars, visible, letters, commas
    while seen_stops:
        out[_STOP_WORDS] += seen_stops & 1
        seen_stops >>= 1


@njit(cache=True, nogil=True)
def _kind_beyond(c, pages, cells):  # type: ignore[no-untyped-def]
    """The kind of a code point from U+10000: a letter or nothing."""
    return np.uint8(_LETTER if (cell_of(c, pages, cells) & BREAK) == 0 else 0)


@njit(cache=True, nogil=True)
def _stop_bit(key, size, stops):  # type: ignore[no-untyped-def]
    """The bit of the stop word that a word is; 0 where it is none. key: its bytes as one number."""
    if 0 < size <= 4:
        for k in range(len(stops)):
            if stops[k] == key:
                return 1 << k
    return 0


@njit(cache=True, nogil=True)
def _end_line(kinds, first, length, last, last_dots, body, body_dots, out):  # type: ignore[no-untyped-def]
    """Count a line: its first and last visible code point, its length between them; `body` is the
    last one that closes no quote or bracket; with the dots in a row that end there."""
    out[_LINES] += 1
    out[_BULLETS] += first < 0x10000 and (kinds[np.uint64(first)] & _BULLET) != 0
    out[_ELLIPSES] += last == _ELLIPSIS or last_dots >= 3
    ends = body < 0x10000 and (kinds[np.uint64(body)] & _END) != 0
    if ends and body_dots < 2 and length >= PROSE_LINE_CHARS:
        out[_PROSE] += length
