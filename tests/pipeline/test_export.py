"""kept/ and removed/ as lines: every value of the input's lines comes out as it went in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner, Result

from curation.cli import main
from curation.cli.options import ROWS
from curation.pipeline.export import FORMATS

TEXT = "the quick brown fox jumps over the lazy dog while nobody looks at the old red barn"


def call(*args: str) -> Result:
    result = CliRunner().invoke(main, [*args, "--workers", "1"], prog_name="curation")
    assert result.exit_code == 0, result.output
    return result


def unpacked(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return [json.loads(line) for line in data.splitlines()]


# Nested, of several types, null, absent, of more than 64 bits, with more keys than columns should be.
ROWS_IN: list[dict[str, Any]] = [
    {"id": 1, "text": TEXT, "meta": {"a": 1, "tags": [{"x": "y"}]}, "n": None},
    {"id": 2, "text": TEXT, "meta": {"b": None}, "mixed": 5},
    {
        "id": 3,
        "text": "quite another text, of which there is no copy",
        "mixed": "s",
        "big": 1 << 70,
    },
    {"text": "a third one, that has no id", "meta": {f"k{i}": i for i in range(500)}},
    {"id": 5, "note": "this row has no text"},
]


def test_the_command_line_knows_the_formats() -> None:
    assert ROWS == FORMATS


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_lines_come_out_as_they_went_in(tmp_path: Path, ending: str) -> None:
    data = "".join(json.dumps(row) + "\n" for row in ROWS_IN).encode()
    packed = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
    (tmp_path / f"a.jsonl{ending}").write_bytes(packed[ending](data))
    out = tmp_path / "o"
    call("dedup", str(tmp_path / f"a.jsonl{ending}"), "--format", "same", "--out", str(out))
    kept = unpacked(out / "kept" / f"00000.jsonl{ending}")
    removed = unpacked(out / "removed" / f"00000.jsonl{ending}")
    assert len(removed) == 1
    gone = removed[0]
    original = next(row for row in ROWS_IN if row.get("id") == gone["id"])
    assert gone["reason"] == "exact_duplicate"
    assert {key: gone[key] for key in original} == original
    expected = [row for row in ROWS_IN if row is not original and "text" in row]
    made = kept[-1].pop("id")
    sizes = [row.pop("cluster_size") for row in kept]
    assert sorted(sizes) == [1] * (len(kept) - 1) + [2]
    assert kept == expected
    assert isinstance(made, str)
    assert not list(out.glob("kept/*.parquet"))


def test_a_column_called_as_one_of_the_step_has_another_name(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": TEXT, "reason": {"of": "mine"}} for i in range(2)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    call("dedup", str(path), "--format", "jsonl", "--out", str(tmp_path / "o"))
    (kept,) = unpacked(tmp_path / "o" / "kept" / "00000.jsonl")
    (removed,) = unpacked(tmp_path / "o" / "removed" / "00000.jsonl")
    assert kept["input_reason"] == removed["input_reason"] == {"of": "mine"}
    assert removed["reason"] == "exact_duplicate"


def test_parquet_as_lines_and_the_same(tmp_path: Path) -> None:
    """Structs are objects, without the keys that other rows have."""
    rows = [{"id": "a", "text": TEXT, "m": {"x": 1}}, {"id": "b", "text": "other", "m": {"y": 2}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    call("dedup", path, "--format", "jsonl.zst", "--out", str(tmp_path / "lines"))
    kept = unpacked(tmp_path / "lines" / "kept" / "00000.jsonl.zst")
    assert [(row["id"], row["m"]) for row in kept] == [("a", {"x": 1}), ("b", {"y": 2})]
    call("dedup", path, "--format", "same", "--out", str(tmp_path / "same"))
    assert (tmp_path / "same" / "kept" / "00000.parquet").exists()


def test_pieces_keep_the_name_of_the_text(tmp_path: Path) -> None:
    quote = " ".join(f"quoted{i}" for i in range(20))
    sides = [" ".join(f"{side}{i}" for i in range(120)) for side in ("left", "right")]
    row = {"id": "a", "body": f"{sides[0]} {quote} {sides[1]}", "meta": {"deep": [1, {"er": 2}]}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"id": "q", "text": quote}) + "\n")
    arguments = ["--benchmarks", str(tmp_path / "b.jsonl"), "--text-column", "body"]
    out = tmp_path / "o"
    inputs = str(tmp_path / "a.jsonl")
    call("decontaminate", inputs, *arguments, "--format", "same", "--out", str(out))
    kept = unpacked(out / "kept" / "00000.jsonl")
    assert [piece["piece"] for piece in kept] == [0, 1]
    assert all(piece["meta"] == row["meta"] for piece in kept)
    assert all(piece["body"] in row["body"] and "quoted5" not in piece["body"] for piece in kept)
    # Such a run is an input of the next step, piece by piece.
    call("dedup", str(out), "--format", "jsonl", "--out", str(tmp_path / "next"))
    again = unpacked(tmp_path / "next" / "kept" / "00000.jsonl")
    assert [r["id"] for r in again] == ["a/0", "a/1"]
    assert [r["text"] for r in again] == [r["body"] for r in kept]


def test_another_format_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "a", "text": TEXT}) + "\n")
    arguments = ["dedup", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "o")]
    call(*arguments, "--format", "parquet")
    assert [p.name for p in (tmp_path / "o" / "kept").iterdir()] == ["00000.parquet"]
    call(*arguments, "--format", "jsonl.gz")
    assert [p.name for p in (tmp_path / "o" / "kept").iterdir()] == ["00000.jsonl.gz"]
    assert "nothing to do" in call(*arguments, "--format", "jsonl.gz").output
    result = CliRunner().invoke(main, ["check", str(tmp_path / "o")], prog_name="curation")
    assert result.exit_code == 0, result.output
