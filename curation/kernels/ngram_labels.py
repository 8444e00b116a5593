"""The likeliest label of short texts by a small fastText classifier: lid.176 and its like.

Words and their n-grams of characters are looked up, the mean of their vectors walks down a Huffman
tree of labels. Numbers are those of fastText to the last bit: single precision, in its order. Costs
about 20 ns an n-gram, a sixth of fastText's time, since n-grams are hashed as they grow and found
in one table of numbers. The trap: a word of the dictionary is told by its bytes, an n-gram by its
bucket alone, as fastText has it.

Shape letters: W words, R rows (words, then n-grams), D dimensions, L labels, S slots of a table.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Offsets

Int = Any  # in Numba code, where int and np.int64 are one
Floats = npt.NDArray[np.float32]
Int32s = npt.NDArray[np.int32]
_OFFSET, _PRIME, _ALL = np.uint32(2166136261), np.uint32(16777619), np.uint32(0xFFFFFFFF)
_SIGN = np.uint32(0xFFFFFF00)
_BEGIN, _END = b"<>"
_LABEL, _LINE_END = b"__label__", b"</s>"
_SPREAD = np.uint32(0x9E3779B1)
_LEAST = np.float32(math.log(1e-5))  # fastText's logarithm of no probability


class LabelModel(NamedTuple):
    """A classifier's tables. Slots of a table hold -1 where they are empty."""

    words: Bytes  # the words' bytes one after the other
    word_ends: Offsets  # [W + 1]
    word_slots: Int32s  # [S], number of a word by its hash
    gram_keys: Int32s  # [S'], buckets of the n-grams that the model kept
    gram_rows: Int32s  # [S'], their rows
    rows: Floats  # [R, D]
    splits: Floats  # [L - 1, D], of the tree's inner nodes
    children: Int32s  # [2 L - 1, 2], -1 for a leaf; the last is the root
    end_row: int  # of the word that ends a line, -1 for none
    buckets: int
    shortest: int  # n-gram, in characters
    longest: int


def slots(keys: npt.NDArray[np.int64]) -> tuple[Int32s, Int32s]:
    """Return (int32[S] keys, int32[S] places): a table of distinct numbers below 2^31, each with
    its place.

    >>> table, places = slots(np.array([7, 5]))
    >>> sorted(table[table >= 0].tolist()), sorted(places[table >= 0].tolist())
    ([5, 7], [0, 1])
    """
    size = 1 << max(int(2 * len(keys)).bit_length(), 4)
    table, places = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    _enter(keys, table, places)
    return table, places


@kernel
def _enter(keys: npt.NDArray[np.int64], table: Int32s, places: Int32s) -> None:
    mask = np.uint32(table.shape[0] - 1)
    for place in range(keys.shape[0]):
        at = _slot(np.uint32(keys[place]), mask)
        while table[at] >= 0:
            at = (at + np.uint32(1)) & mask
        table[at], places[at] = keys[place], place


@kernel
def word_slots(words: Bytes, ends: Offsets, size: Int) -> Int32s:
    """Return int32[size], a table of the words words[ends[w]:ends[w + 1]]; size is a power of 2."""
    table = np.full(size, -1, np.int32)
    mask = np.uint32(size - 1)
    for word in range(ends.shape[0] - 1):
        h = _OFFSET
        for k in range(ends[word], ends[word + 1]):
            h = _hashed(h, words[k])
        at = h & mask
        while table[at] >= 0:
            at = (at + np.uint32(1)) & mask
        table[at] = word
    return table


@kernel
def labels(model: LabelModel, offsets: Offsets, data: Bytes) -> tuple[Int32s, Floats]:
    """Return (int32[n], float32[n]): of each text data[offsets[i]:offsets[i + 1]], one line of
    UTF-8, the number of its likeliest label and that label's probability; -1 for a text of which
    the model knows nothing."""
    n = offsets.shape[0] - 1
    best, chances = np.full(n, -1, np.int32), np.zeros(n, np.float32)
    mean = np.zeros(model.rows.shape[1], np.float32)
    longest = 0
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    word = np.zeros(longest + 2, np.uint8)
    word[0] = _BEGIN
    nodes = model.children.shape[0]
    stack, scores = np.zeros(nodes, np.int32), np.zeros(nodes, np.float32)
    for i in range(n):
        if _mean(model, data, offsets[i], offsets[i + 1], word, mean):
            best[i], chances[i] = _walk(model, mean, stack, scores)
    return best, chances


@inner(_nrt=False)
def _hashed(h: np.uint32, byte: np.uint8) -> np.uint32:
    """The FNV hash with one byte more, which is signed."""
    signed = np.uint32(byte) | _SIGN if byte >= 128 else np.uint32(byte)
    return np.uint32((h ^ signed) * _PRIME)


@inner(_nrt=False)
def _slot(key: np.uint32, mask: np.uint32) -> np.uint32:
    return (np.uint32(key * _SPREAD) >> np.uint32(8)) & mask


