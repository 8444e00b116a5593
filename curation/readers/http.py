"""The header of an HTTP response as browsers read it: status line, fields, media type.

Costs some microseconds. The trap: what crawlers store is what servers sent, and hardly any rule of
the standard holds for all of it: lines end as they like, fields come twice, other responses come
first.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_HEADER_BYTES = 1 << 17
_MAX_INTERIM = 10  # responses before the one that counts
# Shoutcast writes ICY. Without a version a number must follow, else it is a sentence.
_STATUS_LINE = re.compile(
    rb"\s{0,8}(?:HTTP/\d{1,2}(?:[.,]\d)?|(?:HTTP|ICY)(?=[ \t]+\d{3}))[ \t]*(\d{1,9})?",
    re.IGNORECASE,
)
_TUNNEL = re.compile(rb"[^\n]{0,200}established", re.IGNORECASE)
_FIELD = re.compile(r"\n([^\s:][^:\n]*):[ \t]*([^\n]*)")
_JOINTS = {"x-robots-tag": "\n"}
_FOLD = re.compile(r"\n[ \t]+")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})\s*(?:;|$)")


class Response(NamedTuple):
    """A response: its status, its fields with names in lower case, its body as it was sent."""

    status: int
    fields: dict[str, str]
    body: bytes


def read_response(block: bytes) -> Response | None:
    r"""The response in a record's block; None where it begins with no status line.

    Responses that only announce it (1xx, a proxy's "Connection established") are passed over. A
    status line without a number means 200, as in browsers.

    >>> read_response(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nA: b\nA: c\n\r\n<p>")
    Response(status=200, fields={'a': 'b, c'}, body=b'<p>')
    """
    at = 0
    for _ in range(_MAX_INTERIM):
        match = _STATUS_LINE.match(block, at)
        if match is None:
            return None
        status = int(match[1] or 0) or 200
        end, start = _header_end(block, at)
        fields = header_fields(block[at:end], is_http=True)
        is_first = 100 <= status < 200
        if status == 200:  # of a tunnel that a proxy opened
            is_first = "content-type" not in fields or _TUNNEL.match(block, at) is not None
        if not (is_first and _STATUS_LINE.match(block, start)):
            break
        at = start
    return Response(status, fields, block[start:])


def begins_response(block: bytes) -> bool:
    """Whether a status line stands at the beginning."""
    return _STATUS_LINE.match(block) is not None


def _header_end(block: bytes, at: int) -> tuple[int, int]:
    """Where the header that begins at block[at] ends, and where its body begins: behind the first
    empty line, whatever line ends stand around it, or at a line that begins with a tag."""
    high = end = min(len(block), at + _HEADER_BYTES)
    start = high
    for mark in (b"\n\r\n", b"\n\n", b"\n\r\r\n", b"\n<", b"\r\r"):
        found = block.find(mark, at, min(end + len(mark) - 1, high))
        is_line_end = mark == b"\r\r" and block[found + 2 : found + 3] == b"\n"
        if 0 <= found < end and not is_line_end:
            end, start = found, found + len(mark) - (mark == b"\n<")
    return end, len(block) if start == high else start


def header_fields(head: bytes, *, is_http: bool = False) -> dict[str, str]:
    """The fields behind a header's first line, names in lower case.

    Of a repeated field the first value that is not empty counts; in HTTP all of them are one list,
    joined by commas, and a lone carriage return ends a line. Those of X-Robots-Tag are joined by
    line feeds, since each may be for another crawler.
    """
    text = head[:_HEADER_BYTES].decode("utf-8", "replace").replace("\r\n", "\n")
    if is_http and "\r" in text:
        text = text.replace("\r", "\n")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text):
        name, value = name.rstrip().lower(), value.strip()
        earlier = fields.get(name)
        if not earlier:
            fields[name] = value
        elif is_http and value:
            fields[name] = f"{earlier}{_JOINTS.get(name, ', ')}{value}"
    return fields


@lru_cache(maxsize=1024)
def media_type(content_type: str | None) -> tuple[str, str | None]:
    """The media type of a Content-Type (in lower case; "" where it says none), and the header with
    what it says of the encoding.

    As the Fetch standard has it: of several types the last valid one counts, with the parameters of
    an earlier equal one. A type that is no valid one says nothing.

    >>> media_type("text/html; charset=koi8-r, text/html"), media_type("text/html charset=koi8-r")
    (('text/html', 'text/html; charset=koi8-r'), ('', 'text/html charset=koi8-r'))
    """
    if content_type is None:
        return "", None
    mime, named = "", ""
    for part in content_type.split(","):
        match = _MEDIA_TYPE.match(part)
        if match is None or match[1] == "*/*":
            continue
        if match[1].lower() != mime:
            mime, named = match[1].lower(), ""
        if "charset" in part.lower():
            named = part.strip()
    return mime, named or content_type
