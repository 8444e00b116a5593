"""Masks: spans of a text with the replacement that stands for each in what leaves the line.

A span is a pair of code points of the original text, half-open. Signals have them as `SPANS`. The
signals that a recipe masks are merged into one column of `MASKS`, whose `mask` is the place of the
signal among the names. Nothing is half masked: spans that overlap become one, and a mask that the
border of a piece cuts is applied in that piece as a whole.

Costs one pass over texts with masks, and a copy of those without. Trap: spans that only touch stay
two masks, with two replacements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Offsets, readonly, text_buffers

SPANS = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int64(), nullable=False),
            pa.field("end", pa.int64(), nullable=False),
        ]
    )
)
MASKS = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int64(), nullable=False),
            pa.field("end", pa.int64(), nullable=False),
            pa.field("mask", pa.int16(), nullable=False),
        ]
    )
)
Int64s = npt.NDArray[np.int64]
Span = Mapping[str, int]  # an element of SPANS or MASKS in Python
MOST_NAMES = np.iinfo(np.int16).max
_BLOCK = 64  # bytes whose code points are counted at once


def span_lists(
    counts: Int64s, starts: Int64s, ends: Int64s, missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return the column `SPANS` whose row i has the next counts[i] spans; null where `missing`.

    >>> span_lists(np.array([1, 0]), np.array([2]), np.array([5])).to_pylist()
    [[{'start': 2, 'end': 5}], []]
    """
    values = pa.StructArray.from_arrays(
        [pa.array(starts, pa.int64()), pa.array(ends, pa.int64())], fields=list(SPANS.value_type)
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    mask = None if missing is None else pa.array(missing)
    return pa.ListArray.from_arrays(offsets, values, type=SPANS, mask=mask)


def merged(spans: Mapping[str, pa.Array], names: Sequence[str]) -> pa.Array:
    """Return one column of `MASKS` made of the columns `SPANS` of these names.

    Each row ascends and does not overlap. Spans that overlap become their union, which belongs to
    the one named first. Spans may come in any order; an empty one and a null row count as none.
    Raises ValueError for columns of different lengths and for spans that end before they start.

    >>> ip, email = pa.array([[(3, 9)]], SPANS), pa.array([[(0, 5), (12, 14)]], SPANS)
    >>> merged({"ip": ip, "email": email}, ["email", "ip"]).to_pylist()[0]
    [{'start': 0, 'end': 9, 'mask': 0}, {'start': 12, 'end': 14, 'mask': 0}]
    """
    lengths = {len(spans[name]) for name in names}
    if len(lengths) != 1 or len(names) > MOST_NAMES:
        raise ValueError(
            f"expected 1 to {MOST_NAMES} columns of spans, all of one length, got {len(names)} of "
            f"lengths {sorted(lengths)}: measure them from the same texts"
        )
    columns = [_flat(spans[name], name) for name in names]
    rows, starts, ends = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    marks = np.repeat(np.arange(len(names)), [len(column[0]) for column in columns])
    order = np.lexsort((starts, rows))
    order = order[starts[order] < ends[order]]
    first, last, mark, counts = _unions(
        *(readonly(np.ascontiguousarray(part[order])) for part in (rows, starts, ends, marks)),
        lengths.pop(),
    )
    values = pa.StructArray.from_arrays(
        [pa.array(first), pa.array(last), pa.array(mark.astype(np.int16))],
        fields=list(MASKS.value_type),
    )
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=MASKS)


def _flat(column: pa.Array, name: str) -> tuple[Int64s, Int64s, Int64s]:
    """Row, start and end of each span of a column."""
    _, counts, values = _flat_values(column, SPANS)
    starts, ends = (values.field(k).to_numpy() for k in (0, 1))
    rows = np.repeat(np.arange(len(counts)), counts)
    bad = np.flatnonzero((starts < 0) | (ends < starts))
    if len(bad):
        k = bad[0]
        raise ValueError(
            f"{name}: expected 0 <= start <= end of each span, got {starts[k]} and {ends[k]} in "
            f"row {rows[k]}: give code points of the text, the end behind the last one"
        )
    return rows, starts, ends