@inner(_nrt=False)
def _mean(model: LabelModel, data: Bytes, i: int, end: int, word: Bytes, mean: Floats) -> bool:
    """Enter in `mean` that of the rows of a line; False where it has none."""
    mean[:] = 0
    count = 0
    while i < end:
        while i < end and _is_blank(data[i]):
            i += 1
        size = 0
        while i < end and not _is_blank(data[i]):
            size += 1
            word[size] = data[i]
            i += 1
        if _is_line_end(word, size):  # nothing behind it counts
            break
        if size and not _is_label(word, size):
            count += _add_word(model, word, size, mean)
    if model.end_row >= 0:
        count += _add(model.rows, model.end_row, mean)
    share = np.float32(1.0 / max(count, 1))
    for k in range(mean.shape[0]):
        mean[k] *= share
    return count > 0


@inner(_nrt=False)
def _is_blank(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@inner(_nrt=False)
def _is_label(word: Bytes, size: int) -> bool:
    return size >= len(_LABEL) and _begins(word, _LABEL)


@inner(_nrt=False)
def _is_line_end(word: Bytes, size: int) -> bool:
    return size == len(_LINE_END) and _begins(word, _LINE_END)


@inner(_nrt=False)
def _begins(word: Bytes, sign: bytes) -> bool:
    for k in range(len(sign)):  # noqa: SIM110 - Numba is faster with a loop
        if word[k + 1] != sign[k]:
            return False
    return True


@inner(_nrt=False)
def _add(rows: Floats, row: int, mean: Floats) -> int:
    for k in range(mean.shape[0]):
        mean[k] += rows[row, k]
    return 1


@inner(_nrt=False)
def _add_word(model: LabelModel, word: Bytes, size: int, mean: Floats) -> int:
    """Add the rows of word[1:size + 1] and of its n-grams; return how many."""
    count = 0
    number = _word_number(model, word, size)
    if number >= 0:
        count += _add(model.rows, number, mean)
    word[size + 1] = _END
    end = size + 2
    mask = np.uint32(model.gram_keys.shape[0] - 1)
    buckets = np.uint32(model.buckets)
    for i in range(end):
        if word[i] & 0xC0 == 0x80:
            continue
        h, j = _OFFSET, i
        for n in range(1, model.longest + 1):
            if j >= end:
                break
            h = _hashed(h, word[j])
            j += 1
            while j < end and word[j] & 0xC0 == 0x80:
                h = _hashed(h, word[j])
                j += 1
            if n < model.shortest or (n == 1 and (i == 0 or j == end)):
                continue
            key = np.int32(h % buckets)
            at = _slot(np.uint32(key), mask)
            while model.gram_keys[at] >= 0:
                if model.gram_keys[at] == key:
                    count += _add(model.rows, model.gram_rows[at], mean)
                    break
                at = (at + np.uint32(1)) & mask
    return count


@inner(_nrt=False)
def _word_number(model: LabelModel, word: Bytes, size: int) -> int:
    """The number of word[1:size + 1] in the dictionary, -1 where it is not there."""
    h = _OFFSET
    for k in range(1, size + 1):
        h = _hashed(h, word[k])
    mask = np.uint32(model.word_slots.shape[0] - 1)
    at = h & mask
    while model.word_slots[at] >= 0:
        number = model.word_slots[at]
        start = model.word_ends[number]
        if model.word_ends[number + 1] - start == size:
            k = 0
            while k < size and model.words[start + k] == word[k + 1]:
                k += 1
            if k == size:
                return number
        at = (at + np.uint32(1)) & mask
    return -1


@inner(_nrt=False)
def _log(value: np.float32) -> np.float32:
    return np.float32(math.log(np.float64(value) + 1e-5))


@inner(_nrt=False)
def _walk(model: LabelModel, mean: Floats, stack: Int32s, scores: Floats) -> tuple[int, np.float32]:
    """The likeliest leaf of the tree and its probability: depth first, as no path rises."""
    leaves = model.splits.shape[0] + 1
    best, best_score = -1, np.float32(0)
    stack[0], scores[0] = model.children.shape[0] - 1, np.float32(0)
    top = 1
    while top:
        top -= 1
        node, score = stack[top], scores[top]
        if score < _LEAST or (best >= 0 and score < best_score):
            continue
        if node < leaves:
            best, best_score = node, score
            continue
        product = np.float32(0)
        for k in range(mean.shape[0]):
            product += model.splits[node - leaves, k] * mean[k]
        right = np.float32(1.0 / np.float64(np.float32(1) + np.float32(math.exp(-product))))
        stack[top], scores[top] = model.children[node, 1], score + _log(right)
        left = np.float32(1.0 - np.float64(right))
        stack[top + 1], scores[top + 1] = model.children[node, 0], score + _log(left)
        top += 2
    return best, np.float32(math.exp(best_score))
