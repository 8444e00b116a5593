"""The segments of a record that a crawler split -> the record (WARC 1.1, annex on segmentation).

Costs nothing for other records. The trap: the first segment looks like a whole page. So it is given
out only with all others, which must follow it directly; else it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from curation.readers.payload import Raw
from curation.readers.records import Reject, Skipped

_MAX_SEGMENTS = 1000


def joined_segments(
    records: Iterator[Raw | Reject], max_block: int
) -> Iterator[Raw | Reject | Skipped]:
    """Exactly one object for each record: segmented ones joined, where all of them follow one
    another; their later segments are Skipped, once for each.

    Where a segment is missing, or the record has more than `max_block` bytes, the first one is
    refused (truncated, too_large), as are later ones without it (by `page_or_reject`).
    """
    held: list[Raw] = []
    for record in records:
        if held and isinstance(record, Raw) and _continues(held, record):
            is_large = sum(raw.length for raw in held) + record.length > max_block
            held.append(replace(record, block=None) if is_large else record)
            if not record.segments_length:
                continue
            yield from _joined(held, max_block)
            held = []
            continue
        yield from _given_up(held)
        held = []
        if isinstance(record, Raw) and _is_first(record):
            held = [record]
        else:
            yield record
    yield from _given_up(held)


def _is_first(raw: Raw) -> bool:
    is_whole = raw.segments_length == raw.length
    return raw.segment == 1 and raw.kind != "continuation" and not is_whole


def _continues(held: list[Raw], raw: Raw) -> bool:
    is_next = raw.kind == "continuation" and raw.segment == len(held) + 1 <= _MAX_SEGMENTS
    return is_next and raw.origin_id == held[0].record_id


def _joined(held: list[Raw], max_block: int) -> Iterator[Raw | Reject | Skipped]:
    first, last = held[0], held[-1]
    length = sum(raw.length for raw in held)
    if length != last.segments_length:
        yield from _given_up(held)
        return
    blocks = [raw.block for raw in held if raw.block is not None]
    is_small = length <= max_block and len(blocks) == len(held)
    yield replace(
        first,
        block=b"".join(blocks) if is_small else None,
        length=length,
        block_digest="",  # it is of the first segment alone
        is_cut=any(raw.is_cut for raw in held),
        fits_length=all(raw.fits_length for raw in held),
        damage=next((raw.damage for raw in held if raw.damage is not None), None),
    )
    for raw in held[1:]:
        yield Skipped("continuation", raw.offset)


def _given_up(held: list[Raw]) -> Iterator[Reject]:
    for raw in held:
        detail = f"segment {raw.segment} of a segmented record; not all of them follow one another"
        yield Reject("truncated", url=raw.url, offset=raw.offset, detail=detail)
