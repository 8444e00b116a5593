"""Archives as crawlers write them -> pages: WARC 0.18 to 1.1, WET, ARC; gzip, zstd, bzip2 or plain;
whole or broken.

`unpack` finds how the file is packed, `framing` its records, `headers` what they say of themselves,
`segments` what belongs together, `payload` what each of them is, `crawl_metadata` what the crawl
says of a page in the record behind it. Reads some 150 MB/s unpacked. Memory: two pages or three.
The trap: one broken record must cost no other one, so nothing that a record says of itself is
believed before what follows it was seen.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from curation.readers.archive_parts import ArchivePart
from curation.readers.crawl_metadata import with_metadata
from curation.readers.framing import Framer
from curation.readers.payload import Raw, page_or_reject, raw_limit
from curation.readers.records import Page, Reject, Skipped
from curation.readers.segments import joined_segments
from curation.readers.unpack import Unpacker

_SPOOL_BYTES = 64 << 20


def read_archive(
    stream: BinaryIO,
    name: str,
    *,
    max_page_bytes: int,
    offset: int = 0,
    place: int = 0,
    part: ArchivePart | None = None,
) -> Iterator[Page | Reject | Skipped]:
    """Exactly one object for each record of an archive, in order; never raises for what the archive
    holds. Each byte is read at most twice, besides what is looked at again behind damage.

    `name` is used only to tell ARC from WARC in damaged files. An offset is that of the record in
    the archive as stored, or of the compressed member that the record begins in; its place is then
    the position in the unpacked member. With both, reading begins there. With `part` only its
    records are given out. Reasons: http_status, not_html, empty, revisit, too_large, malformed,
    truncated.
    """
    if not stream.seekable():
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as copy:
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            whole = cast(BinaryIO, copy)
            yield from read_archive(
                whole, name, max_page_bytes=max_page_bytes, offset=offset, place=place, part=part
            )
        return
    unpacker = Unpacker(stream, is_archive=True)
    limit = raw_limit(max_page_bytes)
    offset = part.read_from if part else offset
    records = Framer(unpacker, name, max_block=limit, offset=offset, place=place)
    outcomes = with_metadata(
        (record, page_or_reject(record, max_page_bytes) if isinstance(record, Raw) else record)
        for record in joined_segments(iter(records), limit)
    )
    yield from part.records(outcomes, lambda: records.state) if part else outcomes
