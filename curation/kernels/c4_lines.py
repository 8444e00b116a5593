"""Which lines C4's rules keep, and what of a text is removed so that only these are left.

Lines end where `str.splitlines` ends them; white space around a line does not count. In this order:

1. a line with a word over 1,000 code points is removed;
2. citations are removed from the line: "[", digits or none, "]"; "[edit]"; "[citation needed]";
3. a line that does not end in . ? ! " or ', or ends in "...", is removed (not for `any_ending`);
4. a line of fewer than three words is removed; citations count as words here;
5. where "lorem ipsum" stands in the line, the document has the flag `lorem_ipsum`;
6. a line with "javascript" is removed;
7. where "{" stands in the line, the document has the flag `curly_bracket`;
8. a line with a phrase of privacy policies is removed.

The order is that of datatrove's C4QualityFilter: a menu with "{" that rule 3 removes sets no flag.
Phrases are found in any case. The lines left are joined by line feeds, and white space at the ends
of the text goes. Linear in the text. Trap: a line end that is no line feed and stands between two
lines that are kept stays, as only removal is possible here; datatrove writes a line feed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.blocks8 import code_points, find_line_end
from curation.kernels.buffers import Bytes, readonly
from curation.kernels.characters import NUMERAL, SPACE, kind_of, next_point, point_before, stripped
from curation.kernels.unicode import ascii_lower

LONG_WORD = 1000
MIN_WORDS = 3
# Bits of a line.
LONG, OPEN, FEW, LOREM, SCRIPT, CURLY, POLICY, BRACKET = 1, 2, 4, 8, 16, 32, 64, 128
# Columns of a line: where it starts and ends in bytes and in code points, the code point that ends
# it and whether that is a line feed, its bits, its citations (from, to).
START, END, CHAR, CHAR_END, BREAK_CHAR, IS_NEWLINE, BITS, FROM, TO = range(9)
COLUMNS = 9
LINES, BULLETS, ELLIPSES = range(3)  # what `scan_lines` counts beside
_PHRASES = (
    # Phrase, where in it the two letters stand by which it is found, its bit.
    ("javascript", "va", SCRIPT),
    ("privacy policy", "va", POLICY),
    ("cookie policy", "ki", POLICY),
    ("uses cookies", "ki", POLICY),
    ("use of cookies", "ki", POLICY),
    ("use cookies", "ki", POLICY),
    ("lorem ipsum", "ps", LOREM),
    ("terms of use", "rm", POLICY),
)
_PAIRS = ("va", "ki", "ps", "rm")
_BLOCK = 64  # bytes that are searched at once
_BYTES = readonly(np.frombuffer("".join(p for p, _, _ in _PHRASES).encode(), np.uint8))
_ENDS = readonly(np.cumsum([0] + [len(p) for p, _, _ in _PHRASES]))
_AHEAD = readonly(np.array([p.index(pair) for p, pair, _ in _PHRASES]))
_PAIR = readonly(np.array([1 << _PAIRS.index(pair) for _, pair, _ in _PHRASES]))
_BIT = readonly(np.array([bit for _, _, bit in _PHRASES]))
_SQUARE, _BRACE = 16, 32
_EDIT = readonly(np.frombuffer(b"[edit]", np.uint8))
_NEEDED = readonly(np.frombuffer(b"[citation needed]", np.uint8))
_TERMINAL = (ord("."), ord("?"), ord("!"), ord('"'), ord("'"))
_DOT, _DASH, _NEWLINE, _RETURN = ord("."), ord("-"), 10, 13


def _first_and_second() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For each byte, which pairs it begins and which it ends; brackets stand alone."""
    first, second = np.zeros(256, np.uint8), np.full(256, _SQUARE | _BRACE, np.uint8)
    for k, pair in enumerate(_PAIRS):
        for case in (pair, pair.upper()):
            first[ord(case[0])] |= 1 << k
            second[ord(case[1])] |= 1 << k
    first[ord("[")], first[ord("{")] = _SQUARE, _BRACE
    return readonly(first), readonly(second)


_FIRST, _SECOND = _first_and_second()


