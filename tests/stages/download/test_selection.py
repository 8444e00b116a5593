"""Records selected by an index of Common Crawl's form, and read by ranges."""

from __future__ import annotations

import dataclasses
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from columnar_index import rows_of, write_index
from internet import Internet, internet
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curation import draws, store
from curation.engine.inline import InlineEngine
from curation.errors import CurationError, InputError, RecipeError, TaskError
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.rundir.directory import RunDirectory
from curation.stages.download import rows as index_rows
from curation.stages.download.index_files import index_files
from curation.stages.download.selection import asked_of
from curation.stages.extract import stage as extract
from curation.store import patience

CRAWL = "CC-MAIN-2024-10"
HOSTS = ("one.alpha.example", "two.alpha.example", "beta.example", "gamma.test")
ENGLISH = "content_languages = 'eng' and fetch_status = 200"


def address(number: int) -> str:
    return f"https://{HOSTS[number % 4]}/story/{number:03}"


def language(number: int) -> str:
    return "eng" if number % 3 else "deu"


def archive(numbers: range) -> bytes:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for number in numbers:
        words = " ".join(
            f"Sentence {i} of page {number} tells of harbour {i * number}." for i in range(30)
        )
        body = f"<html><body><article><p>{words}</p></article></body></html>".encode()
        head = StatusAndHeaders(
            "200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1"
        )
        made = writer.create_warc_record(
            address(number), "response", io.BytesIO(body), len(body), http_headers=head,
            warc_headers_dict={"WARC-Date": "2024-02-21T10:00:00Z"},
        )  # fmt: skip
        writer.write_record(made)
    return out.getvalue()


@dataclasses.dataclass
class World:
    folder: Path
    server: Internet
    rows: list[dict[str, Any]]

    def recipe(self, **keys: Any) -> Any:
        dataset = {
            "name": "web",
            "role": "crawl",
            "crawls": [CRAWL],
            "kind": "warc",
            "index": str(self.folder / "cc-index"),
            "range_gap_kb": 0,
            **keys,
        }
        download = {
            "base_url": self.server.url,
            "requests_per_second": 2000,
            "max_attempts": 2,
            "max_failed": 1.0,
        }
        table = {"stages": ["download", "extract"], "dataset": [dataset], "download": download}
        return recipe.parse(table)

    def run(self, name: str = "run", **keys: Any) -> tuple[RunDirectory, list[dict[str, Any]]]:
        """A run, and its documents."""
        rundir, plan = pipeline.run(
            self.recipe(**keys), str(self.folder / name), InlineEngine(), say=lambda line: None
        )
        tables = [store.read_table(rundir.documents(shard)) for shard in plan.shards]
        return rundir, pa.concat_tables(tables).to_pylist()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    with internet() as server:
        rows = []
        for place in range(3):
            numbers = range(place * 20, place * 20 + 20)
            data = archive(numbers)
            path = f"crawl-data/{CRAWL}/segments/1/warc/CC-{place:05}.warc.gz"
            server.files["/" + path] = data
            rows += rows_of(path, data, {address(n): language(n) for n in numbers})
        write_index(tmp_path / "cc-index", CRAWL, rows)
        yield World(tmp_path, server, rows)


def urls(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["url"] for row in rows)


def wanted(rows: list[dict[str, Any]], keep: Callable[[dict[str, Any]], bool]) -> list[str]:
    return urls([row for row in rows if keep(row)])


def test_selected_records_become_documents_and_no_other_byte_is_asked_for(world: World) -> None:
    rundir, documents = world.run(select=ENGLISH)
    assert urls(documents) == wanted(world.rows, lambda row: row["content_languages"] == "eng")
    assert {d["archive"] for d in documents} == {f"CC-{n:05}.warc.gz" for n in range(3)}
    places = {row["url"]: row["warc_record_offset"] for row in world.rows}
    assert all(d["offset"] == places[d["url"]] for d in documents)
    asked = [r for path, r in world.server.seen if path.endswith(".warc.gz")]
    sizes = [int(b) - int(a) + 1 for a, b in (r.removeprefix("bytes=").split("-") for r in asked)]
    chosen = [r for r in world.rows if r["content_languages"] == "eng"]
    assert sum(sizes) == sum(r["warc_record_length"] for r in chosen)
    # pages 1 and 2, 4 and 5 and so on lie side by side
    assert len(asked) < len(chosen)
    assert extract.fetched(rundir) == {"web": {"requests": len(asked), "bytes": sum(sizes)}}
    assert not extract.damage(rundir)


