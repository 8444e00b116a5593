"""Exact quantiles of numbers that lie in many places: the cuts are found digit by digit.

A document's key is 24 bytes that sort as its number does, equal numbers by the hash of their text.
A pass counts, below each prefix that a cut may have, the keys by their next two bytes; the counts
of all places add up, and each cut goes on below one digit. Where few keys are left below the
prefixes, they are taken themselves. Memory: the keys of one place, and the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NUMBER, WIDTH, STEP = 8, 24, 2  # bytes of the number, of a key, of a digit
DIGITS = 1 << 8 * STEP

Keys = npt.NDArray[np.bytes_]  # S24[n]


def rank_keys(numbers: npt.NDArray[np.float64], content: npt.NDArray[np.uint8]) -> Keys:
    """Keys S24[n] of numbers float64[n] (no NaN) and hashes uint8[n, 16].

    >>> content = np.zeros((4, 16), np.uint8)
    >>> np.argsort(rank_keys(np.array([0.5, -1.0, -0.0, 1e300]), content)).tolist()
    [1, 2, 0, 3]
    """
    bits = (numbers + 0.0).view(np.int64)  # + 0.0: both zeros are one number
    flipped = np.where(bits < 0, ~bits, bits ^ np.int64(-(2**63)))
    out = np.empty((len(numbers), WIDTH), np.uint8)
    out[:, :NUMBER] = flipped.astype(">i8").view(np.uint8).reshape(-1, NUMBER)
    out[:, NUMBER:] = content
    return out.view(f"S{WIDTH}").ravel()


def number_of(key: bytes) -> float:
    """The number in a key.

    >>> number_of(rank_keys(np.array([-2.5]), np.zeros((1, 16), np.uint8))[0])
    -2.5
    """
    bits = np.frombuffer(key.ljust(WIDTH, b"\0")[:NUMBER], ">u8").astype(np.uint64)
    top = np.uint64(1 << 63)
    return float(np.where(bits & top, bits ^ top, ~bits).view(np.float64)[0])


def quantiles_of(keys: Keys, cuts: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """The quantile of each key, from 1: one more than the cuts below it. int64[n].

    >>> quantiles_of(np.array([b"a", b"b", b"c"], "S24"), [b"a", b"b"]).tolist()
    [1, 2, 3]
    """
    return np.searchsorted(np.array(cuts, f"S{WIDTH}"), keys, side="left") + 1


@dataclass(frozen=True, slots=True)
class Cut:
    """The key of this rank, from 1, among those that begin with `prefix`."""

    prefix: bytes
    rank: int


def first_cuts(documents: int, quantiles: int) -> list[Cut]:
    """The last key of each quantile but the highest: ranks that differ by at most one.

    >>> [cut.rank for cut in first_cuts(10, 4)]
    [3, 5, 8]
    """
    return [Cut(b"", -(-number * documents // quantiles)) for number in range(1, quantiles)]


def prefixes_of(cuts: Sequence[Cut]) -> list[bytes]:
    """The distinct prefixes of some cuts, ascending."""
    return sorted({cut.prefix for cut in cuts})


def _places(
    keys: Keys, prefixes: Sequence[bytes]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes uint8[m, 24] of the keys that begin with one of `prefixes`, and which int64[m]."""
    raw = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, WIDTH)
    width = len(prefixes[0])
    if not width:
        return raw, np.zeros(len(raw), np.int64)
    heads = np.ascontiguousarray(raw[:, :width]).view(f"S{width}").ravel()
    known = np.array(prefixes, f"S{width}")
    place = np.minimum(np.searchsorted(known, heads), len(known) - 1)
    rows = np.flatnonzero(known[place] == heads)
    return raw[rows], place[rows]


def digit_counts(
    keys: Keys, prefixes: Sequence[bytes]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Keys below each of `prefixes` (ascending, of one length) by their next digit: numbers
    place of the prefix * 65,536 + digit that occur, ascending, and how many keys have each."""
    raw, place = _places(keys, prefixes)
    width = len(prefixes[0])
    digit = raw[:, width].astype(np.int64) << 8 | raw[:, width + 1]
    return np.unique(place * DIGITS + digit, return_counts=True)


def summed(
    parts: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The counts of several places together."""
    bins, inverse = np.unique(
        np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)]), return_inverse=True
    )
    counts = np.zeros(len(bins), np.int64)
    np.add.at(counts, inverse, np.concatenate([np.zeros(0, np.int64), *(p[1] for p in parts)]))
    return bins, counts


def narrowed(
    cuts: Sequence[Cut],
    prefixes: Sequence[bytes],
    bins: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> tuple[list[Cut], int]:
    """The same cuts with prefixes a digit longer, and how many keys begin with one of those."""
    out, left = [], {}
    for cut in cuts:
        place = prefixes.index(cut.prefix) * DIGITS
        first, end = np.searchsorted(bins, [place, place + DIGITS])
        below = np.cumsum(counts[first:end])
        at = int(np.searchsorted(below, cut.rank))
        prefix = cut.prefix + int(bins[first + at] - place).to_bytes(STEP, "big")
        out.append(Cut(prefix, cut.rank - (int(below[at - 1]) if at else 0)))
        left[prefix] = int(counts[first + at])
    return out, sum(left.values())


def keys_below(keys: Keys, prefixes: Sequence[bytes]) -> Keys:
    """The keys that begin with one of `prefixes`."""
    raw, _ = _places(keys, prefixes)
    return np.ascontiguousarray(raw).view(f"S{WIDTH}").ravel()


def cut_keys(cuts: Sequence[Cut], keys: Keys) -> list[bytes]:
    """The key of each cut, of all keys that begin with the prefix of one."""
    keys = np.sort(keys)
    prefixes = np.array([cut.prefix for cut in cuts], f"S{WIDTH}")
    starts = np.searchsorted(keys, prefixes).tolist()
    found = (keys[start + cut.rank - 1] for start, cut in zip(starts, cuts, strict=True))
    return [bytes(key).ljust(WIDTH, b"\0") for key in found]
