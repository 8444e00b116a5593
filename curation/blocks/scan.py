"""Balanced HTML -> a tree of elements and a list of text blocks, in one pass.

A block is the text between two block-level tags (or two or more `<br>`), white space collapsed
except inside `<pre>`; scripts, drawings, form controls and the like have no text. Takes what an
HTML parser serialised: every element closed, attributes as name="value", entities only `&amp; &lt;
&gt; &nbsp; &quot;`. Linear in bytes, about 5 ns a byte. The trap: on HTML that did not go through a
parser nothing breaks, but the tree is wrong where end tags are missing.

Shape letters: N elements (0 is a root above all), B blocks, T bytes of text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curation.blocks import byte
from curation.blocks import vocabulary as v
from curation.blocks.text import (
    AT_STACK,
    BLOCKS,
    BREAKS,
    COLUMNS,
    IMAGES,
    IN_BLOCK,
    IN_BOLD,
    IN_LINK,
    IN_PRE,
    IN_SKIPPED,
    NODES,
    OUT,
    SPACE,
    STATE,
    TALLY,
    TITLE_FROM,
    TITLE_TO,
    Blocks,
    Bytes,
    Int32s,
    Int64s,
    Nodes,
    count_words,
    equals,
    look_up,
    read_text,
)

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_INLINE, _SKIPPED, _VOID, _RAW = v.IS_INLINE, v.IS_SKIPPED, v.IS_VOID, v.IS_RAW
_BR, _A, _TITLE, _IMG, _PRE = (v.TAG[name] for name in ("br", "a", "title", "img", "pre"))
_BODY, _HTML, _QUOTE, _B, _STRONG = (
    v.TAG[name] for name in ("body", "html", "blockquote", "b", "strong")
)
_HIDDEN, _SHARING = v.CATEGORY_BIT["hidden"], v.CATEGORY_BIT["sharing"]
_CLASS, _ID, _ROLE, _ITEMPROP = b"class", b"id", b"role", b"itemprop"
_HIDDEN_NAME, _STYLE, _ARIA, _TRUE = b"hidden", b"style", b"aria-hidden", b"true"
_DISPLAY, _NONE = b"display", b"none"
_SIGNATURE_BYTES = 40


def scan(html: Bytes, vocabulary: v.Vocabulary, max_blocks: int = 1 << 31) -> tuple[Nodes, Blocks]:
    """Return the elements and the text blocks of serialised HTML (uint8[n], UTF-8), at most about
    `max_blocks`.

    >>> html = (b'<html><head><title>Mill</title></head><body><p>The <b>old</b>  mill.</p>'
    ...         b'<script>x<y</script>Ends<br><br>here</body></html>')
    >>> from curation.blocks import text
    >>> nodes, blocks = scan(np.frombuffer(html, np.uint8), v.vocabulary())
    >>> [bytes(blocks.text[a:b]).decode() for a, b in zip(blocks.start, blocks.end)]
    ['The old mill.', 'Ends', 'here']
    >>> columns = [text.CHARS, text.WORDS, text.BOLD_CHARS, text.TITLE_WORDS]
    >>> blocks.counts[0, columns].astype(int).tolist()
    [13, 3, 3, 1]
    """
    html = np.ascontiguousarray(html, np.uint8)
    return _scan(html, vocabulary, max_blocks)


@njit(cache=True, nogil=True)
def _scan(html: Bytes, words: v.Vocabulary, max_blocks: int) -> tuple[Nodes, Blocks]:
    n = html.shape[0]
    tags = 16
    for i in range(n):
        if html[i] == byte.LESS_THAN:
            tags += 1
    nodes = Nodes(
        np.zeros(tags, np.int32),
        np.zeros(tags, np.int32),
        np.zeros(tags, np.int64),
        np.zeros(tags, np.uint64),
        np.zeros(tags, np.int32),
    )
    room = min(tags, max_blocks) + 1
    blocks = Blocks(
        np.zeros(room, np.int32),
        np.zeros(room, np.int32),
        np.zeros(room, np.int32),
        np.zeros((room, COLUMNS), np.float32),
        np.empty(n + tags, np.uint8),
    )
    state = np.zeros(STATE, np.int64)
    state[NODES] = 1
    _walk(
        html,
        words,
        max_blocks,
        nodes,
        blocks,
        np.zeros(tags, np.int32),
        state,
        np.zeros(TALLY, np.int64),
    )
    n_nodes, n_blocks = state[NODES], min(state[BLOCKS], max_blocks)
    count_words(html[state[TITLE_FROM] : state[TITLE_TO]], blocks, n_blocks, words)
    return (
        Nodes(
            nodes.parent[:n_nodes],
            nodes.tag[:n_nodes],
            nodes.names[:n_nodes],
            nodes.signature[:n_nodes],
            nodes.depth[:n_nodes],
        ),
        Blocks(
            blocks.start[:n_blocks],
            blocks.end[:n_blocks],
            blocks.node[:n_blocks],
            blocks.counts[:n_blocks],
            blocks.text[: state[OUT]],
        ),
    )


# Without Numba's run time (_nrt=False) arrays cannot be made and references are not counted.
# Counting them took two thirds of the time.
@njit(cache=True, nogil=True, _nrt=False)
def _walk(
    html: Bytes,
    words: v.Vocabulary,
    max_blocks: int,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> None:
    n = html.shape[0]
    i = np.int64(0)
    while i < n and state[BLOCKS] <= max_blocks:
        if html[i] != byte.LESS_THAN:
            if state[IN_SKIPPED]:
                while i < n and html[i] != byte.LESS_THAN:
                    i += 1
            else:
                i = read_text(html, i, words, nodes, blocks, stack, state, tally)
        elif i + 1 < n and (html[i + 1] == byte.EXCLAMATION or html[i + 1] == byte.QUESTION):
            i = _after_comment(html, i)
        elif i + 1 < n and html[i + 1] == byte.SLASH:
            i = _end_tag(html, i, words, nodes.tag, stack, state)
        else:
            i = _start_tag(html, i, words, nodes, blocks, stack, state)


@njit(cache=True, nogil=True, _nrt=False)
def _after_comment(html: Bytes, i: int) -> int:
    n = html.shape[0]
    if i + 3 < n and html[i + 2] == byte.HYPHEN and html[i + 3] == byte.HYPHEN:
        i += 4
        while i + 2 < n and not (
            html[i] == byte.HYPHEN
            and html[i + 1] == byte.HYPHEN
            and html[i + 2] == byte.GREATER_THAN
        ):
            i += 1
        return i + 3 if i + 2 < n else n
    while i < n and html[i] != byte.GREATER_THAN:
        i += 1
    return i + 1


@njit(cache=True, nogil=True, _nrt=False)
def _tag_name(html: Bytes, i: int) -> tuple[int, np.uint64]:
    """Return (position after the name, hash of the name) of the name that starts at i."""
    h = _OFFSET
    while i < html.shape[0] and html[i] != byte.GREATER_THAN and html[i] != byte.SPACE:
        h = (h ^ np.uint64(html[i])) * _PRIME
        i += 1
    return i, h


@njit(cache=True, nogil=True, _nrt=False)
def _end_tag(
    html: Bytes, i: int, words: v.Vocabulary, tags: Int32s, stack: Int32s, state: Int64s
) -> int:
    j, h = _tag_name(html, i + 2)
    tag = look_up(words.tag_keys, words.tag_values, h)
    while j < html.shape[0] and html[j] != byte.GREATER_THAN:
        j += 1
    top = state[AT_STACK] - 1
    lowest = max(top - 50, 0)
    at = top
    while at >= lowest and tags[stack[at]] != tag:
        at -= 1
    if at >= lowest and top >= 0:
        while state[AT_STACK] > at:
            state[AT_STACK] -= 1
            closed = tags[stack[state[AT_STACK]]]
            if closed == _A:
                state[IN_LINK] -= 1
            elif closed in (_B, _STRONG):
                state[IN_BOLD] -= 1
            elif closed == _PRE:
                state[IN_PRE] -= 1
            if state[IN_SKIPPED] > state[AT_STACK]:
                state[IN_SKIPPED] = 0
    if not words.flags[tag] & _INLINE:
        state[IN_BLOCK] = 0
    return j + 1


@njit(cache=True, nogil=True, _nrt=False)
def _start_tag(
    html: Bytes,
    i: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
) -> int:
    n = html.shape[0]
    j, h = _tag_name(html, i + 1)
    name_end = j
    tag = look_up(words.tag_keys, words.tag_values, h)
    flags = words.flags[tag]
    if tag == _BR:
        while j < n and html[j] != byte.GREATER_THAN:
            j += 1
        return _line_break(j + 1, blocks, state)
    node = state[NODES]
    state[NODES] += 1
    depth = state[AT_STACK]
    nodes.parent[node] = stack[depth - 1] if depth > 0 else 0
    nodes.tag[node] = tag
    nodes.depth[node] = depth + 1
    wanted = state[IN_SKIPPED] == 0 and tag != _BODY and tag != _HTML
    j, names, signature = _attributes(html, j, h, words, wanted)
    if tag == _QUOTE:  # "twitter-tweet" is a quotation
        names &= ~_SHARING
    nodes.names[node] = names
    nodes.signature[node] = signature
    j += 1
    if not flags & _INLINE:
        state[IN_BLOCK] = 0
    if tag == _IMG and state[IN_BLOCK]:
        blocks.counts[state[BLOCKS] - 1, IMAGES] += 1
    if flags & _RAW:
        return _after_raw(html, j, i + 1, name_end)
    if not flags & _VOID:
        stack[depth] = node
        state[AT_STACK] += 1
        if flags & _SKIPPED and state[IN_SKIPPED] == 0:
            state[IN_SKIPPED] = depth + 1
        if tag == _A:
            state[IN_LINK] += 1
        elif tag in (_B, _STRONG):
            state[IN_BOLD] += 1
        elif tag == _PRE:
            state[IN_PRE] += 1
        elif tag == _TITLE and state[TITLE_TO] == 0:
            state[TITLE_FROM] = j
            while j < n and html[j] != byte.LESS_THAN:
                j += 1
            state[TITLE_TO] = j
    return j


@njit(cache=True, nogil=True, _nrt=False)
def _line_break(after: int, blocks: Blocks, state: Int64s) -> int:
    """One `<br>` is white space (a line feed inside `<pre>`), a second one ends the block."""
    state[BREAKS] += 1
    state[SPACE] = 1
    if state[IN_PRE]:
        if state[IN_BLOCK]:
            blocks.text[state[OUT]] = byte.LINE_FEED
            state[OUT] += 1
    elif state[BREAKS] >= 2:
        state[IN_BLOCK] = 0
    return after


@njit(cache=True, nogil=True, _nrt=False)
def _after_raw(html: Bytes, i: int, name: int, name_end: int) -> int:
    """Return the position behind the end tag of a raw text element whose start tag, with its name
    from `name` to `name_end`, ended before i."""
    n = html.shape[0]
    length = name_end - name
    while i + 2 + length < n:
        if html[i] == byte.LESS_THAN and html[i + 1] == byte.SLASH:
            k = 0
            while k < length and html[i + 2 + k] == html[name + k]:
                k += 1
            if k == length and html[i + 2 + k] == byte.GREATER_THAN:
                return i + 3 + length
        i += 1
    return n


@njit(cache=True, nogil=True, _nrt=False)
def _attributes(
    html: Bytes, j: int, name: np.uint64, words: v.Vocabulary, wanted: bool
) -> tuple[int, int, np.uint64]:
    """Return (position of the closing `>`, bits of CATEGORIES, signature) of the attributes of a
    tag."""
    n = html.shape[0]
    bits = 0
    signature = name
    while j < n and html[j] != byte.GREATER_THAN:
        start = j
        while (
            j < n
            and html[j] != byte.EQUALS
            and html[j] != byte.GREATER_THAN
            and html[j] != byte.SPACE
        ):
            j += 1
        end = j
        if j + 1 < n and html[j] == byte.EQUALS and html[j + 1] == byte.QUOTE:
            first = j + 2
            j = first
            while j < n and html[j] != byte.QUOTE:
                j += 1
            if wanted:
                is_class = equals(html, start, end, _CLASS)
                if (
                    is_class
                    or equals(html, start, end, _ID)
                    or equals(html, start, end, _ROLE)
                    or equals(html, start, end, _ITEMPROP)
                ):
                    bits |= _name_bits(html, first, j, words)
                elif equals(html, start, end, _HIDDEN_NAME) or _hides(html, start, end, first, j):
                    bits |= _HIDDEN
                if is_class:
                    for k in range(first, min(j, first + _SIGNATURE_BYTES)):
                        if html[k] < byte.ZERO or html[k] > byte.NINE:
                            signature = (signature ^ np.uint64(html[k])) * _PRIME
        if j < n and html[j] != byte.GREATER_THAN:
            j += 1
    return j, bits, signature


@njit(cache=True, nogil=True, _nrt=False)
def _hides(html: Bytes, start: int, end: int, first: int, last: int) -> bool:
    """Return whether the attribute is aria-hidden="true" or a style of display: none."""
    if equals(html, start, end, _ARIA):
        return equals(html, first, last, _TRUE)
    if not equals(html, start, end, _STYLE):
        return False
    for k in range(first, last - 11):
        if equals(html, k, k + 7, _DISPLAY):
            k += 7
            while k < last and (html[k] == byte.COLON or html[k] == byte.SPACE):
                k += 1
            return equals(html, k, min(k + 4, last), _NONE)
    return False


@njit(cache=True, nogil=True, _nrt=False)
def _name_bits(html: Bytes, start: int, end: int, words: v.Vocabulary) -> int:
    """Return the bits of CATEGORIES of a name's parts, which end at camelCase humps and at other
    signs."""
    bits = 0
    h = _OFFSET
    length = 0
    low_before: Any = False
    for i in range(start, end + 1):
        c = html[i] if i < end else np.uint8(byte.SPACE)
        capital = byte.CAPITAL_A <= c <= byte.CAPITAL_Z
        inside = (
            capital
            or byte.SMALL_A <= c <= byte.SMALL_Z
            or (byte.ZERO <= c <= byte.NINE and length > 0)
        )
        if length and (not inside or (capital and low_before)):
            if length > 1:
                bits |= look_up(words.name_keys, words.name_values, h)
            h = _OFFSET
            length = 0
        if inside:
            h = (h ^ np.uint64(c + byte.TO_SMALL if capital else c)) * _PRIME
            length += 1
        low_before = inside and not capital
    return bits
