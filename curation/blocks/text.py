"""The text of blocks: its characters, then its words, counted by sort; the arrays that
`blocks.scan` fills.

White space is collapsed to one space, a single `<br>` to a line feed; inside `<pre>` it stays. The
trap: Chinese, Japanese and Korean have few spaces, so a wide character counts as three characters,
and the number of words there says little.

Shape letters: N elements (0 is a root above all), B blocks, T bytes of text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Columns of `Blocks.counts`, then one for each of WORD_LISTS.
(CHARS, LINK_CHARS, WORDS, DIGITS, CAPITALS, COMMAS, SENTENCES, MARKS, CAPITAL_WORDS, STOP_WORDS,
 LAST, FIRST, BOLD_CHARS, TITLE_WORDS, WIDE_CHARS, IMAGES) = range(16)  # fmt: skip
WORD_LIST = 16
COLUMNS = WORD_LIST + len(v.WORD_LISTS)

# What the scanner remembers, as places in one int64 array.
(AT_STACK, IN_LINK, IN_BOLD, IN_BLOCK, BREAKS, SPACE, OUT, BLOCKS, NODES, TITLE_FROM, TITLE_TO,
 INDENT, LINE_FROM, LAST_INLINE_END, LAST_BLOCK_NODE, FORMULA_END, TEX_SCRIPTS,
 WHOLE_WORD_STRUCK, SHOWS_HIDDEN, HIDDEN_BYTES, TOP_MODE) = range(21)  # fmt: skip
# Modes: of each the number of open elements, the outermost of its kind included; 0 outside of one.
# `TOP_MODE` is the largest of them or more.
IN_SKIPPED, IN_HIDDEN, IN_PRE, IN_GUTTER, IN_HEADING = range(21, 26)
STATE = 26

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_INLINE, _LINE = v.IS_INLINE, v.IS_LINE
_TD, _TH = v.TAG["td"], v.TAG["th"]
_PLAIN, _CAPITAL, _DIGIT, _PUNCTUATION, _WIDE = v.PLAIN, v.CAPITAL, v.DIGIT, v.PUNCTUATION, v.WIDE
_BLANK, _CONTINUED, _SPECIAL = v.BLANK, v.CONTINUED, v.SPECIAL
_A_COMMA, _A_STOP, _A_MARK = 7, 8, 9  # places in the tally behind the sorts
TALLY = 10
_AMP, _LT, _GT, _NBSP, _QUOT = b"amp;", b"lt;", b"gt;", b"nbsp;", b"quot;"


class Nodes(NamedTuple):
    """Elements in document order, a parent before its children."""

    parent: npt.NDArray[np.int32]  # [N]
    tag: npt.NDArray[np.int32]  # [N], place in `vocabulary.TAG`, 0 for other elements
    # [N], bits of CATEGORIES in class, id, role and itemprop; `hidden` also by style and ARIA
    names: npt.NDArray[np.int64]
    signature: npt.NDArray[np.uint64]  # [N], hash of the tag and the class without its digits
    depth: npt.NDArray[np.int32]  # [N], the root has 0


class Blocks(NamedTuple):
    """Text blocks in document order."""

    start: npt.NDArray[np.int32]  # [B], first byte in `text`
    end: npt.NDArray[np.int32]  # [B], one past the last
    node: npt.NDArray[np.int32]  # [B], the innermost element that is not inline
    counts: npt.NDArray[np.float32]  # [B, COLUMNS], characters and words of each sort
    text: Bytes  # [T], UTF-8


@inner(_nrt=False)
def look_up(keys: Keys, values: Int64s, key: np.uint64) -> int:
    """Return the value of a hash in one of the vocabulary's tables, 0 where it is not there."""
    mask = keys.shape[0] - 1
    at = np.int64(key) & mask
    while keys[at] != 0:
        if keys[at] == key:
            return values[at]
        at = (at + 1) & mask
    return 0


@inner(_nrt=False)
def equals(data: Bytes, start: int, end: int, word: bytes) -> bool:
    """Return whether data[start:end] is the bytes `word`."""
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110 - Numba is faster with a loop
        if data[start + i] != word[i]:
            return False
    return True


@inner(_nrt=False)
def starts(data: Bytes, i: int, n: int, word: bytes) -> bool:
    """Return whether data[i:n] starts with the bytes `word`."""
    return equals(data, i, min(i + len(word), n), word)


