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

from curation.kernels import blocks_vocabulary as v

Bytes = npt.NDArray[np.uint8]

# Columns of `Blocks.counts`, then one for each of WORD_LISTS.
(CHARS, LINK_CHARS, WORDS, DIGITS, CAPITALS, COMMAS, SENTENCES, MARKS, CAPITAL_WORDS, STOP_WORDS, LAST, FIRST, BOLD_CHARS, TITLE_WORDS,
 WIDE_CHARS, IMAGES) = range(16)  # fmt: skip
WORD_LIST = 16
COLUMNS = WORD_LIST + len(v.WORD_LISTS)

# What the scanner remembers, as places in one int64 array.
(AT_STACK, IN_SKIPPED, IN_LINK, IN_BOLD, IN_PRE, IN_BLOCK, BREAKS, SPACE, OUT, BLOCKS, NODES, TITLE_FROM, TITLE_TO) = range(13)  # fmt: skip

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_INLINE = v.IS_INLINE
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


@njit(cache=True, nogil=True)
def look_up(keys, values, key):
    """The value of a hash in one of the vocabulary's tables, 0 where it is not there."""
    size = np.uint64(keys.shape[0])
    at = key % size
    while keys[at] != 0:
        if keys[at] == key:
            return values[at]
        at = (at + np.uint64(1)) % size
    return 0


