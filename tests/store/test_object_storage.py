"""Download, streams and a whole run directory on an S3 server of this machine (moto)."""

from __future__ import annotations

import functools
import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from columnar_index import rows_of, write_index
from storage import FaultyStorage, faulty_storage
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curation import store
from curation.engine.local import LocalEngine
from curation.errors import InputError, Unreachable
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
from curation.store import paths, patience
from curation.store import storage as object_storage

pytest.importorskip("moto", reason="the extra `dev` is not installed")
pytest.importorskip("flask", reason="the extra `dev` is not installed")

CRAWL = "CC-MAIN-2019-35"
NAMES = [f"crawl-data/{CRAWL}/segments/{i}/wet/CC-{i:05}.warc.wet.gz" for i in range(3)]


def wet(number: int) -> bytes:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for page in range(5):
        data = (
            f"Page {page} of archive {number} tells of the harbour, and of much else.\n".encode()
            * 20
        )
        url = f"http://site{number}.example/{page}"
        fields = {
            "WARC-Record-ID": f"<urn:uuid:{number}-{page}>",
            "WARC-Date": "2019-08-20T00:00:00Z",
        }
        writer.write_record(
            writer.create_warc_record(
                url,
                "conversion",
                io.BytesIO(data),
                len(data),
                "text/plain",
                warc_headers_dict=fields,
            )
        )
    return out.getvalue()


@pytest.fixture(scope="module")
def storage() -> Iterator[Any]:
    """A client of the only S3 server there is; `storage.server` is what may fail before it."""
    with faulty_storage() as server:
        import boto3

        client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        for bucket in ("commoncrawl", "runs"):
            client.create_bucket(Bucket=bucket)
        client.put_object(
            Bucket="commoncrawl",
            Key=f"crawl-data/{CRAWL}/wet.paths.gz",
            Body=gzip.compress("\n".join(NAMES).encode()),
        )
        for number, name in enumerate(NAMES):
            client.put_object(Bucket="commoncrawl", Key=name, Body=wet(number))
        client.server = server
        yield client


@pytest.fixture(scope="module")
def engine(storage: Any) -> Iterator[LocalEngine]:
    """Its worker is born where the storage is known."""
    assert "AWS_ENDPOINT_URL" in os.environ
    engine = LocalEngine(1)
    yield engine
    engine.close()


def crawl(**keys: Any) -> Recipe:
    dataset = {"name": "cc", "role": "crawl", "crawls": [CRAWL], **keys}
    polite = {"base_url": "s3://commoncrawl/", "requests_per_second": 2000, "max_attempts": 2}
    return recipe.parse(
        {"stages": ["download", "extract"], "dataset": [dataset], "download": polite}
    )


class InProcess(LocalEngine):
    """The local engine whose tasks run in this process, one after the other."""

    def __init__(self) -> None:
        super().__init__(1)

    def map(self, label: str, task: Any, items: Any) -> list[Any]:
        return [task(item) for item in items]

    map_here = map


def contents(rundir: Any, plan: Any) -> list[bytes]:
    return [store.read_bytes(rundir.documents(shard)) for shard in plan.shards]


def test_from_storage_to_a_disk_to_storage_and_streamed_are_the_same(
    engine: LocalEngine, tmp_path: Path
) -> None:
    said: list[str] = []
    fetched = contents(*pipeline.run(crawl(), str(tmp_path / "a"), engine, say=said.append))
    assert len(fetched) == 3
    assert said[0].endswith("from commoncrawl")
    rundir, plan = pipeline.run(crawl(), "s3://runs/a", engine, say=said.append)
    assert contents(rundir, plan) == fetched
    assert pipeline.ledgers(rundir, plan)["extract"]["cc"]["kept"][0] == 15
    assert sorted(file.name for file in store.listing("s3://runs/a/downloads/cc")) == sorted(
        f"{CRAWL}/{name.rpartition('/')[2]}" for name in NAMES
    )
    assert (
        contents(*pipeline.run(crawl(stream=True), "s3://runs/b", engine, say=said.append))
        == fetched
    )
    assert store.listing("s3://runs/b/downloads") == []
    assert contents(*pipeline.run(crawl(), "s3://runs/a", engine, say=said.append)) == fetched, (
        "and once more"
    )


