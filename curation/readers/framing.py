"""WARC and ARC records out of unpacked bytes, going on after damage: the slow, sure half of `warc`.

Used where fastwarc refuses: ARC, line feeds alone, one gzip member for many records, lying lengths,
garbage. Every loss is one Reject. Costs about 30 microseconds a record. The trap: a Content-Length
that lies makes a record swallow its followers, so what follows a record is looked at before the
record is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from curation.readers.payload import Raw, clean_url, iso_date
from curation.readers.records import Reject
from curation.readers.unpack import Damage, unpacked

_HEADER_BYTES = 1 << 17
_HEADER_END = re.compile(rb"\n\r?\n")
_WARC_START = re.compile(rb"WARC/\d{1,3}\.\d{1,3}[ \t]*\r?\n[A-Za-z]", re.IGNORECASE)
# URL, IP, date, type, [version 2: status, checksum, location, offset, file name,] length; IP and
# date may be swapped.
_IP = rb"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]+|-)"
_ARC_FIELDS = (
    rb" (?:" + _IP + rb" (?P<date>[0-9a-fA-F]{8,40})|(?P<early>[0-9a-fA-F]{8,40}) " + _IP + rb") "
    rb"(?P<mime>[^ \r\n]{1,200}(?: ?; ?[^ \r\n]{1,200})?) (?:[^\r\n]{0,1000} )?(?P<length>\d{1,12})\r?\n"
)
_ARC_LINE = re.compile(rb"(?P<url>[a-z][a-z0-9+.-]{1,15}:[^\n]{0,8000}?)" + _ARC_FIELDS)
_ARC_START = re.compile(rb"(?:https?|ftp|gopher|dns|filedesc):[^\s<>\"']{1,2000}" + _ARC_FIELDS)
_SLIP_BYTES = 16
_OVERLAP = 1 << 14  # a record's first line is searched across the borders of pieces


class _Window:
    """Unpacked bytes from the present record on, and where in the archive they stand."""

    def __init__(self, stream: BinaryIO, base: int) -> None:
        self._pieces = unpacked(stream, base)
        # (position in the unpacked bytes, archive offset)
        self._anchors: list[tuple[int, int]] = []
        self._position = 0  # of data[0] in the unpacked bytes
        self.data = bytearray()
        self.damage: Damage | None = None  # directly after data
        self.ended = False

    def has(self, size: int) -> bool:
        """Have `size` bytes in `data`; False if damage or the end come before."""
        while len(self.data) < size and self.damage is None and not self.ended:
            piece = next(self._pieces, None)
            if piece is None:
                self.ended = True
            elif isinstance(piece, Damage):
                self.damage = piece
            else:
                if piece.start is not None:
                    self._anchors.append((self._position + len(self.data), piece.start))
                self.data += piece.data
        return len(self.data) >= size

    def drop(self, size: int) -> None:
        size = min(size, len(self.data))
        del self.data[:size]
        self._position += size
        while len(self._anchors) > 1 and self._anchors[1][0] <= self._position:
            del self._anchors[0]

    def skip(self, size: int) -> bool:
        """Drop `size` bytes, a piece at a time;

        False if damage, the end or a member with a record come before.
        """
        while True:
            here = min(size, len(self.data))
            for position, _ in self._anchors:
                at = position - self._position
                if 0 < at < here and self.data[at : at + 5].upper() == b"WARC/":
                    self.drop(at)
                    return False
            self.drop(here)
            size -= here
            if not size:
                return True
            if not self.has(1):
                return False
            self.has(_OVERLAP)

    def offset(self) -> int:
        """Return the archive offset of data[0]: its member's, plus the position inside the unpacked
        member."""
        if not self._anchors:
            return 0
        position, start = self._anchors[0]
        return start + max(self._position - position, 0)

    def skip_blank(self) -> None:
        while self.has(1) and self.data[0] in b"\r\n":
            blank = len(self.data) - len(self.data.lstrip(b"\r\n"))
            self.drop(blank)


class Framer:
    """Iterates over the records of an archive from `base` on: Raw for a whole record, Reject for
    each loss.

    `max_block` is the stored size in bytes above which a block is passed over (Raw.block None).
    """

    def __init__(
        self, stream: BinaryIO, name: str, *, base: int, max_block: int, last_offset: int = -1
    ) -> None:
        self._window = _Window(stream, base)
        self._is_arc = ".arc" in name.lower()
        self._max_block = max_block
        self._last_offset = last_offset
        self._loss: Reject | None = None

    def __iter__(self) -> Iterator[Raw | Reject]:
        window = self._window
        while True:
            window.skip_blank()
            if not window.has(1):
                if window.damage is None:
                    break
                self._note(window.damage.offset, window.damage.reason, window.damage.detail)
                window.damage = None
                continue
            offset = self._next_offset()
            raw = self._header(offset)
            if isinstance(raw, Raw):
                if self._loss is not None:
                    yield self._loss
                    self._loss = None
                self._last_offset = offset
                yield self._body(raw)
            else:
                self._note(offset, "malformed", raw)
                self._resynchronise()
        if self._loss is not None:
            yield self._loss

    def _next_offset(self) -> int:
        """Many records of one member could share an offset, and ids are made from offsets: they
        always increase."""
        return max(self._window.offset(), self._last_offset + 1)

    def _note(self, offset: int, reason: str, detail: str) -> None:
        """Bytes that belong to no record: one Reject until the next whole header."""
        if self._loss is None:
            self._loss = Reject(reason, offset=offset, detail=detail)

    def _header(self, offset: int) -> Raw | str:
        """Take a record's header off the window; a string says why there is none."""
        window = self._window
        window.has(9)
        if window.data[:5].upper() == b"WARC/":
            size = 4096
            while True:
                whole = window.has(size)
                end = _HEADER_END.search(window.data, 0, _HEADER_BYTES)
                if end or not whole or size >= _HEADER_BYTES:
                    break
                size *= 4
            if end is None:
                return "a WARC header without an end"
            raw = warc_header(bytes(window.data[: end.start()]), offset)
            if isinstance(raw, Raw):
                window.drop(end.end())
            return raw
        window.has(_OVERLAP)
        line = _ARC_LINE.match(window.data)
        if line is None:
            return f"no WARC or ARC record but {bytes(window.data[:40])!r}"
        self._is_arc = True
        raw = arc_header(line, offset)
        window.drop(line.end())
        return raw

    def _body(self, raw: Raw) -> Raw | Reject:
        """Take a record's block off the window and look at what follows."""
        window = self._window
        if raw.length > self._max_block:
            if window.skip(raw.length):
                return raw
            return self._cut(raw)
        if not window.has(raw.length):
            return self._cut(raw)
        follows = self._record_follows(raw.length)
        inner = None if follows else self._start(window.data, raw.length + _SLIP_BYTES)
        # In edited files a length may be a few bytes too long.
        if inner is None or inner >= raw.length - _SLIP_BYTES:
            end = raw.length if inner is None else min(inner, raw.length)
            raw.block = bytes(window.data[:end])
            window.drop(end)
            return raw
        window.drop(inner)
        return Reject("malformed", raw.url, raw.offset, "its length runs over the next record")

    def _cut(self, raw: Raw) -> Reject:
        """The archive ends or is damaged inside a block.

        Go on at a record that stands inside, else after the damage.
        """
        window = self._window
        damage = window.damage
        inner = self._start(window.data, len(window.data))
        if inner is not None:
            window.drop(inner)
            return Reject("truncated", raw.url, raw.offset, "cut short by the next record")
        window.drop(len(window.data))
        window.damage = None
        if damage is None:
            return Reject("truncated", raw.url, raw.offset, "the archive ends inside the record")
        return Reject(damage.reason, raw.url, raw.offset, damage.detail)

    def _record_follows(self, length: int) -> bool:
        window = self._window
        window.has(length + 5)
        size = 16
        while True:
            whole = window.has(length + size)
            after = window.data[length : length + size].lstrip(b"\r\n")
            if after or not whole:
                break
            size *= 2
        if not after or b"WARC/".startswith(bytes(after[:5].upper())):
            return True  # the end, damage, or a record
        window.has(length + _OVERLAP)
        return bool(_ARC_LINE.match(bytes(window.data[length : length + _OVERLAP]).lstrip(b"\r\n")))

    def _start(self, data: bytearray, end: int) -> int | None:
        match = _WARC_START.search(data, 0, end)
        if match is None and self._is_arc:
            match = _ARC_START.search(data, 1, end)
        return match.start() if match else None

    def _resynchronise(self) -> None:
        """Drop bytes until a record seems to begin; stop at damage too."""
        window = self._window
        window.drop(1)
        while True:
            start = self._start(window.data, len(window.data))
            if start is not None:
                window.drop(start)
                return
            window.drop(len(window.data) - _OVERLAP)
            if not window.has(len(window.data) + 1):
                window.drop(len(window.data))
                window.damage = None  # this loss is already noted
                return