@njit(cache=True, nogil=True)
def equals(data, start, end, word):
    """Whether data[start:end] is the bytes `word`."""
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110 - Numba is faster with a loop
        if data[start + i] != word[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def read_text(html, i, words, nodes, blocks, stack, state):
    """Read the text from i to the next tag into the open block, or into a new one; return where the tag starts."""
    n = html.shape[0]
    while i < n and html[i] != 60:
        c, after = _character(html, i)
        if c == 0 or c == 32 or 9 <= c <= 13:
            i = _white_space(c, after, blocks, state)
            continue
        if not state[IN_BLOCK]:
            _open_block(words, nodes, blocks, stack, state)
        block = state[BLOCKS] - 1
        out = state[OUT]
        if state[SPACE]:
            blocks.text[out] = 10 if state[BREAKS] else 32
            out += 1
            state[SPACE] = 0
            blocks.counts[block, CHARS] += 1
        state[BREAKS] = 0
        _count_character(html, i, c, blocks.counts[block], state)
        blocks.text[out] = c
        state[OUT] = out + 1
        blocks.end[block] = out + 1
        i = after
    return i


@njit(cache=True, nogil=True)
def _white_space(c, after, blocks, state):
    if c and state[IN_PRE] and state[IN_BLOCK]:
        blocks.text[state[OUT]] = c
        state[OUT] += 1
    elif c:
        state[SPACE] = 1
    return after


@njit(cache=True, nogil=True)
def _open_block(words, nodes, blocks, stack, state):
    block = state[BLOCKS]
    state[BLOCKS] += 1
    state[IN_BLOCK] = 1
    state[SPACE] = 0
    blocks.start[block] = state[OUT]
    at = state[AT_STACK] - 1
    while at > 0 and words.flags[nodes.tag[stack[at]]] & _INLINE:
        at -= 1
    blocks.node[block] = stack[at] if at >= 0 else 0


@njit(cache=True, nogil=True)
def _character(html, i):
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
def _count_character(html, i, c, counts, state):
    """Enter a byte that is not white space in the counts of its block; i is where it stands in the HTML."""
    if c & 0xC0 == 0x80:
        return
    width = 3 if 0xE3 <= c <= 0xE9 else 1
    counts[CHARS] += width
    if width == 3:
        counts[WIDE_CHARS] += 1
    if state[IN_LINK] > 0:
        counts[LINK_CHARS] += width
    if state[IN_BOLD] > 0:
        counts[BOLD_CHARS] += 1
    if 97 <= c <= 122:
        return
    after = html[i + 1] if i + 1 < html.shape[0] else np.uint8(32)
    third = html[i + 2] if i + 2 < html.shape[0] else np.uint8(0)
    if 65 <= c <= 90:
        counts[CAPITALS] += 1
    elif 48 <= c <= 57:
        counts[DIGITS] += 1
    elif c == 44 or (c == 0xEF and after == 0xBC and third == 0x8C) or (c == 0xD8 and after == 0x8C):
        counts[COMMAS] += 1
    elif c == 46 or c == 33 or c == 63:
        if after <= 34 or after == 60:
            counts[SENTENCES] += 1
    elif c == 0xE3 and after == 0x80:
        if third == 0x81:
            counts[COMMAS] += 1
        elif third == 0x82:
            counts[SENTENCES] += 1
    elif c == 124 or c == 0xC2 or c == 62 or c == 47:
        counts[MARKS] += 1


@njit(cache=True, nogil=True)
def lower_letter(c):
    """The byte in lower case where it belongs to a word (letters, digits, all beyond ASCII), else 0."""
    if 65 <= c <= 90:
        return np.uint64(c + 32)
    if 97 <= c <= 122 or 48 <= c <= 57 or c >= 128:
        return np.uint64(c)
    return np.uint64(0)


@njit(cache=True, nogil=True)
def count_words(title, blocks, made, words):
    """Fill the columns of words for the first `made` blocks; `title` is the text of the page's title element."""
    titled = _title_table(title)
    for block in range(made):
        counts = blocks.counts[block]
        h = _OFFSET
        length = 0
        capital = False
        for i in range(blocks.start[block], blocks.end[block] + 1):
            c = blocks.text[i] if i < blocks.end[block] else np.uint8(32)
            low = lower_letter(c)
            if low:
                if length == 0:
                    capital = 65 <= c <= 90
                h = (h ^ low) * _PRIME
                length += 1
            elif length:
                counts[WORDS] += 1
                counts[CAPITAL_WORDS] += capital
                _enter_word(h, counts, titled, words)
                h = _OFFSET
                length = 0
        counts[LAST] = _last_mark(blocks.text, blocks.start[block], blocks.end[block])
        counts[FIRST] = _first_sort(blocks.text[blocks.start[block]])


@njit(cache=True, nogil=True)
def _enter_word(h, counts, titled, words):
    lists = look_up(words.word_keys, words.word_values, h)
    counts[STOP_WORDS] += lists & 1
    lists >>= 1
    column = WORD_LIST
    while lists:
        counts[column] += lists & 1
        lists >>= 1
        column += 1
    at = h % np.uint64(_TITLE_SLOTS)
    while titled[at] != 0:
        if titled[at] == h:
            counts[TITLE_WORDS] += 1
            return
        at = (at + np.uint64(1)) % np.uint64(_TITLE_SLOTS)


@njit(cache=True, nogil=True)
def _title_table(title):
    """An open-addressing set of the hashes of the title's first hundred words."""
    table = np.zeros(_TITLE_SLOTS, np.uint64)
    held = 0
    h = _OFFSET
    length = 0
    for i in range(title.shape[0] + 1):
        low = lower_letter(title[i]) if i < title.shape[0] else np.uint64(0)
        if low:
            h = (h ^ low) * _PRIME
            length += 1
        elif length:
            at = h % np.uint64(_TITLE_SLOTS)
            while table[at] != 0 and table[at] != h:
                at = (at + np.uint64(1)) % np.uint64(_TITLE_SLOTS)
            if table[at] == 0 and held < _TITLE_WORDS:
                table[at] = h
                held += 1
            h = _OFFSET
            length = 0
    return table


@njit(cache=True, nogil=True)
def _last_mark(text, start, end):
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
def _first_sort(c):
    """How a block begins: 1 with a capital, 2 with a small letter, 3 with a digit, 4 beyond ASCII, else 0."""
    if 65 <= c <= 90:
        return 1
    if 97 <= c <= 122:
        return 2
    if 48 <= c <= 57:
        return 3
    return 4 if c >= 128 else 0
