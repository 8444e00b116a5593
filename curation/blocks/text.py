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
from numba import njit

from curation.blocks import byte
from curation.blocks import vocabulary as v

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
(AT_STACK, IN_SKIPPED, IN_LINK, IN_BOLD, IN_PRE, IN_BLOCK, BREAKS, SPACE, OUT, BLOCKS, NODES,
 TITLE_FROM, TITLE_TO) = range(13)  # fmt: skip
STATE = 13

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_INLINE = v.IS_INLINE
_PLAIN, _CAPITAL, _DIGIT, _PUNCTUATION, _WIDE = v.PLAIN, v.CAPITAL, v.DIGIT, v.PUNCTUATION, v.WIDE
_BLANK, _CONTINUED, _SPECIAL = v.BLANK, v.CONTINUED, v.SPECIAL
_A_COMMA, _A_STOP, _A_MARK = 7, 8, 9  # places in the tally behind the sorts
TALLY = 10
_AMP, _LT, _GT, _NBSP = b"amp;", b"lt;", b"gt;", b"nbsp;"
_TITLE_SLOTS = 256
_TITLE_WORDS = 100


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


@njit(cache=True, nogil=True, _nrt=False)
def look_up(keys: Keys, values: Int64s, key: np.uint64) -> int:
    """Return the value of a hash in one of the vocabulary's tables, 0 where it is not there."""
    mask = keys.shape[0] - 1
    at = np.int64(key) & mask
    while keys[at] != 0:
        if keys[at] == key:
            return values[at]
        at = (at + 1) & mask
    return 0


@njit(cache=True, nogil=True, _nrt=False)
def equals(data: Bytes, start: int, end: int, word: bytes) -> bool:
    """Return whether data[start:end] is the bytes `word`."""
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110 - Numba is faster with a loop
        if data[start + i] != word[i]:
            return False
    return True


@njit(cache=True, nogil=True, _nrt=False)
def read_text(
    html: Bytes,
    i: int,
    words: v.Vocabulary,
    nodes: Nodes,
    blocks: Blocks,
    stack: Int32s,
    state: Int64s,
    tally: Int64s,
) -> int:
    """Read the text from i to the next tag into the open block, or into a new one; return where the
    tag starts.

    `tally` int64[TALLY] is scratch: how many bytes of each sort of `vocabulary.SORTS`, entered in
    the counts at the end.
    """
    i = _first_visible(html, i, state)
    if i >= html.shape[0] or html[i] == byte.LESS_THAN:
        return i
    if not state[IN_BLOCK]:
        _open_block(words.flags, nodes.tag, blocks, stack, state)
    return _read_characters(html, i, words.sorts, blocks, state, tally)


@njit(cache=True, nogil=True, _nrt=False)
def _read_characters(
    html: Bytes, i: int, sorts: Bytes, blocks: Blocks, state: Int64s, tally: Int64s
) -> int:
    """Append the characters up to the next tag to the open block and count them; return where the
    tag starts."""
    n, text = html.shape[0], blocks.text
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
            c, after = _character(html, i)
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


@njit(cache=True, nogil=True, _nrt=False)
def _first_visible(html: Bytes, i: int, state: Int64s) -> int:
    """Return where the first character stands that is no white space; inside `<pre>` in an open
    block, i itself."""
    if state[IN_PRE] and state[IN_BLOCK]:
        return i
    while i < html.shape[0] and html[i] != byte.LESS_THAN:
        c, after = _character(html, i)
        if c > byte.SPACE:
            break
        if c:
            state[SPACE] = 1
        i = after
    return i


@njit(cache=True, nogil=True, _nrt=False)
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


@njit(cache=True, nogil=True, _nrt=False)
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


@njit(cache=True, nogil=True, _nrt=False)
def _open_block(flags: Int64s, tags: Int32s, blocks: Blocks, stack: Int32s, state: Int64s) -> None:
    block = state[BLOCKS]
    state[BLOCKS] += 1
    state[IN_BLOCK] = 1
    state[SPACE] = 0
    blocks.start[block] = state[OUT]
    at = state[AT_STACK] - 1
    while at > 0 and flags[tags[stack[at]]] & _INLINE:
        at -= 1
    blocks.node[block] = stack[at] if at >= 0 else 0


@njit(cache=True, nogil=True, _nrt=False)
def _character(html: Bytes, i: int) -> tuple[np.uint8, int]:
    """Return (byte, position after it): entities decoded, no-break spaces as spaces, marks of zero
    width as 0."""
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
    elif c == byte.NO_BREAK_SPACE[0]:
        if i + 1 < n and html[i + 1] == byte.NO_BREAK_SPACE[1]:
            return np.uint8(byte.SPACE), i + 2
    elif (
        c == byte.GENERAL_PUNCTUATION[0]
        and i + 2 < n
        and html[i + 1] == byte.GENERAL_PUNCTUATION[1]
        and html[i + 2] in byte.ZERO_WIDTH
    ):
        return np.uint8(0), i + 3
    return c, i + 1


