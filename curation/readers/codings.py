"""Bodies without their transfer and content codings: chunked, gzip, deflate, br, zstd.

Costs what the unpackers cost. The traps: crawlers store bodies already decoded under headers that
still say `chunked` or `gzip`, so a coding that does not match the bytes is ignored; and a body of
1 KB can unpack to 1 GB, so everything is unpacked against a limit.
"""

from __future__ import annotations

import contextlib
import io
import re
import zlib

import zstandard
from fastwarc.stream_io import BrotliReader

from curation.readers.encoding import codec_and_text, why_unreadable
from curation.readers.sniffing import begins_as_html

_STEP_BYTES = 4096  # small, since br and zstd cannot be told where to stop
_LOOK_BYTES = 1 << 16
_MAX_CODINGS = 6
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,12})[ \t]*(?:;[^\n]*)?\r?\n")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def body_without_codings(
    body: bytes, transfer: str, content: str, limit: int, *, is_cut: bool = False
) -> bytes:
    """The body without the codings that a response's Transfer-Encoding and Content-Encoding list.

    A coding that does not match the bytes is ignored: proxies and crawlers decode and keep the
    header, and some servers write charsets there. With `is_cut` what can be decoded of a cut body
    is enough.

    Raises OverflowError past `limit` bytes and ValueError for a body that breaks off or is garbled.
    """
    codings = [*_codings(content), *_codings(transfer)][-_MAX_CODINGS:]
    if "chunked" in codings:  # always the last that was applied, wherever the list has it
        body = dechunked(body)
    for coding in reversed(codings):
        if coding not in ("chunked", "identity"):
            body = _decoded(body, coding, limit, is_cut)
    return body


def _codings(header: str) -> list[str]:
    words = (word.partition(";")[0].strip(" \t\"'").lower() for word in header.split(","))
    return [word for word in words if word]


def dechunked(body: bytes) -> bytes:
    r"""The body without its chunk headers. From the first place that is no chunk on, bytes are
    taken as they are.

    >>> dechunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), dechunked(b"<p>not chunked"), dechunked(b"9\r\ncut")
    (b'abcde', b'<p>not chunked', b'cut')
    """
    parts: list[bytes] = []
    at = len(body) - len(body.lstrip(b"\r\n"))  # some archives have an empty line too many
    if _CHUNK_SIZE.match(body, at) is None:
        return body
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


def unpacked(body: bytes, limit: int, *, is_cut: bool = False) -> bytes | None:
    """A body that begins as gzip or zstd do, unpacked; None for any other. Raises as
    `body_without_codings` does."""
    body = body.lstrip(b"\r\n")  # some archives have an empty line too many
    if body.startswith(_GZIP):
        return _gzip_decoded(body, limit, is_cut)
    return _zstd_decoded(body, limit, is_cut) if body.startswith(_ZSTD) else None


def _decoded(body: bytes, coding: str, limit: int, is_cut: bool) -> bytes:
    if _is_plain(body):
        return body
    try:
        plain = unpacked(body, limit, is_cut=is_cut)  # what the bytes say goes before the header
        if plain is None and coding == "br":
            plain = _brotli_decoded(body, limit, is_cut)
        elif plain is None and coding == "deflate":
            plain = _inflated(body, limit, is_cut)
    except ValueError:
        if _is_text(body):
            return body
        raise
    if plain == b"" and _is_text(body):  # br unpacks a lone ";" to nothing
        return body
    if plain is None and coding not in ("gzip", "x-gzip", "zstd", "x-zstd") and not _is_text(body):
        raise ValueError(f"content encoding {coding[:40]!r} is not gzip, deflate, br or zstd")
    return body if plain is None else plain


def _is_plain(body: bytes) -> bool:
    """Whether a body is surely packed by nothing: packed bytes are binary within the first few."""
    from curation.kernels.controls import binary_bytes

    head = body[:_STEP_BYTES]
    if b"\0" in head or binary_bytes(head):
        return False
    return head.isascii() or begins_as_html(head)


def _is_text(body: bytes) -> bool:
    """Whether a body reads as text in some encoding."""
    from curation.kernels.controls import binary_bytes

    head = body[:_LOOK_BYTES]
    codec, text = codec_and_text(head, None)
    is_short_binary = "utf-" not in codec and 50 * binary_bytes(head) > len(head)
    return not is_short_binary and not why_unreadable(head, codec, text, is_text=False)


def _gzip_decoded(body: bytes, limit: int, is_cut: bool) -> bytes:
    """All members of a gzip body. The trailer is not read, as browsers do not: some servers send
    none, and the archive's own digests tell damage."""
    out: list[bytes] = []
    total = at = 0
    while body.startswith(_GZIP, at):
        try:
            start = _gzip_header_end(body, at)
            piece, end = _inflate(body, start, limit - total, is_cut)
        except ValueError:
            if not out:  # else bytes after a whole gzip stream
                raise
            break
        out.append(piece)
        total += len(piece)
        at = end + 8
    return b"".join(out)


def _gzip_header_end(body: bytes, at: int) -> int:
    """Where the header of a gzip member at body[at] ends (RFC 1952)."""
    flags = body[at + 3] if len(body) > at + 3 else 0
    at += 10
    if flags & 4:
        at += 2 + int.from_bytes(body[at : at + 2], "little")
    for flag in (8, 16):  # a name and a comment, each to a zero byte
        if flags & flag:
            at = (body.find(b"\0", at) + 1) or len(body)
    return at + (2 if flags & 2 else 0)


def _inflated(body: bytes, limit: int, is_cut: bool) -> bytes:
    """A deflate body, which the standard wants in a zlib stream and some servers send without."""
    is_zlib = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    if is_zlib:
        with contextlib.suppress(ValueError):
            return _inflate(body, 2, limit, is_cut)[0]
    return _inflate(body, 0, limit, is_cut)[0]


def _inflate(data: bytes, at: int, limit: int, is_cut: bool) -> tuple[bytes, int]:
    """What the deflate stream at data[at] unpacks to, and where it ends. Read in small steps, since
    zlib copies what follows the stream."""
    engine = zlib.decompressobj(-15)
    out: list[bytes] = []
    total = 0
    while not engine.eof and at < len(data):
        step = data[at : at + _STEP_BYTES]
        at += len(step)
        try:
            out.append(engine.decompress(step, limit - total + 1))
        except zlib.error as error:
            raise ValueError(f"content encoding gzip or deflate: {error}") from error
        total += len(out[-1])
        if total > limit:
            raise OverflowError(f"unpacks to more than {limit} bytes")
    if not engine.eof and not is_cut:
        raise ValueError("content encoding gzip or deflate: the body breaks off")
    return b"".join(out), at - len(engine.unused_data)


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
