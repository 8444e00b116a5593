"""Words for shingles and grams: maximal runs of characters that do not break words, in simple lower
case.

Word breaks are Unicode's categories P, S, Z and C (design, "decontaminate": OpenAI's published
13-gram list shows that punctuation became a word break). In scripts that are written without spaces
(Chinese, Japanese, Thai, Lao, Khmer, Burmese and others) each letter and each mark is a word. About
200 MB/s a core. Trap: lower-casing is one code point to one (İ -> i, Σ -> σ always), so that
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
    while i < end and n < len(starts):
        start = i
        following = i
        h = BASIS
        cell = np.int64(0)
        while i < end:
            c = np.int64(data[np.uint64(i)])  # unsigned: no test for negative indices
            following = i + 1
            if c < 0x80:
                cell = np.int64(cells[np.uint64(c)])
            else:
                c, following = decode(data, i, end)
                cell = cell_of(c, pages, cells)
            if cell & (BREAK | ALONE) and (cell & BREAK or i > start):
                break
            h = (h ^ np.uint64(c + (cell >> DELTA_SHIFT))) * PRIME
            i = following
            if cell & ALONE:
                break
        if i > start:
            starts[n], ends[n], hashes[n] = start, i, mix64(h)
            n += 1
        if cell & BREAK:
            i = following
    return i, n


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
    """Write to out[1:n + 1] what `window_hash` needs of the first n words; out[0] is 0."""
    for k in range(n):
        out[k + 1] = out[k] * BASE + hashes[k]


@kernel
def window_hash(sums: UInt64s, k: int, width: int) -> np.uint64:
    """Return the hash that `window_hashes` gives for the run of `width` words from word k on."""
    top = np.uint64(1)
    for _ in range(width):
        top *= BASE
    return mix64(sums[k + width] - sums[k] * top)


@inner
def carry(starts: Int64s, ends: Int64s, hashes: UInt64s, n: int, carried: int) -> int:
    """Move the last `carried` of n words to the front, as a run of words may span two blocks;
    return `carried`."""
    for k in range(carried):
        at = n - carried + k
        starts[k], ends[k], hashes[k] = starts[at], ends[at], hashes[at]
    return carried
