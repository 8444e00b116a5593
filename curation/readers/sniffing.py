"""What a body is, by its declared type and its first bytes.

After the WHATWG's MIME Sniffing standard, with more of the tags that pages begin with.
"""

from __future__ import annotations

import re

HTML_TYPES = {
    "text/html",
    "application/xhtml+xml",
    "application/xhtml",
    "application/vnd.wap.xhtml+xml",
}
XML_TYPES = {"text/xml", "application/xml"}
# Types that say nothing; "" stands for none and for what is no valid type.
_GENERIC_TYPES = {
    "", "application/octet-stream", "unknown/unknown", "application/x-unknown", "application/unknown",
    "binary/octet-stream", "content/unknown", "text/unknown", "text/*",
}  # fmt: skip
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff|\s++|(?><!--.{0,2000}?-->)|<\?xml[^>]{0,200}+>)*+"  # atomic: else 30 comments take minutes
    rb"<(?:!doctype\s+html|html|head|body|title|meta|script|style|table|div|p|h[1-6]|a|center|font|br|span|b|ul|img"
    rb"|iframe|link|base|frameset|noscript|main|article|section|header|nav|form|pre|hr|ol|dl|strong|i|em)\b",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<!--")
_BINARY_START = re.compile(
    rb"%PDF-|%!PS-|\{\\rtf1|\x89PNG|\xff\xd8\xff|GIF8[79]a|BM.{4}\x00{4}|RIFF.{4}(?:WAVE|WEBP|AVI )|PK\x03\x04|Rar!\x1a"
    rb"|\x1f\x8b\x08|BZh\d1AY|7z\xbc\xaf|\xfd7zXZ|\xd0\xcf\x11\xe0|\x7fELF|MZ[\x00-\x1f\x80-\xff]|ID3[\x02-\x04]\x00|OggS\x00"
    rb"|wOF[F2]\x00|[CF]WS[\x01-\x2f]|\x00\x00\x01\x00|\x00\x00\x00.ftyp",
    re.DOTALL,
)
_START_BYTES = 4096


def may_be_page(mime: str) -> bool:
    """Whether a page may have this declared media type."""
    return mime in HTML_TYPES or mime == "text/plain" or mime in XML_TYPES or says_nothing(mime)


def says_nothing(mime: str) -> bool:
    """Whether the first bytes must tell. Types of HTML that nobody registered are such too."""
    return mime in _GENERIC_TYPES or ("htm" in mime and mime not in HTML_TYPES)


def begins_as_html(body: bytes, mime: str = "") -> bool:
    """Whether the first bytes are those of a page, in UTF-16 too. A comment is enough, but where
    the declared type is XML.

    >>> begins_as_html(b"<!-- x --> <html>"), begins_as_html("<p>".encode("utf-16")), begins_as_html(b"a < b")
    (True, True, False)
    """
    start = body[:_START_BYTES]
    start = start.replace(b"\0", b"") if b"\0" in start else start
    return _HTML_START.match(start) is not None or (
        mime not in XML_TYPES and _COMMENT_START.match(start) is not None
    )


def begins_as_binary(body: bytes) -> bool:
    """Whether the first bytes are those of a PDF, picture, program or archive."""
    return _BINARY_START.match(body[:_START_BYTES]) is not None
