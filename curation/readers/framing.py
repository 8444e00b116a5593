"""WARC and ARC records out of unpacked bytes, going on after damage.

Every loss is one Reject. Costs about 30 microseconds a record besides unpacking. The trap: a
Content-Length that lies makes a record swallow its followers, so a length is believed only where it
ends at a record, at a member's border or at the end of the file.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator

from curation.readers.headers import (
    HEADER_END,
    LINE_BYTES,
    WARC_LINE,
    arc_header,
    arc_line,
    record_start,
    warc_header,
)
from curation.readers.payload import Raw
from curation.readers.records import Damage, Reject
from curation.readers.unpack import Piece, Unpacker

_LINE_ENDS = re.compile(rb"[\r\n]+")
_HEADER_STEPS = (1 << 10, 1 << 14, 1 << 17)  # the last is the longest header
_SLIP_BYTES = 16  # in edited files a length may be a few bytes too long
_BLANK_BYTES = 256  # of line ends between two records
_MAX_MARKS = 1 << 20


class _Window:
    """Unpacked bytes from the present record on, and where in the archive they stand."""

    def __init__(self, unpacker: Unpacker, at: int) -> None:
        self._pieces = unpacker.pieces(at)
        self._is_packed = bool(unpacker.packing)
        self._members = [(0, at)]  # where each begins: in the unpacked bytes, in the archive
        self.position = 0  # of data[0] in the unpacked bytes
        self.data = bytearray()
        self.damage: Damage | None = None  # directly after data
        self.ended = False
        self._last: Piece | None = None  # the member at the end of data, if it came whole

    def has(self, size: int) -> bool:
        """Have `size` bytes in `data`; False if damage or the end come before."""
        while len(self.data) < size and self.damage is None and not self.ended:
            self.take(next(self._pieces, None))
        return len(self.data) >= size

    def take(self, piece: Piece | Damage | None) -> None:
        if piece is None:
            self.ended = True
        elif isinstance(piece, Damage):
            self.damage = piece
        else:
            if piece.start is not None:
                self._members.append((self.position + len(self.data), piece.start))
            self.data += piece.data
            self._last = piece if piece.is_whole else None

    def next_member(self) -> Piece | None:
        """The next member, where it comes whole and nothing but line ends is in front of it: for
        `pass_over` or `take`."""
        self._drop_line_ends()
        if not (self.data or self.damage or self.ended):
            piece = next(self._pieces, None)
            if isinstance(piece, Piece) and piece.is_whole:
                return piece
            self.take(piece)
        elif self._last is not None and len(self._last.data) == len(self.data):
            self._members.pop()
            self.data.clear()
            return self._last
        return None

    def pass_over(self, member: Piece) -> None:
        """Go on behind it."""
        self._members = [(self.position, member.start or 0)]
        self.position += len(member.data)

    def drop(self, size: int) -> None:
        size = min(size, len(self.data))
        del self.data[:size]
        self.position += size

    def skip(self, size: int) -> None:
        """Drop `size` bytes, a piece at a time."""
        while size and self.has(1):
            here = min(size, len(self.data))
            self.drop(here)
            size -= here

    def member(self) -> tuple[int, int]:
        """Where the member of data[0] begins: in the unpacked bytes, and in the archive. A plain
        file has no members: one begins at every byte."""
        del self._members[: bisect_left(self._members, (self.position + 1,)) - 1]
        position, start = self._members[0]
        return (position, start) if self._is_packed else (self.position, start + self.position)

    def borders(self, low: int, high: int) -> Iterator[int]:
        """Where in data[low:high] members begin."""
        first = bisect_left(self._members, (self.position + low,))
        for i in range(first, len(self._members)):
            at = self._members[i][0] - self.position
            if at >= high:
                return
            yield at

    def last_member(self) -> int:
        """The archive offset of the member in which the last byte stands."""
        return self._members[-1][1]

    def skip_blank(self) -> None:
        while self.has(1) and self.data[0] in b"\r\n":
            self._drop_line_ends()

    def _drop_line_ends(self) -> None:
        if blank := _LINE_ENDS.match(self.data):
            self.drop(blank.end())


class _Scout:
    """Reads ahead of a window, once in all, to see where records end that are too large for it."""

    def __init__(self, unpacker: Unpacker, position: int, at: int, is_arc: bool | None) -> None:
        self._pieces = unpacker.pieces(at)
        self._is_packed = bool(unpacker.packing)
        self._is_arc = is_arc
        self._position = position  # of data[0] in the unpacked bytes
        self._data = bytearray()
        self._ended = False
        self._first = 0  # the first position that is asked for from now on
        self._marks = array("q")  # where something may end: records and members begin, damage, end
        self._damage = array("q")

    def believes(self, start: int, end: int) -> bool:
        """Whether a block of the unpacked bytes is whole and ends where something may end. Blocks
        are asked for in their order."""
        self._first = start
        del self._marks[: bisect_left(self._marks, start)]
        while not self._ended and self._position < end + _SLIP_BYTES:
            self._read()
        damage = bisect_left(self._damage, start + 1)
        mark = bisect_left(self._marks, end)
        return (damage == len(self._damage) or self._damage[damage] >= end) and (
            mark < len(self._marks) and self._marks[mark] <= end + _SLIP_BYTES
        )

    def _read(self) -> None:
        piece = next(self._pieces, None)
        here = self._position + len(self._data)
        if piece is None:
            self._ended = True
            self._search(len(self._data))
            self._mark(here)
        elif isinstance(piece, Damage):
            self._search(len(self._data))
            self._mark(here)
            self._damage.append(here)
        else:
            if piece.start is not None and self._is_packed:
                self._mark(here)
            self._data += piece.data
            if len(self._data) > 4 * LINE_BYTES:
                self._search(len(self._data) - LINE_BYTES)

    def _search(self, high: int) -> None:
        """Mark the records that begin before data[high], and let go of it."""
        at = 0
        while (found := record_start(self._data, at, high, self._is_arc)) is not None:
            self._mark(self._position + found)
            at = found + 1
        del self._data[:high]
        self._position += high

    def _mark(self, position: int) -> None:
        if position >= self._first and len(self._marks) < _MAX_MARKS:
            insort(self._marks, position)


class Framer:
    """Iterates over the records of an archive from a place on: Raw for a whole record, Reject for
    each loss.

    `max_block` is the stored size in bytes above which a block is passed over (Raw.block None).
    """

    def __init__(
        self, unpacker: Unpacker, name: str, *, max_block: int, offset: int = 0, place: int = 0
    ) -> None:
        self._unpacker = unpacker
        self._window = _Window(unpacker, offset)
        self._window.skip(place)
        self._scout: _Scout | None = None
        self._is_arc = True if ".arc" in name.lower() else None  # None: not known yet
        self._max_block = max_block
        self._lost_in = -1  # the member in which bytes of no record were counted last
        self._one_each = bool(unpacker.packing)  # whether each member has been one record

    @property
    def state(self) -> int:
        """What it takes the archive for, which decides what becomes of damage: below 4."""
        return 2 * self._one_each + (self._is_arc is True)

    def __iter__(self) -> Iterator[Raw | Reject]:
        window = self._window
        while True:
            if (whole := self._whole_member()) is not None:
                self._lost_in = -1
                yield whole
                continue
            window.skip_blank()
            if not window.has(1):
                damage, window.damage = window.damage, None
                if damage is None:
                    return
                if damage.offset != self._lost_in:
                    yield _lost(damage.reason, None, damage.offset, damage.detail)
                self._lost_in = damage.offset
                continue
            position, offset = window.member()
            place = window.position - position
            raw = self._header(offset, place)
            if isinstance(raw, Raw):
                self._lost_in = -1
                self._one_each = self._one_each and not place
                yield self._body(raw)
            else:
                member = offset if self._one_each else 0
                if member != self._lost_in:
                    yield _lost("malformed", None, offset, raw)
                self._lost_in = member
                self._resynchronise(1)

    def _whole_member(self) -> Raw | None:
        """The record that the next member is, without a way through the window; None where it is
        not simply one."""
        if self._is_arc is not False or (member := self._window.next_member()) is None:
            return None
        raw = self._only_record(member)
        (self._window.take if raw is None else self._window.pass_over)(member)
        return raw

    def _only_record(self, member: Piece) -> Raw | None:
        data = member.data
        head = HEADER_END.search(data, 0, _HEADER_STEPS[1])
        if head is None or data[:5].upper() != b"WARC/":
            return None
        if record_start(data, 5, head.end(), is_arc=False) is not None:
            return None
        raw = warc_header(data[: head.start()], member.start or 0)
        if not isinstance(raw, Raw) or raw.length > self._max_block:
            return None
        end = head.end() + raw.length
        after = data[end : end + _BLANK_BYTES]
        if end + len(after) != len(data) or after.strip(b"\r\n"):
            return None
        raw.block = data[head.end() : end]
        return raw

    def _header(self, offset: int, place: int) -> Raw | str:
        """Take a record's header off the window; a string says why there is none."""
        window = self._window
        window.has(self._ahead())
        if window.data[:5].upper() == b"WARC/":
            raw = self._warc_header(offset, place)
            self._is_arc = False if isinstance(raw, Raw) else self._is_arc
            return raw
        fields = arc_line(window.data, 0)
        if fields is None:
            return f"no WARC or ARC record but {bytes(window.data[:40])!r}"
        self._is_arc = True
        raw = arc_header(bytes(window.data[: fields.start()]), fields, offset, place)
        window.drop(fields.end())
        return raw

    def _warc_header(self, offset: int, place: int) -> Raw | str:
        window = self._window
        for size in _HEADER_STEPS:
            window.has(size + self._ahead())
            cut = self._start(1, size)
            end = HEADER_END.search(window.data, 0, size if cut is None else cut)
            if cut is not None or end is not None or len(window.data) <= size:
                break
        if end is None:
            return "a WARC header without an end"
        raw = warc_header(bytes(window.data[: end.start()]), offset, place)
        if isinstance(raw, Raw):
            window.drop(end.end())
        return raw

    def _body(self, raw: Raw) -> Raw | Reject:
        """Take a record's block off the window and look at what follows."""
        window, length = self._window, raw.length
        if length > self._max_block:
            if self._is_whole(length):
                window.skip(length)
                return raw
            self._resynchronise(0)
            self._lost_in = raw.offset
            detail = "its length ends at no record, member or file"
            return _lost("malformed", raw.url, raw.offset, detail)
        window.has(length + self._ahead())
        if len(window.data) < length:
            return self._cut(raw)
        end = length
        if not self._ends_at(length):
            inner = self._start(0, length)
            if inner is not None and inner < length - _SLIP_BYTES:
                window.drop(inner)
                detail = "its length runs over the next record"
                return _lost("malformed", raw.url, raw.offset, detail)
            raw.fits_length = inner is not None
            end = length if inner is None else inner
        with memoryview(window.data) as view:
            raw.block = bytes(view[:end])
        if window.damage and len(window.data) == end and window.damage.offset == raw.offset:
            raw.damage, window.damage = window.damage, None
        window.drop(end)
        return raw

    def _cut(self, raw: Raw) -> Reject:
        """The archive ends or is damaged inside a block.

        Go on at a record that stands inside, else after the damage.
        """
        window = self._window
        damage = window.damage
        inner = self._start(0, len(window.data))
        if inner is not None:
            window.drop(inner)
            return _lost("truncated", raw.url, raw.offset, "cut short by the next record")
        is_own = not self._one_each or (damage and damage.offset == window.last_member())
        window.drop(len(window.data))
        if damage is None:
            return _lost("truncated", raw.url, raw.offset, "the archive ends inside the record")
        if not is_own:
            return _lost("truncated", raw.url, raw.offset, "breaks off before a damaged member")
        window.damage = None
        return _lost(damage.reason, raw.url, raw.offset, damage.detail)

    def _is_whole(self, length: int) -> bool:
        window = self._window
        if self._scout is None:
            self._scout = _Scout(self._unpacker, *window.member(), self._is_arc)
        return self._scout.believes(window.position, window.position + length)

    def _ahead(self) -> int:
        """Bytes to see of what follows: the longest first line, which is short but in ARC files."""
        return 2 * _BLANK_BYTES if self._is_arc is False else LINE_BYTES

    def _ends_at(self, length: int) -> bool:
        """Whether a record, a member's border, damage or the end follows, but for line ends."""
        data = self._window.data
        after = bytes(data[length : length + _BLANK_BYTES]).lstrip(b"\r\n")
        at = min(length + _BLANK_BYTES, len(data)) - len(after)
        return (
            not after
            or b"WARC/".startswith(after[:5].upper())
            or next(self._window.borders(length, at + 1), None) is not None
            or (self._is_arc is not False and arc_line(data, at) is not None)
        )

    def _start(self, low: int, high: int) -> int | None:
        """Where the first record in data[low:high] begins."""
        data = self._window.data
        found = record_start(data, low, high, self._is_arc)
        for at in self._window.borders(low, high if found is None else found):
            if WARC_LINE.match(data, at) or (self._is_arc and arc_line(data, at)):
                return at
        return found

    def _resynchronise(self, low: int) -> None:
        """Drop bytes until a record seems to begin, from data[low] on; stop at damage too, and at
        a member where each has been a record."""
        window = self._window
        while window.has(low + 1):
            window.has(2 * LINE_BYTES)
            high = max(len(window.data) - LINE_BYTES, 0)
            if window.damage or window.ended:
                high = len(window.data)
            border = next(window.borders(low, high), None) if self._one_each else None
            start = self._start(low, high if border is None else border + 1)
            start = border if start is None else start
            if start is not None:
                window.drop(start)
                return
            window.drop(high)
            low = 0
        window.drop(low)


def _lost(reason: str, url: str | None, offset: int, detail: str) -> Reject:
    return Reject(reason, url, offset, detail, is_damage=True)
