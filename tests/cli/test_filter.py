"""`curation filter` on a user's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from curation.cli import main

LINE = "Each evening the keeper wrote to orla@finch-lamps.org what had happened on the river. "
ROWS = [
    {"name": "long", "text": LINE * 3, "words": "mine", "nested": {"a": [1, 2]}},
    {"name": "short", "text": "Too few.", "words": "mine", "nested": {"a": []}},
]


def test_kept_and_removed_have_the_signals_as_columns(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "run"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    options = ["--drop", "few_words", "words < 5", "--mask", "email", "E-MAIL"]
    done = CliRunner().invoke(
        main,
        ["filter", str(file), *options, "--id-column", "name", "--out", str(out), "--workers", "1"],
    )
    assert done.exit_code == 0, done.output
    (kept,) = pq.read_table(out / "kept").to_pylist()
    (removed,) = pq.read_table(out / "removed").to_pylist()
    assert kept["name"] == "long"
    assert kept["text"] == (LINE * 3).strip().replace("orla@finch-lamps.org", "E-MAIL") or (
        kept["text"] == (LINE * 3).replace("orla@finch-lamps.org", "E-MAIL")
    )
    assert len(kept["email"]) == 3
    assert kept["input_words"] == "mine"  # the column of that name is the signal's
    assert kept["nested"] == {"a": [1, 2]}
    assert (removed["name"], removed["reason"], removed["fired"]) == (
        "short",
        "few_words",
        ["few_words"],
    )
    assert removed["text"] == "Too few."
    assert removed["words"] < 5


def test_a_signal_of_ones_own_is_a_column_that_rules_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    Path("mine.py").write_text(
        "import pyarrow.compute as pc\n\ndef stops(batch):\n"
        "    return pc.count_substring(batch.column('text'), '.')\n"
    )
    options = ["--signals", "mine.py:stops", "--drop", "few_stops", "stops < 2"]
    done = CliRunner().invoke(
        main, ["filter", "in.jsonl", *options, "--id-column", "name", "--out", "run"]
    )
    assert done.exit_code == 0, done.output
    (kept,) = pq.read_table("run/kept").to_pylist()
    (removed,) = pq.read_table("run/removed").to_pylist()
    assert (kept["name"], kept["stops"]) == ("long", 6.0)
    assert (removed["name"], removed["reason"], removed["stops"]) == ("short", "few_stops", 1.0)


BROKEN = """
import numpy as np, pyarrow as pa, pyarrow.compute as pc
def raises(batch):
    raise ValueError("no model here")
def raises_later(batch):
    return pa.array([1 // ("Too" not in text) for text in batch["text"].to_pylist()])
def short(batch):
    return pa.array([1.0])
def writes(batch):
    np.frombuffer(batch["text"].buffers()[2], np.uint8)[0] = 65
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--signals", "broken.py:raises"], "no model here on row 0 of the example documents"),
        (["--signals", "broken.py:raises_later"], "input/00000: signal"),
        (["--signals", "broken.py:raises_later"], "integer division or modulo by zero on row 1"),
        (["--signals", "broken.py:short"], "8 values expected, got 1 (on rows 0 to 7 of the"),
        (["--signals", "broken.py:writes"], "read-only on row 0 of the example documents"),
        (["--signals", "imports.py:s"], "a signal's file imports installed packages only"),
        (["--signals", "nowhere:s"], "no file nowhere.py beside the recipe"),
        (["--block-lists", "nowhere", "--drop", "b", "blocked_domain"], "nowhere: no such file"),
        (["--block-lists", "empty", "--drop", "b", "blocked_domain"], "got no entry in it"),
        (["--block-lists", "page", "--drop", "b", "blocked_domain"], "a page about an error?"),
        (["--drop", "sum", "words + 1"], "a Boolean expected, such as words < 50, got BIGINT"),
    ],
)
def test_what_is_broken_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    Path("broken.py").write_text(BROKEN)
    Path("imports.py").write_text("import not_there_at_all\n")
    Path("empty").write_text("# nothing\n")
    Path("page").write_text("<html><body>\n<h1>Not Found</h1>\n</body></html>\n")
    done = CliRunner().invoke(main, ["filter", "in.jsonl", *options, "--out", "run"])
    assert done.exit_code == 1
    (error,) = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert message in error
    assert "Traceback" not in done.output


def test_a_rule_that_takes_nearly_everything_is_named(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "run"
    file.write_text("".join(json.dumps({"text": f"Number {i}."}) + "\n" for i in range(1000)))
    options = ["--drop", "few", "words < 9", "--out", str(out), "--workers", "1"]
    done = CliRunner().invoke(main, ["filter", str(file), *options])
    assert done.exit_code == 1
    assert "the rule few removes 100.0 % of input" in done.output
    done = CliRunner().invoke(main, ["filter", str(file), *options, "--alarm", "warn", "--update"])
    assert done.exit_code == 0, done.output


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps(ROWS[0]) + "\n")
    for options, message in (
        (["--rules", "finweb"], "did you mean 'fineweb'?"),
        (["--drop", "few", "wordz < 5"], "did you mean 'words'?"),
        (["--mask", "emial", "x"], "did you mean 'email'?"),
        (["--drop", "few", "words <"], "syntax error"),
        (["--drop", "few", "1 = 1"], "an expression that reads a column expected"),
        (["--drop", "few", "random() < words"], "not the same at every run"),
        (["--drop", "few", "topic = 'a'"], "extra.topic"),
        (["--drop", "gopher_few_words", ""], "the name of a rule of the sets"),
        ([], "--rules, --drop, --signals or --mask expected"),
    ):
        done = CliRunner().invoke(
            main, ["filter", str(file), *options, "--out", str(tmp_path / "o")]
        )
        assert done.exit_code == 1
        assert message in done.output
        assert "Traceback" not in done.output


@pytest.mark.parametrize(("option", "first"), [("--mask", "email"), ("--drop", "few")])
def test_an_option_is_no_second_value(tmp_path: Path, option: str, first: str) -> None:
    done = CliRunner().invoke(main, ["filter", "in.jsonl", option, first, "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{option} takes " in done.output
    assert f"got {first!r} alone before --out" in done.output


def test_a_refused_rule_leaves_no_folder_and_an_empty_result_is_warned_of(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "run"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    command = ["filter", str(file), "--id-column", "name", "--workers", "1", "--out", str(out)]
    done = CliRunner().invoke(main, [*command, "--drop", "few", "nosuch < 5"])
    assert done.exit_code == 1
    assert not out.exists()
    out.mkdir()  # one that the user made stays
    assert CliRunner().invoke(main, [*command, "--drop", "few", "nosuch < 5"]).exit_code == 1
    assert out.exists()
    done = CliRunner().invoke(main, [*command, "--drop", "few", "words >= 0"])
    assert done.exit_code == 0
    said = "! filter: nothing of input is kept, all of its 2 documents are removed (most as few)"
    assert said in done.output
