"""Manifests are JSON as any other, though they are written and read a row at a time."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from curation import store
from curation.rundir import entries
from curation.rundir.entries import Entry, Files, read_files

ABOUT = {"stage": "extract", "key": "k{}"}


def rows(count: int) -> dict[str, dict[str, Any]]:
    ledger = {"in": [2, 30, 0], "kept": [2, 30, 0]}
    row = {"size": 7, "sha256": "0" * 64, "identity": "0" * 16}
    some = {
        f"documents/web/{number:05d}.parquet": {**row, "ledger": ledger} for number in range(count)
    }
    odd = {'documents/a "b": {\n}': row, "documents/é/{}.parquet": {**row, "notes": {"n": 1}}}
    return {**odd, **some} if count else {}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_it_is_what_write_json_writes(tmp_path: Path, count: int) -> None:
    ours, theirs = str(tmp_path / "ours.json"), str(tmp_path / "theirs.json")
    files = Files()
    files.update(dict(sorted(rows(count).items())))
    files.write(ours, ABOUT)
    store.write_json(theirs, {"files": rows(count), **ABOUT})
    assert store.read_bytes(ours) == store.read_bytes(theirs)
    read, about = read_files(ours)
    assert read == files
    assert about == ABOUT
    assert read == {name: Entry(**row) for name, row in rows(count).items()}


def test_other_layouts_are_read_too(tmp_path: Path) -> None:
    for indent in (None, 1, 4):
        path = tmp_path / f"{indent}.json"
        path.write_text(json.dumps({"files": rows(3), **ABOUT}, indent=indent))
        read, about = read_files(str(path))
        assert dict(read) == {name: Entry(**row) for name, row in rows(3).items()}
        assert about == ABOUT


def test_what_is_cut_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    store.write_json(str(path), {"files": rows(2), **ABOUT})
    whole = path.read_bytes()
    for end in range(len(whole) - 2):
        path.write_bytes(whole[:end])
        with pytest.raises((ValueError, KeyError, TypeError)):
            read_files(str(path))


def test_rows_stay_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "BUFFER", 1 << 16)
    path = str(tmp_path / "a.json")
    store.write_json(path, {"files": rows(5_000), **ABOUT})
    tracemalloc.start()
    try:
        files, _ = read_files(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 600 * len(files)
