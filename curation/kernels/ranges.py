"""Records of archives that are near each other, read in one request."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST_BYTES = 1 << 40  # of an archive: larger places are refused before


def range_numbers(
    archives: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    gap: int,
    most: int,
) -> npt.NDArray[np.int64]:
    """The number of the request that each record is in, from 0 and ascending: int64[n].

    The records are sorted by archive (numbers from 0) and place. A new request begins with another
    archive, behind more than `gap` bytes that nobody wants, and at the first record behind each
    `most` bytes of those that belong together, so that one is at most a record longer than that.

    >>> archives, starts, sizes = np.array([0, 0, 0, 1]), np.array([0, 12, 90, 0]), np.full(4, 10)
    >>> range_numbers(archives, starts, sizes, gap=5, most=1000).tolist()
    [0, 0, 1, 2]
    """
    if not len(starts):
        return np.empty(0, np.int64)
    apart = archives * (
        2 * MOST_BYTES
    )  # so that what ends in one archive is before all of the next
    ends = np.maximum.accumulate(apart + starts + sizes)
    begins = np.ones(len(starts), bool)
    begins[1:] = (archives[1:] != archives[:-1]) | ((apart + starts)[1:] - ends[:-1] > gap)
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    slots = (starts - starts[first]) // most
    begins[1:] |= slots[1:] != slots[:-1]
    return np.cumsum(begins) - 1


def bounds_of_ranges(
    numbers: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each request: its first record, its first byte, and the byte behind its last.

    >>> numbers, starts, sizes = np.array([0, 0, 1]), np.array([0, 12, 90]), np.full(3, 10)
    >>> [part.tolist() for part in bounds_of_ranges(numbers, starts, sizes)]
    [[0, 2], [0, 90], [22, 100]]
    """
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    ends = np.maximum.reduceat(starts + sizes, first) if len(first) else starts[:0]
    return first, starts[first], ends
