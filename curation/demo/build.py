"""Writes the demo corpus: the trusted corpora, the benchmark, and the crawl pages as Common Crawl
lays out its WARC files.

Each fetch becomes a request, a response (or revisit) and a metadata record; dates and record ids
are derived from the url, so two builds are equal byte for byte (with one zlib). Costs three
seconds.
"""

from __future__ import annotations

import datetime
import io
import json
import shutil
import uuid
import zlib
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warcio.statusandheaders import StatusAndHeaders
from warcio.utils import Digester
from warcio.warcwriter import WARCWriter

from curation.demo.pages import ROOT, Page, body, coded, pages, rows, site_entries

ARCHIVES = 3
_TRUSTED = (
    "webtext2.jsonl",
    "books1",
    "books2.jsonl",
    "wikipedia.xml",
    "benchmark.jsonl",
    "submissions.jsonl",
)
_START = datetime.datetime(2019, 2, 15, 22, 0, 0)
_INFO = {
    "isPartOf": "CC-SAMPLE-2019-09",
    "publisher": "the curation project",
    "description": "Authored pages in the layout of Common Crawl",
    "format": "WARC File Format 1.0",
}


def build_demo(directory: Path) -> None:
    """Write the demo corpus under `directory`, which is made; files already there are replaced.

    webtext2.jsonl, books1/, books2.jsonl, wikipedia.xml, benchmark.jsonl, submissions.jsonl,
    truth.jsonl, crawl/sample-0000{0,1,2}.warc.gz and recipe.toml.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in _TRUSTED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(ROOT / name, directory / name)
    shutil.copyfile(ROOT.parent / "recipes" / "demo.toml", directory / "recipe.toml")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in truth()]
    (directory / "truth.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
    (directory / "crawl").mkdir(exist_ok=True)
    for name, content in archives().items():
        (directory / "crawl" / name).write_bytes(content)


def truth() -> list[dict[str, Any]]:
    """What every planted page is, one row each; the keys are explained in the README beside
    `truth.jsonl`.

    Rows with `dataset` "commoncrawl" are the urls of the archives, each once; the others are
    trusted documents that something is planted in. Pages by rule need no row in the file: their
    kind is their site's.
    """
    nothing: dict[str, Any] = {"reject": None, "duplicate_of": None, "similar": [], "quotes": []}
    return rows("truth.jsonl") + [
        {"dataset": "commoncrawl", "url": entry["url"], "kind": entry["kind"], "language": "en"}
        | nothing
        for entry in site_entries()
    ]


def archives() -> dict[str, bytes]:
    """The bytes of each archive by file name.

    Pages are spread by a hash of their url, revisits come after the rest.
    """
    order = sorted(
        pages(), key=lambda p: (p.segment, bool(p.revisit_of), zlib.crc32(p.url.encode()))
    )
    bodies = {page.url: body(page) for page in order}
    dates = {page.url: _date(position) for position, page in enumerate(order)}
    size = -(-len(order) // ARCHIVES)
    contents = {}
    for number in range(ARCHIVES):
        name = f"sample-{number:05d}.warc.gz"
        fetches = order[number * size : (number + 1) * size]
        contents[name] = _archive(name, fetches, bodies, dates)
    return contents


def _archive(
    name: str, fetches: list[Page], bodies: dict[str, bytes], dates: dict[str, str]
) -> bytes:
    """One archive: a warcinfo record, then three records for each fetch."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    fields = _headers("warcinfo", name, _date(0)) | {"WARC-Filename": name}
    info = "".join(f"{key}: {value}\r\n" for key, value in _INFO.items()).encode()
    writer.write_record(
        writer.create_warc_record(
            "", "warcinfo", io.BytesIO(info), len(info), warc_headers_dict=fields
        )
    )
    for page in fetches:
        writer.write_record(_request(writer, page, dates[page.url]))
        writer.write_record(_response(writer, page, bodies, dates))
        writer.write_record(_metadata(writer, page, dates[page.url]))
    return out.getvalue()


def _request(writer: WARCWriter, page: Page, date: str) -> Any:
    """The request record of a fetch."""
    parts = urlsplit(page.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = [
        ("User-Agent", "sample-bot/1.0"),
        ("Accept-Encoding", "gzip"),
        ("Host", parts.netloc),
    ]
    line = StatusAndHeaders(f"GET {path or '/'} HTTP/1.1", headers, is_http_request=True)
    fields = _headers("request", page.url, date) | {
        "WARC-Concurrent-To": _record_id("response", page.url)
    }
    return writer.create_warc_record(
        page.url, "request", http_headers=line, warc_headers_dict=fields
    )


def _response(
    writer: WARCWriter, page: Page, bodies: dict[str, bytes], dates: dict[str, str]
) -> Any:
    """The response record of a fetch, a revisit record when the page repeats another page's body,
    or the second segment of a response whose first segment was lost."""
    content = coded(bodies[page.url], page.transfer)
    headers = [
        ("Date", "Fri, 15 Feb 2019 22:00:00 GMT"),
        ("Server", "sample"),
        ("Content-Type", page.content_type),
    ]
    if page.location:
        headers.append(("Location", page.location))
    if page.transfer == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
    else:
        headers.append(("Content-Length", str(len(content))))
    if page.transfer == "gzip":
        headers.append(("Content-Encoding", "gzip"))
    line = f"{page.status} {HTTPStatus(page.status).phrase}"
    http = StatusAndHeaders(line, headers, protocol="HTTP/1.1")
    fields = _headers("response", page.url, dates[page.url])
    if page.revisit_of:
        digester = Digester("sha1")
        digester.update(bodies[page.revisit_of])
        first = page.revisit_of
        return writer.create_revisit_record(
            page.url, str(digester), first, dates[first], http, fields
        )
    if page.segment:
        rest = content[len(content) // 2 :]
        fields |= {
            "WARC-Segment-Number": "2",
            "WARC-Segment-Origin-ID": _record_id("first segment", page.url),
        }
        return writer.create_warc_record(
            page.url, "continuation", io.BytesIO(rest), len(rest), warc_headers_dict=fields
        )
    payload = io.BytesIO(content)
    return writer.create_warc_record(
        page.url, "response", payload, len(content), "", fields, http_headers=http
    )


def _metadata(writer: WARCWriter, page: Page, date: str) -> Any:
    """The metadata record that Common Crawl writes after each response."""
    content = b"fetchTimeMs: 120\r\ncharset-detected: UTF-8\r\n"
    fields = _headers("metadata", page.url, date) | {
        "WARC-Concurrent-To": _record_id("response", page.url)
    }
    payload = io.BytesIO(content)
    return writer.create_warc_record(
        page.url, "metadata", payload, len(content), warc_headers_dict=fields
    )


def _headers(kind: str, name: str, date: str) -> dict[str, str]:
    return {"WARC-Record-ID": _record_id(kind, name), "WARC-Date": date}


def _record_id(kind: str, name: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {name}')}>"


def _date(position: int) -> str:
    return (_START + datetime.timedelta(seconds=7 * position)).strftime("%Y-%m-%dT%H:%M:%SZ")
