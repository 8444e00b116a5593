"""`curation STEP -`: rows from stdin, kept rows to stdout, messages to stderr."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from curation.cli import main, streams

TEXT = "Each evening the keeper wrote to orla@finch-lamps.org what had happened on the river."
ROWS = [
    {"id": 7, "text": TEXT, "nested": {"a": [1, 2]}},
    {"id": 8, "text": TEXT, "nested": {"b": None}},
    {"id": 9, "text": "Too few.", "nested": {}},
]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
PAGE = f"<!DOCTYPE html><html><body><article><p>{TEXT * 3}</p></article></body></html>".encode()


def call(data: bytes, *arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), input=data)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_rows_go_through_each_step_with_their_own_values(tmp_path: Path) -> None:
    assert rows(call(LINES, "extract", "-")) == [
        {"id": 7, "text": TEXT, "nested": {"a": [1, 2]}},
        {"id": 8, "text": TEXT, "nested": {}},
        {"id": 9, "text": "Too few.", "nested": {}},
    ]
    deduplicated = call(LINES, "dedup", "-")
    assert rows(deduplicated) == [{**ROWS[0], "cluster_size": 2}, {**ROWS[2], "cluster_size": 1}]
    assert deduplicated.stderr == "3 records, 2 kept; removed: 1 exact_duplicate\n"
    options = ["--drop", "few", "words < 5", "--mask", "email", "E-MAIL"]
    filtered = rows(call(LINES, "filter", "-", *options))
    assert [row["id"] for row in filtered] == [7, 8]
    assert filtered[1]["text"] == TEXT.replace("orla@finch-lamps.org", "E-MAIL")
    assert filtered[1]["nested"] == {"b": None}
    benchmark = tmp_path / "b.jsonl"
    benchmark.write_text(json.dumps({"q": TEXT}) + "\n")
    left = rows(call(LINES, "decontaminate", "-", "--benchmarks", str(benchmark)))
    assert left == [{**ROWS[2], "piece": 0}]  # of the others no piece is left


def test_scores_are_those_of_the_command_with_a_directory(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "out"
    file.write_bytes(LINES)
    scored = rows(call(LINES, "classify", "-", "--alpha", "0.02"))
    done = call(b"", "classify", str(file), "--alpha", "0.02", "--out", str(out), "--workers", "1")
    assert done.exit_code == 0, done.output
    expected = {row["id"]: row["quality"] for row in pq.read_table(out / "kept").to_pylist()}
    assert {row["id"]: row["quality"] for row in scored} == expected
    assert len(expected) == 3
    assert rows(call(b"", "classify", str(file), "--alpha", "0.02")) == scored


@pytest.mark.parametrize("packed", [False, True])
def test_what_comes_says_what_it_is(packed: bool) -> None:
    pack = partial(gzip.compress, mtime=0) if packed else bytes  # the same at any second
    assert len(rows(call(pack(LINES), "extract", "-"))) == 3
    (page,) = rows(call(pack(b"\xef\xbb\xbf \n" + PAGE), "extract", "-"))
    assert (page["url"], page["text"].startswith("Each evening")) == (streams.PAGE_URL, True)
    assert page == rows(call(pack(b"\xef\xbb\xbf \n" + PAGE), "extract", "-"))[0]
    table = io.BytesIO()
    pq.write_table(pa.table({"id": ["p"], "text": [TEXT]}), table)
    assert rows(call(table.getvalue(), "extract", "-")) == [{"id": "p", "text": TEXT}]


def test_a_page_that_is_named_text_is_text() -> None:
    (row,) = rows(call(PAGE, "extract", "-", "--dataset-set", "format=text"))
    assert row["text"] == PAGE.decode()


def test_with_a_directory_the_input_is_kept_beside_the_run(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    for _ in range(2):  # the same again goes on
        done = call(LINES, "dedup", "-", "--out", out, "--workers", "1")
        assert done.exit_code == 0, done.output
    assert call(b"", "check", out).exit_code == 0
    (kept,) = (tmp_path / "run/downloads/input").glob("stdin-*.jsonl")
    assert kept.read_bytes() == LINES
    other = b'{"id": "z", "text": "something else"}\n'
    refused = call(other, "dedup", "-", "--out", out, "--workers", "1")
    assert refused.exit_code == 1
    assert "add --update" in refused.stderr
    again = call(other, "dedup", "-", "--out", out, "--workers", "1", "--update")
    assert again.exit_code == 0, again.output
    assert pq.read_table(tmp_path / "run/kept").column("id").to_pylist() == ["z"]
    assert kept.read_bytes() == LINES
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    refused = call(LINES, "dedup", "-", "--out", str(tmp_path / "other"))
    assert refused.exit_code == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("data", "arguments", "code", "message"),
    [
        (b"", ["extract", "-"], 1, "stdin: rows or a page expected, got nothing"),
        (LINES, ["extract", "-", "-"], 2, "- (stdin) is named twice"),
        (LINES, ["dedup", "-", "--json"], 2, "--json goes with --out"),
        (LINES, ["dedup", "-", "--update"], 2, "--update goes with --out"),
        (LINES, ["dedup", "-", "--format", "parquet"], 2, "--format goes with --out"),
        (LINES, ["tokenize", "-"], 2, "Missing option '--out'"),
        (b'{"id": 1}\n', ["dedup", "-"], 1, ".jsonl"),
        (b'{"body": "x"}\n', ["dedup", "-", "--text-column", "txt"], 1, "txt"),
        (b"PAR1 junk", ["dedup", "-"], 1, "not a Parquet file"),
        (b"\x1f\x8bjunk", ["dedup", "-"], 1, "1 undecodable; --out DIR keeps the rejects"),
    ],
)
def test_bad_input_is_one_sentence_and_prints_no_row(
    data: bytes, arguments: list[str], code: int, message: str
) -> None:
    result = call(data, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_size_of_stdin_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_STDIN_BYTES", len(LINES) - 1)
    result = call(LINES, "extract", "-")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "write them to a file and name that" in result.stderr


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    many = b"".join(b'{"id":%d,"text":"row %d of many"}\n' % (n, n) for n in range(20_000))
    with subprocess.Popen(
        [sys.executable, "-m", "curation", "extract", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(many)
        child.stdin.close()
        assert json.loads(child.stdout.readline()) == {"id": 0, "text": "row 0 of many"}
        child.stdout.close()
        said = child.stderr.read().decode()
        assert child.wait(60) == 141  # 128 and SIGPIPE, as of other programs
    assert said == "20,000 records, 20,000 kept\n"


def test_further_keys_of_a_dataset() -> None:
    first = call(LINES, "extract", "-", "--dataset-set", "first_pages=1")
    assert [row["id"] for row in rows(first)] == [7]
    german = 'input.languages=["de"]'
    refused = call(LINES, "dedup", "-", "--dataset-set", german)
    assert "of 3 records 3 language" in refused.stderr
    for text, message in (
        ("first_page=1", "did you mean 'first_pages'?"),
        ("role=crawl", "no such key of an input"),
        ("other.format=text", "one of input, against expected"),
        ("first_pages", "KEY=VALUE expected"),
        ("first_pages=", "KEY=VALUE expected"),
        ("first_pages=-1", "first_pages"),
        ("format=tabel", "format"),
    ):
        refused = call(LINES, "dedup", "-", "--dataset-set", text)
        assert refused.exit_code in (1, 2)
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
