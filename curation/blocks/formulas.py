"""Formulas in a page -> text: the TeX that stands beside MathML, else its characters; exponents.

Linear in bytes: each formula is gone over three times at most. The trap: a page may hold a formula
twice, as TeX and as what KaTeX or MathJax made of it; `blocks.scan` leaves one of them out.
"""

from __future__ import annotations

from curation.blocks import byte
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner
from curation.blocks.text import (
    AT_STACK,
    BLOCKS,
    FORMULA_END,
    IN_BLOCK,
    IN_LINK,
    OUT,
    SPACE,
    Blocks,
    Bytes,
    Int32s,
    Int64s,
    Nodes,
    end_block,
    equals,
    open_block,
    put,
    read_text,
    set_apart,
    starts,
)

_ANNOTATION, _ANNOTATION_END, _ALT_TEXT = b"<annotation", b"</annotation", b' alttext="'
_MATH_END, _SUP_END = b"</math>", b"</sup>"
_FRACTION_SLASH, _SLASH = bytes(byte.FRACTION_SLASH), b"/"
_COMMENT_START, _COMMENT_END = b"% <![CDATA[", b"%]]>"
_DISPLAY_STYLE = b"{\\displaystyle "
# What the children of an element are parted by: before the second, before the third.
_OTHER, _ROW, _BRACKETED, _SUP, _SUB, _SUB_SUP, _FRACTION = range(7)


@inner(_nrt=False)
def find(html: Bytes, i: int, n: int, word: bytes) -> int:
    """Return where the bytes `word` begin first in html[i:n], n where they do not."""
    last = n - len(word)
    while i <= last:
        if html[i] == word[0] and starts(html, i, n, word):
            return i
        i += 1
    return n


