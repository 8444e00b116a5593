"""The text of blocks: characters as they come between two tags, then words by sort; the arrays that `blocks.scan` fills.

White space is collapsed to one space, a single `<br>` to a line feed; inside `<pre>` it stays. The trap: Chinese, Japanese and Korean have
few spaces, so a wide character counts as three characters, and the number of words there says little.

Shape letters: N elements (0 is a root above all), B blocks, T bytes of text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.blocks import vocabulary as v

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Columns of `Blocks.counts`, then one for each of WORD_LISTS.
(CHARS, LINK_CHARS, WORDS, DIGITS, CAPITALS, COMMAS, SENTENCES, MARKS, CAPITAL_WORDS, STOP_WORDS, LAST, FIRST, BOLD_CHARS, TITLE_WORDS,
 WIDE_CHARS, IMAGES) = range(16)  # fmt: skip
WORD_LIST = 16
COLUMNS = WORD_LIST + len(v.WORD_LISTS)

# What the scanner remembers, as places in one int64 array.
(AT_STACK, IN_SKIPPED, IN_LINK, IN_BOLD, IN_PRE, IN_BLOCK, BREAKS, SPACE, OUT, BLOCKS, NODES, TITLE_FROM, TITLE_TO) = range(13)  # fmt: skip

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
    names: npt.NDArray[
        np.int64
    ]  # [N], bits of CATEGORIES found in class, id, role, itemprop; `hidden` also by style and ARIA
    signature: npt.NDArray[np.uint64]  # [N], hash of the tag and the class without its digits
    depth: npt.NDArray[np.int32]  # [N], the root has 0


class Blocks(NamedTuple):
    """Text blocks in document order."""

    start: npt.NDArray[np.int32]  # [B], first byte in `text`
    end: npt.NDArray[np.int32]  # [B], one past the last
    node: npt.NDArray[np.int32]  # [B], the innermost element that is not inline
    counts: npt.NDArray[np.float32]  # [B, COLUMNS], characters and words of each sort
    text: Bytes  # [T], UTF-8


@njit(cache=True, nogil=True, inline="always")
def look_up(keys: Keys, values: Int64s, key: np.uint64) -> int:
    """The value of a hash in one of the vocabulary's tables, 0 where it is not there."""
    mask = keys.shape[0] - 1
    at = np.int64(key) & mask
    while keys[at] != 0:
        if keys[at] == key:
            return values[at]
        at = (at + 1) & mask
    return 0


@njit(cache=True, nogil=True, inline="always")
def equals(data: Bytes, start: int, end: int, word: bytes) -> bool:
    """Whether data[start:end] is the bytes `word`."""
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110 - Numba is faster with a loop
        if data[start + i] != word[i]:
            return False
    return True


@njit(cache=True, nogil=True, inline="always")
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
    """Read the text from i to the next tag into the open block, or into a new one; return where the tag starts.

    `tally` int64[TALLY] is scratch: how many bytes of each sort of `vocabulary.SORTS`, entered in the counts at the end.
    """
    n = html.shape[0]
    sorts, text = words.sorts, blocks.text
    i = _first_visible(html, i, state)
    if i >= n or html[i] == 60:
        return i
    if not state[IN_BLOCK]:
        _open_block(words.flags, nodes.tag, blocks, stack, state)
    tally[:] = 0
    out, end = state[OUT], state[OUT]
    space, line_feed, in_pre = state[SPACE], state[BREAKS], state[IN_PRE]
    spaces = 0
    while i < n:
        c = html[i]
        after = i + 1
        sort = sorts[c]
        if sort >= _SPECIAL:
            if c == 60:
                break
            c, after = _character(html, i)
            sort = _PLAIN if c > 32 else _BLANK
            if c == 62 or c == 0xC2:  # > and such as » or ·
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
            text[out] = 10 if line_feed else 32
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


@njit(cache=True, nogil=True, inline="always")
def _first_visible(html: Bytes, i: int, state: Int64s) -> int:
    """Where the first character stands that is no white space; inside `<pre>` in an open block, i itself."""
    if state[IN_PRE] and state[IN_BLOCK]:
        return i
    while i < html.shape[0] and html[i] != 60:
        c, after = _character(html, i)
        if c > 32:
            break
        if c:
            state[SPACE] = 1
        i = after
    return i


@njit(cache=True, nogil=True, inline="always")
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


