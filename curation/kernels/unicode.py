"""Letter case, word breaks and canonical form by code point, from a table in the package.

The table (`unicode.npz`, 5 kB, loads in about a millisecond) fixes one version of Unicode, so that
another Python or Java cannot change the bytes of a run; `make_unicode.py` made it. One int32 cell
for each code point, found through pages of 128: `cells[pages[c >> 7] * 128 + (c & 127)]`; page 0
lies first, so an ASCII byte is its own index.

    bits 8-31  simple lower case minus the code point (signed)
    bit 0      word break: category P, S, Z or C, which includes what is not assigned
    bit 1      cased, as java.lang.ConditionalSpecialCasing has it
    bits 2-4   class in Java's word rules: OTHER, LETTER, DIGIT, MARK, IGNORE, QUOTE, MID_WORD, MID_NUMBER
    bit 5      a word of its own: a letter or mark of a script that is written without spaces
    bit 6      unseen: soft hyphens, zero-width characters, direction marks, variation selectors
    bit 7      may change in canonical composition (NFC) with what stands before it, or alone

Trap: Java asks its word *break iterator*, not Unicode's Case_Ignorable, whether a capital sigma
ends a word; Python's `str.lower` differs (`"ΑΣ:Β"`). One known difference to Java stays: where a
letter outside the first plane stands in the same word as a capital sigma, the JDK's iterator can
stop inside the surrogate pair and find another boundary.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, readonly

BREAK, CASED, CLASS_SHIFT, DELTA_SHIFT = 1, 2, 2, 8
ALONE, UNSEEN, COMBINES = 32, 64, 128
OTHER, LETTER, DIGIT, MARK, IGNORE, QUOTE, MID_WORD, MID_NUMBER = range(8)
SIGMA, FINAL_SIGMA, DOTTED_I, DOT_ABOVE = 0x3A3, 0x3C2, 0x130, 0x307
REPLACEMENT = 0xFFFD


class UnicodeTable(NamedTuple):
    """pages uint16[8704], cells int32[128 * distinct pages]; see the module."""

    pages: npt.NDArray[np.uint16]
    cells: npt.NDArray[np.int32]


@functools.cache
def unicode_table() -> UnicodeTable:
    """Return the packaged table, read once.

    >>> pages, cells = unicode_table()
    >>> [bool(cells[ord(c)] & BREAK) for c in "a1'_"]
    [False, False, True, True]
    """
    with np.load(Path(__file__).with_name("unicode.npz"), allow_pickle=False) as stored:
        return UnicodeTable(readonly(stored["pages"]), readonly(stored["cells"]))


def unicode_version() -> str:
    """Return the version of Unicode behind the table.

    >>> unicode_version()
    '14.0.0'
    """
    with np.load(Path(__file__).with_name("unicode.npz"), allow_pickle=False) as stored:
        return str(stored["version"])


def java_lower(text: str) -> str:
    """Return Java's `text.toLowerCase(Locale.ROOT)`: final sigma by its words, İ becomes i and a
    dot above.

    >>> java_lower("ΟΔΟΣ ΣΑΣ: İĲ")
    'οδος σας: i̇ĳ'
    """
    pages, cells = unicode_table()
    data = readonly(np.frombuffer(text.encode("utf-8", "replace"), np.uint8))
    lowered = np.empty(lowered_capacity(len(data)), np.uint8)
    length = lower_bytes(data, 0, len(data), pages, cells, lowered)
    return lowered[:length].tobytes().decode()


@kernel
def lowered_capacity(length: int) -> int:
    """Return bytes enough for the lower case of any UTF-8 of that length: two can become three (Ⱥ,
    İ)."""
    return length + length // 2 + 8


@kernel(_nrt=False)
def decode(data: Bytes, i: Int, end: Int) -> tuple[Int, Int]:
    """Return (code point, next index) of the UTF-8 at data[i], i < end; one bad byte counts as
    U+FFFD."""
    c = np.int64(data[i])
    if c < 0x80:
        return c, i + 1
    if c >= 0xC2 and c < 0xE0 and i + 1 < end:
        return (c & 0x1F) << 6 | (np.int64(data[i + 1]) & 0x3F), i + 2
    if c >= 0xE0 and c < 0xF0 and i + 2 < end:
        return (c & 0x0F) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | (
            np.int64(data[i + 2]) & 0x3F
        ), i + 3
    if c >= 0xF0 and c < 0xF5 and i + 3 < end:
        high = (c & 0x07) << 18 | (np.int64(data[i + 1]) & 0x3F) << 12
        c = high | (np.int64(data[i + 2]) & 0x3F) << 6 | (np.int64(data[i + 3]) & 0x3F)
        if c < 0x110000:
            return c, i + 4
    return np.int64(REPLACEMENT), i + 1


@kernel
def encode(c: Int, out: Bytes, n: Int) -> Int:
    """Write code point c as UTF-8 at out[n]; return the next index."""
    if c < 0x80:
        out[n] = c
        return n + 1
    if c < 0x800:
        out[n] = 0xC0 | c >> 6
    else:
        if c < 0x10000:
            out[n] = 0xE0 | c >> 12
        else:
            out[n] = 0xF0 | c >> 18
            n += 1
            out[n] = 0x80 | c >> 12 & 0x3F
        n += 1
        out[n] = 0x80 | c >> 6 & 0x3F
    out[n + 1] = 0x80 | c & 0x3F
    return n + 2


@inner
def cell_of(c: Int, pages: npt.NDArray[np.uint16], cells: npt.NDArray[np.int32]) -> Int:
    """Return the table's cell of code point c as int64."""
    return np.int64(cells[np.int64(pages[c >> 7]) * 128 + (c & 127)])