@inner(_nrt=False)
def scan_lines(
    data: Bytes,
    a: int,
    b: int,
    kinds: npt.NDArray[np.int32],
    rules: bool,
    lines: npt.NDArray[np.int64],
    citations: npt.NDArray[np.int64],
    edited: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> int:
    """Write the lines of data[a:b] that are not blank; return their number.

    lines int64[.., COLUMNS], bytes and code points from the start of the text; citations
    int64[.., 4]: start and end in bytes and in code points. counts int64[3]: all lines, those that
    begin with a bullet, those that end in an ellipsis. Without `rules` only these are written.
    edited uint8[b - a] is scratch.
    """
    counts[:] = 0
    n = chars = 0
    cited = np.int64(0)
    i = a
    while i < b:
        end, following, newline = _line(data, i, b)
        start, stop = stripped(data, i, end, kinds)
        counts[LINES] += 1
        if start < stop:
            counts[BULLETS] += data[start] == _DASH or _is_point(data, start, stop, 0xA2)
            counts[ELLIPSES] += _ends_in_ellipsis(data, start, stop)
        if rules:
            char = chars + code_points(data, i, start)
            char_end = char + code_points(data, start, stop)
            chars = char_end + code_points(data, stop, following)
            if start < stop:
                lines[n, START], lines[n, END] = start - a, stop - a
                lines[n, CHAR], lines[n, CHAR_END] = char, char_end
                lines[n, FROM] = cited
                bits, cited = _bits(data, start, stop, a, char, kinds, citations, cited, edited)
                lines[n, BITS], lines[n, TO] = bits, cited
                lines[n, IS_NEWLINE] = 0
                lines[n, BREAK_CHAR] = chars - 1 if following > end else -1
                n += 1
            if n and newline and not lines[n - 1, IS_NEWLINE]:
                lines[n - 1, IS_NEWLINE], lines[n - 1, BREAK_CHAR] = 1, chars - 1
        i = following
    return n


@inner(_nrt=False)
def _line(data, i, b):  # type: ignore[no-untyped-def]
    """(where the line ends that starts at i, where the next starts, whether a line feed ends
    it)."""
    while True:
        i = find_line_end(data, i, b)
        if i == b:
            return b, b, False
        c = data[i]
        if c == _RETURN:
            newline = i + 1 < b and data[i + 1] == _NEWLINE
            return i, i + 1 + newline, newline
        if 10 <= c <= 12 or 28 <= c <= 30:
            return i, i + 1, c == _NEWLINE
        if c == 0xC2 and i + 1 < b and data[i + 1] == 0x85:
            return i, i + 2, False
        if c == 0xE2 and i + 2 < b and data[i + 1] == 0x80 and data[i + 2] | 1 == 0xA9:
            return i, i + 3, False
        i += 1


@inner(_nrt=False)
def _is_point(data, i, stop, last):  # type: ignore[no-untyped-def]
    """Is data[i:] the UTF-8 of U+2000 + last - 0x80: a bullet or an ellipsis?"""
    return i + 3 <= stop and data[i] == 0xE2 and data[i + 1] == 0x80 and data[i + 2] == last


@inner(_nrt=False)
def _ends_in_dots(data, start, stop):  # type: ignore[no-untyped-def]
    if stop - start < 3:
        return False
    return data[stop - 1] == _DOT and data[stop - 2] == _DOT and data[stop - 3] == _DOT


@inner(_nrt=False)
def _ends_in_ellipsis(data, start, stop):  # type: ignore[no-untyped-def]
    return _ends_in_dots(data, start, stop) or (
        stop - start >= 3 and _is_point(data, stop - 3, stop, 0xA6)
    )


@inner(_nrt=False)
def _bits(data, start, stop, a, char, kinds, citations, cited, edited):  # type: ignore[no-untyped-def]
    """(bits of the line data[start:stop], citations so far)."""
    bits = _marks(data, start, stop)
    first = cited
    if bits & BRACKET:
        cited = _find_citations(data, start, stop, a, char, kinds, citations, cited)
    if cited > first:
        size = edited_line(data, start, stop, a, citations, first, cited, edited)
        bits = _marks(edited, 0, size) | _ending(edited, 0, size)
    else:
        bits |= _ending(data, start, stop)
    if stop - start > LONG_WORD and _has_long_word(data, start, stop, kinds):
        bits |= LONG
    if _has_few_words(data, start, stop, kinds):
        bits |= FEW
    return bits, cited


@inner(_nrt=False)
def _ending(data, start, stop):  # type: ignore[no-untyped-def]
    if start == stop or _ends_in_dots(data, start, stop) or data[stop - 1] not in _TERMINAL:
        return OPEN
    return 0


@inner(_nrt=False)
def _marks(data, start, stop):  # type: ignore[no-untyped-def]
    """The bits of phrases and brackets in data[start:stop]."""
    bits = 0
    for i in range(start, stop, _BLOCK):
        if i + _BLOCK + 2 > len(data) or _may_hold_marks(data, i):
            bits |= _marks_between(data, start, stop, i, min(i + _BLOCK, stop))
    return bits


@inner(_nrt=False)
def _may_hold_marks(data, i):  # type: ignore[no-untyped-def]
    """Does a bracket, or a pair with the letter behind it, begin in the block at data[i:]? Compiled
    to few instructions."""
    found = False
    for k in range(np.uint64(_BLOCK)):
        at = np.uint64(i) + k
        x = data[at] | np.uint8(0x20)
        y = data[at + np.uint64(1)] | np.uint8(0x20)
        z = data[at + np.uint64(2)] | np.uint8(0x20)
        found |= (
            (x == ord("{"))
            | ((x == ord("v")) & (y == ord("a")) & ((z == ord("s")) | (z == ord("c"))))
            | ((x == ord("k")) & (y == ord("i")) & (z == ord("e")))
            | ((x == ord("p")) & (y == ord("s")) & (z == ord("u")))
            | ((x == ord("r")) & (y == ord("m")) & (z == ord("s")))
        )
    return found


@inner(_nrt=False)
def _marks_between(data, start, stop, first, last):  # type: ignore[no-untyped-def]
    """The bits of what has its pair in data[first:last], which is a part of data[start:stop]."""
    bits = 0
    for i in range(np.uint64(first), np.uint64(last)):
        following = i + np.uint64(1)
        second = _SECOND[data[following]] if following < stop else np.uint8(_SQUARE | _BRACE)
        found = _FIRST[data[i]] & second
        if not found:
            continue
        if found & _SQUARE:
            bits |= BRACKET
        elif found & _BRACE:
            bits |= CURLY
        else:
            bits |= _phrases_around(data, start, stop, np.int64(i), found)
    return bits


@inner(_nrt=False)
def _phrases_around(data, start, stop, i, found):  # type: ignore[no-untyped-def]
    bits = 0
    for k in range(len(_BIT)):
        at = i - _AHEAD[k]
        size = _ENDS[k + 1] - _ENDS[k]
        if not found & _PAIR[k] or at < start or at + size > stop:
            continue
        j = 0
        while j < size and ascii_lower(data[at + j]) == _BYTES[_ENDS[k] + j]:
            j += 1
        if j == size:
            bits |= _BIT[k]
    return bits


@inner(_nrt=False)
def _find_citations(data, start, stop, a, char, kinds, citations, cited):  # type: ignore[no-untyped-def]
    """Add the citations in data[start:stop]; return how many there are now."""
    i = start
    counted = start
    while i < stop:
        end = _citation_end(data, i, stop, kinds) if data[i] == ord("[") else i
        if end == i:
            i += 1
            continue
        char += code_points(data, counted, i)
        citations[cited, 0], citations[cited, 1] = i - a, end - a
        citations[cited, 2] = char
        char += code_points(data, i, end)
        citations[cited, 3] = char
        cited += 1
        i = counted = end
    return cited


@inner(_nrt=False)
def _citation_end(data, i, stop, kinds):  # type: ignore[no-untyped-def]
    """Where the citation ends that starts at data[i]; i where none does."""
    for k in range(2):
        mark = _EDIT if k == 0 else _NEEDED
        if i + len(mark) <= stop:
            j = 0
            while j < len(mark) and data[i + j] == mark[j]:
                j += 1
            if j == len(mark):
                return i + j
    j = i + 1
    while j < stop:
        c, following = next_point(data, j, stop)
        if c == ord("]"):
            return following
        if not kind_of(c, kinds) & NUMERAL:
            return i
        j = following
    return i


@inner(_nrt=False)
def edited_line(data, start, stop, a, citations, first, last, out):  # type: ignore[no-untyped-def]
    """Write data[start:stop] without its citations into out; return its bytes."""
    size = 0
    i = start
    for k in range(first, last + 1):
        end = a + citations[k, 0] if k < last else stop
        for j in range(i, end):
            out[size] = data[j]
            size += 1
        i = a + citations[k, 1] if k < last else stop
    return size


@inner(_nrt=False)
def _has_few_words(data, start, stop, kinds):  # type: ignore[no-untyped-def]
    words = 0
    inside = False
    while start < stop:
        c, start = next_point(data, start, stop)
        space = (kind_of(c, kinds) & SPACE) != 0
        words += not space and not inside
        if words == MIN_WORDS:
            return False
        inside = not space
    return True


@inner(_nrt=False)
def _has_long_word(data, start, stop, kinds):  # type: ignore[no-untyped-def]
    """Jumps from word to word: each step looks back from as far as a short word may reach."""
    while stop - start > LONG_WORD:
        i = start + LONG_WORD
        while i > start and data[i] & 0xC0 == 0x80:
            i -= 1
        top = i
        space = False
        while i > start and not space:
            c, j = point_before(data, start, i, stop)
            space = (kind_of(c, kinds) & SPACE) != 0
            i = i if space else j
        if space:
            start = i
            continue
        chars = code_points(data, start, top)
        while top < stop:
            c, following = next_point(data, top, stop)
            if kind_of(c, kinds) & SPACE:
                break
            chars += 1
            top = following
        if chars > LONG_WORD:
            return True
        start = top
    return False
