"""A file's bytes, unpacked member by member, going on after damage.

Gzip (one member a record, one for all, concatenated, zero-padded), zstd (frames, and a dictionary
in front), bzip2 and plain files. Costs what zlib or, where it is installed, ISA-L costs. The trap it is built around: after damage
the next member is looked for from the *start* of the broken one, since a cut member swallows the
beginning of the next.
"""

from __future__ import annotations

import bz2
import io
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import zstandard

from curation.readers.headers import LINE_BYTES, RECORD, begins_record, record_length
from curation.readers.records import Damage

isal_zlib: Any
try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None

MAX_WINDOW = 1 << 31  # of a zstd frame, as `zstd --long=31` makes it: so much memory it may take
_PLAIN_TRIES = 16
_FIRST_BYTES = 1 << 12  # of a member, to see whether a record begins there
_READ_BYTES = 1 << 16
_STEP_BYTES = 1 << 14
_OUT_BYTES = 1 << 20  # unpacked bytes a step, so that a bomb does not fill the memory
_STREAM_BYTES = 64 << 20  # unpacked: a first member of more is taken for all of the file
_HEADER_CHECKED = 2  # flag of a gzip header that has a checksum of its own
_ZSTD_READ_BYTES = 4096  # small, since zstd cannot be told to stop: 4 KB give at most some 100 MB
_USUAL_WINDOW = 1 << 27  # what zstd reads without being asked
# Dictionaries and skippable frames; and what may be read again behind damaged members, besides as
# much as the file has.
_KEPT_BYTES = 32 << 20
_MAGIC = {
    "gzip": re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
}
_DICTIONARY = b"\x37\xa4\x30\xec"
_ANY_START = re.compile(
    b"|".join([*(magic.pattern for magic in _MAGIC.values()), _DICTIONARY, RECORD.pattern])
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Unpacked bytes.

    `start` is the archive offset of the member (or plain bytes) that begins here, else None;
    `is_whole` says that they are surely all of it.
    """

    data: bytes
    start: int | None
    is_whole: bool = False


class _Broken(Exception):
    """A member that cannot be unpacked to its end: reason and detail of the damage."""


class _Stored:
    """A file as it is stored, from which several sources read. Only a source that goes back, or a
    second one, needs a stream that can seek."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0
        self._head = b""  # kept, since every reading begins with a look at it

    def read(self, at: int, size: int) -> bytes:
        if at < len(self._head):
            return self._head[at : at + size]
        if at != self._at:
            self._stream.seek(at)
        data = self._stream.read(size)
        self._at = at + len(data)
        if at == len(self._head) < 2 * _READ_BYTES:
            self._head += data
        return data


class _Source:
    """The stored bytes from a place on; `at` is the archive offset of the next byte."""

    def __init__(self, stored: _Stored, at: int) -> None:
        self._stored = stored
        self._data = b""
        self._base = at  # archive offset of _data[0]
        self.at = at

    def peek(self, size: int) -> memoryview:
        """The next `size` bytes, fewer only at the end of the file."""
        here = self.at - self._base
        if not 0 <= here <= len(self._data):
            self._data, self._base, here = b"", self.at, 0
        if len(self._data) - here < size:
            parts = [self._data[here:]]
            end = self.at + len(parts[0])
            while end < self.at + size:
                parts.append(self._stored.read(end, max(_READ_BYTES, self.at + size - end)))
                if not parts[-1]:
                    break
                end += len(parts[-1])
            self._data, self._base, here = b"".join(parts), self.at, 0
        return memoryview(self._data)[here : here + size]

    def take(self, size: int) -> memoryview:
        chunk = self.peek(size)
        self.at += len(chunk)
        return chunk

    def find(self, pattern: re.Pattern[bytes], overlap: int = 16) -> bool:
        """Go to the next match, which is no longer than `overlap`; False at the end."""
        while True:
            data = self.peek(_READ_BYTES + overlap)
            match = pattern.search(data)
            if match:
                self.at += match.start()
                return True
            if len(data) < _READ_BYTES + overlap:
                return False
            self.at += _READ_BYTES


class Unpacker:
    """How a file is packed, and its unpacked bytes from any member on.

    The first bytes of a file say how it is packed. Of an archive, which may be damaged there, the
    first record does: it stands in the file as it is, or a member begins with it.
    """

    def __init__(self, stream: BinaryIO, *, is_archive: bool = False) -> None:
        self._stored = _Stored(stream)
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        self._reread = 0  # bytes that were read once more behind damaged members
        source = _Source(self._stored, 0)
        head = bytes(source.peek(10))
        self.packing = _packing(head) or ("bzip2" if head.startswith(b"BZh") else "")
        if head.startswith(b"\x5d\x2a\x4d\x18"):
            self._dictionary = _dictionary(source, 8)
        elif is_archive and not begins_record(bytes(source.peek(LINE_BYTES))):
            self.packing = self._packing_of_records(source)

    def _packing_of_records(self, source: _Source) -> str:
        guess = self.packing
        tries = _PLAIN_TRIES
        while source.find(_ANY_START, LINE_BYTES):
            at = source.at
            head = bytes(source.peek(10))
            packing = _packing(head)
            if head.startswith(_DICTIONARY):  # what is in front of it is damaged
                self._dictionary = _dictionary(source, at)
                if self._dictionary is not None:
                    return "zstd"
            elif packing:
                start = self._first_bytes(source, packing)
                if begins_record(start):
                    return packing
                guess = guess or (packing if start else "")
            elif tries:  # zstd holds texts as they are in its frames, so one record is no proof
                tries -= 1
                if _stands_whole(source) or (not tries and guess != "zstd"):
                    return ""
            source.at = at + 1
        return guess

    def _first_bytes(self, source: _Source, packing: str) -> bytes:
        """The first unpacked bytes of what may be a member."""
        try:
            if packing == "gzip":
                return zlib.decompressobj(31).decompress(source.peek(_STEP_BYTES), _FIRST_BYTES)
            return next((out[:_FIRST_BYTES] for out in self._member(source, packing) if out), b"")
        except (_Broken, zlib.error):
            return b""

    def pieces(self, at: int) -> Iterator[Piece | Damage]:
        """The unpacked bytes from an archive offset on; it raises for nothing that a file holds."""
        source = _Source(self._stored, at)
        if self.packing:
            yield from self._members(source, _MAGIC[self.packing])
            return
        start: int | None = at
        while chunk := source.take(_READ_BYTES):
            yield Piece(bytes(chunk), start)
            start = None

    def _members(self, source: _Source, magic: re.Pattern[bytes]) -> Iterator[Piece | Damage]:
        while head := bytes(source.peek(10)):
            start = source.at
            if head[0] == 0:  # zero padding, which gzip ignores too
                zeros = bytes(source.peek(_READ_BYTES))
                source.at += len(zeros) - len(zeros.lstrip(b"\0"))
                continue
            try:
                if not magic.match(head):
                    raise _Broken("malformed", f"no compressed member but {head[:4]!r}")
                anchor: int | None = start
                chunks: list[memoryview] = []
                whole = _by_isal(source, chunks) if self.packing == "gzip" else None
                if whole:
                    yield Piece(whole, start, is_whole=True)
                rest = self._member(source, self.packing, chunks) if whole is None else ()
                for out in rest:
                    if out:
                        yield Piece(out, anchor)
                        anchor = None
            except _Broken as broken:
                yield Damage(start, *broken.args)
                read = source.at - start
                if self._reread + read <= source.at + _KEPT_BYTES:
                    self._reread += read
                    source.at = start + 1
                if not source.find(magic):
                    return

    def _member(
        self, source: _Source, packing: str, chunks: Sequence[memoryview] = ()
    ) -> Iterator[bytes]:
        """A member's bytes; `chunks` are the first of it, taken of the source already."""
        if packing == "zstd":
            return _zstd_frame(source, self._dictionary)
        return _gzip_member(source, chunks) if packing == "gzip" else _bzip2_stream(source)


def _packing(head: bytes) -> str:
    return next((name for name, magic in _MAGIC.items() if magic.match(head)), "")


def _stands_whole(source: _Source) -> bool:
    """Whether the record here is followed by another, or by the end."""
    size = record_length(bytes(source.peek(_READ_BYTES)))
    if size is None:
        return False
    source.at += size - 1
    after = bytes(source.peek(LINE_BYTES))
    return after != b"" and (not after[1:].strip(b"\r\n") or begins_record(after[1:]))


def _dictionary(source: _Source, at: int) -> zstandard.ZstdCompressionDict | None:
    """The dictionary that `.warc.zst` files may carry in a skippable frame in front, possibly
    packed itself; it stands at an offset, its size in front of it and a frame behind it."""
    source.at = max(at - 4, 0)
    size = int.from_bytes(source.peek(4), "little")
    if size > _KEPT_BYTES:
        return None
    data = bytes(source.peek(4 + size + 4)[4:])
    payload = data[:size]
    if at > 8 and not _MAGIC["zstd"].match(data[size:]):
        return None
    try:
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            payload = zstandard.ZstdDecompressor().decompress(payload, max_output_size=_KEPT_BYTES)
        return zstandard.ZstdCompressionDict(payload)
    except zstandard.ZstdError:
        return None


def _gzip_member(source: _Source, chunks: Sequence[memoryview]) -> Iterator[bytes]:
    """A member's bytes by zlib, which alone says what is damaged."""
    taken = iter(chunks)
    engine = zlib.decompressobj(31)
    try:
        while not engine.eof:
            chunk = engine.unconsumed_tail or next(taken, None) or source.take(_STEP_BYTES)
            if not chunk:
                raise _Broken("truncated", "the gzip member breaks off")
            try:
                yield engine.decompress(chunk, _OUT_BYTES)
            except zlib.error as error:
                raise _Broken("malformed", f"gzip member: {error}") from error
        source.at -= len(engine.unused_data)
    finally:
        source.at -= sum(map(len, taken))


def _by_isal(source: _Source, chunks: list[memoryview]) -> bytes | None:
    """A member's bytes by ISA-L, in half of zlib's time; None where it is not installed, or where
    the member is damaged or gives `_OUT_BYTES` or more. What was taken of the source goes to
    `chunks`. ISA-L overlooks some wrong checksums, so they are compared here."""
    if isal_zlib is None:
        return None
    engine = isal_zlib.decompressobj(31)
    parts: list[bytes] = []
    room = _OUT_BYTES
    while not engine.eof:
        chunks.append(source.take(_STEP_BYTES))
        if len(chunks[-1]) < 4 or (len(chunks) == 1 and chunks[0][3] & _HEADER_CHECKED):
            return None
        try:
            parts.append(engine.decompress(chunks[-1], room))
        except isal_zlib.error:
            return None
        room -= len(parts[-1])
        if engine.unconsumed_tail or room <= 0:
            return None
    out = b"".join(parts)
    packed = b"".join(chunks[-2:])
    end = len(packed) - len(engine.unused_data)
    if packed[end - 8 : end] != struct.pack("<2I", isal_zlib.crc32(out), len(out)):
        return None
    source.at -= len(engine.unused_data)
    return out


def _zstd_frame(
    source: _Source, dictionary: zstandard.ZstdCompressionDict | None
) -> Iterator[bytes]:
    head = bytes(source.peek(18))
    if head[1:4] == b"\x2a\x4d\x18":  # a skippable frame
        size = 8 + int.from_bytes(head[4:8], "little")
        if size > _KEPT_BYTES or len(source.take(size)) < size:
            raise _Broken("truncated", "the zstd frame breaks off")
        return
    try:
        window = zstandard.get_frame_parameters(head).window_size
        if window > MAX_WINDOW:
            raise _Broken(
                "malformed",
                f"zstd frame: a window of {window} bytes, at most {MAX_WINDOW} are read",
            )
        limit = window if window > _USUAL_WINDOW else 0
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=limit)
        engine = unpacker.decompressobj()
        while not engine.eof:
            chunk = source.take(_ZSTD_READ_BYTES)
            if not chunk:
                raise _Broken("truncated", "the zstd frame breaks off")
            yield engine.decompress(chunk)
    except zstandard.ZstdError as error:
        reason = "malformed" if len(head) == 18 else "truncated"
        raise _Broken(reason, f"zstd frame: {error}") from error
    source.at -= len(engine.unused_data)


