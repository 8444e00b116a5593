"""The headers of WARC and ARC records: where they begin, what they say.

Costs some microseconds a header. The trap: in damaged files a record may begin in the middle of a
line, and what looks like the beginning of one may stand inside an address.
"""

from __future__ import annotations

import re

from curation.readers.http import header_fields
from curation.readers.payload import Raw, clean_url, iso_date

LINE_BYTES = 1 << 14  # the longest first line
HEADER_END = re.compile(rb"\n\r?\n")
WARC_LINE = re.compile(rb"[Ww][Aa][Rr][Cc]/\d{1,3}\.\d")
WARC_START = re.compile(
    rb"[Ww][Aa][Rr][Cc]/\d{1,3}\.\d{1,3}[ \t]*\r?\n[A-Za-z][A-Za-z0-9_-]{0,60}[ \t]*:"
)
# Behind an address: IP, date, type, [version 2: status, checksum, location, offset, file name,]
# length; IP and date may be swapped.
# The address of none is 0 in the format's own example.
_IP = rb"(?:\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-fA-F]*:[0-9a-fA-F:]+\]?|-|0|unknown|localhost)"
_ARC_FIELDS = re.compile(
    rb" (?:" + _IP + rb" (?P<date>[0-9a-fA-F]{8,40})|(?P<early>[0-9a-fA-F]{8,40}) " + _IP + rb") "
    rb"(?P<mime>[^ ;\r\n]{0,200}(?: ?; ?[^ \r\n]{1,200})?) (?:[^\r\n]{0,1000} )?"
    rb"(?P<length>\d{1,12})\r?\n"
)
_ADDRESS = re.compile(rb"(?!t?tps?:)[a-z][a-z0-9+.-]{1,15}:")  # no rest of a cut http:
_INNER_ADDRESS = re.compile(rb"(?:https?|ftp|gopher|filedesc)://")
# From an address to one that is a part of it.
_EMBEDS = re.compile(rb"[^\s<>\"']*(?:[/=?&:,;+(]|%[0-9A-Fa-f]{2})")
RECORD = re.compile(WARC_START.pattern + rb"|" + _ARC_FIELDS.pattern)
_ADDRESS_BYTES = 1 << 13
_REFERS_TO = re.compile(
    rb"^WARC-(?:Concurrent|Refers)-To:[ \t]*+([^\s]{1,200})", re.IGNORECASE | re.M
)


def record_start(data: bytes | bytearray, low: int, high: int, is_arc: bool | None) -> int | None:
    """Where the first record in data[low:high] begins; its first line may end later."""
    found, end = None, high + 128
    # Looked for first, since it is ten times as fast as the pattern.
    is_there = data.find(b"ARC/", low, end) >= 0 or data.find(b"arc/", low, end) >= 0
    if not is_arc and is_there and (match := WARC_START.search(data, low, end)):
        found = match.start() if match.start() < high else None
    if is_arc is False:
        return found
    high = high if found is None else found
    end = data.find(b"\n", high, high + LINE_BYTES) + 1 or high + LINE_BYTES
    for fields in _ARC_FIELDS.finditer(data, low, end):
        line = max(low, fields.start() - _ADDRESS_BYTES)
        line = max(line, data.rfind(b"\n", line, fields.start()) + 1)
        start = address_start(data, line, fields.start())
        if start is not None:
            return start if start < high else found
    return found


def record_length(data: bytes) -> int | None:
    """How many bytes of a file the record takes that `data` begins with: RECORD matches there."""
    if fields := _ARC_FIELDS.match(data):
        return fields.end() + int(fields["length"])
    end = HEADER_END.search(data)
    raw = warc_header(data[: end.start()], 0) if end else ""
    return end.end() + raw.length if end and isinstance(raw, Raw) else None


def begins_record(data: bytes) -> bool:
    """Whether a record begins here, behind line ends."""
    data = data.lstrip(b"\r\n")
    return WARC_START.match(data) is not None or arc_line(data, 0) is not None


def address_start(data: bytes | bytearray, line: int, end: int) -> int | None:
    """Where the address that ends a piece of a line begins: the last one in it that is no part of
    another, since the line may have been cut."""
    starts = [line] if _ADDRESS.match(data, line) else []
    starts += [match.start() for match in _INNER_ADDRESS.finditer(data, line + 1, end)]
    while len(starts) > 1 and _EMBEDS.fullmatch(data, starts[-2], starts[-1]):
        starts.pop()
    return starts[-1] if starts else None


def arc_line(data: bytes | bytearray, at: int) -> re.Match[bytes] | None:
    """What follows the address in an ARC record's one line, if one stands at data[at]."""
    end = data.find(b"\n", at, at + LINE_BYTES) + 1
    if not end or not _ADDRESS.match(data, at):
        return None
    fields = _ARC_FIELDS.search(data, at, end)
    return fields if fields and address_start(data, at, fields.start()) == at else None


def warc_header(head: bytes, offset: int, place: int = 0) -> Raw | str:
    r"""A Raw without its block, or why the header is none.

    >>> warc_header(b"WARC/1.0\nWARC-Type: resource\nContent-Length: 5\nWARC-Target-URI: <http://a/>\n", 7).url
    'http://a/'
    >>> warc_header(b"WARC/1.0\r\nWARC-Type: resource\r\n", 0)
    "a WARC header without a whole Content-Length: ''"
    """
    fields = header_fields(head)
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 16):
        return f"a WARC header without a whole Content-Length: {length[:40]!r}"
    if "warc-type" not in fields:
        return "a WARC header without WARC-Type"
    kind = fields["warc-type"].lower()
    return Raw(
        kind=kind,
        url=clean_url(fields.get("warc-target-uri")),
        record_id=fields.get("warc-record-id") or None,
        date=iso_date(fields.get("warc-date")),
        content_type=fields.get("content-type", "").lower(),
        block=None,
        length=int(length),
        offset=offset,
        place=place,
        is_cut="warc-truncated" in fields,
        block_digest=fields.get("warc-block-digest", ""),
        payload_digest=fields.get("warc-payload-digest", ""),
        refers_to=_referred(head) if kind == "metadata" else (),
        identified_language=fields.get("warc-identified-content-language", ""),
        segment=_number(fields.get("warc-segment-number")),
        origin_id=fields.get("warc-segment-origin-id", ""),
        segments_length=_number(fields.get("warc-segment-total-length")),
    )


def _referred(head: bytes) -> tuple[str, ...]:
    return tuple(match.decode("utf-8", "replace") for match in _REFERS_TO.findall(head))


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0


def arc_header(address: bytes, fields: re.Match[bytes], offset: int, place: int) -> Raw:
    """A Raw without its block from an ARC record's one line; the first record of a file describes
    the file."""
    url = address.decode("utf-8", "replace")
    return Raw(
        kind="warcinfo" if url.startswith("filedesc:") else "response",
        url=clean_url(url),
        record_id=None,
        date=iso_date((fields["date"] or fields["early"]).decode()),
        content_type=fields["mime"].decode("utf-8", "replace").lower(),
        block=None,
        length=int(fields["length"]),
        offset=offset,
        place=place,
    )
