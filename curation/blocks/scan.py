"""Balanced HTML -> a tree of elements and a list of text blocks, in one pass.

A block is the text between two block-level tags (or two or more `<br>`), white space collapsed
except inside `<pre>`; scripts, drawings, form controls and the like have no text. Takes what an
HTML parser serialised: every element closed, attributes as name="value", entities only `&amp; &lt;
&gt; &nbsp; &quot;`. Linear in bytes, about 5 ns a byte. The trap: on HTML that did not go through a
parser nothing breaks, but the tree is wrong where end tags are missing.

Shape letters: N elements (0 is a root above all), B blocks, T bytes of text.
"""

from __future__ import annotations

import numpy as np

from curation.blocks import attributes as a
from curation.blocks import byte
from curation.blocks import elements as e
from curation.blocks import vocabulary as v
from curation.blocks.formulas import read_formula, read_tex
from curation.blocks.jit import inner, kernel
from curation.blocks.search import place_of
from curation.blocks.text import (
    AT_STACK,
    BLOCKS,
    CHARS,
    COLUMNS,
    FORMULA_END,
    HIDDEN_BYTES,
    IN_BOLD,
    IN_GUTTER,
    IN_HEADING,
    IN_HIDDEN,
    IN_LINK,
    IN_PRE,
    IN_SKIPPED,
    LINK_CHARS,
    NODES,
    OUT,
    SHOWS_HIDDEN,
    STATE,
    TALLY,
    TITLE_FROM,
    TITLE_TO,
    TOP_MODE,
    Blocks,
    Bytes,
    Int32s,
    Int64s,
    Nodes,
    look_up,
    note_container,
    read_text,
)
from curation.blocks.words import count_words

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_INLINE, _VOID, _RAW = v.IS_INLINE, v.IS_VOID, v.IS_RAW
_BR, _A, _BODY, _HTML, _QUOTE, _B, _STRONG, _BUTTON, _MATH, _SCRIPT, _H1, _H6 = (
    v.TAG[name]
    for name in [
        "br",
        "a",
        "body",
        "html",
        "blockquote",
        "b",
        "strong",
        "button",
        "math",
        "script",
        "h1",
        "h6",
    ]
)
_LANES = 64
_SHARING = v.CATEGORY_BIT["sharing"]
_KEPT_BITS = v.ALL_CATEGORIES | (a.MOST_SPAN << a.SPAN_AT) | (a.MOST_SPAN << a.ROW_SPAN_AT)