@njit(cache=True, nogil=True)
def count_words(title: Bytes, blocks: Blocks, n_blocks: int, words: v.Vocabulary) -> None:
    """Fill the columns of words for the first `n_blocks` blocks;

    `title` is the text of the page's title element.
    """
    _count_words(_title_table(title, words.letters), blocks, n_blocks, words)


@njit(cache=True, nogil=True, _nrt=False)
def _count_words(titled: Keys, blocks: Blocks, n_blocks: int, words: v.Vocabulary) -> None:
    keys, values, letters, text = words.word_keys, words.word_values, words.letters, blocks.text
    all_counts = blocks.counts
    for block in range(n_blocks):
        number, capitals, stops, in_title, length = 0, 0, 0, 0, 0
        h = _OFFSET
        end = np.int64(blocks.end[block])
        for i in range(np.int64(blocks.start[block]), end + 1):
            c = text[i] if i < end else np.uint8(byte.SPACE)
            low = letters[c]
            if low:
                if length == 0 and c != low and c < byte.ASCII_END:
                    capitals += 1
                h = (h ^ np.uint64(low)) * _PRIME
                length += 1
            elif length:
                number += 1
                lists = look_up(keys, values, h)
                stops += lists & 1
                lists >>= 1
                column = WORD_LIST
                while lists:
                    all_counts[block, column] += lists & 1
                    lists >>= 1
                    column += 1
                in_title += _is_among(titled, h)
                h = _OFFSET
                length = 0
        all_counts[block, WORDS], all_counts[block, CAPITAL_WORDS] = number, capitals
        all_counts[block, STOP_WORDS], all_counts[block, TITLE_WORDS] = stops, in_title
        all_counts[block, LAST] = _last_mark(text, blocks.start[block], blocks.end[block])
        all_counts[block, FIRST] = _first_sort(text[blocks.start[block]])


@njit(cache=True, nogil=True, _nrt=False)
def _is_among(titled: Keys, h: np.uint64) -> int:
    at = np.int64(h) & (_TITLE_SLOTS - 1)
    while titled[at] != 0:
        if titled[at] == h:
            return 1
        at = (at + 1) & (_TITLE_SLOTS - 1)
    return 0


@njit(cache=True, nogil=True)
def _title_table(title: Bytes, letters: Bytes) -> Keys:
    """Return an open-addressing set of the hashes of the title's first hundred words."""
    table = np.zeros(_TITLE_SLOTS, np.uint64)
    size = 0
    h = _OFFSET
    length = 0
    for i in range(title.shape[0] + 1):
        low = letters[title[i]] if i < title.shape[0] else np.uint8(0)
        if low:
            h = (h ^ np.uint64(low)) * _PRIME
            length += 1
        elif length:
            at = np.int64(h) & (_TITLE_SLOTS - 1)
            while table[at] != 0 and table[at] != h:
                at = (at + 1) & (_TITLE_SLOTS - 1)
            if table[at] == 0 and size < _TITLE_WORDS:
                table[at] = h
                size += 1
            h = _OFFSET
            length = 0
    return table


@njit(cache=True, nogil=True, _nrt=False)
def _last_mark(text: Bytes, start: int, end: int) -> int:
    """Return how a block ends: 1 full stop or the like, 2 colon, 3 wide full stop or ellipsis, else
    0."""
    c = text[end - 1]
    if (c == byte.QUOTE or c == byte.CLOSING_BRACKET) and end - 2 >= start:
        c = text[end - 2]
    elif c == byte.CURLY_QUOTE_END and end - 4 >= start:
        c = text[end - 4]
    if c == byte.FULL_STOP or c == byte.EXCLAMATION or c == byte.QUESTION:
        return 1
    if c == byte.COLON:
        return 2
    return 3 if c == byte.CJK_STOP_END or c == byte.ELLIPSIS_END else 0


@njit(cache=True, nogil=True)
def _first_sort(c: int) -> int:
    """Return how a block begins: 1 capital, 2 small letter, 3 digit, 4 beyond ASCII, else 0."""
    if byte.CAPITAL_A <= c <= byte.CAPITAL_Z:
        return 1
    if byte.SMALL_A <= c <= byte.SMALL_Z:
        return 2
    if byte.ZERO <= c <= byte.NINE:
        return 3
    return 4 if c >= byte.ASCII_END else 0
