"""One record of an archive -> Page, Reject or Skipped: HTTP status, headers, codings, content type.

Costs some 20 microseconds a record besides decompression. The trap: what a record says of itself
(its type, its length, its coding) is what a server or crawler wrote, and its bytes go before it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from curation.readers.codings import body_without_codings, dechunked, unpacked
from curation.readers.http import begins_response, media_type, read_response
from curation.readers.records import Damage, Page, Reject, Skipped
from curation.readers.robots import header_directives
from curation.readers.sniffing import (
    HTML_TYPES,
    XML_TYPES,
    begins_as_binary,
    begins_as_html,
    may_be_page,
    says_nothing,
)

NO_DOCUMENT = {"warcinfo", "request", "metadata", "unknown"}
# Tools file their own notes under these schemes: screenshots, page lists, logs, name look-ups.
_TOOL_SCHEMES = (
    "dns:",
    "whois:",
    "ntp:",
    "metadata:",
    "urn:",
    "filedesc:",
    "screenshot:",
    "warcinfo:",
)
_SHA1 = re.compile(r"sha-?1:(?:[A-Z2-7]{32}|[0-9A-F]{40})", re.IGNORECASE)
_BASE_32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_ISO_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z?)?)?)?")


@dataclass(slots=True)
class Raw:
    """A record as it stands in the archive.

    `block` is None when it was over the limit and not read.
    """

    kind: str
    url: str | None
    record_id: str | None
    date: str | None
    content_type: str
    block: bytes | None
    length: int
    offset: int
    is_cut: bool = False  # WARC-Truncated: the crawler itself stopped reading
    block_digest: str = ""  # of the block and of the page in it, as the archive states them
    payload_digest: str = ""
    place: int = 0  # in the unpacked member that begins at `offset`
    fits_length: bool = True  # no bytes of no record follow
    damage: Damage | None = None  # of the member that it ends in
    refers_to: tuple[str, ...] = ()  # ids of the records that a metadata record is about
    identified_language: str = ""  # WARC-Identified-Content-Language of a conversion
    segment: int = 0  # of a segmented record, from 1 on; of which record; bytes of all segments,
    origin_id: str = ""  # which the last one states
    segments_length: int = 0


def raw_limit(max_page_bytes: int) -> int:
    """Bytes of a stored block beyond which it is not read: the page, its HTTP headers, some chunk
    headers."""
    return max_page_bytes + max_page_bytes // 8 + 65_536


def page_or_reject(raw: Raw, max_page_bytes: int) -> Page | Reject | Skipped:
    """Return what a record becomes: a page, or why it is none. Never raises.

    Reasons: revisit, truncated (a continued record), too_large, http_status, not_html, empty,
    malformed.
    """
    kind = raw.kind
    if kind in NO_DOCUMENT:
        return Skipped(
            "wat" if kind == "metadata" and "application/json" in raw.content_type else kind,
            raw.offset,
        )
    if raw.url is not None and raw.url.lower().startswith(_TOOL_SCHEMES):
        return Skipped(raw.url.partition(":")[0].lower(), raw.offset)
    if raw.content_type.startswith("text/dns"):
        return Skipped("dns", raw.offset)
    if kind == "revisit":
        return _reject(raw, "revisit")
    if kind == "continuation":
        return _reject(raw, "truncated", "a later segment of a segmented record")
    if kind not in ("response", "resource", "conversion"):
        return Skipped("unknown", raw.offset)
    if raw.block is None:
        return _reject(raw, "too_large", f"{raw.length} bytes stored")
    if kind == "response" and (
        "application/http" in raw.content_type or begins_response(raw.block)
    ):
        return _http_page(raw, raw.block, max_page_bytes)
    return _page(raw, raw.block, raw.content_type or None, max_page_bytes)


def fits_digest(raw: Raw, body: bytes, sent: bytes) -> bool | None:
    """Whether a record's bytes are those that its digests were made of: sha1 in base 32 or 16;
    None where it has none of these, since other digests are taken on trust.

    Crawlers make a payload's digest of the body as it was `sent` or as it is without its codings.
    It is not looked at where the whole block fits.
    """
    block = raw.block or b""
    if _is_sha1(raw.block_digest):
        return _has_sha1(raw.block_digest, block)
    if not _is_sha1(raw.payload_digest) or raw.is_cut:
        return None
    # The last is the body as a crawler has it that knows no other end of a header.
    return (
        any(_has_sha1(raw.payload_digest, data) for data in (sent, body, block))
        or _has_sha1(raw.payload_digest, dechunked(sent))
        or _has_sha1(raw.payload_digest, block.partition(b"\r\n\r\n")[2])
    )


def _is_sha1(digest: str) -> bool:
    return _SHA1.fullmatch(digest.strip()) is not None


def _has_sha1(digest: str, data: bytes) -> bool:
    value = digest.strip().partition(":")[2].upper()
    number = int(value, 16) if len(value) == 40 else int(value.translate(_BASE_32), 32)
    return number == int(hashlib.sha1(data, usedforsecurity=False).hexdigest(), 16)


def _reject(raw: Raw, reason: str, detail: str | None = None) -> Reject:
    return Reject(reason, url=raw.url, offset=raw.offset, detail=detail)


def _http_page(raw: Raw, block: bytes, limit: int) -> Page | Reject:
    response = read_response(block)
    if response is None:
        if begins_as_html(block):
            return _page(raw, block, None, limit)  # HTTP/0.9 and some ARC files have no header
        if not block.strip():
            return _reject(raw, "empty")
        return _reject(raw, "malformed", f"no HTTP status line but {block[:60]!r}")
    if response.status != 200:
        return _reject(raw, "http_status", str(response.status))
    fields, body = response.fields, response.body
    mime, content_type = media_type(fields.get("content-type"))
    if not may_be_page(mime):
        return _reject(raw, "not_html", mime[:80])
    transfer, content = fields.get("transfer-encoding", ""), fields.get("content-encoding", "")
    if transfer or content:
        try:
            body = body_without_codings(body, transfer, content, limit, is_cut=raw.is_cut)
        except OverflowError as error:
            return _reject(raw, "too_large", str(error))
        except ValueError as error:
            return _reject(raw, "malformed", str(error))
    page = _page(raw, body, content_type, limit, response.body)
    return replace(page, robots=header_directives(fields)) if isinstance(page, Page) else page


def _page(
    raw: Raw, body: bytes, content_type: str | None, limit: int, sent: bytes = b""
) -> Page | Reject:
    mime, content_type = media_type(content_type)
    if mime in HTML_TYPES:
        try:
            body = _packed_page(body, limit, raw.is_cut) or body
        except OverflowError as error:
            return _reject(raw, "too_large", str(error))
    if len(body) > limit:
        return _reject(raw, "too_large", f"{len(body)} bytes, the limit is {limit}")
    if not body or body.isspace():
        return _reject(raw, "empty")
    if not may_be_page(mime):
        return _reject(raw, "not_html", mime[:80])
    if (mime in XML_TYPES or says_nothing(mime)) and not begins_as_html(body, mime):
        return _reject(raw, "not_html", f"sniffed, declared {(mime or content_type or '')[:60]!r}")
    if begins_as_binary(body):
        return _reject(raw, "not_html", f"declared {mime[:60]!r}, but begins {body[:8]!r}")
    place = (raw.offset, mime == "text/plain", True, raw.place)
    page = Page(body, raw.url, raw.record_id, raw.date, content_type, *place)
    fits = fits_digest(raw, body, sent or body)
    if raw.damage is not None and not fits:
        return Reject(raw.damage.reason, raw.url, raw.offset, raw.damage.detail, is_damage=True)
    return page if fits or (fits is None and raw.fits_length) else replace(page, fits_digest=False)


def _packed_page(body: bytes, limit: int, is_cut: bool) -> bytes | None:
    """The page in a packed body whose header names no coding. Raises OverflowError."""
    try:
        page = unpacked(body, limit, is_cut=is_cut)
    except ValueError:
        return None
    return page if page is not None and begins_as_html(page) else None


def iso_date(value: str | None) -> str | None:
    """A WARC date as it stands if it is ISO 8601, an ARC date (14 digits) made so, None for
    anything else.

    >>> iso_date("2019-08-17T00:00:01Z"), iso_date("20080430204825"), iso_date("a40c")
    ('2019-08-17T00:00:01Z', '2008-04-30T20:48:25Z', None)
    """
    value = (value or "").strip()
    if len(value) == 14 and value.isdecimal() and value.isascii():
        value = f"{value[:4]}-{value[4:6]}-{value[6:8]}T{value[8:10]}:{value[10:12]}:{value[12:]}Z"
    return value if _ISO_DATE.fullmatch(value) else None


def clean_url(value: str | None) -> str | None:
    """A record's address without the angle brackets of old wget; None when empty."""
    return (value or "").strip().removeprefix("<").removesuffix(">").strip() or None