def scan(html: Bytes, vocabulary: v.Vocabulary, max_blocks: int = 1 << 31) -> tuple[Nodes, Blocks]:
    """Return the elements and the text blocks of serialised HTML (uint8[n], UTF-8), at most about
    `max_blocks`.

    Text that its element hides is left out, unless it is most of the page's text, links aside.

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
    return scanned(np.ascontiguousarray(html, np.uint8), vocabulary, max_blocks)


@kernel
def scanned(html: Bytes, words: v.Vocabulary, max_blocks: int) -> tuple[Nodes, Blocks]:
    """What `scan` returns, of a contiguous array."""
    nodes, blocks, hidden_bytes = _scan(html, words, max_blocks, False)
    if hidden_bytes:
        visible_bytes = 0.0
        for b in range(blocks.counts.shape[0]):
            visible_bytes += blocks.counts[b, CHARS] - blocks.counts[b, LINK_CHARS]
        if hidden_bytes > visible_bytes:
            nodes, blocks, _ = _scan(html, words, max_blocks, True)
    return nodes, blocks


@kernel
def _scan(
    html: Bytes, words: v.Vocabulary, max_blocks: int, shows_hidden: bool
) -> tuple[Nodes, Blocks, int]:
    """Return elements, blocks and how many visible bytes outside links were hidden and left out."""
    tags = 16 + _tags(html)
    room = min(tags, max_blocks) + 1
    nodes = Nodes(
        np.zeros(tags, np.int32),
        np.zeros(tags, np.int32),
        np.zeros(tags, np.int64),
        np.zeros(tags, np.uint64),
        np.zeros(tags, np.int32),
    )
    blocks = Blocks(
        np.zeros(room, np.int32),
        np.zeros(room, np.int32),
        np.zeros(room, np.int32),
        np.empty((room, COLUMNS), np.float32),  # `open_block` clears a row
        np.empty(html.shape[0] + tags, np.uint8),
    )
    state = np.zeros(STATE, np.int64)
    state[NODES] = 1
    state[FORMULA_END] = -1
    state[SHOWS_HIDDEN] = shows_hidden
    stack, tally = np.zeros(2 * tags, np.int32), np.zeros(TALLY, np.int64)
    _walk(html, words, max_blocks, nodes, blocks, stack, state, tally)
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
        state[HIDDEN_BYTES],
    )


@inner(_nrt=False)
def _tags(html: Bytes) -> int:
    """How many signs may begin a tag. A loop of fixed length over bytes is vectorised."""
    count, whole = 0, html.shape[0] - html.shape[0] % _LANES
    for start in range(0, whole, _LANES):
        part = np.uint8(0)
        for lane in range(_LANES):
            part = np.uint8(part + (html[start + lane] == byte.LESS_THAN))
        count += int(part)
    for i in range(whole, html.shape[0]):
        count += html[i] == byte.LESS_THAN
    return count


# Without Numba's run time (_nrt=False) arrays cannot be made and references are not counted.
# Counting them took two thirds of the time.
@inner(_nrt=False)
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
            if state[IN_SKIPPED] or state[IN_HIDDEN] or state[IN_GUTTER]:
                i = e.after_hidden(html, i, state)
            if i < n and html[i] != byte.LESS_THAN:
                i = read_text(html, i, n, words, nodes, blocks, stack, state, tally)
        elif i + 1 < n and (html[i + 1] == byte.EXCLAMATION or html[i + 1] == byte.QUESTION):
            i = _after_comment(html, i)
        elif i + 1 < n and html[i + 1] == byte.SLASH:
            i = _end_tag(html, i, words, nodes.tag, blocks, stack, state)
        else:
            i = _start_tag(html, i, words, nodes, blocks, stack, state, tally)


@inner(_nrt=False)
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


@inner(_nrt=False)
def _tag_name(html: Bytes, i: int) -> tuple[int, np.uint64]:
    """Return (position after the name, hash of the name) of the name that starts at i."""
    h = _OFFSET
    while i < html.shape[0] and html[i] != byte.GREATER_THAN and html[i] != byte.SPACE:
        h = (h ^ np.uint64(html[i])) * _PRIME
        i += 1
    return i, h


@inner(_nrt=False)
def _end_tag(
    html: Bytes,
    i: int,
    words: v.Vocabulary,
    tags: Int32s,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
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
    in_pre, node = state[IN_PRE], state[NODES]
    if at >= lowest and top >= 0:
        node = stack[at]
        while state[AT_STACK] > at:
            state[AT_STACK] -= 1
            closed = tags[stack[state[AT_STACK]]]
            if closed == _A:
                state[IN_LINK] -= 1
            elif closed in (_B, _STRONG):
                state[IN_BOLD] -= 1
        if state[TOP_MODE] > at:
            _leave_modes(at, state)
    if state[IN_SKIPPED] == 0 and state[IN_HIDDEN] == 0:
        if not words.flags[tag] & _INLINE:
            e.finish_block(tag, words.flags[tag], in_pre, blocks, state)
        else:
            e.finish_inline(html, j + 1, tag, words.flags[tag], node, state)
    return j + 1


@inner(_nrt=False)
def _leave_modes(open_elements: int, state: Int64s) -> None:
    state[TOP_MODE] = 0
    for mode in range(IN_SKIPPED, IN_HEADING + 1):
        if state[mode] > open_elements:
            state[mode] = 0
        state[TOP_MODE] = max(state[TOP_MODE], state[mode])


@inner(_nrt=False)
def _start_tag(
    html: Bytes,
    i: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> int:
    j, h = _tag_name(html, i + 1)
    name_end = j
    tag = look_up(words.tag_keys, words.tag_values, h)
    flags = words.flags[tag]
    if state[IN_SKIPPED] and _H1 <= tag <= _H6:
        in_button = nodes.tag[stack[state[IN_SKIPPED] - 1]] == _BUTTON
        state[IN_SKIPPED] *= not in_button  # a heading inside a button is read
    is_shown = state[IN_SKIPPED] == 0 and state[IN_HIDDEN] == 0
    if tag == _BR:
        while j < html.shape[0] and html[j] != byte.GREATER_THAN:
            j += 1
        if is_shown:
            e.break_line(blocks, state)
        return j + 1
    node = state[NODES]
    state[NODES] += 1
    depth = state[AT_STACK]
    nodes.parent[node] = stack[depth - 1] if depth > 0 else 0
    nodes.tag[node] = tag
    nodes.depth[node] = depth + 1
    wanted = is_shown and tag != _BODY and tag != _HTML
    j, bits, signature = a.read_attributes(html, j, h, words, wanted)
    if tag == _QUOTE:  # "twitter-tweet" is a quotation
        bits &= ~_SHARING
    nodes.names[node] = bits & _KEPT_BITS
    nodes.signature[node] = signature
    j += 1
    if is_shown:
        if not flags & _INLINE:
            e.start_block(node, tag, flags, blocks, state)
        else:
            e.start_inline(html, i, j, tag, flags, blocks, state)
    if flags & _RAW:
        after = _after_raw(html, j, i + 1, name_end)
        if bits & a.IS_TEX and tag == _SCRIPT:
            last = after - (name_end - i) - 2
            read_tex(html, j, last, words, nodes, blocks, stack, state, tally)
        return after
    if tag == _MATH and (is_shown or e.is_in_hidden_line(words.flags, nodes.tag, stack, state)):
        return read_formula(html, i, j, words, nodes, blocks, stack, state, tally)
    if flags & _VOID:
        return j
    stack[depth] = node
    state[AT_STACK] += 1
    if is_shown:
        e.enter(html, j, tag, flags, bits, nodes.tag, stack, state)
    note_container(words.flags, nodes.tag, stack, state)
    return e.count_open(html, j, tag, state)


@inner(_nrt=False)
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
        i = place_of(byte.LESS_THAN, html, i + 1)
    return n