def test_a_prefix_and_a_range(engine: LocalEngine) -> None:
    url, data = "s3://commoncrawl/" + NAMES[0], wet(0)
    assert store.read_range(url, 100, 50, store.Patience()) == data[100:150]
    with store.RemoteFile(url, store.Patience(), end=200) as file:
        assert file.readall() == data[:200]
        assert file.size == len(data)
    with pytest.raises(Unreachable, match="no such file"):
        store.read_range("s3://commoncrawl/none", 0, 5, store.Patience(2))
    with pytest.raises(Unreachable):
        store.read_range(url, len(data) - 5, 10, store.Patience(2))


def test_a_broken_object_is_not_kept(engine: LocalEngine, storage: Any, tmp_path: Path) -> None:
    storage.put_object(Bucket="commoncrawl", Key=NAMES[2], Body=wet(2)[:-5])
    try:
        with pytest.raises(
            InputError, match=r"1 of 3 files could not be fetched .*not a whole gzip file"
        ):
            pipeline.run(crawl(), str(tmp_path / "a"), engine, say=lambda line: None)
        assert len(list((tmp_path / "a/downloads/cc").rglob("*.gz"))) == 2
        assert list((tmp_path / "a/downloads/cc").rglob("*.part*")) == []
    finally:
        storage.put_object(Bucket="commoncrawl", Key=NAMES[2], Body=wet(2))


@pytest.fixture
def failing(storage: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStorage]:
    """The server, to be told what fails; nothing does any more afterwards."""
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    server: FaultyStorage = storage.server
    server.met.clear()
    yield server
    server.faults, server.share, server.only = (), 0.0, ""


FAULTS = ("InternalError", "SlowDown", "reset", "lost", "cut")