def test_the_documents_are_those_of_the_whole_archives(world: World) -> None:
    _, chosen = world.run("chosen", select=ENGLISH)
    lists = b"\n".join(path[1:].encode() for path in world.server.files)
    world.server.files[f"/crawl-data/{CRAWL}/warc.paths.gz"] = gzip.compress(lists)
    dataset = {"name": "web", "role": "crawl", "crawls": [CRAWL], "kind": "warc"}
    table = {
        "stages": ["download", "extract"],
        "dataset": [dataset],
        "download": {"base_url": world.server.url, "requests_per_second": 2000},
    }
    rundir, plan = pipeline.run(
        recipe.parse(table), str(world.folder / "all"), InlineEngine(), say=lambda line: None
    )
    every = pa.concat_tables([store.read_table(rundir.documents(s)) for s in plan.shards])
    by_url = {row["url"]: row for row in every.to_pylist()}
    for row in chosen:  # the language model sees the same text, the id is of the same place
        assert {k: row[k] for k in ("id", "text", "offset", "record_id", "language")} == {
            k: by_url[row["url"]][k] for k in ("id", "text", "offset", "record_id", "language")
        }
    assert len(chosen) < len(by_url)


def test_wide_gaps_join_requests_and_change_no_document(world: World) -> None:
    _, apart = world.run("apart", select=ENGLISH)
    before = len(world.server.seen)
    rundir, joined = world.run("joined", select=ENGLISH, range_gap_kb=1000)
    assert joined == apart
    assert len(world.server.seen) - before == 3  # one for each archive
    assert extract.fetched(rundir)["web"]["requests"] == 3


def test_a_record_that_does_not_fit_its_digest_is_malformed(world: World) -> None:
    chosen = [row for row in world.rows if row["content_languages"] == "eng"]
    changed, lost = chosen[3], chosen[8]
    changed["content_digest"] = "A" * 32
    path = "/" + lost["warc_filename"]
    data = bytearray(world.server.files[path])
    at = lost["warc_record_offset"] + lost["warc_record_length"] // 2
    data[at] ^= 255
    world.server.files[path] = bytes(data)
    write_index(world.folder / "cc-index", CRAWL, world.rows)
    rundir, documents = world.run(select=ENGLISH, range_gap_kb=1000)
    assert urls(documents) == urls([row for row in chosen if row not in (changed, lost)])
    rejects = pa.concat_tables(
        [store.read_table(f.path) for f in store.listing(rundir.path("rejects"))]
    ).to_pylist()
    assert sorted((r["url"], r["reason"]) for r in rejects) == sorted(
        (row["url"], "malformed") for row in (changed, lost)
    )


def test_an_archive_shorter_than_the_index_says_costs_only_what_is_missing(world: World) -> None:
    chosen = [row for row in world.rows if row["content_languages"] == "eng"]
    (path,) = {"/" + row["warc_filename"] for row in chosen if "00001" in row["warc_filename"]}
    end = sorted(r["warc_record_offset"] for r in chosen if "/" + r["warc_filename"] == path)[-2]
    world.server.files[path] = world.server.files[path][: end + 10]
    _, documents = world.run(select=ENGLISH, range_gap_kb=1000)
    gone = [
        r for r in chosen if "/" + r["warc_filename"] == path and r["warc_record_offset"] >= end
    ]
    assert len(gone) == 2
    assert urls(documents) == urls([row for row in chosen if row not in gone])


def test_archives_samples_and_annotations(world: World) -> None:
    share = draws.uniforms(0, "select", [row["url"].encode() for row in world.rows]) < 0.4
    _, sampled = world.run("sample", sample=0.4)
    assert urls(sampled) == urls(
        [row for row, is_in in zip(world.rows, share, strict=True) if is_in]
    )
    for by, column, key in (
        ("host", "url_host_name", "beta.example"),
        ("domain", "url_host_registered_domain", "alpha.example"),
        ("url", "url", address(7)),
    ):
        path = world.folder / f"{by}.parquet"
        pq.write_table(pa.table({by: [key, "never.seen"], "rank": [5, 9], "x": ["a", "b"]}), path)
        _, found = world.run(by, select="rank < 8", annotations=str(path), annotations_by=by)
        assert urls(found) == wanted(world.rows, lambda row, c=column, k=key: row[c] == k)


