"""A part of an archive -> the records that begin in it: together the parts give what the whole file
gives.

A part is the stored bytes [start, end); a record is in the part in which the compressed member
begins that it begins in (in a plain file, the record itself). A reader finds its place after damage,
and so it does in the middle of a file: it begins a little before the part, and what it finds there
is not given out. Costs the bytes before the part, read twice.

Trap: what looks like the beginning of a record may stand inside another one, an archive in an
archive for instance, and the bytes before it, seen from here, need not show that. So every part says
what it began with, and at what the one after it must begin. Where these differ, that part is read
again from the beginning of the file, which cannot go wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from curation.readers.records import Page, Reject, Skipped

READ_BACK = 1 << 20  # stored bytes before a part
AT_END = -1  # in place of a record's mark: the file ends before one begins


@dataclass(slots=True)
class ArchivePart:
    """The records that begin in the stored bytes [start, end) of an archive; `end` is 0 for all to
    its end.

    Reading sets `begins`, the mark of the first record at `start` or after it, and `ends`, that of
    the first at `end` or after it: where it stands, and what the reader then took the archive for.
    """

    start: int
    end: int
    from_beginning: bool = False
    begins: int = AT_END
    ends: int = AT_END

    @property
    def read_from(self) -> int:
        """Where in the file the reader begins."""
        return 0 if self.from_beginning else max(0, self.start - READ_BACK)

    def records(
        self, outcomes: Iterator[Page | Reject | Skipped], state: Callable[[], int]
    ) -> Iterator[Page | Reject | Skipped]:
        """Those of the part, of outcomes that come in the order of their offsets; `state` is below
        4."""
        for outcome in outcomes:
            offset = outcome.offset or 0
            if offset < self.start:
                continue
            mark = offset << 2 | state()
            if self.begins == AT_END:
                self.begins = mark
            if self.end and offset >= self.end:
                self.ends = mark
                return
            yield outcome
