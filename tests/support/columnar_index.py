"""A Parquet index of some archives in the schema and layout of Common Crawl's table."""

from __future__ import annotations

import datetime
import io
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from warcio.archiveiterator import ArchiveIterator

from curation.readers.commoncrawl import surt_key

_HOST = (
    "name",
    "tld",
    "2nd_last_part",
    "3rd_last_part",
    "4th_last_part",
    "5th_last_part",
    "registry_suffix",
    "registered_domain",
    "private_suffix",
    "private_domain",
    "name_reversed",
)
_TEXT = ["url_surtkey", "url", *(f"url_host_{part}" for part in _HOST), "url_protocol"]
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXT),
        ("url_port", pa.int32()),
        ("url_path", pa.string()),
        ("url_query", pa.string()),
        ("fetch_time", pa.timestamp("ms", "UTC")),
        ("fetch_status", pa.int16()),
        ("fetch_redirect", pa.string()),
        ("content_digest", pa.string()),
        ("content_mime_type", pa.string()),
        ("content_mime_detected", pa.string()),
        ("content_charset", pa.string()),
        ("content_languages", pa.string()),
        ("content_truncated", pa.string()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()),
        ("warc_segment", pa.string()),
    ]
)


def rows_of(path: str, data: bytes, languages: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of one archive's responses; `languages` by address."""
    rows = []
    records = ArchiveIterator(io.BytesIO(data))
    for record in records:
        if record.rec_type == "response":
            offset = records.get_record_offset()
            record.raw_stream.read()
            length = records.get_record_length()
            rows.append(_row(path, record, offset, length, languages))
    return rows


def _row(
    path: str, record: Any, offset: int, length: int, languages: Mapping[str, str]
) -> dict[str, Any]:
    url = record.rec_headers.get_header("WARC-Target-URI")
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    labels = host.split(".")
    mime = (record.http_headers.get_header("Content-Type") or "").partition(";")[0]
    digest = record.rec_headers.get_header("WARC-Payload-Digest") or "sha1:"
    date = record.rec_headers.get_header("WARC-Date")
    return {
        "url_surtkey": surt_key(url),
        "url": url,
        "url_host_name": host,
        "url_host_tld": labels[-1],
        "url_host_registered_domain": ".".join(labels[-2:]),
        "url_protocol": parts.scheme,
        "url_path": parts.path,
        "url_query": parts.query or None,
        "fetch_time": datetime.datetime.fromisoformat(date),
        "fetch_status": int(record.http_headers.get_statuscode()),
        "content_digest": digest.partition(":")[2],
        "content_mime_type": mime,
        "content_mime_detected": mime,
        "content_languages": languages.get(url),
        "warc_filename": path,
        "warc_record_offset": offset,
        "warc_record_length": length,
    }


def write_index(
    folder: Path, crawl: str, rows: list[dict[str, Any]], files: int = 2, group_rows: int = 10
) -> Path:
    """Write `folder`/crawl=.../subset=warc/part-*.parquet, sorted as Common Crawl's; the folder."""
    place = folder / f"crawl={crawl}" / "subset=warc"
    place.mkdir(parents=True, exist_ok=True)
    rows = sorted(rows, key=lambda row: (row["url_surtkey"], row["warc_record_offset"]))
    size = -(-len(rows) // files)
    for number in range(files):
        table = pa.Table.from_pylist(rows[number * size : (number + 1) * size], SCHEMA)
        name = f"part-{number:05}-0.c000.gz.parquet"
        pq.write_table(table, place / name, row_group_size=group_rows, compression="gzip")
    return folder
