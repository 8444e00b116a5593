"""One record of an archive -> Page, Reject or Skipped: HTTP status, headers, encodings, content
type.

Costs some 20 microseconds a record besides decompression. The traps: crawlers store bodies already
decoded under headers that still say `chunked` or `gzip`, so a coding that does not match the bytes
is ignored; and a body of 1 KB can unpack to 1 GB, so everything is unpacked against a limit.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from dataclasses import dataclass, replace

import zstandard
from fastwarc.stream_io import BrotliReader

from curation.readers.records import Damage, Page, Reject, Skipped

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
_HTML_TYPES = {
    "text/html",
    "application/xhtml+xml",
    "application/xhtml",
    "application/vnd.wap.xhtml+xml",
}
_GENERIC_TYPES = {"", "application/octet-stream", "unknown/unknown", "application/x-unknown", "application/unknown",
                  "*/*", "text", "none", "null", "no-type", "unk", "binary/octet-stream"}  # fmt: skip
_XML_TYPES = {"text/xml", "application/xml"}
_SHA1 = re.compile(r"sha-?1:(?:[A-Z2-7]{32}|[0-9A-F]{40})", re.IGNORECASE)
_BASE_32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_HEADER_BYTES = 1 << 17
_STEP_BYTES = 4096  # small, since neither br nor zstd can be told where to stop
_STATUS_LINE = re.compile(rb"HTTP/\d+(?:\.\d+)?[ \t]+(\d{3})(?!\d)")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,12})[ \t]*(?:;[^\n]*)?\r?\n")
_ISO_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z?)?)?)?")
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf|\s++|(?><!--.{0,2000}?-->)|<\?xml[^>]{0,200}+>)*+"  # atomic: else 30 comments take minutes
    rb"<(?:!doctype\s+html|html|head|body|title|meta|script|style|table|div|p|h[1-6]|a|center|font|br|span|b|ul|img)\b",
    re.IGNORECASE | re.DOTALL,
)
_BINARY_START = re.compile(
    rb"%PDF-|%!PS-|\{\\rtf1|\x89PNG|\xff\xd8\xff|GIF8[79]a|BM.{4}\x00{4}|RIFF.{4}(?:WAVE|WEBP|AVI )|PK\x03\x04|Rar!\x1a"
    rb"|\x1f\x8b\x08|BZh\d1AY|7z\xbc\xaf|\xfd7zXZ|\xd0\xcf\x11\xe0|\x7fELF|MZ[\x00-\x1f\x80-\xff]|ID3[\x02-\x04]\x00|OggS\x00"
    rb"|wOF[F2]\x00|[CF]WS[\x01-\x2f]|\x00\x00\x01\x00|\x00\x00\x00.ftyp",
    re.DOTALL,
)


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
            "wat" if kind == "metadata" and "application/json" in raw.content_type else kind
        )
    if raw.url is not None and raw.url.lower().startswith(_TOOL_SCHEMES):
        return Skipped(raw.url.partition(":")[0].lower())
    if raw.content_type.startswith("text/dns"):
        return Skipped("dns")
    if kind == "revisit":
        return _reject(raw, "revisit")
    if kind == "continuation":
        return _reject(raw, "truncated", "a later segment of a segmented record")
    if kind not in ("response", "resource", "conversion"):
        return Skipped("unknown")
    if raw.block is None:
        return _reject(raw, "too_large", f"{raw.length} bytes stored")
    if kind == "response" and (
        raw.block.startswith(b"HTTP/") or "application/http" in raw.content_type
    ):
        return _http_page(raw, raw.block, max_page_bytes)
    return _page(raw, raw.block, raw.content_type or None, max_page_bytes)


def fits_digest(raw: Raw, page: Page) -> bool | None:
    """Whether a record's bytes are those that its digests were made of: sha1 in base 32 or 16;
    None where it has none of these, since other digests are taken on trust.

    Crawlers make a payload's digest of the body as it was sent or as it is without its codings.
    """
    block = raw.block or b""
    fits = None
    if _is_sha1(raw.block_digest):
        fits = _has_sha1(raw.block_digest, block)
    if fits is False or not _is_sha1(raw.payload_digest) or raw.is_cut:
        return fits
    body = http_headers(block)[1] if block.startswith(b"HTTP/") else block
    bodies = (body, page.body, block)
    return any(_has_sha1(raw.payload_digest, b) for b in bodies) or _has_sha1(
        raw.payload_digest, dechunked(body)
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
    match = _STATUS_LINE.match(block)
    if match is None:
        if not block.startswith(b"HTTP/") and _HTML_START.match(block[:4096]):
            return _page(raw, block, None, limit)  # HTTP/0.9 and some ARC files have no header
        if not block.strip():
            return _reject(raw, "empty")
        return _reject(raw, "malformed", f"no HTTP status line but {block[:60]!r}")
    if match[1] != b"200":
        return _reject(raw, "http_status", match[1].decode())
    headers, body = http_headers(block)
    content_type = headers.get("content-type")
    mime = _mime(content_type)
    if mime not in _HTML_TYPES | _GENERIC_TYPES | _XML_TYPES and mime != "text/plain":
        return _reject(raw, "not_html", mime[:80])
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = dechunked(body)
    try:
        body = content_decoded(body, headers.get("content-encoding", ""), limit, is_cut=raw.is_cut)
    except OverflowError as error:
        return _reject(raw, "too_large", str(error))
    except ValueError as error:
        return _reject(raw, "malformed", str(error))
    return _page(raw, body, content_type, limit)


def _page(raw: Raw, body: bytes, content_type: str | None, limit: int) -> Page | Reject:
    mime = _mime(content_type)
    if len(body) > limit:
        return _reject(raw, "too_large", f"{len(body)} bytes, the limit is {limit}")
    if not body or body.isspace():
        return _reject(raw, "empty")
    start = body[:4096]
    is_text = mime == "text/plain"
    if mime in _GENERIC_TYPES | _XML_TYPES:
        if not _HTML_START.match(start):
            return _reject(raw, "not_html", f"sniffed, declared {mime[:60]!r}")
    elif not is_text and mime not in _HTML_TYPES:
        return _reject(raw, "not_html", mime[:80])
    if _BINARY_START.match(start):
        return _reject(raw, "not_html", f"declared {mime[:60]!r}, but begins {start[:8]!r}")
    place = (raw.offset, is_text, True, raw.place)
    page = Page(body, raw.url, raw.record_id, raw.date, content_type, *place)
    fits = fits_digest(raw, page)
    if raw.damage is not None and not fits:
        return Reject(raw.damage.reason, raw.url, raw.offset, raw.damage.detail, is_damage=True)
    return page if fits or (fits is None and raw.fits_length) else replace(page, fits_digest=False)


def http_headers(block: bytes) -> tuple[dict[str, str], bytes]:
    r"""Header names in lower case with their values, and the body; of a repeated header the first
    that is not empty.

    >>> http_headers(b"HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n charset=x\r\n\r\n<p>")
    ({'content-type': 'text/html; charset=x'}, b'<p>')
    """
    cut = block.find(b"\r\n\r\n")
    bare = block.find(b"\n\n", 0, cut + 1 if cut >= 0 else len(block))
    if bare >= 0:
        return header_fields(block[:bare]), block[bare + 2 :]
    if cut < 0:
        return header_fields(block), b""
    return header_fields(block[:cut]), block[cut + 4 :]


def header_fields(head: bytes) -> dict[str, str]:
    """The fields behind a header's first line, names in lower case; of a repeated one the first
    value that is not empty."""
    fields: dict[str, str] = {}
    name = ""
    for text in head[:_HEADER_BYTES].decode("utf-8", "replace").split("\n")[1:]:
        if text[:1] in (" ", "\t") and name:
            fields[name] = f"{fields[name]} {text.strip()}".strip()
            continue
        key, colon, value = text.partition(":")
        if colon:
            name = key.strip().lower()
            fields[name] = fields.get(name) or value.strip()
    return fields


def dechunked(body: bytes) -> bytes:
    r"""The body without its chunk headers. From the first place that is no chunk on, bytes are
    taken as they are.

    >>> dechunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), dechunked(b"<p>not chunked"), dechunked(b"9\r\ncut")
    (b'abcde', b'<p>not chunked', b'cut')
    """
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        header = _CHUNK_SIZE.match(body, at)
        if header is None:
            parts.append(body[at:])
            break
        size = int(header[1], 16)
        if size == 0:
            break
        parts.append(body[header.end() : header.end() + size])
        at = header.end() + size
        at += 2 if body.startswith(b"\r\n", at) else body.startswith(b"\n", at)
    return b"".join(parts)


def content_decoded(body: bytes, header: str, limit: int, *, is_cut: bool = False) -> bytes:
    """The body with its content encodings (gzip, deflate, br, zstd; several allowed) removed.

    A body that plainly is not encoded as the header says is returned as it is: proxies and crawlers
    decode and keep the header. With `is_cut` what can be decoded of a cut body is enough.

    Raises OverflowError past `limit` bytes and ValueError for a body that breaks off or is garbled.
    """
    codings = [word.strip().lower() for word in header.split(",") if word.strip()]
    for coding in reversed(codings[:4]):
        if coding in ("gzip", "x-gzip", "deflate"):
            if coding != "deflate" and not body.startswith(b"\x1f\x8b"):
                continue
            body = _inflated(body, limit, is_cut)
        elif coding == "br":
            body = _brotli_decoded(body, limit, is_cut)
        elif coding in ("zstd", "x-zstd"):
            if not body.startswith(b"\x28\xb5\x2f\xfd"):
                continue
            body = _zstd_decoded(body, limit, is_cut)
        elif coding != "identity" and not _looks_plain(body):  # some servers write charsets here
            raise ValueError(f"content encoding {coding[:40]!r} is not gzip, deflate, br or zstd")
    return body


def _looks_plain(body: bytes) -> bool:
    return body[:256].isascii() and b"\0" not in body[:256]


def _inflated(body: bytes, limit: int, is_cut: bool) -> bytes:
    wbits = -15  # deflate without a header
    if body.startswith(b"\x1f\x8b"):
        wbits = 31  # gzip
    elif body[:1] in (b"\x78", b"\x58", b"\x48"):
        wbits = 15  # zlib
    out: list[bytes] = []
    total = 0
    rest = body
    while rest:
        engine = zlib.decompressobj(wbits)
        try:
            piece = engine.decompress(rest, limit - total + 1)
        except zlib.error as error:
            if out or is_cut:
                break  # bytes after a whole gzip stream, or a body that the crawler cut
            if _looks_plain(body):
                return body
            raise ValueError(f"content encoding gzip or deflate: {error}") from error
        out.append(piece)
        total += len(piece)
        if total > limit:
            raise OverflowError(f"unpacks to more than {limit} bytes")
        if not engine.eof and not is_cut:
            raise ValueError("content encoding gzip or deflate: the body breaks off")
        rest = engine.unused_data
        if wbits != 31 or not rest.startswith(b"\x1f\x8b"):
            break
    return b"".join(out)


def _brotli_decoded(body: bytes, limit: int, is_cut: bool) -> bytes:
    reader = BrotliReader(io.BytesIO(body))
    out: list[bytes] = []
    total = 0
    try:
        while piece := reader.read(_STEP_BYTES):
            out.append(piece)
            total += len(piece)
            if total > limit:
                raise OverflowError(f"unpacks to more than {limit} bytes")
    except (OSError, ValueError, EOFError) as error:
        if out and is_cut:
            return b"".join(out)
        if _looks_plain(body):
            return body
        raise ValueError(f"content encoding br: {error}") from error
    return b"".join(out)


def _zstd_decoded(body: bytes, limit: int, is_cut: bool) -> bytes:
    engine = zstandard.ZstdDecompressor().decompressobj()
    out: list[bytes] = []
    total = 0
    try:
        for at in range(0, len(body), _STEP_BYTES):
            piece = engine.decompress(body[at : at + _STEP_BYTES])
            out.append(piece)
            total += len(piece)
            if total > limit:
                raise OverflowError(f"unpacks to more than {limit} bytes")
            if engine.eof:
                return b"".join(out)
    except zstandard.ZstdError as error:
        if not is_cut:
            raise ValueError(f"content encoding zstd: {error}") from error
    if not is_cut:
        raise ValueError("content encoding zstd: the body breaks off")
    return b"".join(out)


def _mime(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].partition(",")[0].strip().strip("\"'").lower()


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