def warc_header(head: bytes, offset: int) -> Raw | str:
    r"""A Raw without its block, or why the header is none.

    >>> warc_header(b"WARC/1.0\nWARC-Type: resource\nContent-Length: 5\nWARC-Target-URI: <http://a/>\n", 7).url
    'http://a/'
    >>> warc_header(b"WARC/1.0\r\nWARC-Type: resource\r\n", 0)
    "a WARC header without a whole Content-Length: ''"
    """
    fields: dict[str, str] = {}
    name = ""
    for line in head.split(b"\n")[1:]:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if text[:1] in (" ", "\t") and name:
            fields[name] = f"{fields[name]} {text.strip()}".strip()
            continue
        key, colon, value = text.partition(":")
        if colon:
            name = key.strip().lower()
            fields.setdefault(name, value.strip())
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 16):
        return f"a WARC header without a whole Content-Length: {length[:40]!r}"
    if "warc-type" not in fields:
        return "a WARC header without WARC-Type"
    return Raw(
        kind=fields["warc-type"].lower(),
        url=clean_url(fields.get("warc-target-uri")),
        record_id=fields.get("warc-record-id") or None,
        date=iso_date(fields.get("warc-date")),
        content_type=fields.get("content-type", "").lower(),
        block=None,
        length=int(length),
        offset=offset,
        is_cut="warc-truncated" in fields,
        block_digest=fields.get("warc-block-digest", ""),
        payload_digest=fields.get("warc-payload-digest", ""),
    )


def arc_header(line: re.Match[bytes], offset: int) -> Raw:
    """A Raw without its block from an ARC record's one line; the first record of a file describes
    the file."""
    url = line["url"].decode("utf-8", "replace")
    return Raw(
        kind="warcinfo" if url.startswith("filedesc:") else "response",
        url=clean_url(url),
        record_id=None,
        date=iso_date((line["date"] or line["early"]).decode()),
        content_type=line["mime"].decode("utf-8", "replace").lower(),
        block=None,
        length=int(line["length"]),
        offset=offset,
    )
