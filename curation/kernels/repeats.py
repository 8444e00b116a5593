"""Characters of a text in lines and paragraphs that stood in it before: menus, refrains, pages pasted twice.

The measures of Gopher (Rae et al. 2021, table A1: "duplicate line character fraction", "duplicate paragraph character fraction") and of
FineWeb's filters, cut as datatrove cuts them: a line ends at a line feed, a paragraph at two or more; empty ones do not count, the first
occurrence never does. Equal means equal bytes, compared, not only equal hashes.

Costs about a nanosecond a byte, twice. Memory: 32 bytes a line of the longest text. Trap: a text without an empty line is one paragraph,
whose share is 0 whatever it repeats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.kernels.buffers import Bytes, Offsets, text_arrays
from curation.kernels.words import BASIS, PRIME, mix64

NEWLINE = 10


def repeated_chars(offsets: Offsets, data: Bytes) -> npt.NDArray[np.int64]:
    """Return int64[n, 3]: code points of each text, of its lines that occurred before, of its paragraphs that did.

    Takes what `text_buffers` returns.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> repeated_chars(*text_buffers(pa.array(["home\\nnews\\nhome", "é\\n\\né\\n\\n\\né", "one"]))).tolist()
    [[14, 4, 0], [8, 2, 2], [3, 0, 0]]
    """
    return _repeated_chars(*text_arrays(offsets, data))


@njit(cache=True, nogil=True)
def _repeated_chars(offsets, data):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    out = np.zeros((n, 3), np.int64)
    most = 0
    for d in range(n):
        feeds = 1
        for i in range(offsets[d], offsets[d + 1]):
            feeds += data[i] == NEWLINE
            out[d, 0] += (data[i] & 0xC0) != 0x80
        most = max(most, feeds)
    slots = 4
    while slots < 2 * most:
        slots *= 2
    starts = np.empty(slots, np.int64)
    ends = np.empty(slots, np.int64)
    for d in range(n):
        if out[d, 0]:
            out[d, 1] = _repeated(data, offsets[d], offsets[d + 1], 1, starts, ends)
            out[d, 2] = _repeated(data, offsets[d], offsets[d + 1], 2, starts, ends)
    return out


@njit(cache=True, nogil=True)
def _repeated(data, begin, end, feeds, starts, ends):  # type: ignore[no-untyped-def]
    """Code points in parts of data[begin:end] between runs of `feeds` or more line feeds that occurred before."""
    while begin < end and data[begin] == NEWLINE:
        begin += 1
    while end > begin and data[end - 1] == NEWLINE:
        end -= 1
    parts = 1
    for i in range(begin, end):
        parts += data[i] == NEWLINE
    slots = 4
    while slots < 2 * parts:
        slots *= 2
    starts[:slots] = -1
    mask = np.uint64(slots - 1)
    repeated = 0
    i = begin
    while i < end:
        start, h, chars = i, BASIS, 0
        while i < end:
            if data[i] == NEWLINE:
                run = i
                while run < end and data[run] == NEWLINE:
                    run += 1
                if run - i >= feeds:
                    break
            h = (h ^ np.uint64(data[i])) * PRIME
            chars += (data[i] & 0xC0) != 0x80
            i += 1
        if _seen(data, start, i, mix64(h) & mask, mask, starts, ends):
            repeated += chars
        while i < end and data[i] == NEWLINE:
            i += 1
    return repeated


@njit(cache=True, nogil=True)
def _seen(data, start, end, slot, mask, starts, ends):  # type: ignore[no-untyped-def]
    """Whether data[start:end] stands in the table; it does afterwards."""
    while starts[slot] >= 0:
        if ends[slot] - starts[slot] == end - start:
            k = 0
            while k < end - start and data[starts[slot] + k] == data[start + k]:
                k += 1
            if k == end - start:
                return True
        slot = (slot + np.uint64(1)) & mask
    starts[slot], ends[slot] = start, end
    return False
