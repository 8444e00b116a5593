"""Segments of a record are one page, or none."""

import io

import pytest

from curation.readers.records import Page, Reject, Skipped
from curation.readers.warc import read_archive

BODY = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><p>" + b"many words " * 300


def record(number: int, block: bytes, kind: str = "response", **fields: object) -> bytes:
    lines = [
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:{number}>",
        "WARC-Target-URI: http://a.example/",
        *(f"WARC-Segment-{name.replace('_', '-')}: {value}" for name, value in fields.items()),
        f"Content-Length: {len(block)}\r\n\r\n",
    ]
    return "\r\n".join(lines).encode() + block + b"\r\n\r\n"


def segment(number: int, block: bytes, origin: int = 1, total: int | None = None) -> bytes:
    last = {} if total is None else {"Total_Length": total}
    fields = {"Number": number, "Origin_ID": f"<urn:{origin}>", **last}
    return record(number, block, "continuation", **fields)


def read(records: list[bytes], limit: int = 1 << 20) -> list[Page | Reject | Skipped]:
    return list(read_archive(io.BytesIO(b"".join(records)), "a.warc", max_page_bytes=limit))


FIRST = record(1, BODY[:1000], Number=1)
SECOND, THIRD = segment(2, BODY[1000:2000]), segment(3, BODY[2000:], total=len(BODY))
OTHER = record(9, BODY)


def test_segments_that_follow_one_another_are_one_page():
    found = read([OTHER, FIRST, SECOND, THIRD, OTHER])
    assert [type(one) for one in found] == [Page, Page, Skipped, Skipped, Page]
    assert found[1].body == BODY.partition(b"\r\n\r\n")[2]
    assert found[1].offset == len(OTHER)
    assert len(read([record(1, BODY, Number=1, Total_Length=len(BODY))])) == 1


@pytest.mark.parametrize(
    "records",
    [
        [FIRST],
        [FIRST, SECOND],
        [FIRST, THIRD],
        [FIRST, OTHER, SECOND, THIRD],
        [FIRST, segment(2, BODY[1000:], origin=7, total=len(BODY))],
        [FIRST, SECOND, segment(3, BODY[2000:], total=len(BODY) + 1)],
        [SECOND, THIRD],
    ],
)
def test_a_segment_without_the_others_is_no_page(records):
    found = read(records)
    assert len(found) == len(records)
    segments = [one for one in found if not isinstance(one, Page)]
    assert len(segments) == len(records) - records.count(OTHER)
    assert {one.reason for one in segments} == {"truncated"}


def test_segments_that_are_too_large_together_are_so():
    limit = 1 << 16
    parts = [BODY, *(b"x" * limit for _ in range(4))]
    records = [record(1, parts[0], Number=1), *(segment(n, p) for n, p in enumerate(parts[1:], 2))]
    records[-1] = segment(5, parts[-1], total=sum(map(len, parts)))
    assert read(records, limit)[0].reason == "too_large"