@inner
def ascii_lower(b: np.uint8) -> np.uint8:
    """Return the lower case of an ASCII byte, without a branch."""
    return b | (np.uint8(np.uint8(b - np.uint8(65)) < np.uint8(26)) << np.uint8(5))


@kernel
def lower_bytes(
    data: Bytes,
    start: int,
    end: int,
    pages: npt.NDArray[np.uint16],
    cells: npt.NDArray[np.int32],
    out: Bytes,
) -> int:
    """Write Java's lower case of data[start:end] into out (`lowered_capacity` bytes); return its
    length."""
    n = 0
    i = start
    while i < end:
        # LLVM vectorises this; unsigned indices spare it the test for negative ones.
        while i + 32 <= end:
            high = np.uint8(0)
            for k in range(np.uint64(32)):
                b = data[np.uint64(i) + k]
                high |= b
                out[np.uint64(n) + k] = ascii_lower(b)
            if high >= 0x80:
                break
            i += 32
            n += 32
        stop = min(i + 32, end)
        while i < stop:
            b = data[i]
            if b < 0x80:
                out[n] = ascii_lower(b)
                n += 1
                i += 1
                continue
            c, following = decode(data, i, end)
            if c == SIGMA and _is_final(data, start, i, end, pages, cells):
                n = encode(np.int64(FINAL_SIGMA), out, n)
            elif c == DOTTED_I:
                out[n] = ord("i")
                n = encode(np.int64(DOT_ABOVE), out, n + 1)
            else:
                n = encode(c + (cell_of(c, pages, cells) >> DELTA_SHIFT), out, n)
            i = following
    return n


@inner
def _is_final(
    data: Bytes,
    start: int,
    i: int,
    end: int,
    pages: npt.NDArray[np.uint16],
    cells: npt.NDArray[np.int32],
) -> bool:
    """Java's rule for the sigma at data[i]: a cased letter before it in its word, and none
    after."""
    return _cased_in_word(data, start, i, end, np.int64(-1), pages, cells) and not _cased_in_word(
        data, start, i, end, np.int64(1), pages, cells
    )


@inner
def _cased_in_word(
    data: Bytes,
    start: int,
    i: int,
    end: int,
    step: int,
    pages: npt.NDArray[np.uint16],
    cells: npt.NDArray[np.int32],
) -> bool:
    """Is there a cased letter left (-1) or right (1) of the one at data[i] before a word boundary?

    The rules are those of sun.text.resources.BreakIteratorRules ("WordBreakRules"), as far as they
    bear on letters: words and numbers run together; one punctuation mark holds two letters (or two
    digits) together; marks belong to the letter or digit before them, format characters to nothing.
    """
    side = LETTER  # class of the letter or digit we come from
    middle = False  # the last thing seen was punctuation between two of that class
    mark = False  # going left: marks seen, which must find their letter or digit
    cased_mark = False  # ... and one of them is cased (U+0345)
    while True:
        if step > 0:
            _, i = decode(data, i, end)
        else:
            i -= 1
            while i > start and data[i] & 0xC0 == 0x80:
                i -= 1
        if i < start or i >= end:
            return False
        c, _ = decode(data, i, end)
        cell = cell_of(c, pages, cells)
        kind = cell >> CLASS_SHIFT & 7
        if kind == IGNORE:
            continue
        if kind in (LETTER, DIGIT):
            if middle and kind != side:
                return False
            if cell & CASED or cased_mark:
                return True
            side, middle, mark = kind, False, False
        elif kind == MARK:
            if step > 0 and middle:
                return False
            if step > 0 and cell & CASED:
                return True
            mark = True
            cased_mark = cased_mark or cell & CASED != 0
        else:
            joins = kind == QUOTE or (kind == MID_WORD if side == LETTER else kind == MID_NUMBER)
            if middle or not joins or (mark and step < 0):
                return False
            middle = True
