"""One form for texts that look alike: composed (NFC), and without characters that nobody sees.

Unseen are soft hyphens, zero-width characters (U+200B to U+200D, U+2060, U+FEFF), direction marks
and variation selectors. Features of dedup and grams are made of this form; the text of a document
is never changed. Texts in which no character may change, nearly all, cost one pass at about 3 GB/s
where they are ASCII; texts that change are made anew at some 40 MB/s. Which
characters may change is fixed by `unicode.npz`; composition is Python's, which Unicode keeps
stable.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import kernel
from curation.kernels.buffers import Bytes, Offsets, readonly
from curation.kernels.unicode import COMBINES, UNSEEN, cell_of, decode, unicode_table

Int64s = npt.NDArray[np.int64]


class CanonicalTexts(NamedTuple):
    """Texts as `text_buffers` has them, and which of them (ascending) are not as they were."""

    offsets: Offsets
    data: Bytes
    changed: Int64s


def canonical(text: str) -> str:
    """The canonical form of a text.

    >>> canonical("cafe\\u0301 lou\\u00adder") == "caf\\u00e9 louder"
    True
    """
    return unicodedata.normalize("NFC", _any_of(UNSEEN).sub("", text))


def canonical_texts(offsets: Offsets, data: Bytes) -> CanonicalTexts:
    """The canonical form of each text; the same arrays where no text changes."""
    flagged = np.flatnonzero(_flagged(offsets, data, *unicode_table()))
    new: dict[int, bytes] = {}
    for row in flagged.tolist():
        text = text_at(offsets, data, row)
        if (form := canonical(text)) != text:
            new[row] = form.encode("utf-8", "surrogateescape")
    changed = np.array(list(new), np.int64)
    if not new:
        return CanonicalTexts(offsets, data, changed)
    lengths = np.diff(offsets)
    lengths[changed] = [len(form) for form in new.values()]
    parts: list[memoryview | bytes] = []
    at = int(offsets[0])
    for row, replaced in new.items():
        parts += [data[at : offsets[row]].data, replaced]
        at = int(offsets[row + 1])
    parts.append(data[at : offsets[-1]].data)
    joined = np.frombuffer(b"".join(parts), np.uint8)
    return CanonicalTexts(readonly(np.concatenate([[0], np.cumsum(lengths)])), joined, changed)


def text_at(offsets: Offsets, data: Bytes, row: int) -> str:
    """The text of a row."""
    return data[offsets[row] : offsets[row + 1]].tobytes().decode("utf-8", "surrogateescape")


def original_places(text: str) -> tuple[Int64s, Int64s]:
    """(starts, ends): where each code point of the canonical form stands in the text; half-open.

    A code point made of several begins with the first and ends with the last of them.

    >>> [places.tolist() for places in original_places("ae\\u0301\\u00adb")]
    [[0, 1, 4], [1, 3, 5]]
    """
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    unseen = _any_of(UNSEEN)
    for match in re.finditer(rf"(?s:.)?{_any_of(UNSEEN | COMBINES).pattern}", text):
        first, stop = match.span()
        starts += range(at, first)
        ends += range(at + 1, first + 1)
        # Where each part of a composed character stands. Queues: a page may be nothing but marks.
        parts: dict[str, deque[int]] = {}
        for place in range(first, stop):
            if not unseen.fullmatch(text[place]):
                for part in unicodedata.normalize("NFD", text[place]):
                    parts.setdefault(part, deque()).append(place)
        lows, highs = [], []
        for char in canonical(match.group()):
            places = [parts[part].popleft() for part in unicodedata.normalize("NFD", char)]
            lows.append(min(places))
            highs.append(max(places) + 1)
        # Marks may change their order: no place before one of an earlier character.
        starts += np.minimum.accumulate(lows[::-1])[::-1].tolist() if lows else []
        ends += np.maximum.accumulate(highs).tolist() if highs else []
        at = stop
    starts += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    return np.array(starts, np.int64), np.array(ends, np.int64)


@functools.cache
def _any_of(flags: int) -> re.Pattern[str]:
    """A pattern of one or more characters with one of these flags in the table."""
    pages, cells = unicode_table()
    points = np.flatnonzero(cells.reshape(-1, 128)[pages].reshape(-1) & flags)
    runs = np.split(points, np.flatnonzero(np.diff(points) > 1) + 1)
    return re.compile("[" + "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs) + "]+")


@kernel
def _flagged(offsets, data, pages, cells):  # type: ignore[no-untyped-def]
    """Whether a text has a character that is unseen or may combine, bool[n]."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for d in range(len(out)):
        i, end = offsets[d], offsets[d + 1]
        while i < end and not out[d]:
            high = np.uint8(0)
            while i + 32 <= end and high < 0x80:  # LLVM vectorises this
                for k in range(np.uint64(32)):
                    high |= data[np.uint64(i) + k]
                i += 32 * (high < 0x80)
            stop = min(i + 32, end)
            while i < stop and not out[d]:
                if data[np.uint64(i)] < 0x80:
                    i += 1
                else:
                    c, i = decode(data, i, end)
                    out[d] = cell_of(c, pages, cells) & (UNSEEN | COMBINES) != 0
    return out