@inner(_nrt=False)
def read_formula(
    html: Bytes,
    start: int,
    i: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> int:
    """Read the `<math>` whose start tag is html[start:i] as text; return the position behind it."""
    end = find(html, i, html.shape[0], _MATH_END)
    first, last = _tex_annotation(html, i, end)
    if first == last:
        first = min(find(html, start, i, _ALT_TEXT) + len(_ALT_TEXT), i)
        last = first
        while last < i and html[last] != byte.QUOTE:
            last += 1
    if first < last:
        read_tex(html, first, last, words, nodes, blocks, stack, state, tally)
    else:
        if not state[IN_BLOCK]:
            open_block(words.flags, nodes.tag, blocks, stack, state)
        _read_signs(html, i, end, words, nodes, blocks, stack, state, tally)
        state[FORMULA_END] = state[OUT]
        block = state[BLOCKS] - 1
        if blocks.end[block] <= blocks.start[block]:  # a formula without signs is no block
            state[BLOCKS] = block
            end_block(state)
    return min(end + len(_MATH_END), html.shape[0])


@inner(_nrt=False)
def _tex_annotation(html: Bytes, i: int, n: int) -> tuple[int, int]:
    """Return where the text of the first TeX annotation begins and ends, (n, n) without one."""
    while True:
        i = find(html, i, n, _ANNOTATION)
        is_tex = False
        while i < n and html[i] != byte.GREATER_THAN:
            if i + 3 < n and (html[i] | 32, html[i + 1] | 32, html[i + 2] | 32) == (116, 101, 120):
                is_tex |= html[i + 3] | 32 != 116  # "tex", but not "text"
            i += 1
        i = min(i + 1, n)
        if i >= n:
            return n, n
        if is_tex:
            last = i
            while last < n and html[last] != byte.LESS_THAN:
                last += 1
            return i, last


@inner(_nrt=False)
def read_tex(
    html: Bytes,
    i: int,
    n: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> None:
    """Read html[i:n] as text, "<" too, without what hides it from XML and MediaWiki's
    `{\\displaystyle }`."""
    while i < n and html[i] <= byte.SPACE:
        i += 1
    while n > i and html[n - 1] <= byte.SPACE:
        n -= 1
    if starts(html, i, n, _COMMENT_START):
        i += len(_COMMENT_START)
        if equals(html, max(n - len(_COMMENT_END), i), n, _COMMENT_END):
            n -= len(_COMMENT_END)
    if starts(html, i, n, _DISPLAY_STYLE):
        i, n = i + len(_DISPLAY_STYLE), n - 1
    while i < n:
        i = read_text(html, i, n, words, nodes, blocks, stack, state, tally)
        if i < n:
            if not state[IN_BLOCK]:
                open_block(words.flags, nodes.tag, blocks, stack, state)
            put(byte.LESS_THAN, blocks, state)
            i += 1
    state[SPACE] = 0
    state[FORMULA_END] = state[OUT]


@inner(_nrt=False)
def _read_signs(
    html: Bytes,
    i: int,
    n: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> None:
    """Read the characters of MathML: "^" and "_" before scripts, "/" in fractions, brackets around
    rows in them; white space between elements says nothing."""
    depth = state[AT_STACK]  # above it, for each open element: its sort and 8 times its children
    while i < n:
        if html[i] != byte.LESS_THAN:
            while i < n and html[i] <= byte.SPACE:
                i += 1
            if i < n and html[i] != byte.LESS_THAN:
                i = read_text(html, i, n, words, nodes, blocks, stack, state, tally)
                state[SPACE] = 0
            continue
        name = i + 1
        while i < n and html[i] != byte.GREATER_THAN:
            i += 1
        i = min(i + 1, n)
        if name < n and html[name] == byte.SLASH:
            if depth > state[AT_STACK]:
                depth -= 1
                if stack[depth] & 7 == _BRACKETED:
                    put(byte.CLOSING_BRACKET, blocks, state)
        elif name < n and html[name] != byte.EXCLAMATION:
            if starts(html, name - 1, n, _ANNOTATION):
                i = find(html, i, n, _ANNOTATION_END)
                continue
            sort = _sort(html, name, n)
            if depth > state[AT_STACK]:
                stack[depth - 1] += 8
                sort = _part(stack[depth - 1] & 7, stack[depth - 1] >> 3, sort, blocks, state)
            stack[depth] = sort
            depth += 1


@inner(_nrt=False)
def _part(parent: int, number: int, sort: int, blocks: Blocks, state: Int64s) -> int:
    """Write what stands before child `number` (from 1) of a parent; return the child's sort."""
    if parent < _SUP or (number == 1 and parent != _FRACTION):
        return sort
    if number > 1:
        sign = byte.SLASH
        if parent == _SUP or (parent == _SUB_SUP and number == 3):
            sign = byte.CARET
        elif parent != _FRACTION:
            sign = byte.LOW_LINE
        put(sign, blocks, state)
    if sort == _ROW:
        put(byte.OPENING_BRACKET, blocks, state)
        return _BRACKETED
    return sort


@inner(_nrt=False)
def _sort(html: Bytes, i: int, n: int) -> int:
    """Return the sort of the MathML element whose name starts at i."""
    j = i
    while j < n and html[j] != byte.GREATER_THAN and html[j] != byte.SPACE:
        j += 1
    if equals(html, i, j, b"mrow"):
        return _ROW
    if equals(html, i, j, b"msup"):
        return _SUP
    if equals(html, i, j, b"msub"):
        return _SUB
    if equals(html, i, j, b"msubsup") or equals(html, i, j, b"munderover"):
        return _SUB_SUP
    return _FRACTION if equals(html, i, j, b"mfrac") else _OTHER


@inner(_nrt=False)
def raise_exponent(html: Bytes, i: int, blocks: Blocks, state: Int64s) -> None:
    """Before the content of a `<sup>`, which starts at i: write "^" where it is a number, with a
    sign or without, after a digit; a space where it is the upper part of a fraction.

    A mark of a footnote is a link, or in one.
    """
    n = html.shape[0]
    out = state[OUT]
    if not state[IN_BLOCK] or state[SPACE] or state[IN_LINK] or out == 0:
        return
    before = blocks.text[out - 1]
    if before < byte.ZERO or before > byte.NINE:
        return
    if i < n and html[i] in (byte.HYPHEN, byte.PLUS):
        i += 1
    elif i + 2 < n and (html[i], html[i + 1]) == byte.MINUS[:2]:
        i += 3
    first = i
    while i < n and byte.ZERO <= html[i] <= byte.NINE:
        i += 1
    if i == first or not starts(html, i, n, _SUP_END):
        return
    i += len(_SUP_END)
    if starts(html, i, n, _SLASH) or starts(html, i, n, _FRACTION_SLASH):
        set_apart(state)
    else:
        put(byte.CARET, blocks, state)