def _flat_values(column: pa.Array, kind: pa.DataType) -> tuple[Offsets, Int64s, pa.StructArray]:
    """Offsets, elements a row, and all elements of a column of lists; a null row has none."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.type != kind:
        column = column.cast(kind)
    counts = column.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    values = column.flatten()
    if values.null_count or any(values.field(k).null_count for k in range(values.type.num_fields)):
        raise ValueError("expected spans with a start and an end, got null: leave such spans out")
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), counts, values


@kernel
def _unions(rows, starts, ends, marks, n_rows):  # type: ignore[no-untyped-def]
    """Start, end and mark of each union of sorted spans, and how many there are in each row."""
    first, last = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    mark, counts = np.empty(len(rows), np.int64), np.zeros(n_rows, np.int64)
    n = 0
    for k in range(len(rows)):
        if k and rows[k] == rows[k - 1] and starts[k] < last[n - 1]:
            last[n - 1] = max(last[n - 1], ends[k])
            mark[n - 1] = min(mark[n - 1], marks[k])
        else:
            first[n], last[n], mark[n] = starts[k], ends[k], marks[k]
            counts[rows[k]] += 1
            n += 1
    return first[:n], last[:n], mark[:n], counts


def masked(texts: pa.Array, masks: pa.Array, replacements: Sequence[str]) -> pa.Array:
    """Return the texts with replacements[mask] in place of each span of `MASKS`.

    An empty replacement removes the span. A null text stays null, a null row of masks is none. The
    type is that of the texts. Raises ValueError for masks that leave the text, overlap or descend.

    >>> masks = pa.array([[(0, 3, 0), (7, 8, 1)]], MASKS)
    >>> masked(pa.array(["a@b or c"]), masks, ["name@example.com", ""]).to_pylist()
    ['name@example.com or ']
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if len(texts) != len(masks):
        raise ValueError(
            f"expected a row of masks for each of {len(texts)} texts, got {len(masks)}: merge the "
            "spans of these texts"
        )
    places, _, values = _flat_values(masks, MASKS)
    starts, ends, marks = (values.field(k).to_numpy() for k in (0, 1, 2))
    if len(marks) == 0:
        return texts
    if marks.min() < 0 or marks.max() >= len(replacements):
        raise ValueError(
            f"expected masks below {len(replacements)}, the number of replacements, got "
            f"{marks.min()} to {marks.max()}: give one replacement for each merged name"
        )
    offsets, data = text_buffers(texts)
    kept = readonly(np.ascontiguousarray(places))
    first, last, bad = _byte_spans(offsets, data, kept, starts, ends)
    if bad >= 0:
        row = np.searchsorted(places, bad, "right") - 1
        raise ValueError(
            f"expected ascending masks within the text, got {starts[bad]} to {ends[bad]} in row "
            f"{row}: measure the spans from the same texts, and merge them"
        )
    new = text_buffers(pa.array(list(replacements), pa.string()))
    sizes = np.diff(new[0])[marks] - (last - first)
    shifts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])[places]
    out = readonly(offsets - offsets[0] + shifts)
    filled = _replaced(
        offsets, data, kept, first, last, readonly(marks.astype(np.int64)), *new, out
    )
    result = pa.Array.from_buffers(
        pa.large_string(), len(texts), [None, pa.py_buffer(out), pa.py_buffer(filled)]
    )
    if texts.null_count:
        result = pa.compute.if_else(texts.is_null(), None, result)
    return result.cast(texts.type)


@kernel
def _byte_spans(offsets, data, places, starts, ends):  # type: ignore[no-untyped-def]
    """First byte of each span and the one behind it; and the first bad span, or -1."""
    first, last = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    for row in range(len(places) - 1):
        at, points, before = offsets[row], 0, 0
        for k in range(places[row], places[row + 1]):
            if starts[k] < before or ends[k] <= starts[k]:
                return first, last, k
            at, points = _advanced(data, at, offsets[row + 1], points, starts[k])
            first[k] = at
            at, points = _advanced(data, at, offsets[row + 1], points, ends[k])
            last[k] = at
            before = ends[k]
            if points != before:
                return first, last, k
    return first, last, -1


@inner
def _advanced(data: Bytes, at: int, end: int, points: int, wanted: int) -> tuple[int, int]:
    """Where the code point `wanted` begins, and its number; the end of the text where it is
    shorter."""
    while at + _BLOCK <= end:
        begun = 0
        for k in range(np.uint64(_BLOCK)):
            begun += (data[np.uint64(at) + k] & 0xC0) != 0x80
        if points + begun > wanted:
            break
        points += begun
        at += _BLOCK
    while at < end:
        if (data[at] & 0xC0) != 0x80:
            if points == wanted:
                break
            points += 1
        at += 1
    return at, points


@kernel
def _replaced(offsets, data, places, first, last, marks, new_offsets, new_data, out):  # type: ignore[no-untyped-def]
    """The bytes of all texts with their replacements."""
    filled = np.empty(out[-1], np.uint8)
    n = np.int64(0)
    for row in range(len(places) - 1):
        at = offsets[row]
        for k in range(places[row], places[row + 1]):
            n = _copied(data, at, first[k], filled, n)
            n = _copied(new_data, new_offsets[marks[k]], new_offsets[marks[k] + 1], filled, n)
            at = last[k]
        n = _copied(data, at, offsets[row + 1], filled, n)
    return filled


@inner
def _copied(data: Bytes, start: int, end: int, out: Bytes, n: int) -> int:
    """Copy data[start:end] to out[n:]; return where it ends there."""
    for k in range(end - start):
        out[np.uint64(n + k)] = data[np.uint64(start + k)]
    return n + end - start


def masked_pieces(
    text: str, pieces: Sequence[Span], masks: Sequence[Span], replacements: Sequence[str]
) -> list[str]:
    """Return the pieces of a text, each with replacements[mask] in place of every mask it touches.

    `pieces` have start and end, `masks` a row of `MASKS`. A mask that a border cuts is applied as a
    whole in each piece that it touches: a piece inside a mask is the replacement.

    >>> pieces = [{"start": 0, "end": 2}, {"start": 2, "end": 6}]
    >>> masked_pieces("a@b.cd", pieces, [{"start": 1, "end": 4, "mask": 0}], ["*"])
    ['a*', '*cd']
    """
    if not masks:
        return [text[piece["start"] : piece["end"]] for piece in pieces]
    # The masks that a piece overlaps: from the first that ends behind its start, to the last that
    # starts before its end.
    ends = np.array([mask["end"] for mask in masks])
    starts = np.array([mask["start"] for mask in masks])
    first = np.searchsorted(ends, [piece["start"] for piece in pieces], "right").tolist()
    last = np.searchsorted(starts, [piece["end"] for piece in pieces]).tolist()
    return [
        _masked_piece(text, piece, masks[i:j], replacements)
        for piece, i, j in zip(pieces, first, last, strict=True)
    ]


def _masked_piece(
    text: str, piece: Span, masks: Sequence[Span], replacements: Sequence[str]
) -> str:
    """A piece with the masks that overlap it."""
    at, parts = piece["start"], []
    if at == piece["end"]:
        return ""
    for mask in masks:
        parts += [text[at : mask["start"]], replacements[mask["mask"]]]
        at = mask["end"]
    return "".join(parts) + text[at : piece["end"]]
