"""Addresses looked up in an index of Common Crawl's form, and fetched record by record."""

from __future__ import annotations

import dataclasses
import datetime
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from internet import Internet, internet
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curation import store
from curation.engine.inline import InlineEngine
from curation.errors import InputError
from curation.pipeline import line as pipeline
from curation.readers.commoncrawl import surt_key
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
from curation.stages.download import captures
from curation.store import patience

SCHEMA = pa.schema(
    [  # as published, the columns that are not needed here among them
        ("url_surtkey", pa.string()),
        ("url", pa.string()),
        ("url_host_name", pa.string()),
        ("fetch_time", pa.timestamp("ms", "UTC")),
        ("fetch_status", pa.int16()),
        ("content_mime_type", pa.string()),
        ("content_digest", pa.string()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()),
        ("warc_segment", pa.string()),
    ]
)
PAGES = [  # address, day of August 2019, status, archive
    ("https://www.first.example/story", 3, 200, 0),
    ("https://www.first.example/story", 9, 200, 1),
    ("http://first.example/story", 12, 404, 1),
    ("http://second.example/a?b=2&a=1", 5, 200, 0),
    ("http://gone.example/", 5, 404, 0),
    ("http://third.example/", 7, 200, 1),
    ("http://unasked.example/", 7, 200, 1),
]
URLS = """\
http://first.example/story
https://WWW.first.example/story#comments

http://second.example/a?a=1&b=2
# a remark
http://gone.example/
http://never.example/crawled
http://third.example/
ftp://other.example/x
http://third.example/
"""


def page(url: str, day: int) -> bytes:
    words = " ".join(
        f"Sentence {i} of {url} as it was on day {day}, told at some length." for i in range(12)
    )
    return f"<html><head><title>{url}</title></head><body><article><p>{words}</p></article></body></html>".encode()


def made_crawl() -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Two archives by path, and the index's rows."""
    outs = [io.BytesIO(), io.BytesIO()]
    writers = [WARCWriter(out, gzip=True) for out in outs]
    rows = []
    for url, day, status, number in PAGES:
        http = StatusAndHeaders(
            f"{status} X", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1"
        )
        start = outs[number].tell()
        date = datetime.datetime(2019, 8, day, tzinfo=datetime.UTC)
        fields = {"WARC-Date": date.strftime("%Y-%m-%dT%H:%M:%SZ")}
        body = page(url, day)
        record = writers[number].create_warc_record(
            url,
            "response",
            io.BytesIO(body),
            len(body),
            warc_headers_dict=fields,
            http_headers=http,
        )
        writers[number].write_record(record)
        rows.append(
            {
                "url_surtkey": surt_key(url),
                "url": url,
                "fetch_time": date,
                "fetch_status": status,
                "warc_filename": f"crawl-data/CC/segments/1/warc/CC-{number:05}.warc.gz",
                "warc_record_offset": start,
                "warc_record_length": outs[number].tell() - start,
            }
        )
    return {
        f"/crawl-data/CC/segments/1/warc/CC-{i:05}.warc.gz": outs[i].getvalue() for i in (0, 1)
    }, rows


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Internet, Recipe]]:
    """The server, and a recipe whose list and index lie in the test's folder."""
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    monkeypatch.setattr(captures, "SHARD_RECORDS", 4)
    monkeypatch.setattr(captures, "QUERY", captures.QUERY.replace("1000", "4"))
    files, rows = made_crawl()
    folder = tmp_path / "index" / "crawl=CC-MAIN-2019-35" / "subset=warc"
    folder.mkdir(parents=True)
    rows.sort(key=lambda row: row["url_surtkey"])
    for number, some in enumerate((rows[:3], rows[3:])):
        pq.write_table(pa.Table.from_pylist(some, SCHEMA), folder / f"part-{number:05}.gz.parquet")
    (tmp_path / "urls.txt").write_text(URLS)
    with internet() as server:
        server.files.update(files)
        table = {
            "stages": ["download", "extract"],
            "dataset": [
                {
                    "name": "web",
                    "role": "crawl",
                    "urls": str(tmp_path / "urls.txt"),
                    "index": str(tmp_path / "index/**.parquet"),
                }
            ],
            "download": {
                "base_url": server.url,
                "requests_per_second": 2000,
                "max_attempts": 2,
                "timeout_s": 30,
            },
        }
        yield server, recipe.parse(table)


