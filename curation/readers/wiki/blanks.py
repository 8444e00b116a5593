"""The last pass over the lines of an article: marks, empty brackets and needless blanks go."""

from __future__ import annotations

import numpy as np

from curation.blocks import byte
from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import readonly
from curation.readers.wiki import marks
from curation.readers.wiki.codes import (
    GONE,
    NO_BREAK,
    SPLIT,
    UNKNOWN,
    Codes,
    Kinds,
    codes_of,
    is_comma,
    is_space,
    signs_table,
)

_FIRST_SIGN = ord(marks.PIPE)
_SIGNS = readonly(codes_of(marks.SIGNS))
_END_SIGNS = readonly(
    codes_of(".,;:!?，。；、)\n")
)  # they stand in place of what is gone before them
_EN_DASH, _EM_DASH, _WIDE_BRACKET = map(ord, "–—（")
_NO_BLANK_BEHIND = (0, byte.LINE_FEED, byte.OPENING_BRACKET, _WIDE_BRACKET)
_RARE = signs_table("".join(map(chr, range(32))) + "(")


@inner(_nrt=False)
def _end_of_empty(text, i, before, kinds):  # type: ignore[no-untyped-def]
    """The index behind the bracket at i if nothing but commas stands in it, else 0; `main()` keeps
    its own."""
    end = i + 1
    while end < len(text):
        c = text[end]
        is_dash = c == byte.HYPHEN or c in (_EN_DASH, _EM_DASH)
        if not (is_dash or is_comma(c) or c == SPLIT or is_space(c, kinds)):
            break
        end += 1
    if end == len(text) or text[end] != byte.CLOSING_BRACKET:
        return 0
    is_call = end == i + 1 and before and not is_space(before, kinds)
    return 0 if is_call else end + 1


@inner(_nrt=False)
def _is_end_sign(c):  # type: ignore[no-untyped-def]
    found = False
    for i in range(len(_END_SIGNS)):
        found |= _END_SIGNS[i] == c
    return found


@kernel(_nrt=False)
def tidy(text: Codes, kinds: Kinds) -> int:
    """Take marks, empty brackets and needless blanks away in place; return the new length."""
    n = len(text)
    i = out = lines = 0
    before = np.uint32(0)
    while i < n:
        c = text[np.uint64(i)]
        i += 1
        # Sums of bits, since a branch that is often taken costs more than all else here.
        is_rare = (c == NO_BREAK) | _RARE[c & 127] & (c < 128)
        is_rare |= ((c == byte.SPACE) | (c == byte.COMMA)) & (
            (before == byte.SPACE) | (before == NO_BREAK)
        )
        if not is_rare:
            text[np.uint64(out)] = before = c
            out += 1
            lines = 0
            continue
        if c == byte.OPENING_BRACKET:
            end = _end_of_empty(text, i - 1, before, kinds)
            if end:
                i = end
                continue
        elif c in (GONE, UNKNOWN):
            has_blank = before == byte.SPACE
            if has_blank:
                out -= 1
                before = text[out - 1] if out else np.uint32(0)
            while i < n and (text[i] == GONE or text[i] == UNKNOWN or text[i] == byte.SPACE):
                has_blank |= text[i] == byte.SPACE
                i += 1
            if i < n and _is_end_sign(text[i]):
                i += text[i] == before and is_comma(before)
                continue
            if not has_blank or before in _NO_BLANK_BEHIND:
                continue
            c = np.uint32(byte.SPACE)
        elif c == SPLIT:
            continue
        elif _FIRST_SIGN <= c < _FIRST_SIGN + len(_SIGNS):
            c = _SIGNS[c - _FIRST_SIGN]
        elif c == byte.TAB:
            c = np.uint32(byte.SPACE)
        if c == byte.LINE_FEED:
            lines += 1
            if lines > 2:
                continue
        else:
            lines = 0
            if c == byte.COMMA and before == byte.SPACE:
                out -= 1
            elif (c == byte.SPACE or c == NO_BREAK) and (
                before == byte.SPACE or before == NO_BREAK
            ):
                text[out - 1] = before = np.uint32(byte.SPACE)
                continue
        text[out] = before = c
        out += 1
    return out
