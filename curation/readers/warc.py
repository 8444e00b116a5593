"""Archives as crawlers write them -> pages: WARC 0.18 to 1.1, WET, ARC; gzip, zstd or plain; whole
or broken.

fastwarc reads (some 450 MB/s unpacked); at the first sign of trouble, and for what it refuses,
`framing` takes over at the last record that was sure and reads to the end at about half the speed.
Memory: a page or two, and at most 64 MB of the archive. The trap: fastwarc gives wrong offsets
where several records share a gzip member and stops without a word at some kinds of damage, so a
record counts only once its follower stands where it must.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, cast

from fastwarc.warc import ArchiveIterator, WarcRecord

from curation.readers.framing import Framer
from curation.readers.payload import Raw, clean_url, iso_date, page_or_reject, raw_limit
from curation.readers.records import Page, Reject, Skipped
from curation.readers.unpack import DICTIONARY_MAGIC

_TAPE_BYTES = 64 << 20
_READ_BYTES = 1 << 16
_KINDS = {2: "warcinfo", 4: "response", 8: "resource", 16: "request", 32: "metadata", 64: "revisit",
          128: "conversion", 256: "continuation"}  # fmt: skip
_NEEDS_BLOCK = {"response", "resource", "conversion"}
_STARTS = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"WARC/")


def read_archive(
    stream: BinaryIO, name: str, *, max_page_bytes: int
) -> Iterator[Page | Reject | Skipped]:
    """Exactly one object for each record of an archive, in order; never raises for what the archive
    holds.

    `stream` need not be seekable; `name` is used only to tell ARC from WARC in damaged files.
    Offsets are bytes in the archive as stored; where several records share a compressed member, the
    member's offset plus the position inside it, always increasing. Reasons: http_status, not_html,
    empty, revisit, too_large, malformed, truncated.
    """
    head = stream.read(len(DICTIONARY_MAGIC))
    tape = _Tape(cast(BinaryIO, _Chained(head, stream)))
    last = -1
    # The slow reader, which starts again in the middle, needs a dictionary from the front.
    fast = () if head == DICTIONARY_MAGIC else _fast_records(tape, raw_limit(max_page_bytes))
    for raw in fast:
        yield page_or_reject(raw, max_page_bytes)
        last = raw.offset
    # What fastwarc did not read, and the last record once more, to see that nothing follows it.
    base, rest = tape.rewound(max(last, 0))
    for record in Framer(
        rest, name, base=base, max_block=raw_limit(max_page_bytes), last_offset=base - 1
    ):
        if isinstance(record, Reject):
            yield record
        elif record.offset > last:
            yield page_or_reject(record, max_page_bytes)


class _Tape(io.RawIOBase):
    """A stream for fastwarc that remembers what was read, so that another reader can start again
    from there."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._chunks: deque[bytes] = deque()
        self._kept_from = 0
        self._end = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(_READ_BYTES if size < 0 else size)
        if chunk:
            self._chunks.append(chunk)
            self._end += len(chunk)
            while self._end - self._kept_from > _TAPE_BYTES:
                self._kept_from += len(self._chunks.popleft())
        return chunk

    def tell(self) -> int:
        return self._end

    def forget(self, before: int) -> None:
        while self._chunks and self._kept_from + len(self._chunks[0]) <= before:
            self._kept_from += len(self._chunks.popleft())

    def starts_record(self, offset: int) -> bool:
        """Whether a compressed member or a WARC header stands at an offset (of what is kept)."""
        at = offset - self._kept_from
        if at < 0:
            return False
        for index, chunk in enumerate(self._chunks):
            if at < len(chunk):
                start = chunk[at : at + 5]
                if len(start) < 5 and index + 1 < len(self._chunks):
                    start += self._chunks[index + 1][: 5 - len(start)]
                return start.startswith(_STARTS)
            at -= len(chunk)
        return False

    def rewound(self, offset: int) -> tuple[int, BinaryIO]:
        """The stream from an offset on, or from the earliest byte still kept; and which it is."""
        start = max(offset, self._kept_from)
        self.forget(start)
        head = b"".join(self._chunks)[start - self._kept_from :]
        return start, cast(BinaryIO, _Chained(head, self._stream))


class _Chained(io.RawIOBase):
    """Some bytes, then a stream."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = io.BytesIO(head)
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._head.read(size) or self._stream.read(size)


def _fast_records(tape: _Tape, max_block: int) -> Iterator[Raw]:
    """Records by fastwarc, each held back until the next stands where it must. Stops, not raises,
    at any doubt.

    The last record is always left to the slow reader.
    """
    pending: Raw | None = None
    records = ArchiveIterator(tape, parse_http=False)
    while True:
        try:
            record = next(records, None)
            if record is None:
                return
            raw = _raw(record, max_block)
        except (OSError, ValueError, EOFError):
            return
        if raw is None or not tape.starts_record(raw.offset):
            return
        if pending is not None:
            if raw.offset <= pending.offset:
                return
            yield pending
            tape.forget(pending.offset)
        pending = raw


def _raw(record: WarcRecord, max_block: int) -> Raw | None:
    """A Raw from fastwarc's record;

    None if the record is of no known type or its block is not whole.
    """
    kind = _KINDS.get(int(record.record_type))
    if kind is None or any("\n" in value for _, value in record.headers):  # two headers read as one
        return None
    header = record.headers.get_bytes

    def text(name: bytes) -> str:
        return (header(name) or b"").decode("utf-8", "replace")

    raw = Raw(
        kind=kind,
        url=clean_url(text(b"WARC-Target-URI")),
        record_id=text(b"WARC-Record-ID").strip() or None,
        date=iso_date(text(b"WARC-Date")),
        content_type=text(b"Content-Type").strip().lower(),
        block=None,
        length=record.content_length,
        offset=record.stream_pos,
        is_cut=header(b"WARC-Truncated") is not None,
        block_digest=text(b"WARC-Block-Digest"),
        payload_digest=text(b"WARC-Payload-Digest"),
    )
    if not text(b"Content-Length").strip().isdecimal():
        return None
    if kind in _NEEDS_BLOCK and raw.length <= max_block:
        raw.block = record.reader.read()
        return raw if len(raw.block) == raw.length else None
    return raw if record.reader.consume() == raw.length else None
