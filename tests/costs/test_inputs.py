"""What a recipe reads, found from listings."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from columnar_index import write_index
from internet import internet

from curation.costs import inputs
from curation.errors import InputError
from curation.inspect.terminal.run_plan import alone_line
from curation.recipe import reading

CRAWL = "CC-MAIN-2024-10"


def read(table: dict[str, Any], folder: Path, *sizes: str) -> list[inputs.Input]:
    given = inputs.sizes_given(sizes)
    return inputs.read(reading.parse(table), given, str(folder / "lists"), lambda line: None)


def test_files_here(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jsonl").write_bytes(b"x" * 100)
    dataset = {"name": "a", "files": f"{tmp_path}/*.jsonl", "target_shard_mb": 2e-4}
    (one,) = read({"dataset": [dataset], "stages": ["extract"]}, tmp_path)
    assert (one.kind, one.files, one.bytes, one.shards) == ("table", 5, 500, 3)
    assert one.is_exact
    assert (one.requests, one.remote_bytes) == (0, 0)


def test_parts_of_large_files_and_those_that_cannot_be_split(tmp_path: Path) -> None:
    record = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 9\r\n\r\nsoftware:\r\n\r\n"
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(record) * 9)
    (tmp_path / "b.warc.gz").write_bytes(gzip.compress(record * 99, 0))
    dataset = {"name": "a", "files": f"{tmp_path}/*.warc.gz", "target_shard_mb": 2e-4}
    (one,) = read({"dataset": [dataset], "stages": ["extract"]}, tmp_path)
    sizes = [(tmp_path / name).stat().st_size for name in ("a.warc.gz", "b.warc.gz")]
    assert (one.shards, one.parts) == (1 + -(-sizes[0] // 200), -(-sizes[0] // 200))
    assert one.alone == (("b.warc.gz", sizes[1]),)
    assert "b.warc.gz" in alone_line(one)
    assert "cannot be split" in alone_line(one)
    given = {"name": "b", "role": "crawl", "files": "a.warc.gz", "target_shard_mb": 1.0}
    (one,) = read({"dataset": [given], "stages": ["extract"]}, tmp_path, "b=3x10")
    assert (one.shards, one.parts, alone_line(one)) == (30, 30, "")  # not here: taken for split


def test_a_crawl_is_counted_from_its_list_and_the_sizes_of_a_few(tmp_path: Path) -> None:
    with internet() as server:
        paths = [f"crawl-data/{CRAWL}/{i}.warc.gz" for i in range(40)]
        listing = gzip.compress("\n".join(paths).encode())
        server.files[f"/crawl-data/{CRAWL}/warc.paths.gz"] = listing
        for path in paths:
            server.files["/" + path] = b"\x1f\x8b" + b"x" * 998
        dataset = {"name": "web", "role": "crawl", "crawls": [CRAWL], "kind": "warc"}
        dataset |= {"target_shard_mb": 16_000}
        download = {"base_url": server.url, "requests_per_second": 1000}
        table = {"dataset": [dataset], "stages": ["download", "extract"], "download": download}
        (one,) = read(table, tmp_path)
        pages = [r for path, r in server.seen if path.endswith(".warc.gz")]
    assert (one.kind, one.files, one.bytes, one.shards) == ("warc", 40, 40_000, 3)
    assert not one.is_exact
    assert len(pages) == inputs.ASKED
    assert set(pages) == {"bytes=0-0"}  # sizes are asked for, no page is


def test_a_selection_is_counted_from_the_index(tmp_path: Path) -> None:
    rows = [
        {
            "url": f"https://a.example/{i}",
            "url_surtkey": f"example,a)/{i:03}",
            "fetch_status": 200 if i % 2 else 404,
            "content_digest": "A" * 32,
            "warc_filename": "one.warc.gz",
            "warc_record_offset": 1000 * i,
            "warc_record_length": 900,
        }
        for i in range(50)
    ]
    write_index(tmp_path / "index", CRAWL, rows, files=2)
    dataset = {
        "name": "web",
        "role": "crawl",
        "crawls": [CRAWL],
        "kind": "warc",
        "index": str(tmp_path / "index"),
        "select": "fetch_status = 200",
        "range_gap_kb": 0,
    }
    table = {"dataset": [dataset], "stages": ["download", "extract"]}
    (one,) = read(table, tmp_path)
    assert (one.records, one.requests, one.bytes, one.remote_bytes) == (25, 25, 22_500, 22_500)
    assert one.is_exact
    table["dataset"] = [dataset | {"range_gap_kb": 2}]
    (near,) = read(table, tmp_path)
    assert (near.records, near.requests, near.bytes) == (25, 1, 22_500)
    assert near.remote_bytes == 48 * 1000 + 900
    assert near.index_bytes > 0
    write_index(tmp_path / "index", CRAWL, rows, files=10)
    (some,) = read(table, tmp_path)  # three files of ten
    assert not some.is_exact
    assert some.records == pytest.approx(25, abs=10)


def test_sizes_that_are_given(tmp_path: Path) -> None:
    dataset = {
        "name": "web",
        "role": "crawl",
        "crawls": [CRAWL, "CC-MAIN-2024-18"],
        "archives": "sample:10",
    }
    table = {"dataset": [dataset], "stages": ["download", "extract"]}
    (one,) = read(table, tmp_path, "web=90000x140")
    assert (one.kind, one.files, one.bytes) == ("wet", 20, 20 * 140_000_000)
    assert one.stored_here == one.bytes
    for wrong in ("web", "web=3", "web=3x", "web=ax3"):
        with pytest.raises(InputError, match="NAME=FILESxMB"):
            read(table, tmp_path, wrong)
    with pytest.raises(InputError, match="no dataset"):
        read(table, tmp_path, "other=1x1")


def test_what_cannot_be_listed_asks_for_a_size(tmp_path: Path) -> None:
    dataset = {"name": "a", "files": str(tmp_path / "none.jsonl")}
    with pytest.raises(InputError, match="--size a=FILESxMB"):
        read({"dataset": [dataset], "stages": ["extract"]}, tmp_path)