@njit(cache=True, nogil=True, inline="always")
def _punctuate(html: Bytes, i: int, c: int, tally: Int64s) -> None:
    """Count commas, ends of sentences and separating marks, those of Chinese, Japanese and Arabic too."""
    after = html[i + 1] if i + 1 < html.shape[0] else np.uint8(32)
    third = html[i + 2] if i + 2 < html.shape[0] else np.uint8(0)
    if c == 44 or (c == 0xEF and after == 0xBC and third == 0x8C) or (c == 0xD8 and after == 0x8C):
        tally[_A_COMMA] += 1
    elif c == 46 or c == 33 or c == 63:
        if after <= 34 or after == 60:
            tally[_A_STOP] += 1
    elif c == 0xE3 and after == 0x80:
        if third == 0x81:
            tally[_A_COMMA] += 1
        elif third == 0x82:
            tally[_A_STOP] += 1
    elif c == 124 or c == 47:
        tally[_A_MARK] += 1


@njit(cache=True, nogil=True, inline="always")
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


@njit(cache=True, nogil=True, inline="always")
def _character(html: Bytes, i: int) -> tuple[np.uint8, int]:
    """(byte, position after it): entities as what they mean, no-break spaces as spaces, 0 for marks of zero width."""
    n = html.shape[0]
    c = html[i]
    if c == 38:
        if equals(html, i + 1, min(i + 5, n), _AMP):
            return np.uint8(38), i + 5
        if equals(html, i + 1, min(i + 4, n), _LT):
            return np.uint8(60), i + 4
        if equals(html, i + 1, min(i + 4, n), _GT):
            return np.uint8(62), i + 4
        if equals(html, i + 1, min(i + 6, n), _NBSP):
            return np.uint8(32), i + 6
    elif c == 0xC2:
        if i + 1 < n and html[i + 1] == 0xA0:
            return np.uint8(32), i + 2
    elif c == 0xE2 and i + 2 < n and html[i + 1] == 0x80 and html[i + 2] in (0x8B, 0x8E, 0x8F):
        return np.uint8(0), i + 3
    return c, i + 1


@njit(cache=True, nogil=True)
def count_words(title: Bytes, blocks: Blocks, made: int, words: v.Vocabulary) -> None:
    """Fill the columns of words for the first `made` blocks; `title` is the text of the page's title element."""
    _count_words(_title_table(title, words.letters), blocks, made, words)


@njit(cache=True, nogil=True, _nrt=False)
def _count_words(titled: Keys, blocks: Blocks, made: int, words: v.Vocabulary) -> None:
    keys, values, letters, text = words.word_keys, words.word_values, words.letters, blocks.text
    all_counts = blocks.counts
    for block in range(made):
        number, capitals, stops, in_title, length = 0, 0, 0, 0, 0
        h = _OFFSET
        end = np.int64(blocks.end[block])
        for i in range(np.int64(blocks.start[block]), end + 1):
            c = text[i] if i < end else np.uint8(32)
            low = letters[c]
            if low:
                if length == 0 and c != low and c < 128:
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


@njit(cache=True, nogil=True, inline="always")
def _is_among(titled: Keys, h: np.uint64) -> int:
    at = np.int64(h) & (_TITLE_SLOTS - 1)
    while titled[at] != 0:
        if titled[at] == h:
            return 1
        at = (at + 1) & (_TITLE_SLOTS - 1)
    return 0


@njit(cache=True, nogil=True)
def _title_table(title: Bytes, letters: Bytes) -> Keys:
    """An open-addressing set of the hashes of the title's first hundred words."""
    table = np.zeros(_TITLE_SLOTS, np.uint64)
    held = 0
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
            if table[at] == 0 and held < _TITLE_WORDS:
                table[at] = h
                held += 1
            h = _OFFSET
            length = 0
    return table


@njit(cache=True, nogil=True, inline="always")
def _last_mark(text: Bytes, start: int, end: int) -> int:
    """How a block ends: 1 with a full stop or the like, 2 with a colon, 3 with a wide full stop or an ellipsis, else 0."""
    c = text[end - 1]
    if (c == 34 or c == 41) and end - 2 >= start:
        c = text[end - 2]
    elif c == 0x9D and end - 4 >= start:  # a closing curly quotation mark
        c = text[end - 4]
    if c == 46 or c == 33 or c == 63:
        return 1
    if c == 58:
        return 2
    return 3 if c == 0x82 or c == 0xA6 else 0


@njit(cache=True, nogil=True)
def _first_sort(c: int) -> int:
    """How a block begins: 1 with a capital, 2 with a small letter, 3 with a digit, 4 beyond ASCII, else 0."""
    if 65 <= c <= 90:
        return 1
    if 97 <= c <= 122:
        return 2
    if 48 <= c <= 57:
        return 3
    return 4 if c >= 128 else 0
