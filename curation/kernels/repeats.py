"""Characters of a text in lines and paragraphs that stood in it before: menus, refrains, pages
pasted twice.

The measures of Gopher (Rae et al. 2021, table A1: "duplicate line character fraction", "duplicate
paragraph character fraction") and of FineWeb's filters, cut as datatrove cuts them: a line ends at
a line feed, a paragraph at two or more; empty ones do not count, the first occurrence never does.
Equal means equal bytes, compared, not only equal hashes.

Costs one pass. Memory: 64 to 128 bytes a line of the longest text. Trap: a text without an empty
line is one paragraph, whose share is 0 whatever it repeats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Offsets, text_arrays
from curation.kernels.words import BASIS, PRIME, mix64

NEWLINE = 10


def repeated_chars(offsets: Offsets, data: Bytes) -> npt.NDArray[np.int64]:
    """Return int64[n, 3]: code points of each text, of its lines that occurred before, of its
    paragraphs that did.

    Takes what `text_buffers` returns.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> repeated_chars(*text_buffers(pa.array(["home\\nnews\\nhome", "é\\n\\né\\n\\n\\né", "one"]))).tolist()
    [[14, 4, 0], [8, 2, 2], [3, 0, 0]]
    """
    return _repeated_chars(*text_arrays(offsets, data))


@kernel
def _repeated_chars(offsets, data):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    out = np.zeros((n, 3), np.int64)
    slots = 64
    lines, paragraphs = np.empty((2, slots), np.int64), np.empty((2, slots), np.int64)
    for d in range(n):
        begin, end = offsets[d], offsets[d + 1]
        parts = 1
        for i in range(begin, end):
            parts += data[i] == NEWLINE
        needed = 4
        while needed < 2 * parts:
            needed *= 2
        if needed > slots:
            slots = needed
            lines, paragraphs = np.empty((2, slots), np.int64), np.empty((2, slots), np.int64)
        lines[0, :needed] = -1
        paragraphs[0, :needed] = -1
        _measure(data, begin, end, np.uint64(needed - 1), lines, paragraphs, out[d])
    return out


@inner
def _measure(data, begin, end, mask, lines, paragraphs, out):  # type: ignore[no-untyped-def]
    """Write the three numbers of data[begin:end]: each line is hashed once, a paragraph's hash made
    of those of its lines."""
    i = begin
    while i < end and data[i] == NEWLINE:
        i += 1
    out[0] = i - begin
    first, h_all, chars_all = i, BASIS, 0
    while i < end:
        start, h, chars = i, BASIS, 0
        while i < end:
            c = data[i]
            if c == NEWLINE:
                break
            h = (h ^ np.uint64(c)) * PRIME
            chars += (c & 0xC0) != 0x80
            i += 1
        if _seen(data, start, i, mix64(h) & mask, mask, lines):
            out[1] += chars
        h_all = (h_all ^ mix64(h)) * PRIME
        chars_all += chars
        stop = i
        while i < end and data[i] == NEWLINE:
            i += 1
        if i - stop >= 2 or i == end:
            if _seen(data, first, stop, mix64(h_all) & mask, mask, paragraphs):
                out[2] += chars_all
            out[0] += chars_all + i - stop
            first, h_all, chars_all = i, BASIS, 0
        else:
            chars_all += 1  # the line feed between two lines of a paragraph


@inner
def _seen(data, start, end, slot, mask, places):  # type: ignore[no-untyped-def]
    """Whether data[start:end] stands in the table (int64[2, slots]: starts, ends); it does
    afterwards."""
    starts, ends = places
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
