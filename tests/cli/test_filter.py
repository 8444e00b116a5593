"""`curation filter` on a user's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
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