def test_every_address_is_a_document_or_counted(
    world: tuple[Internet, Recipe], tmp_path: Path, inline: InlineEngine
) -> None:
    server, made = world
    said: list[str] = []
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=said.append)
    assert said[0].startswith("To stream: web: 3 records of 7 addresses")
    assert len(plan.shards) == 2
    rows = [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.documents(shard)).to_pylist()
    ]
    assert [(row["url"], row["date"][:10], row["archive"]) for row in rows] == [
        ("http://second.example/a?b=2&a=1", "2019-08-05", "CC-00000.warc.gz"),
        ("https://www.first.example/story", "2019-08-09", "CC-00001.warc.gz"),
        ("http://third.example/", "2019-08-07", "CC-00001.warc.gz"),
    ]
    assert "as it was on day 9" in rows[1]["text"]
    books = pipeline.ledgers(rundir, plan)["extract"]["web"]
    assert {reason: counts[0] for reason, counts in books.items()} == {
        "in": 7,
        "kept": 3,
        "not_in_index": 3,
        "repeated_url": 1,
    }
    assert sorted(path for path, _ in server.seen) == [
        f"/crawl-data/CC/segments/1/warc/CC-0000{i}.warc.gz" for i in (0, 1, 1)
    ]
    assert all(
        asked and asked.startswith("bytes=") and not asked.endswith("-") for _, asked in server.seen
    )
    rejects = [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.table("rejects", shard)).to_pylist()
    ]
    assert {row["url"] for row in rejects if row["reason"] == "not_in_index"} == {
        "http://gone.example/",
        "http://never.example/crawled",
        "ftp://other.example/x",
    }


def test_the_documents_are_those_of_the_whole_archives(
    world: tuple[Internet, Recipe], tmp_path: Path, inline: InlineEngine
) -> None:
    """Same text, offset and dates as from a reading of the archives themselves."""
    server, made = world
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=lambda line: None)
    (tmp_path / "all").mkdir()
    for path, data in server.files.items():
        (tmp_path / "all" / path.rpartition("/")[2]).write_bytes(data)
    whole = recipe.parse(
        {"stages": ["extract"], "dataset": [{"name": "web", "files": [str(tmp_path / "all")]}]}
    )
    context2, plan2 = pipeline.run(whole, str(tmp_path / "run2"), inline, say=lambda line: None)
    known = [
        row
        for shard in plan2.shards
        for row in store.read_table(context2.documents(shard)).to_pylist()
    ]
    rows = [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.documents(shard)).to_pylist()
    ]
    assert len(known) == 5
    assert all(row in known for row in rows)


def test_a_record_that_cannot_be_fetched_is_counted_and_asked_for_again(
    world: tuple[Internet, Recipe], tmp_path: Path, inline: InlineEngine
) -> None:
    server, made = world
    archive = "/crawl-data/CC/segments/1/warc/CC-00000.warc.gz"
    server.acts[archive] = ["slow_down"] * 9
    with pytest.raises(
        InputError,
        match=r"'web': 1 of 7 addresses could not be read \(download.max_failed allows 1 %\)",
    ):
        pipeline.run(made, str(tmp_path / "run"), inline, say=lambda line: None)
    server.acts[archive] = ["cut", "ignore_range"]
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=lambda line: None)
    assert pipeline.ledgers(rundir, plan)["extract"]["web"]["kept"][0] == 3


def test_an_index_at_web_addresses_is_fetched_first(
    world: tuple[Internet, Recipe], tmp_path: Path, inline: InlineEngine
) -> None:
    server, made = world
    addresses = []
    for file in sorted((tmp_path / "index").rglob("*.parquet")):
        server.files["/" + file.name] = file.read_bytes()
        addresses.append(server.url + file.name)
    remote_ = dataclasses.replace(
        made, dataset=(dataclasses.replace(made.dataset[0], index=tuple(addresses)),)
    )
    rundir, plan = pipeline.run(remote_, str(tmp_path / "run"), inline, say=lambda line: None)
    assert pipeline.ledgers(rundir, plan)["extract"]["web"]["kept"][0] == 3
    assert len(list((tmp_path / "run/downloads/web/_index").iterdir())) == 2


@pytest.mark.spark
@pytest.mark.slow
def test_spark_looks_up_the_same(
    world: tuple[Internet, Recipe], tmp_path: Path, inline: InlineEngine, spark_engine: Any
) -> None:
    _, made = world
    found = []
    for name, engine in (("a", inline), ("b", spark_engine)):
        pipeline.run(made, str(tmp_path / name), engine, say=lambda line: None)
        files = store.listing(str(tmp_path / name / "downloads")) + store.listing(
            str(tmp_path / name / "documents")
        )
        found.append([(file.name, Path(file.path).read_bytes()) for file in files])
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_an_index_without_its_columns_or_an_empty_list_is_named(
    tmp_path: Path, inline: InlineEngine
) -> None:
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "i.parquet")
    (tmp_path / "urls.txt").write_text("\n")
    dataset = {
        "name": "web",
        "urls": str(tmp_path / "urls.txt"),
        "index": [str(tmp_path / "i.parquet")],
    }
    made = recipe.parse({"stages": ["extract"], "dataset": [dataset]})
    with pytest.raises(InputError, match="no column 'url_surtkey'"):
        pipeline.run(made, str(tmp_path / "run"), inline, say=lambda line: None)
    pq.write_table(pa.Table.from_pylist([], SCHEMA), tmp_path / "i.parquet")
    with pytest.raises(InputError, match="no addresses"):
        pipeline.run(made, str(tmp_path / "run2"), inline, say=lambda line: None)
