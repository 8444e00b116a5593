"""`read`: the documents of files as Arrow batches, as `extract` has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curation
from curation.errors import CurationError, InputError
from curation.readers import archive_parts
from curation.rundir import shards


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_have_their_own_columns_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "n": i, "tags": {"a": [i]}} for i in range(700)]
    docs = curation.read(jsonl(tmp_path / "a.jsonl", [*rows, {"text": None}, {"text": " "}]))
    assert docs.schema.names == ["id", "text", "n", "tags"]
    assert docs.schema.field("tags").type == pa.struct([("a", pa.list_(pa.int64()))])
    for _ in range(2):  # from the start each time
        batches = list(docs)
        assert [row["n"] for batch in batches for row in batch.to_pylist()] == list(range(700))
        assert len(batches) > 1
        outcomes = {r["outcome"]: r["documents"] for r in docs.ledger.to_pylist()}
        assert outcomes == {"in": 702, "kept": 700, "missing_text": 1, "empty": 1}
        assert docs.rejects.column("reason").to_pylist() == ["missing_text", "empty"]
    assert pa.table(docs).equals(docs.table())
    assert "a.jsonl" in repr(docs)
    assert "<table>" in docs._repr_html_()


def test_files_of_different_columns_are_one_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["p"], "text": ["parquet"], "n": [1]}), tmp_path / "a.parquet")
    jsonl(tmp_path / "b.jsonl", [{"id": "j", "text": "json", "m": True}])
    table = curation.read(tmp_path / "*").table()
    assert table.to_pylist() == [
        {"id": "p", "text": "parquet", "n": 1, "m": None},
        {"id": "j", "text": "json", "n": None, "m": True},
    ]
    both = curation.read([str(tmp_path / "b.jsonl"), tmp_path / "a.parquet"]).table()
    assert sorted(both.column("id").to_pylist()) == ["j", "p"]


def test_pages_of_an_archive_are_those_of_the_command(
    sample_run: Path, sample_folder: Path
) -> None:
    docs = curation.read(sample_folder / "crawl", languages=["en"])
    ours = {(row["archive"], row["offset"]): row for row in docs.table().to_pylist()}
    run = curation.Run.open(sample_run)
    theirs = run.table("documents").to_pylist()
    web = [row for row in theirs if row["archive"].endswith(".warc.gz")]
    assert web
    for row in web:
        if row["language"] == "en" and row["language_score"] >= 0.65:
            mine = ours[row["archive"], row["offset"]]
            assert (mine["url"], mine["text"]) == (row["url"], row["text"])
    assert set(docs.rejects.column("reason").to_pylist()) >= {"not_html", "revisit"}
    few = curation.read(sample_folder / "crawl", first_pages=1).table()
    assert 0 < few.num_rows <= 3


def test_large_files_are_read_whole(sample_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are split for workers, of which there are none here."""
    archive = max((sample_folder / "crawl").glob("*.warc.gz"), key=lambda one: one.stat().st_size)
    whole = curation.read(archive)
    found, rejects = whole.table(), whole.rejects
    monkeypatch.setattr(shards, "SPLIT_MB", 0.001)
    monkeypatch.setattr(archive_parts, "READ_BACK", 0)
    again = curation.read(archive)
    assert again.table() == found
    assert again.rejects == rejects


def test_a_run_directory_is_what_it_kept(tmp_path: Path) -> None:
    texts = ["one text", "two texts", "one text"]
    result = curation.dedup(texts, out=tmp_path / "run")
    assert curation.read(tmp_path / "run").table().column("text").to_pylist() == texts[:2]
    assert result.kept.num_rows == 2


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        curation.read(tmp_path / "nothing.jsonl")
    for wrong in (3, [], [3], None):
        with pytest.raises(InputError, match="a path or a list of paths expected, got"):
            curation.read(wrong)  # type: ignore[arg-type]
    path = jsonl(tmp_path / "a.jsonl", [{"body": "x"}])
    with pytest.raises(CurationError, match=r"^read: extractor: one of 'blocks'"):
        curation.read(path, extractor="x")
    with pytest.raises(InputError, match=r"^a\.jsonl: no column 'text'"):
        curation.read(path)