@inner(_nrt=False)
def read_text(
    html: Bytes,
    i: int,
    n: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> int:
    """Read the text from i to the next tag, or to n, into the open block, or into a new one; return
    where it ends.

    `tally` int64[TALLY] is scratch: how many bytes of each sort of `vocabulary.SORTS`, entered in
    the counts at the end.
    """
    i = _first_visible(html, i, n, blocks, state)
    if i >= n or html[i] == byte.LESS_THAN:
        return i
    if not state[IN_BLOCK]:
        open_block(words.flags, nodes.tag, blocks, stack, state)
    return _read_characters(html, i, n, words.sorts, blocks, state, tally)


@inner(_nrt=False)
def _read_characters(
    html: Bytes, i: int, n: int, sorts: Bytes, blocks: Blocks, state: Int64s, tally: Int64s
) -> int:
    """Append the characters up to the next tag, or to n, to the open block and count them; return
    where they end."""
    text = blocks.text
    tally[:] = 0
    out, end = state[OUT], state[OUT]
    space, line_feed, in_pre = state[SPACE], state[BREAKS], state[IN_PRE]
    spaces = 0
    while i < n:
        c = html[i]
        after = i + 1
        sort = sorts[c]
        if sort >= _SPECIAL:
            if c == byte.LESS_THAN:
                break
            c, after = character(html, i)
            sort = _PLAIN if c > byte.SPACE else _BLANK
            if c == byte.GREATER_THAN or c == byte.LATIN_1_SIGN:
                tally[_A_MARK] += 1
        if sort == _BLANK:
            if in_pre and c:
                text[out] = c
                out += 1
            elif c:
                space = 1
            i = after
            continue
        if space:
            text[out] = byte.LINE_FEED if line_feed else byte.SPACE
            out += 1
            spaces += 1
            space = 0
        line_feed = 0
        tally[sort] += 1
        if sort in (_PUNCTUATION, _WIDE):
            _punctuate(html, i, c, tally)
        text[out] = c
        out += 1
        end = out
        i = after
    state[OUT], state[SPACE], state[BREAKS] = out, space, 0
    block = state[BLOCKS] - 1
    blocks.end[block] = end
    _enter_tally(tally, spaces, blocks.counts[block], state)
    return i


@inner(_nrt=False)
def _first_visible(html: Bytes, i: int, n: int, blocks: Blocks, state: Int64s) -> int:
    """Return where the first character stands that is no white space; inside `<pre>` in an open
    block, i itself.

    What indents a first line of `<pre>` is kept behind the text, for the block to come.
    """
    in_pre = state[IN_PRE] > 0
    if in_pre and state[IN_BLOCK]:
        return i
    while i < n and html[i] != byte.LESS_THAN:
        c, after = character(html, i)
        if c > byte.SPACE:
            break
        if not in_pre:
            state[SPACE] |= c > 0
        elif c == byte.LINE_FEED:
            state[INDENT] = 0
        elif c:
            blocks.text[state[OUT] + state[INDENT]] = c
            state[INDENT] += 1
        i = after
    return i


@inner(_nrt=False)
def put(c: int, blocks: Blocks, state: Int64s) -> None:
    """Append a visible ASCII character to the open block."""
    counts = blocks.counts[state[BLOCKS] - 1]
    if state[SPACE] and not state[IN_PRE]:
        blocks.text[state[OUT]] = byte.SPACE
        state[OUT] += 1
        counts[CHARS] += 1
    blocks.text[state[OUT]] = c
    state[OUT] += 1
    counts[CHARS] += 1
    state[SPACE] = state[BREAKS] = 0
    blocks.end[state[BLOCKS] - 1] = state[OUT]


@inner(_nrt=False)
def end_block(state: Int64s) -> None:
    """The next text begins a block."""
    state[IN_BLOCK] = state[INDENT] = 0


@inner(_nrt=False)
def note_container(flags: Int64s, tags: Int32s, stack: Int32s, state: Int64s) -> None:
    """Enter in the second half of `stack` where the innermost element open that is a container of
    blocks stands: not inline, and no line or cell of `<pre>`."""
    half, at = stack.shape[0] // 2, state[AT_STACK] - 1
    tag = tags[stack[at]]
    is_line = at >= state[IN_PRE] > 0 and (flags[tag] & _LINE or tag in (_TD, _TH))
    is_container = at == 0 or not (is_line or flags[tag] & _INLINE)
    stack[half + at] = at if is_container else stack[half + at - 1]


@inner(_nrt=False)
def set_mode(state: Int64s, mode: int, level: int) -> None:
    """What follows is in a mode until fewer than `level` elements are open."""
    state[mode] = level
    state[TOP_MODE] = max(state[TOP_MODE], level)


@inner(_nrt=False)
def begin_line(blocks: Blocks, state: Int64s) -> None:
    """Inside `<pre>`: what follows begins a line."""
    state[INDENT] = 0
    if state[IN_BLOCK] and blocks.text[state[OUT] - 1] != byte.LINE_FEED:
        blocks.text[state[OUT]] = byte.LINE_FEED
        state[OUT] += 1


@inner(_nrt=False)
def set_apart(state: Int64s) -> None:
    """What follows does not touch the word before."""
    if not state[IN_PRE]:
        state[SPACE] = 1


@inner(_nrt=False)
def _enter_tally(tally: Int64s, spaces: int, counts: Floats, state: Int64s) -> None:
    chars = tally[_PLAIN] + tally[_CAPITAL] + tally[_DIGIT] + tally[_PUNCTUATION] + 3 * tally[_WIDE]
    counts[CHARS] += chars + spaces
    counts[WIDE_CHARS] += tally[_WIDE]
    counts[CAPITALS] += tally[_CAPITAL]
    counts[DIGITS] += tally[_DIGIT]
    counts[COMMAS] += tally[_A_COMMA]
    counts[SENTENCES] += tally[_A_STOP]
    counts[MARKS] += tally[_A_MARK]
    if state[IN_LINK] > 0:
        counts[LINK_CHARS] += chars
    if state[IN_BOLD] > 0:
        counts[BOLD_CHARS] += chars - 2 * tally[_WIDE]


@inner(_nrt=False)
def _punctuate(html: Bytes, i: int, c: int, tally: Int64s) -> None:
    """Count commas, ends of sentences and separating marks, those of Chinese, Japanese and Arabic
    too."""
    after = html[i + 1] if i + 1 < html.shape[0] else np.uint8(byte.SPACE)
    third = html[i + 2] if i + 2 < html.shape[0] else np.uint8(0)
    if (
        c == byte.COMMA
        or (c == byte.WIDE_COMMA[0] and after == byte.WIDE_COMMA[1] and third == byte.WIDE_COMMA[2])
        or (c == byte.ARABIC_COMMA[0] and after == byte.ARABIC_COMMA[1])
    ):
        tally[_A_COMMA] += 1
    elif c == byte.FULL_STOP or c == byte.EXCLAMATION or c == byte.QUESTION:
        if after <= byte.QUOTE or after == byte.LESS_THAN:
            tally[_A_STOP] += 1
    elif c == byte.CJK_PUNCTUATION[0] and after == byte.CJK_PUNCTUATION[1]:
        if third == byte.CJK_COMMA_END:
            tally[_A_COMMA] += 1
        elif third == byte.CJK_STOP_END:
            tally[_A_STOP] += 1
    elif c == byte.BAR or c == byte.SLASH:
        tally[_A_MARK] += 1


@inner(_nrt=False)
def open_block(flags: Int64s, tags: Int32s, blocks: Blocks, stack: Int32s, state: Int64s) -> None:
    """Begin a block in the innermost element that is not inline; the lines and cells inside
    `<pre>` belong to the `<pre>`."""
    block = state[BLOCKS]
    state[BLOCKS] += 1
    state[IN_BLOCK] = 1
    state[SPACE] = 0
    blocks.start[block] = state[OUT]
    blocks.counts[block, :] = 0
    at = state[AT_STACK] - 1
    blocks.node[block] = stack[stack[stack.shape[0] // 2 + at]] if at >= 0 else 0
    if state[IN_PRE]:
        state[OUT] += state[INDENT]
    state[INDENT] = 0


@inner(_nrt=False)
def character(html: Bytes, i: int) -> tuple[np.uint8, int]:
    """Return (byte, position after it): entities decoded, no-break spaces as spaces, marks of zero
    width and soft hyphens as 0."""
    n = html.shape[0]
    c = html[i]
    if c == byte.AMPERSAND:
        if equals(html, i + 1, min(i + 5, n), _AMP):
            return np.uint8(byte.AMPERSAND), i + 5
        if equals(html, i + 1, min(i + 4, n), _LT):
            return np.uint8(byte.LESS_THAN), i + 4
        if equals(html, i + 1, min(i + 4, n), _GT):
            return np.uint8(byte.GREATER_THAN), i + 4
        if equals(html, i + 1, min(i + 6, n), _NBSP):
            return np.uint8(byte.SPACE), i + 6
        if equals(html, i + 1, min(i + 6, n), _QUOT):
            return np.uint8(byte.QUOTE), i + 6
    elif c == byte.NO_BREAK_SPACE[0]:
        if i + 1 < n and html[i + 1] == byte.NO_BREAK_SPACE[1]:
            return np.uint8(byte.SPACE), i + 2
        if i + 1 < n and html[i + 1] == byte.SOFT_HYPHEN[1]:
            return np.uint8(0), i + 2
    elif c == byte.GENERAL_PUNCTUATION[0] and i + 2 < n:
        second, third = html[i + 1], html[i + 2]
        if (second == byte.GENERAL_PUNCTUATION[1] and third in byte.ZERO_WIDTH) or (
            second == byte.WORD_JOINER[1]
            and byte.WORD_JOINER[2] <= third <= byte.INVISIBLE_PLUS_END
        ):
            return np.uint8(0), i + 3
    return c, i + 1
