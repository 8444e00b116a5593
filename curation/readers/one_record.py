"""One record of an archive, by its bytes and by the digest that an index has of it.

Costs what reading an archive costs. The trap: an index may be of another version of the archive, or
a server may answer with other bytes, and a record may still be found in them.
"""

from __future__ import annotations

import io
from dataclasses import replace

from curation.readers.framing import Framer
from curation.readers.payload import Raw, fits_digest, page_or_reject, raw_limit
from curation.readers.records import Page, Reject, Skipped
from curation.readers.segments import joined_segments
from curation.readers.unpack import Unpacker

OTHER = "does not fit its digest in the index"


def read_record(
    data: bytes, name: str, *, digest: str, url: str | None, max_page_bytes: int, offset: int
) -> Page | Reject | Skipped:
    """What the bytes of one record hold; `offset` is where it is in its archive.

    `digest` is SHA-1 in base 32, empty or null where the index has none: then the record's own
    digests count alone. What does not fit is `malformed`, and so are bytes that are not one record.
    """
    limit = raw_limit(max_page_bytes)
    framer = Framer(Unpacker(io.BytesIO(data), is_archive=True), name, max_block=limit)
    found = list(joined_segments(iter(framer), limit))
    lost = [record for record in found if not isinstance(record, Raw)]
    if len(found) != 1 or lost:
        reason = lost[0] if lost else None
        why = reason.detail if isinstance(reason, Reject) else f"{len(found)} records, 1 expected"
        return Reject("malformed", url, offset, why)
    record = found[0]
    assert isinstance(record, Raw)
    if digest and not record.is_cut and record.kind in ("response", "resource"):
        expected, told = f"sha1:{digest}".upper(), record.payload_digest.strip().upper()
        if len(told) == len(expected) and told != expected:
            return Reject("malformed", url, offset, OTHER)
        if told != expected:  # it tells none, or writes it in another way
            record = replace(record, payload_digest=expected, block_digest="")
    outcome = page_or_reject(record, max_page_bytes)
    if isinstance(outcome, Skipped):
        return outcome
    body = (record.block or b"").partition(b"\r\n\r\n")[2]
    fits = None if record.block is None else fits_digest(record, body, body)
    if isinstance(outcome, Page):
        fits = fits or outcome.fits_digest  # a digest may be of the page without its codings
    if fits is False:
        return Reject("malformed", url, offset, OTHER)
    return replace(outcome, offset=offset)
