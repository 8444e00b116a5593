"""What a code point is to the rules of words and lines: bits in one table of int32[131072].

Letters, marks and digits come from the packaged table of Unicode (`unicode.py`); the short lists
below add what the rules of `english.py` and `c4_lines.py` ask for. Beyond U+1FFFF stand Chinese
characters, and nothing else that these rules know.

SYMBOL: what a word may consist of without counting as a word. The set is that of datatrove's
Gopher filter but for a digit that slipped into it (U+FF11). Trap: bullets and currency signs are
not in it. TERMINAL: Unicode's Sentence_Terminal with three Khmer signs, as datatrove and spaCy
have it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.buffers import Int, readonly
from curation.kernels.unicode import ALONE as ALONE_CELL
from curation.kernels.unicode import (
    BREAK,
    CLASS_SHIFT,
    DELTA_SHIFT,
    DIGIT,
    MARK,
    decode,
    unicode_table,
)

SPACE = 1  # Python's str.isspace
LINE = 2  # ends a line for str.splitlines
LETTER = 4
LOWER = 8  # a lower-case letter, or a letter without case
UPPER = 16  # an upper-case letter, or a letter without case
NUMBER = 32  # 0 to 9
NUMERAL = 64  # a decimal digit of any script (\d)
AFFIX = 128  # split off at both ends of a word
FRONT = 256  # split off at the front only
CURRENCY = 512
QUOTE = 1024
BEFORE_DOT = 2048  # a full stop behind it is split off
HYPHEN = 4096
ICON = 8192  # splits a word where it stands
SYMBOL = 16384
PUNCTUATION = 32768  # category P
TERMINAL = 65536  # ends a sentence
ALONE = 131072  # a word of its own (Chinese, Japanese, Thai and others)
HOST = 262144  # may stand in a host name
POINTS = 0x20000
_CHINESE = LETTER | LOWER | UPPER | ALONE | BEFORE_DOT
_LAST_CHINESE = 0x323AF

_SPACES = "9-d 1c-20 85 a0 1680 2000-200a 2028 2029 202f 205f 3000"
_LINE_ENDS = "a-d 1c-1e 85 2028 2029"
_NUMERALS = (
    "30 660 6f0 7c0 966 9e6 a66 ae6 b66 be6 c66 ce6 d66 de6 e50 ed0 f20 1040 1090 17e0 1810 1946 "
    "19d0 1a80 1a90 1b50 1bb0 1c40 1c50 a620 a8d0 a900 a9d0 a9f0 aa50 abf0 ff10"
)
_TERMINALS = (
    "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e "
    "1735-1736 17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e "
    "1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 "
    "a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f "
    "ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 "
    "111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 "
    "11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 "
    "11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88"
)
_ASCII_PUNCTUATION = "21-2f 3a-40 5b-60 7b-7e"
_SYMBOLS = (
    "0-8 b-1f 7f-9f " + _ASCII_PUNCTUATION + " ab b4 bb 2013 2014 2019 201c-201e 2026 2236 2501 "
    "25ba 3001 3002 3008-300d 3010 3011 ff01 ff05 ff08 ff09 ff0c ff0e ff1a ff1b ff1f ff5e"
)
# Of category P; the Basic Latin block has symbols among its punctuation.
_PUNCTUATION = (
    "21-23 25-2a 2c-2f 3a 3b 3f 40 5b-5d 5f 7b 7d a1 a7 ab b6 b7 bb bf 37e 387 55a-55f 589 58a "
    "5be 5c0 5c3 5c6 5f3 5f4 609 60a 60c 60d 61b 61d-61f 66a-66d 6d4 700-70d 7f7-7f9 964 965 970 "
    "e4f e5a e5b 104a-104f 10fb 1360-1368 17d4-17d6 17d8-17da 1800-180a 2010-2027 2030-2043 "
    "2045-2051 2053-205e 207d 207e 208d 208e 2308-230b 2329 232a 2768-2775 27c5 27c6 27e6-27ef "
    "2983-2998 29d8-29db 29fc 29fd 2cf9-2cfc 2e00-2e2e 2e30-2e4f 2e52-2e5d 3001-3003 3008-3011 "
    "3014-301f 3030 303d 30a0 30fb fe10-fe19 fe30-fe52 fe54-fe61 fe63 fe68 fe6a fe6b ff01-ff03 "
    "ff05-ff0a ff0c-ff0f ff1a ff1b ff1f ff20 ff3b-ff3d ff3f ff5b ff5d ff5f-ff65"
)
_QUOTES = "22 27 60 ab b4 bb 2018-201a 201c-201e 3008-3011 3014 3015 27e6 27e7 ff08 ff09"
_PUNCT = (
    "21 23 26 28-2a 2c 3a-3c 3e 3f 5b 5d 5f 7b 7d a1 b7 bf 60c 61b 61f 66a 6d4 964 2026 3001 3002 "
    "ff01 ff0c ff1a ff1b ff1f ff5e"
)
_CURRENCIES = "24 a3 a5 e3f 20a0-20bf fdfc"
_ICONS = (
    "a6 a9 ae b0 2100 2101 2103-2106 2108 2109 2114 2116 2117 211e-2123 2125 2127 2129 212e 213a "
    "213b 214a 214c 214d 214f 2195-2199 219c-219f 21a1 21a2 21a4 21a5 21a7-21ad 21af-21cd 21d0 "
    "21d1 21d3 21d5-21f3 2300-2307 230c-231f 2322-2328 232b-237b 237d-239a 23b4-23db 23e2-2426 "
    "2440-244a 249c-24e9 2500-25b6 25b8-25c0 25c2-25f7 2600-266e 2670-2767 2794-27bf 2800-28ff "
    "2b00-2b2f 2b45 2b46 2b4d-2bfe 3004 3012 3013 3020 3036 3037 303e 303f fffc fffd 1f000-1f3fa "
    "1f400-1faff"
)
_HYPHENS = "2d 7e 2013 2014"
_LATIN_WITH_CASE = (
    "aa ba 100-58f 1c80-1cbf 1d00-1fff 2100-214f 2c00-2dff a640-a69f a720-a7ff ab30-abbf"
)


@lru_cache(maxsize=1)
def kinds_table() -> npt.NDArray[np.int32]:
    """Return int32[131072]: the bits of each code point below U+20000.

    >>> kinds = kinds_table()
    >>> [bool(kinds[ord("é")] & bit) for bit in (LETTER, LOWER, UPPER, SYMBOL)]
    [True, True, False, False]
    """
    pages, cells = unicode_table()
    points = np.arange(POINTS)
    cell = cells[pages[points >> 7].astype(np.int64) * 128 + (points & 127)]
    kind = cell >> CLASS_SHIFT & 7
    letter = (cell & BREAK == 0) & (kind != DIGIT) & (kind != MARK)
    table = np.where(letter, LETTER, 0).astype(np.int32)
    cased = _among(_LATIN_WITH_CASE) | (points < 0x250)
    capital = cell >> DELTA_SHIFT != 0
    table[letter & ~capital] |= LOWER
    table[letter & (capital | ~cased)] |= UPPER
    table[cell & ALONE_CELL != 0] |= ALONE
    for bit, ranges in (
        (SPACE, _SPACES),
        (LINE, _LINE_ENDS),
        (NUMBER, "30-39"),
        (AFFIX, f"{_PUNCT} {_QUOTES} {_ICONS} 2013 2014"),
        (FRONT, f"a7 25 3d {_CURRENCIES}"),
        (CURRENCY, _CURRENCIES),
        (QUOTE, _QUOTES),
        (BEFORE_DOT, f"{_PUNCT} {_QUOTES} 30-39 25 b2 2d 2b 7c"),
        (HYPHEN, _HYPHENS),
        (ICON, _ICONS),
        (SYMBOL, f"{_SYMBOLS} {_TERMINALS}"),
        (PUNCTUATION, _PUNCTUATION),
        (TERMINAL, _TERMINALS),
        (HOST, "30-39 41-5a 61-7a a1-ffff"),
    ):
        table[_among(ranges)] |= bit
    table[table & LOWER != 0] |= BEFORE_DOT
    for first in _NUMERALS.split():
        table[int(first, 16) : int(first, 16) + 10] |= NUMERAL
    return readonly(table)


def _among(ranges: str) -> npt.NDArray[np.bool_]:
    among = np.zeros(POINTS, np.bool_)
    for part in ranges.split():
        first, _, last = part.partition("-")
        among[int(first, 16) : int(last or first, 16) + 1] = True
    return among


@inner(_nrt=False, forceinline=True)
def kind_of(c: Int, kinds: npt.NDArray[np.int32]) -> Int:
    """Return the bits of code point c as int64."""
    if c < POINTS:
        return np.int64(kinds[np.uint64(c)])
    return np.int64(_CHINESE if c <= _LAST_CHINESE else 0)


@inner(_nrt=False, forceinline=True)
def next_point(data, i, end):  # type: ignore[no-untyped-def]
    """Return (code point, next index) at data[i], i < end."""
    # Unsigned: no test for negative indices.
    c: Any = np.int64(data[np.uint64(i)])
    return (c, i + 1) if c < 0x80 else decode(data, i, end)


@inner(_nrt=False, forceinline=True)
def point_before(data, start, i, end):  # type: ignore[no-untyped-def]
    """Return (code point before i, its index); (0, start) where there is none."""
    if i <= start:
        return np.int64(0), start
    i -= 1
    while i > start and data[i] & 0xC0 == 0x80:
        i -= 1
    return decode(data, i, end)[0], i


@inner(_nrt=False)
def stripped(data, a, b, kinds):  # type: ignore[no-untyped-def]
    """Return (start, end) of data[a:b] without the white space at its ends; (b, b) where nothing
    else is there."""
    while a < b:
        c, following = next_point(data, a, b)
        if kind_of(c, kinds) & SPACE == 0:
            break
        a = following
    while b > a:
        c, i = point_before(data, a, b, b)
        if kind_of(c, kinds) & SPACE == 0:
            break
        b = i
    return a, b
