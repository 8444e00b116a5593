"""The words of blocks, counted by list, and how a block begins and ends.

Linear in bytes. The trap: every character beyond ASCII counts as a letter of a word.
"""

from __future__ import annotations

import numpy as np

from curation.blocks import byte
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner
from curation.blocks.text import (
    CAPITAL_WORDS,
    FIRST,
    LAST,
    STOP_WORDS,
    TITLE_WORDS,
    WORD_LIST,
    WORDS,
    Blocks,
    Bytes,
    Keys,
    look_up,
)

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_TITLE_SLOTS = 256
_TITLE_WORDS = 100


@inner
def count_words(title: Bytes, blocks: Blocks, n_blocks: int, words: v.Vocabulary) -> None:
    """Fill the columns of words for the first `n_blocks` blocks;

    `title` is the text of the page's title element.
    """
    _count_words(_title_table(title, words.letters), blocks, n_blocks, words)


@inner(_nrt=False)
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


@inner(_nrt=False)
def _is_among(titled: Keys, h: np.uint64) -> int:
    at = np.int64(h) & (_TITLE_SLOTS - 1)
    while titled[at] != 0:
        if titled[at] == h:
            return 1
        at = (at + 1) & (_TITLE_SLOTS - 1)
    return 0


@inner
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


@inner(_nrt=False)
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


@inner
def _first_sort(c: int) -> int:
    """Return how a block begins: 1 capital, 2 small letter, 3 digit, 4 beyond ASCII, else 0."""
    if byte.CAPITAL_A <= c <= byte.CAPITAL_Z:
        return 1
    if byte.SMALL_A <= c <= byte.SMALL_Z:
        return 2
    if byte.ZERO <= c <= byte.NINE:
        return 3
    return 4 if c >= byte.ASCII_END else 0
