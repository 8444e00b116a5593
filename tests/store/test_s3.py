"""Small objects in one request, and locks that are exact, on an S3 server of this machine (moto)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from storage import FaultyStorage, faulty_storage

from curation import store
from curation.errors import InputError, RunError, Unreachable
from curation.rundir.lock import Lock
from curation.store import patience, s3, writing

for module in ("moto", "flask", "obstore"):
    pytest.importorskip(module, reason="the extra `dev` is not installed")
ROOT = "s3://runs"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with faulty_storage() as server:
        import boto3

        client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="runs")
        client.server = server
        store.exists(ROOT)  # the first question of a process asks where the bucket lies
        yield client


@pytest.fixture
def asked(client: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the requests that arrive."""
    methods: list[str] = []

    def draw(command: str, path: str) -> str:
        methods.append(command)
        return FaultyStorage.draw(client.server, command, path)

    monkeypatch.setattr(client.server, "draw", draw)
    return methods


def table(rows: int) -> pa.Table:
    return pa.table({"a": np.arange(rows), "b": np.random.default_rng(1).random(rows)})


def write(path: str, rows: int) -> pa.Table:
    made = table(rows)
    with store.TableWriter(path, made.schema, "digest") as writer:
        writer.write(made)
    return made


def test_a_small_object_is_one_request(asked: list[str]) -> None:
    made = write(f"{ROOT}/small.parquet", 1000)
    store.write_bytes(f"{ROOT}/empty.json", b"")
    asked.clear()
    assert store.read_table(f"{ROOT}/small.parquet").equals(made)
    assert store.need_footer(f"{ROOT}/small.parquet").rows == 1000
    assert asked == ["GET", "GET"]
    assert store.read_bytes(f"{ROOT}/empty.json") == b""


def test_of_a_large_table_ranges_are_read(asked: list[str]) -> None:
    path = f"{ROOT}/large.parquet"
    made = write(path, 400_000)
    (file,) = store.find(path)
    assert file.size > 2 * s3.FIRST_BYTES
    asked.clear()
    assert store.need_footer(path).rows == 400_000
    assert asked == ["GET"]
    assert store.read_table(path).equals(made)
    assert store.read_table(path, ["a"]).equals(made.select(["a"]))
    assert store.size_and_sha256(path)[0] == file.size


def test_a_task_asks_for_a_table_once(asked: list[str]) -> None:
    path = f"{ROOT}/once.parquet"
    write(path, 1000)
    with store.one_task() as written:
        asked.clear()
        for _ in range(3):
            assert store.need_footer(path).rows == store.read_table(path).num_rows == 1000
        assert asked == ["GET"]
        write(path, 2000)
        assert store.need_footer(path).rows == 2000
        size, sha256 = store.size_and_sha256(path)
        assert written == {path: {"size": size, "sha256": sha256, "identity": "digest"}}
        store.delete(path)
        assert store.footer(path) is None
        assert written == {}
    write(path, 1000)
    asked.clear()
    assert store.need_footer(path).rows == store.need_footer(path).rows
    assert asked == ["GET", "GET"]


def test_what_is_not_there(client: Any) -> None:
    with pytest.raises(InputError, match="no such file"):
        store.read_bytes(f"{ROOT}/none.parquet")
    with pytest.raises(Unreachable, match="NoSuchBucket"):
        store.read_bytes("s3://nowhere-at-all/none.parquet")


def test_keys_elsewhere_than_in_the_environment_are_left_to_pyarrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in s3._KEYS:
        monkeypatch.delenv(name, raising=False)
    assert s3.objects("runs", "us-east-1") is None
    assert s3.objects("KEY:SECRET@runs", "us-east-1") is not None


def claimed(locks: list[Lock]) -> list[Lock]:
    """Those that got the lock, all tried at the same time."""

    def claim(lock: Lock) -> Lock | None:
        try:
            return lock.__enter__()
        except RunError:
            return None

    with ThreadPoolExecutor(len(locks)) as threads:
        return [lock for lock in threads.map(claim, locks) if lock]


@pytest.mark.parametrize("left", ["", "{}", "stale"])
def test_of_runs_that_start_in_the_same_instant_one_gets_the_lock(client: Any, left: str) -> None:
    for turn in range(5):
        out = f"{ROOT}/lock/{left or 'none'}/{turn}"
        if left:
            stale = {"host": "h", "pid": 1, "token": "t", "beat": time.time() - 600}
            text = json.dumps(stale) if left == "stale" else left
            store.write_bytes(f"{out}/run.lock", text.encode())
        (winner,) = claimed([Lock(out, lambda line: None) for _ in range(8)])
        winner.__exit__(None, None, None)
        assert not store.exists(f"{out}/run.lock")


def test_a_put_whose_answer_was_lost_is_known_as_its_own(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    server = client.server
    server.faults, server.share, server.only = ("lost",), 0.3, "lost-answers"
    try:
        for turn in range(6):
            with Lock(f"{ROOT}/lost-answers/{turn}", print) as lock:
                assert lock._put(lock._tag)
                assert lock._is_mine()
    finally:
        server.share, server.only = 0.0, ""
    assert server.met


def test_a_look_at_the_lock_holds_for_seconds(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"{ROOT}/looked"
    with Lock(out, print):
        store.write_json(f"{out}/a.json", 1)
        asked.clear()
        store.write_json(f"{out}/b.json", 1)
        assert asked == ["PUT"]
        store.write_json(f"{out}/run.lock", {"token": "theirs"})
        monkeypatch.setattr(writing, "LOOK_S", 0.0)
        with pytest.raises(RunError, match="no longer the lock of this run"):
            store.write_json(f"{out}/c.json", 1)
    store.delete(f"{out}/run.lock")
