"""Listed words in addresses: how many different ones stand between other characters than letters
and digits, and how many stand anywhere once these characters are left out.

As datatrove's `URLFilter` reads addresses: a word is a run of ASCII letters and digits; for parts of
words the address is squeezed to its letters and digits. Both in lower case. Linear in the bytes
(Aho and Corasick 1975, as an automaton over 36 characters); only the first `MOST_BYTES` of an
address count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, Offsets, readonly, text_buffers
from curation.kernels.hosts import position
from curation.kernels.words import BASIS, PRIME, mix64

MOST_BYTES = 1 << 16  # of one address; a page's address has a few thousand at most
_CHARACTERS = 36
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt64s = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class WordParts:
    """An automaton: the next state by character (int32[states, 36]), the word that ends in a state
    (-1: none), and the longest shorter state in which one ends (0: none)."""

    step: Int32s
    word: Int32s
    shorter: Int32s


def word_hashes(words: Sequence[str]) -> UInt64s:
    """Return the ascending hashes of words, which are lower-case letters and digits."""
    import pyarrow as pa

    hashes = _hashes(*text_buffers(pa.array(list(words), pa.string())))
    return readonly(np.unique(hashes))


@kernel
def _hashes(offsets: Offsets, data: Bytes) -> UInt64s:
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        h = BASIS
        for k in range(offsets[row], offsets[row + 1]):
            h = (h ^ np.uint64(data[k])) * PRIME
        out[row] = mix64(h)
    return out


@inner
def _character(c: np.uint8) -> Int:
    """0 to 35 for a digit or a letter of either case, -1 for any other byte."""
    if 48 <= c <= 57:
        return np.int64(c) - 48
    small = np.int64(c | 32)
    return small - 87 if 97 <= small <= 122 else np.int64(-1)


@kernel
def count_words(offsets: Offsets, data: Bytes, hashes: UInt64s) -> Int64s:
    """How many of the words of these hashes each address has."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    seen = np.full(len(hashes), -1, np.int64)
    for row in range(len(counts)):
        h, size = BASIS, 0
        end = min(offsets[row + 1], offsets[row] + MOST_BYTES)
        for k in range(offsets[row], end + 1):
            character = _character(data[k]) if k < end else np.int64(-1)
            if character >= 0:
                h = (h ^ np.uint64(character + (48 if character < 10 else 87))) * PRIME
                size += 1
                continue
            if size:
                at = position(hashes, mix64(h))
                if at >= 0 and seen[at] != row:
                    seen[at] = row
                    counts[row] += 1
            h, size = BASIS, 0
    return counts


def word_parts(words: Sequence[str]) -> WordParts:
    """Return the automaton that finds words, which are lower-case letters and digits."""
    import pyarrow as pa

    offsets, data = text_buffers(pa.array(list(words), pa.string()))
    return WordParts(*(readonly(part) for part in _automaton(offsets, data)))


@kernel
def _automaton(offsets: Offsets, data: Bytes) -> tuple[Int32s, Int32s, Int32s]:
    most = offsets[-1] - offsets[0] + 1
    step = np.zeros((most, _CHARACTERS), np.int32)
    word = np.full(most, -1, np.int32)
    states = 1
    for row in range(len(offsets) - 1):
        state = np.int32(0)
        for k in range(offsets[row], offsets[row + 1]):
            character = _character(data[k])
            if step[state, character] == 0:
                step[state, character] = states
                states += 1
            state = step[state, character]
        word[state] = row
    fail = np.zeros(states, np.int32)
    shorter = np.zeros(states, np.int32)
    queue = np.empty(states, np.int32)
    head = tail = 0
    for character in range(_CHARACTERS):
        if step[0, character]:
            queue[tail] = step[0, character]
            tail += 1
    while head < tail:
        state = queue[head]
        head += 1
        longest = fail[state]
        shorter[state] = longest if word[longest] >= 0 else shorter[longest]
        for character in range(_CHARACTERS):
            following = step[state, character]
            if following:
                fail[following] = step[longest, character]
                queue[tail] = following
                tail += 1
            else:
                step[state, character] = step[longest, character]
    return step[:states], word[:states], shorter


@kernel
def count_parts(
    offsets: Offsets, data: Bytes, step: Int32s, word: Int32s, shorter: Int32s, n_words: int
) -> Int64s:
    """How many of the automaton's words each squeezed address holds."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    seen = np.full(n_words, -1, np.int64)
    for row in range(len(counts)):
        state = np.int32(0)
        for k in range(offsets[row], min(offsets[row + 1], offsets[row] + MOST_BYTES)):
            character = _character(data[k])
            if character < 0:
                continue
            state = step[state, character]
            ending = state if word[state] >= 0 else shorter[state]
            # A word that was seen had all the shorter ones in it seen with it.
            while ending and seen[word[ending]] != row:
                seen[word[ending]] = row
                counts[row] += 1
                ending = shorter[ending]
    return counts
