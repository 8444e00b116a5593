"""A file's bytes, unpacked member by member, going on after damage.

Gzip (one member a record, one for all, concatenated, zero-padded), zstd (frames, and a dictionary
in front) bzip2 and plain files. Costs what zlib costs, about half of fastwarc's speed. The trap it
is built around: after damage the next member is looked for from the *start* of the broken one,
since a cut member swallows the beginning of the next.
"""

from __future__ import annotations

import bz2
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import zstandard

_READ_BYTES = 1 << 16
_KEPT_BYTES = 32 << 20  # how far back the next member is looked for
MAX_WINDOW = 1 << 31  # of a zstd frame, as `zstd --long=31` makes it: so much memory it may take
_USUAL_WINDOW = 1 << 27  # what zstd reads without being asked
_OUT_BYTES = 1 << 20  # unpacked bytes a step, so that a bomb does not fill the memory
_ZSTD_READ_BYTES = 4096  # small, since zstd cannot be told to stop: 4 KB give at most some 100 MB
_GZIP_MAGIC = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"


@dataclass(frozen=True, slots=True)
class Piece:
    """Unpacked bytes.

    `start` is the archive offset of the member (or plain bytes) that begins here, else None.
    """

    data: bytes
    start: int | None


@dataclass(frozen=True, slots=True)
class Damage:
    """The bytes before and after this do not belong together.

    `reason` is malformed or truncated.
    """

    offset: int
    reason: str
    detail: str


class _Source:
    """The compressed bytes from a kept position on, read on demand."""

    def __init__(self, stream: BinaryIO, base: int) -> None:
        self._stream = stream
        self._ended = False
        self.data = bytearray()
        self.base = base  # archive offset of data[0]
        self.at = base  # archive offset of the next byte to hand out

    def fill(self, size: int) -> bool:
        """Have `size` bytes from `at` on in memory; False when the archive ends before."""
        while len(self.data) - (self.at - self.base) < size and not self._ended:
            more = self._stream.read(max(_READ_BYTES, size))
            self._ended = not more
            self.data += more
        return len(self.data) - (self.at - self.base) >= size

    def peek(self, size: int) -> bytes:
        self.fill(size)
        at = self.at - self.base
        return bytes(self.data[at : at + size])

    def take(self, size: int) -> bytes:
        chunk = self.peek(size)
        self.at += len(chunk)
        return chunk

    def forget(self, before: int) -> None:
        """Let go of the bytes before an archive offset."""
        before = min(max(before, self.base), self.at)
        del self.data[: before - self.base]
        self.base = before

    def find(self, pattern: re.Pattern[bytes], after: int) -> bool:
        """Go to the next match that begins after an offset (or after what is still kept of it);

        False at the end.
        """
        self.at = max(after, self.base)
        while True:
            match = pattern.search(self.data, self.at - self.base)
            if match:
                self.at = self.base + match.start()
                return True
            self.at = max(self.at, self.base + len(self.data) - 3)
            self.forget(self.at)
            if not self.fill(len(self.data) + 1):
                return False


def unpacked(stream: BinaryIO, base: int = 0) -> Iterator[Piece | Damage]:
    """The unpacked bytes of an archive that `stream` gives from archive offset `base` on.

    Never raises for content.
    """
    source = _Source(stream, base)
    head = source.peek(4)
    if _GZIP_MAGIC.match(head):
        yield from _members(source, _GZIP_MAGIC, None)
    elif _ZSTD_MAGIC.match(head):
        yield from _members(source, _ZSTD_MAGIC, _dictionary(source))
    elif head[:3] == b"BZh":
        yield from _bzip2_streams(source)
    else:
        start = source.at
        while chunk := source.take(_READ_BYTES):
            yield Piece(chunk, start)
            start = source.at
            source.forget(start)


def _dictionary(source: _Source) -> zstandard.ZstdCompressionDict | None:
    """The dictionary that `.warc.zst` files may carry in a skippable frame in front, possibly
    packed itself."""
    if source.peek(4) != DICTIONARY_MAGIC:
        return None
    size = int.from_bytes(source.peek(8)[4:], "little")
    if size > _KEPT_BYTES:
        return None
    payload = source.take(8 + size)[8:]
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            payload = zstandard.ZstdDecompressor().decompress(payload, max_output_size=_KEPT_BYTES)
        except zstandard.ZstdError:
            return None
    return zstandard.ZstdCompressionDict(payload)