@pytest.mark.parametrize(
    "faults",
    [FAULTS, *(pytest.param((fault,), marks=pytest.mark.slow) for fault in FAULTS)],
    ids="-".join,
)
@pytest.mark.parametrize("reader", ["obstore", "pyarrow"])
def test_faults_that_pass_change_no_byte_and_lose_no_request(
    failing: FaultyStorage,
    faults: tuple[str, ...],
    reader: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A third of all answers: what is written, listed, read whole and in pieces, and deleted."""
    if reader == "pyarrow":
        monkeypatch.setattr(paths, "_connected", functools.cache(paths._connected.__wrapped__))
        monkeypatch.setattr(paths, "objects", lambda *_: None)
    else:
        pytest.importorskip("obstore", reason="the extra `s3` is not installed")
    assert (paths.object_of("s3://runs/a") is not None) == (reader == "obstore")
    failing.faults, failing.share = faults, 0.3
    table = pa.table({"a": list(range(50_000)), "b": ["x" * (n % 9) for n in range(50_000)]})
    for n in range(2):
        folder = f"s3://runs/faults/{'-'.join(faults)}/{n}"
        path = f"{folder}/t.parquet"
        with store.TableWriter(path, table.schema, "digest") as writer:
            writer.write(table)
        store.write_json(f"{folder}/x.json", {"n": n})
        assert store.read_json(f"{folder}/x.json") == {"n": n}
        assert [file.name for file in store.listing(folder)] == ["t.parquet", "x.json"]
        assert store.need_footer(path).rows == 50_000
        assert store.read_table(path).equals(table)
        assert store.dataset(store.Table((path,), table.schema)).to_table().equals(table)
        with store.open_input(path) as stream:
            stream.seek(4)
            small = stream.read(8)
        assert small == store.read_bytes(path)[4:12]
        assert store.read_range(path, 4, 8, store.Patience()) == small
        store.delete(f"{folder}/x.json")
        assert not store.exists(f"{folder}/x.json")
        store.delete(folder)
        assert store.listing(folder) == []
    assert len(set(failing.met)) >= min(3, len(faults))


@pytest.mark.slow  # the library itself tries for 6 s, each time
@pytest.mark.parametrize("fault", FAULTS[:4])
def test_what_stays_broken_is_given_up_and_named(
    failing: FaultyStorage, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "PATIENCE", store.Patience(1))
    store.write_bytes("s3://runs/broken/a.bin", bytes(1000))
    failing.faults, failing.share, failing.only = (fault,), 1.0, "broken"
    actions = {
        "a.bin": lambda: store.read_bytes("s3://runs/broken/a.bin"),
        "b.bin": lambda: store.write_bytes("s3://runs/broken/b.bin", b"x"),
        "c.parquet": lambda: store.footer("s3://runs/broken/c.parquet"),
        "d": lambda: store.exists("s3://runs/broken/d"),
    }
    for name, action in actions.items():
        with pytest.raises(
            Unreachable, match=rf"s3://runs/broken/{name}: given up after 1 attempts"
        ):
            action()


@pytest.mark.parametrize(
    ("said", "tries"),
    [("AWS Error INTERNAL_FAILURE: Failed to flush response stream", 8), ("ACCESS_DENIED", 1)],
)
def test_what_may_pass_is_tried_again_and_the_object_named(
    said: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    asked = []

    def action() -> None:
        asked.append(said)
        raise OSError(said)

    with pytest.raises(Unreachable, match=rf"^s3://b/a\.parquet: .*{said}"):
        object_storage.retried(action, "s3://b/a.parquet")
    assert len(asked) == tries


@pytest.mark.parametrize("address", ["s3://no-such-bucket/a", "s3://runs/none"])
def test_what_is_not_there_is_said_at_once(failing: FaultyStorage, address: str) -> None:
    before = failing.asked
    with pytest.raises(InputError, match=address):
        store.read_bytes(address)
    assert failing.asked - before < 5


@pytest.mark.parametrize(
    "stages", [["extract"], pytest.param(["extract", "dedup"], marks=pytest.mark.slow)], ids=len
)
def test_a_run_on_storage_that_fails_has_the_bytes_of_an_undisturbed_one(
    failing: FaultyStorage, tmp_path: Path, stages: list[str]
) -> None:
    """The engine without processes: its tasks meet the same server, with waits cut short."""
    table = {
        "stages": stages,
        "dataset": [{"name": "cc", "files": ["s3://commoncrawl/" + NAMES[0]]}],
    }
    made = recipe.parse(table)
    here = pipeline.run(made, str(tmp_path / "run"), InProcess(), say=lambda line: None)
    failing.faults, failing.share = FAULTS, 0.1
    there = pipeline.run(
        made, f"s3://runs/failing/{len(stages)}", InProcess(), say=lambda line: None
    )
    failing.share = 0.0
    assert contents(*there) == contents(*here)
    assert failing.met


def test_keys_in_an_address_are_used_and_not_told(storage: Any, tmp_path: Path) -> None:
    pattern = f"s3://KEY:SECRET@commoncrawl/crawl-data/{CRAWL}/segments/*/wet/*.gz"
    files = store.find(pattern)
    assert [store.read_bytes(file.path) for file in files] == [wet(n) for n in range(3)]
    made = recipe.parse({"stages": ["extract"], "dataset": [{"name": "cc", "files": [pattern]}]})
    out = "s3://KEY:SECRET@runs/secret"
    pipeline.run(made, out, InProcess(), say=lambda line: None)
    for file in store.listing("s3://runs/secret"):
        assert b"SECRET" not in store.read_bytes(file.path), file.path
    with pytest.raises(InputError) as caught:
        store.read_bytes("s3://KEY:SECRET@runs/none")
    assert str(caught.value).startswith("s3://runs/none: no such file")


def test_records_are_selected_by_an_index_on_storage(storage: Any, tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for page in range(6):
        text = f"<p>Page {page} of the crawl tells of the harbour and of its {page} boats.</p>" * 9
        record = writer.create_warc_record(
            f"http://site{page % 2}.example/{page}",
            "response",
            io.BytesIO(text.encode()),
            len(text),
            warc_headers_dict={"WARC-Date": "2019-08-20T00:00:00Z"},
            http_headers=StatusAndHeaders(
                "200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1"
            ),
        )
        writer.write_record(record)
    name = f"crawl-data/{CRAWL}/segments/0/warc/selected.warc.gz"
    storage.put_object(Bucket="commoncrawl", Key=name, Body=out.getvalue())
    folder = write_index(tmp_path / "index", CRAWL, rows_of(name, out.getvalue(), {}))
    for file in folder.rglob("*.parquet"):
        key = f"cc-index/table/cc-main/warc/{file.relative_to(folder)}"
        storage.put_object(Bucket="commoncrawl", Key=key, Body=file.read_bytes())
    chosen = crawl(
        kind="warc",
        index="s3://commoncrawl/cc-index/table/cc-main/warc",
        select="url_host_name = 'site1.example'",
    )
    rundir, plan = pipeline.run(chosen, str(tmp_path / "run"), InProcess(), say=lambda line: None)
    urls = [
        url
        for shard in plan.shards
        for url in store.read_table(rundir.documents(shard), ["url"]).column(0).to_pylist()
    ]
    assert urls == [f"http://site1.example/{page}" for page in (1, 3, 5)]
