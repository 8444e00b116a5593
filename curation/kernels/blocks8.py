"""Eight bytes of text at a time: their number, the letters they begin with, hashes.

The blocks are little-endian on every machine, since they are put together from bytes; LLVM makes
one load of it.
"""

from __future__ import annotations

import numpy as np

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int
from curation.kernels.words import mix64

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
_TO_A = np.uint64(0x1F1F1F1F1F1F1F1F)  # 0x80 - ord("a") in each byte
_TO_Z = np.uint64(0x0505050505050505)  # 0x80 - ord("z") - 1
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_FACTOR = np.uint64(0x9FB21C651E98DF25)
SEED = np.uint64(0x9E3779B97F4A7C15)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_BLANKS = np.uint64(0x2020202020202020)
_C2 = np.uint64(0xC2C2C2C2C2C2C2C2)
_E2 = np.uint64(0xE2E2E2E2E2E2E2E2)


@inner(_nrt=False, forceinline=True)
def block(data: Bytes, i: Int, end: Int) -> np.uint64:
    """Return data[i:i + 8] as a number, the first byte lowest; bytes from `end` on are 0."""
    at = np.uint64(i)
    x = np.uint64(0)
    if i + 8 <= end:
        for k in range(8):
            x |= np.uint64(data[at + np.uint64(k)]) << np.uint64(8 * k)
        return x
    for k in range(end - i):
        x |= np.uint64(data[at + np.uint64(k)]) << np.uint64(8 * k)
    return x


@inner(_nrt=False)
def letters_ahead(x: np.uint64) -> Int:
    """Return with how many letters of ASCII the block begins, 0 to 8."""
    low = (x | _CASE) & _LOW
    letters = (low + _TO_A) & ~(low + _TO_Z) & ~x
    others = ~letters & _HIGH
    lowest = others & (np.uint64(0) - others)
    if lowest == 0:
        return 8
    # The bits below the first other byte's highest: one byte more than there are letters.
    return np.int64((((lowest - np.uint64(1)) & _ONES) * _ONES) >> np.uint64(56)) - 1


@inner(_nrt=False)
def first_bytes(x: np.uint64, count: Int) -> np.uint64:
    """Return the block with all but its first `count` bytes 0; count < 8."""
    return x & ~(_ALL << np.uint64(8 * count))


@inner(_nrt=False)
def step(h: np.uint64, x: np.uint64) -> np.uint64:
    """Return the hash `h` with one block more."""
    h = (h ^ x) * _FACTOR
    return h ^ (h >> np.uint64(32))


@inner(_nrt=False)
def finished(h: np.uint64, size: Int) -> np.uint64:
    """Return the hash of `size` bytes whose blocks were stepped through."""
    return mix64(h ^ np.uint64(size))


@kernel(_nrt=False, forceinline=True)
def hash_bytes(data: Bytes, a: Int, b: Int) -> np.uint64:
    """Return a hash of data[a:b], 64 bits: each full block, then a last one, empty or not."""
    h = SEED
    i = a
    while i + 8 <= b:
        h = step(h, block(data, i, b))
        i += 8
    return finished(step(h, block(data, i, b)), b - a)


@inner(_nrt=False)
def code_points(data: Bytes, a: Int, b: Int) -> int:
    """Return how many code points data[a:b] has."""
    count = 0
    for i in range(np.uint64(a), np.uint64(b)):
        count += data[i] & 0xC0 != 0x80
    return count


@inner(_nrt=False)
def find_newline(data: Bytes, i: Int, end: Int) -> int:
    """Return where the next line feed of data[i:end] is; `end` where there is none."""
    while i + 8 <= end:
        x = block(data, i, end) ^ _NEWLINES
        if (x - _ONES) & ~x & _HIGH:
            break
        i += 8
    while i < end and data[i] != 10:
        i += 1
    return i


@inner(_nrt=False)
def find_line_end(data: Bytes, i: Int, end: Int) -> int:
    """Return where in data[i:end] the next byte is that may end a line for `str.splitlines`: a
    control character, or the first byte of U+0085, U+2028 or U+2029; `end` where there is none."""
    while i + 8 <= end:
        x = block(data, i, end)
        y, z = x ^ _C2, x ^ _E2
        found = (x - _BLANKS) & ~x | (y - _ONES) & ~y | (z - _ONES) & ~z
        if found & _HIGH:
            break
        i += 8
    while i < end and data[i] >= 0x20 and data[i] != 0xC2 and data[i] != 0xE2:
        i += 1
    return i


@inner(_nrt=False)
def count_newlines(data: Bytes, a: Int, b: Int) -> int:
    """Return how many line feeds data[a:b] has."""
    count = 0
    for i in range(np.uint64(a), np.uint64(b)):
        count += data[i] == 10
    return count