def _bzip2_stream(source: _Source) -> Iterator[bytes]:
    engine = bz2.BZ2Decompressor()
    while not engine.eof:
        chunk = source.take(_STEP_BYTES) if engine.needs_input else b""
        if not chunk and engine.needs_input:
            raise _Broken("truncated", "the bzip2 stream breaks off")
        try:
            yield engine.decompress(chunk, _OUT_BYTES)
        except OSError as error:
            raise _Broken("malformed", f"bzip2 stream: {error}") from error
    source.at -= len(engine.unused_data)


def has_members(stream: BinaryIO) -> bool:
    """Whether an archive can be read from places in its middle on: it is plain, or a second member
    begins behind a first one of no more than `_STREAM_BYTES` unpacked."""
    unpacker = Unpacker(stream, is_archive=True)
    if not unpacker.packing:
        return True
    members = size = 0
    for piece in unpacker.pieces(0):
        members += isinstance(piece, Damage) or piece.start is not None
        size += 0 if isinstance(piece, Damage) else len(piece.data)
        if members > 1 or size > _STREAM_BYTES:
            break
    return members > 1


class UnpackedFile(io.RawIOBase):
    """A packed or plain file as one readable stream, of a plain one from a byte on, up to its end or
    its first damage, which `damage` then holds."""

    def __init__(self, stream: BinaryIO, at: int = 0) -> None:
        unpacker = Unpacker(stream)
        self.packing = unpacker.packing
        self._pieces = unpacker.pieces(at)
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
