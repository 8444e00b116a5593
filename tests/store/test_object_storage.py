"""Download, streams and a whole run directory on an S3 server of this machine (moto)."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warcio.warcwriter import WARCWriter

from curation import store
from curation.engine.local import LocalEngine
from curation.errors import InputError, Unreachable
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
from curation.store import paths

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
    """An S3 server that everything in this process and its children takes for the only one."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in settings.items():
            patch.setenv(key, value)
        paths._connected.cache_clear()
        import boto3

        client = boto3.client("s3", endpoint_url=settings["AWS_ENDPOINT_URL"])
        for bucket in ("commoncrawl", "runs"):
            client.create_bucket(Bucket=bucket)
        client.put_object(
            Bucket="commoncrawl",
            Key=f"crawl-data/{CRAWL}/wet.paths.gz",
            Body=gzip.compress("\n".join(NAMES).encode()),
        )
        for number, name in enumerate(NAMES):
            client.put_object(Bucket="commoncrawl", Key=name, Body=wet(number))
        yield client
    paths._connected.cache_clear()
    server.stop()


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
