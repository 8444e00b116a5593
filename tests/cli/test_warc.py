"""`curation extract --urls ... --warc`: the records as one file that other programs read."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from internet import internet
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curation.cli import main
from curation.readers.commoncrawl import surt_key
from curation.store import patience

ARCHIVE = "crawl-data/CC/warc/CC-00000.warc.gz"
PAGES = {
    f"http://site{n}.example/": f"<p>The ferry of site {n} turns at noon, {'and again ' * 30}.</p>"
    for n in range(3)
}


def made_archive() -> tuple[bytes, list[dict[str, object]]]:
    """An archive, and the index's rows of it."""
    out, rows = io.BytesIO(), []
    writer = WARCWriter(out, gzip=True)
    for url, text in PAGES.items():
        start, body = out.tell(), text.encode()
        # Headers as servers send them, which a parser would write in another form.
        block = b"HTTP/1.1 200 OK\r\ncontent-type:text/html\r\nX-Odd:  two  \r\n\r\n" + body
        digest = base64.b32encode(hashlib.sha1(body).digest()).decode()
        record = writer.create_warc_record(
            url,
            "response",
            io.BytesIO(block),
            len(block),
            warc_headers_dict={"WARC-Payload-Digest": f"sha1:{digest}"},
            http_headers=StatusAndHeaders("200 OK", [], "HTTP/1.1"),
        )
        record.http_headers = None  # the block is given whole
        writer.write_record(record)
        rows.append({"url_surtkey": surt_key(url), "fetch_time": None, "fetch_status": 200,
                     "warc_filename": ARCHIVE, "warc_record_offset": start,
                     "warc_record_length": out.tell() - start})  # fmt: skip
    return out.getvalue(), rows


def blocks(data: bytes) -> dict[str, tuple[bytes, dict[str, str]]]:
    """The responses of an archive: address -> block as it stands, and headers."""
    found = {}
    for record in ArchiveIterator(io.BytesIO(data), no_record_parse=True):
        if record.rec_type == "response":
            headers = dict(record.rec_headers.headers)
            found[headers["WARC-Target-URI"]] = (record.raw_stream.read(), headers)
    return found


def test_fetched_records_are_kept_as_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    archive, rows = made_archive()
    schema = pa.schema([("url_surtkey", pa.string()), ("fetch_time", pa.timestamp("ms", "UTC")),
                        ("fetch_status", pa.int16()), ("warc_filename", pa.string()),
                        ("warc_record_offset", pa.int32()),
                        ("warc_record_length", pa.int32())])  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "index.parquet")
    asked = list(PAGES)[:2]
    (tmp_path / "urls.txt").write_text("\n".join([*asked, "http://never.example/"]))
    out, warc = tmp_path / "run", tmp_path / "pages.warc.gz"
    with internet() as server:
        server.files["/" + ARCHIVE] = archive
        arguments = ["extract", "--urls", str(tmp_path / "urls.txt"), "--out", str(out),
                     "--index", str(tmp_path / "index.parquet"), "--base-url", server.url,
                     "--warc", str(warc), "--workers", "1"]  # fmt: skip
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        requests, first = len(server.seen), warc.read_bytes()
        warc.unlink()
        again = CliRunner().invoke(main, arguments)
        assert again.exit_code == 0, again.output
        assert len(server.seen) == requests  # nothing is fetched twice
    kept, known = blocks(first), blocks(archive)
    assert kept == {url: known[url] for url in asked}  # blocks, digests, dates and record ids
    assert blocks(warc.read_bytes()) == kept
    records = ArchiveIterator(io.BytesIO(first), check_digests="raise")
    kinds = [record.rec_type for record in records if record.content_stream().read() is not None]
    assert kinds == ["warcinfo", "response", "response"]
    read = CliRunner().invoke(main, ["extract", str(warc), "--workers", "1"])
    assert read.exit_code == 0, read.output
    assert all(url in read.stdout for url in asked)


def test_a_place_that_cannot_be_meant_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("http://a.example/")
    options = ["--urls", str(urls), "--index", "i.parquet", "--out", str(tmp_path / "o")]
    for warc, message in (("x.jsonl", "ends in .warc.gz"), (str(tmp_path), "ends in .warc.gz")):
        done = CliRunner().invoke(main, ["extract", *options, "--warc", warc])
        assert done.exit_code == 1
        assert message in done.output
    done = CliRunner().invoke(main, ["extract", "a.jsonl", "--out", "o", "--warc", "x.warc.gz"])
    assert done.exit_code == 2
    assert "--warc goes with --urls" in done.output
    assert not (tmp_path / "o").exists()
