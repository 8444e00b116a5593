"""Measured signals of a text for the quality classifier: how much prose it holds, and the numbers
behind Gopher's rules.

One pass over the bytes counts whole numbers; the signals are float64 made from them, so they are
the same on every machine, in every batch and order.

| signal | definition | source |
|---|---|---|
| log_chars | ln(1 + code points) | |
| log_prose_chars | ln(1 + code points of prose lines) | C4 (Raffel et al. 2020) keeps such lines |
| log_commas | ln(1 + commas) | Readability (Arc90) counts commas to find prose |
| letters | letters and marks among the code points that are not white space | |

Those of the groups `gopher` and `gopher_repetition` are defined and counted in `quality.py`; where
they are null there they are 0 here.

A line ends at a line feed; white space around it does not count, and an empty one is none. A prose
line is at least 30 code points long and ends in a full stop, question or exclamation mark, quotes
and brackets behind it aside, and not in an ellipsis. C4 asks for five words; a length suits scripts
without spaces too. "Letters and marks" are what breaks no word (`words.py`), ASCII digits aside. A
ratio of nothing is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Offsets, readonly, text_arrays
from curation.kernels.elementary import log_of
from curation.kernels.unicode import BREAK, cell_of, decode, unicode_table

PROSE_LINE_CHARS = 30
# What the pass counts, one column each.
_CHARS, _VISIBLE, _LETTERS, _COMMAS, _PROSE = range(5)
_SPACE, _COMMA, _END, _CLOSER, _LETTER = 1, 2, 4, 8, 16
_KINDS = {
    _SPACE: "\t\n\x0b\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
    _COMMA: ",\u060c\u3001\uff0c",
    _END: ".!?\u061f\u06d4\u0964\u3002\uff01\uff1f",
    _CLOSER: "\"'\u2019\u201d\u00bb)]",
}
_DOT, _NEWLINE = ord("."), ord("\n")
_LOGS = {"log_chars": _CHARS, "log_prose_chars": _PROSE, "log_commas": _COMMAS}


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
    [[3.0, 1.0, 0.0], [7.0, 0.0, 2.0]]
    """
    offsets, data = text_arrays(offsets, data)
    columns: dict[str, npt.NDArray[np.float64]] = {}
    if not {*names} <= {*_LOGS, "letters"}:
        from curation.kernels.quality import signal_numbers

        columns |= signal_numbers(offsets, data, names)
    if not {*names} <= {*columns}:
        columns |= _prose(_count(offsets, data, *unicode_table(), _kind_table()))
    out = np.empty((len(offsets) - 1, len(names)))
    for k, name in enumerate(names):
        out[:, k] = columns[name]
    return out


def _prose(counts: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    columns = {
        name: np.asarray(_logs(readonly(np.ascontiguousarray(counts[:, at]))))
        for name, at in _LOGS.items()
    }
    letters = counts[:, _LETTERS] / np.maximum(1, counts[:, _VISIBLE])
    return columns | {"letters": np.asarray(letters, np.float64)}


@kernel
def _logs(counts):  # type: ignore[no-untyped-def]
    out = np.empty(len(counts), np.float64)
    for i in range(len(out)):
        out[i] = log_of(1.0 + counts[i])
    return out


@kernel
def _count(offsets, data, pages, cells, kinds):  # type: ignore[no-untyped-def]
    out = np.zeros((len(offsets) - 1, 5), np.int64)
    for d in range(len(out)):
        _count_text(data, offsets[d], offsets[d + 1], pages, cells, kinds, out[d])
    return out


@inner
def _count_text(data, i, end, pages, cells, kinds, out):  # type: ignore[no-untyped-def]
    """Count one text; the end of the text ends a line."""
    seen = False  # something visible in the line
    width = length = 0  # of the line: code points from its first visible one, and up to the last
    body = body_dots = 0  # its last visible code point that closes no quote or bracket
    dots = 0  # in a row
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
        dots = dots + 1 if c == _DOT else 0
        width += (kind & _SPACE) == 0 or seen
        if kind & _SPACE:
            if c == _NEWLINE and seen:
                out[_PROSE] += _prose_chars(kinds, length, body, body_dots)
                seen = False
                width = body = body_dots = 0
            continue
        visible += 1
        letters += (kind & _LETTER) != 0
        commas += (kind & _COMMA) != 0
        seen = seen or c != 0
        length = width
        if not kind & _CLOSER:
            body, body_dots = c, dots
    out[_CHARS], out[_VISIBLE], out[_LETTERS], out[_COMMAS] = chars, visible, letters, commas


@inner
def _kind_beyond(c, pages, cells):  # type: ignore[no-untyped-def]
    """The kind of a code point from U+10000: a letter or nothing."""
    return np.uint8(_LETTER if (cell_of(c, pages, cells) & BREAK) == 0 else 0)


@inner
def _prose_chars(kinds, length, body, body_dots):  # type: ignore[no-untyped-def]
    """The code points of a line, or 0 where it is no prose; `body` is the last that closes no quote
    or bracket, with the dots in a row that end there."""
    ends = body < 0x10000 and (kinds[np.uint64(body)] & _END) != 0
    return length if ends and body_dots < 2 and length >= PROSE_LINE_CHARS else 0