def test_only_columns_and_row_groups_that_may_hold_it_are_read(world: World) -> None:
    def seen(**keys: Any) -> index_rows.Seen:
        rundir = RunDirectory(str(world.folder / "run"), world.recipe(**keys))
        (dataset,) = rundir.recipe.dataset
        seen = index_rows.Seen()
        for file in index_files(rundir, dataset, CRAWL):
            for _ in index_rows.selected_rows(asked_of(rundir, dataset, CRAWL, 1), file, seen):
                pass
        return seen

    whole = seen(select="fetch_status < 300")
    host = seen(select="url_host_name = 'gamma.test' and fetch_status = 200")
    none = seen(select="url_host_tld = 'zz'")
    assert (whole.groups, whole.groups_read, whole.selected) == (6, 6, 60)
    assert host.selected == 15
    assert host.groups_read < 6
    assert host.received < whole.received
    assert (none.groups_read, none.selected) == (0, 0)
    assert none.received < host.received
    # a bound on the folder's own columns leaves whole files out
    rundir = RunDirectory("run", world.recipe(select="subset = 'robotstxt'"))
    with pytest.raises(InputError, match="no Parquet files"):
        index_files(rundir, rundir.recipe.dataset[0], CRAWL)


def test_the_index_at_addresses_is_read_by_ranges(world: World) -> None:
    paths = []
    for file in sorted((world.folder / "cc-index").rglob("*.parquet")):
        path = f"cc-index/table/cc-main/warc/{file.relative_to(world.folder / 'cc-index')}"
        world.server.files["/" + path] = file.read_bytes()
        paths.append(path)
    listing = gzip.compress("\n".join(paths).encode())
    world.server.files[f"/crawl-data/{CRAWL}/cc-index-table.paths.gz"] = listing
    _, here = world.run("here", select=ENGLISH)
    _, there = world.run("there", select=ENGLISH, index=[])
    assert here == there
    asked = [r for path, r in world.server.seen if path.endswith(".parquet")]
    assert len(asked) > 2
    assert all(asked)


def test_a_second_run_reads_nothing_again_and_another_selection_does(world: World) -> None:
    _, first = world.run(select=ENGLISH)
    before = len(world.server.seen)
    _, again = world.run(select=ENGLISH)
    assert again == first
    assert len(world.server.seen) == before


def test_shards_hold_whole_archives(world: World) -> None:
    rundir, documents = world.run("small", select=ENGLISH, select_shard_mb=0.001)
    tables = store.listing(rundir.path("downloads", "web", "selected", CRAWL))
    names = [set(store.read_table(t.path, ["filename"]).column(0).to_pylist()) for t in tables]
    assert [len(n) for n in names] == [1, 1, 1]
    assert urls(documents) == urls(world.run("large", select=ENGLISH)[1])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"select": "fetch_status = 200; select 1"}, "single expression"),
        ({"select": "random() < 1"}, "not allowed"),
        ({"select": "exists (select 1)"}, "subquery"),
        ({"select": ENGLISH, "kind": "wet"}, 'kind = "warc"'),
        ({"select": ENGLISH, "stream": True}, "without stream"),
        ({"annotations": "x.parquet", "sample": 0.5}, "an expression expected"),
        ({"index": "x.parquet"}, "index goes with"),
        ({"select": ENGLISH, "crawls": [], "files": "x.warc.gz"}, "go with `crawls`"),
    ],
)
def test_what_is_refused_with_the_recipe(world: World, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        world.recipe(**keys)


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("content_language = 'eng'", "no column 'content_language'.*content_languages"),
        ("fetch_status", "a Boolean expected"),
        ("cast(url as integer) > 3", "fails on a row of .*part-00000"),
        ("fetch_status = 999", "nothing of CC-MAIN-2024-10 is selected"),
    ],
)
def test_what_is_refused_with_the_index(world: World, select: str, said: str) -> None:
    with pytest.raises((RecipeError, InputError, TaskError, CurationError), match=said):
        world.run(select=select)


def test_statistics_that_say_nothing_exclude_nothing(world: World) -> None:
    for path in (world.folder / "cc-index").rglob("*.parquet"):
        pq.write_table(pq.read_table(path, partitioning=None), path, write_statistics=False)
    _, documents = world.run(select="url_host_name = 'gamma.test'")
    assert len(documents) == 15
    assert np.unique([d["url"] for d in documents]).size == 15
