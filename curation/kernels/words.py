"""Words for shingles and grams: maximal runs of characters that do not break words, in simple lower
case.

Word breaks are Unicode's categories P, S, Z and C (design, "decontaminate": OpenAI's published
13-gram list shows that punctuation became a word break). In scripts that are written without spaces
(Chinese, Japanese, Thai, Lao, Khmer, Burmese and others) each letter and each mark is a word. About
500 MB/s a core. Trap: lower-casing is one code point to one (İ -> i, Σ -> σ always), so that
offsets in the original text stay true; HashingTF's lower case is another one (`java_lower`). Trap:
the text is read as it is; `canonical` makes the same of texts that look alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes
from curation.kernels.unicode import ALONE, BREAK, DELTA_SHIFT, cell_of, decode, unicode_table

BASIS = np.uint64(0xCBF29CE484222325)  # FNV-1a, one step a code point
PRIME = np.uint64(0x100000001B3)
BASE = np.uint64(0x9E3779B97F4A7C15)  # of the rolling hash over words, modulo 2^64
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
# The lower case of each ASCII character, 0 where it breaks words: `unicode_table` in less.
_LOWERED = np.array([ord(chr(k).lower()) * chr(k).isalnum() for k in range(128)], np.uint8)
BLOCK_WORDS = 4096  # 96 kB of scratch stays in the cache


def words(text: str) -> list[tuple[str, int, int]]:
    """Return (word, start, end) of each word; start and end are code points of `text`, half-open.

    >>> words("“It’s 3½ CAFÉS!”")
    [('it', 1, 3), ('s', 4, 5), ('3½', 6, 8), ('cafés', 9, 14)]
    >>> words("在Berlin。")
    [('在', 0, 1), ('berlin', 1, 7)]
    """
    pages, cells = unicode_table()
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    point_cells = cells[pages[points >> 7].astype(np.int64) * 128 + (points & 127)]
    lowered = (points + (point_cells >> DELTA_SHIFT)).tolist()
    alone = point_cells & ALONE != 0
    joined = (point_cells & (BREAK | ALONE)) == 0
    starts = np.flatnonzero(alone | (joined & ~np.concatenate([[False], joined[:-1]]))).tolist()
    ends = (np.flatnonzero(alone | (joined & ~np.concatenate([joined[1:], [False]]))) + 1).tolist()
    return [("".join(map(chr, lowered[s:e])), s, e) for s, e in zip(starts, ends, strict=True)]


def mixed(h: UInt64s) -> UInt64s:
    """Return the finaliser of splitmix64 of each number: a bijection of 64 bits that spreads every
    bit over all.

    >>> hex(mixed(np.array([0x9E3779B97F4A7C15], np.uint64))[0])
    '0xe220a8397b1dcdaf'
    """
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


mix64 = kernel(mixed)  # of one number, in kernels


@inner
def word_block(width: int) -> tuple[Int64s, Int64s, UInt64s, UInt64s]:
    """Return scratch for `next_words` and `window_hashes` of `width` words: starts, ends, hashes,
    windows."""
    slots = BLOCK_WORDS + width
    return (
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.uint64),
        np.empty(slots, np.uint64),
    )


@kernel
def next_words(
    data: Bytes,
    i: int,
    end: int,
    pages: npt.NDArray[np.uint16],
    cells: npt.NDArray[np.int32],
    starts: Int64s,
    ends: Int64s,
    hashes: UInt64s,
    n: int,
) -> tuple[int, int]:
    """Write the words of data[i:end] from slot n on, until slots are full; return (where to go on,
    words).

    starts and ends are bytes in `data`; a hash depends on the lower-cased word alone. Nothing is
    left when fewer words than slots came back.
    """
    first, start, h = n, i, BASIS
    while i < end and n < len(starts):
        i, start, h, n = _ascii_words(data, i, end, start, h, starts, ends, hashes, n)
        if i == end or n == len(starts):
            break
        c, following = decode(data, i, end)
        cell = cell_of(c, pages, cells)
        if cell & (BREAK | ALONE) and i > start:
            starts[n], ends[n], hashes[n] = start, i, h
            start, h = i, BASIS
            n += 1
            if n == len(starts):
                break
        if not cell & BREAK:
            h = (h ^ np.uint64(c + (cell >> DELTA_SHIFT))) * PRIME
        i = following
        if cell & ALONE:
            starts[n], ends[n], hashes[n] = start, i, h
            n += 1
        if cell & (BREAK | ALONE):
            start, h = i, BASIS
    if i > start:
        starts[n], ends[n], hashes[n] = start, i, h
        n += 1
    for k in range(first, n):
        hashes[k] = mix64(hashes[k])
    return i, n


@inner
def _ascii_words(data, i, end, start, h, starts, ends, hashes, n):  # type: ignore[no-untyped-def]
    """Write the words of data[i:end] up to a byte that is not ASCII, and while there are slots;
    return (where that is, start and unmixed hash of the word that is not ended, words).

    No step but the loop's end is a branch: where words end cannot be foretold. Unsigned places spare
    the test for negative ones.
    """
    at, begun, slot = np.uint64(i), np.uint64(start), np.uint64(n)
    stop = np.uint64(min(end, i + len(starts) - n))
    while at < stop:
        c = data[at]
        if c >= 0x80:
            break
        low = _LOWERED[c]
        ended = np.uint64(0) - np.uint64(low == 0)  # all bits, or none
        starts[slot], ends[slot], hashes[slot] = begun, at, h
        slot += ended & np.uint64(at > begun)
        begun = ((at + np.uint64(1)) & ended) | (begun & ~ended)
        h = ((h ^ np.uint64(low)) * PRIME & ~ended) | (BASIS & ended)
        at += np.uint64(1)
    return np.int64(at), np.int64(begun), h, np.int64(slot)


@kernel
def window_hashes(hashes: UInt64s, n: int, width: int, out: UInt64s) -> int:
    """Write the hash of each run of `width` words among the first n; return how many there are."""
    if n < width:
        return 0
    top = np.uint64(1)
    roll = np.uint64(0)
    for k in range(width - 1):
        top *= BASE
        roll = roll * BASE + hashes[k]
    for k in range(n - width + 1):
        roll = roll * BASE + hashes[k + width - 1]
        out[k] = mix64(roll)
        roll -= hashes[k] * top
    return n - width + 1


@kernel
def running_hashes(hashes: UInt64s, n: int, out: UInt64s) -> None:
    """Write to out[1:n + 1] sums of the first n words; out[0] is 0.

    The hash of the words from i to j is that of out[j] - out[i] * BASE^(j - i), mixed.
    """
    for k in range(n):
        out[k + 1] = out[k] * BASE + hashes[k]


@kernel
def powers_of_base(most: int) -> UInt64s:
    """Return the powers of BASE from 0 to `most`."""
    powers = np.ones(most + 1, np.uint64)
    for k in range(most):
        powers[k + 1] = powers[k] * BASE
    return powers


@inner
def carry(starts: Int64s, ends: Int64s, hashes: UInt64s, n: int, carried: int) -> int:
    """Move the last `carried` of n words to the front, as a run of words may span two blocks;
    return `carried`."""
    for k in range(carried):
        at = n - carried + k
        starts[k], ends[k], hashes[k] = starts[at], ends[at], hashes[at]
    return carried