def _members(
    source: _Source, magic: re.Pattern[bytes], dictionary: zstandard.ZstdCompressionDict | None
) -> Iterator[Piece | Damage]:
    while head := source.peek(4):
        start = source.at
        if not head.strip(b"\0"):
            source.at += len(head)  # zero padding, which gzip ignores too
            source.forget(source.at)
            continue
        damage = None
        if magic.match(source.peek(4)):
            step = _gzip_member(source) if magic is _GZIP_MAGIC else _zstd_frame(source, dictionary)
            anchor: int | None = start
            for out in step:
                if isinstance(out, Damage):
                    damage = out
                elif out:
                    yield Piece(out, anchor)
                    anchor = None
        else:
            source.at += head.index(head.strip(b"\0")[:1])
            if source.at > start:
                continue
            damage = Damage(start, "malformed", f"no compressed member but {head!r}")
        if damage is None:
            source.forget(source.at)
            continue
        yield damage
        if not source.find(magic, start + 1):
            return


def _gzip_member(source: _Source) -> Iterator[bytes | Damage]:
    start = source.at
    engine = zlib.decompressobj(31)
    while not engine.eof:
        chunk = engine.unconsumed_tail or source.take(_READ_BYTES)
        if not chunk:
            yield Damage(start, "truncated", "the gzip member breaks off")
            return
        try:
            yield engine.decompress(chunk, _OUT_BYTES)
        except zlib.error as error:
            yield Damage(start, "malformed", f"gzip member: {error}")
            return
        source.forget(max(start, source.at - _KEPT_BYTES))
    source.at -= len(engine.unused_data)


def _zstd_frame(
    source: _Source, dictionary: zstandard.ZstdCompressionDict | None
) -> Iterator[bytes | Damage]:
    start = source.at
    head = source.peek(8)
    if head[1:4] == b"\x2a\x4d\x18":  # a skippable frame
        end = source.at + 8 + int.from_bytes(head[4:], "little")
        while source.at < end and source.take(min(_READ_BYTES, end - source.at)):
            source.forget(max(start, source.at - _KEPT_BYTES))
        if source.at < end:
            yield Damage(start, "truncated", "the zstd frame breaks off")
        return
    try:
        window = zstandard.get_frame_parameters(source.peek(18)).window_size
    except zstandard.ZstdError:
        window = 0  # a header that breaks off or is damaged: named below
    if window > MAX_WINDOW:
        detail = f"zstd frame: a window of {window} bytes, at most {MAX_WINDOW} are read"
        yield Damage(start, "malformed", detail)
        return
    limit = window if window > _USUAL_WINDOW else 0
    unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=limit)
    engine = unpacker.decompressobj()
    while not engine.eof:
        chunk = source.take(_ZSTD_READ_BYTES)
        if not chunk:
            yield Damage(start, "truncated", "the zstd frame breaks off")
            return
        try:
            yield engine.decompress(chunk)
        except zstandard.ZstdError as error:
            yield Damage(start, "malformed", f"zstd frame: {error}")
            return
        source.forget(max(start, source.at - _KEPT_BYTES))
    source.at -= len(engine.unused_data)


def _bzip2_streams(source: _Source) -> Iterator[Piece | Damage]:
    """All streams of a bzip2 file, to the end or the first damage: its blocks have no sure marks to
    go on at."""
    while source.peek(3) == b"BZh":
        start = source.at
        engine = bz2.BZ2Decompressor()
        anchor: int | None = start
        while not engine.eof:
            chunk = source.take(_READ_BYTES) if engine.needs_input else b""
            if not chunk and engine.needs_input:
                yield Damage(start, "truncated", "the bzip2 stream breaks off")
                return
            try:
                out = engine.decompress(chunk, _OUT_BYTES)
            except OSError as error:
                yield Damage(start, "malformed", f"bzip2 stream: {error}")
                return
            if out:
                yield Piece(out, anchor)
                anchor = None
            source.forget(source.at - _READ_BYTES)
        source.at -= len(engine.unused_data)


class UnpackedFile(io.RawIOBase):
    """A packed or plain file as one readable stream up to its end or its first damage, which
    `damage` then holds."""

    def __init__(self, stream: BinaryIO) -> None:
        self._pieces = unpacked(stream)
        self._rest = memoryview(b"")
        self.damage: Damage | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest and self.damage is None:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            if isinstance(piece, Damage):
                self.damage = piece
            else:
                self._rest = memoryview(piece.data)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
