"""What a task knows: tables that it has read, and those that it wrote."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from curation import store
from curation.store import task

SCHEMA = pa.schema([("a", pa.int64())])


def write(path: str, digest: str = "d") -> None:
    with store.TableWriter(path, SCHEMA, digest, {"in": [1, 2]}) as writer:
        writer.write(pa.record_batch([[1, 2, 3]], schema=SCHEMA))
        writer.notes = {"n": 1}


def test_what_a_task_wrote_is_what_its_files_hold(tmp_path: Path) -> None:
    path, other = str(tmp_path / "a.parquet"), str(tmp_path / "b" / "c.parquet")
    with store.one_task() as written:
        write(path, "first")
        write(path)
        write(other)
        store.delete(str(tmp_path / "b"))
        with pytest.raises(RuntimeError), store.TableWriter(other, SCHEMA, "d"):
            raise RuntimeError
    size, sha256 = store.size_and_sha256(path)
    row = {"size": size, "sha256": sha256, "identity": "d", "ledger": {"in": [1, 2]}}
    assert written == {path: {**row, "notes": {"n": 1}}}


def test_each_of_two_threads_has_its_own_task(tmp_path: Path) -> None:
    found: dict[str, store.Written] = {}
    together = threading.Barrier(2, timeout=20)

    def run(name: str) -> None:
        with store.one_task() as written:
            together.wait()
            write(str(tmp_path / f"{name}.parquet"))
            together.wait()
            found[name] = dict(written)

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {k: [Path(path).stem for path in v] for k, v in found.items()} == {
        "a": ["a"],
        "b": ["b"],
    }


def test_outside_a_task_nothing_is_kept(tmp_path: Path) -> None:
    write(str(tmp_path / "a.parquet"))
    task.remember("s3://b/a.parquet", b"x")
    assert task.remembered("s3://b/a.parquet") is None


def test_memory_is_of_tables_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "MOST_BYTES", 10)
    with store.one_task():
        task.remember("s3://b/run.lock", b"x")
        assert task.remembered("s3://b/run.lock") is None
        task.remember("s3://b/d/a.parquet", b"12345")
        task.remember("s3://b/d/b.parquet", b"12345")
        assert task.remembered("s3://b/d/a.parquet") == b"12345"
        task.forget("s3://b/d")
        assert task.remembered("s3://b/d/a.parquet") is None
        for name in "abc":
            task.remember(f"s3://b/{name}.parquet", b"12345")
        assert task.remembered("s3://b/c.parquet") == b"12345"
        assert task.remembered("s3://b/a.parquet") is None


def test_fresh_folders_hold_nothing_to_reuse() -> None:
    terms = store.terms()
    assert not store.is_fresh("/run/tokens/web/00000.parquet")
    sent = ({}, frozenset({"/run/tokens/"}))
    try:
        assert store.under_terms(sent, store.is_fresh, "/run/tokens/web/00000.parquet")
        assert not store.is_fresh("/run/tokens2/web/00000.parquet")
    finally:
        store.under_terms(terms, bool)


def test_what_is_noted_outside_of_tasks_goes_with_its_file(tmp_path: Path) -> None:
    with store.noting() as noted:
        for name in ("a", "b", "c"):
            store.write_bytes(str(tmp_path / name), b"x")
            store.note_written(str(tmp_path / name), {"size": 1})
        store.delete(str(tmp_path / "a"))
        with store.one_task() as written:
            store.note_written(str(tmp_path / "d"), {"size": 1})
            store.write_bytes(str(tmp_path / "b"), b"y")
            assert list(written) == [str(tmp_path / "d")]
        assert list(noted) == [str(tmp_path / "c")]
    store.note_written(str(tmp_path / "e"), {"size": 1})
    assert len(noted) == 1
