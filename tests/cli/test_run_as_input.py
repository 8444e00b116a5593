"""A run directory as INPUT of each step: the documents that it keeps, with the masks of `filter`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import curation
from curation.cli import main
from curation.errors import InputError
from curation.kernels.bpe import encoding

LINE = "Each evening the keeper wrote to orla@finch-lamps.org what had happened on the river. "
ROWS = [{"id": "mail", "text": LINE * 9, "n": 1}, {"id": "short", "text": "Too few.", "n": 2}]
STEPS = ["extract", "filter", "classify", "dedup", "decontaminate"]
MASKED = LINE.replace("orla@finch-lamps.org", "E-MAIL")


def call(*arguments: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--workers", "1"])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module", params=["step", "recipe"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of a step, which has kept/, and one of a recipe, which has decisions only."""
    folder = tmp_path_factory.mktemp("run")
    file, out = folder / "in.jsonl", str(folder / "run")
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    if request.param == "step":
        options = ["--drop", "few", "words < 5", "--mask", "email", "E-MAIL"]
        call("filter", str(file), *options, "--out", out)
        return out
    (folder / "recipe.toml").write_text(
        'stages = ["extract", "filter"]\n'
        f'[[dataset]]\nname = "web"\nrole = "crawl"\nfiles = ["{file}"]\n'
        '[filter]\nmask = { email = "E-MAIL" }\n'
        '[[filter.rule]]\nname = "few"\ndrop = "words < 5"\n'
    )
    call("run", str(folder / "recipe.toml"), "--out", out)
    return out


@pytest.mark.parametrize("command", [*STEPS, "tokenize"])
def test_help_says_what_a_run_means(command: str) -> None:
    text = " ".join(CliRunner().invoke(main, [command, "--help"]).output.split())
    assert "INPUT that is a run directory means what that run keeps" in text


@pytest.mark.parametrize("stage", STEPS)
def test_each_step_reads_what_stayed(stage: str, run: str, tmp_path: Path) -> None:
    options: dict[str, list[str]] = {
        "filter": ["--drop", "mailed", "email is not null and len(email) > 0"],
        "classify": ["--alpha", "0.02"],
        "decontaminate": ["--benchmarks", str(tmp_path / "b.jsonl")],
    }
    (tmp_path / "b.jsonl").write_text('{"q": "which river does not reach the sea at any time"}\n')
    shown: list[dict[str, Any]] = [
        json.loads(line) for line in call(stage, run, *options.get(stage, [])).splitlines()
    ]
    assert [(row["id"], row["text"].strip()) for row in shown] == [("mail", (MASKED * 9).strip())]
    assert shown[0]["n"] == 1


def test_tokens_are_of_the_masked_text(run: str, tmp_path: Path) -> None:
    out = tmp_path / "tokens"
    call("tokenize", run, "--out", str(out))
    (row,) = pq.read_table(out / "tokens" / "input").to_pylist()
    tokens = np.frombuffer(row["tokens"][0], "<u2")[:-1].tolist()
    assert encoding("gpt2").decode(tokens).strip() == (MASKED * 9).strip()


@pytest.mark.parametrize("form", ["same", "parquet"])
def test_names_of_columns_are_those_of_the_run(form: str, tmp_path: Path) -> None:
    """Rows go on under the names and with the values that the user gave them."""
    rows = [
        {"key": f"k{n}", "body": f"{LINE * 3}{n}", "link": f"http://a.example/{n}",
         "meta": {"tags": ["x"], "deep": {"n": n}}}
        for n in (1, 1, 2)
    ]  # fmt: skip
    rows[1]["key"] = "z"
    file, out = tmp_path / "in.jsonl", str(tmp_path / "run")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--text-column", "body", "--id-column", "key", "--url-column", "link"]
    call("dedup", str(file), *options, "--min-jaccard", "1", "--format", form, "--out", out)
    shown = [
        json.loads(line) for line in call("filter", out, "--drop", "few", "words < 5").splitlines()
    ]
    assert [{key: row[key] for key in rows[0]} for row in shown] == [rows[0], rows[2]]
    assert curation.read(out).table().column("key").to_pylist() == ["k1", "k2"]
    new = curation.dedup([rows[0]["body"], "quite another text"], against=out)
    assert new.removed.column("kept_id").to_pylist() == ["k1"]
    assert curation.dedup(out, min_jaccard=1).kept.column("key").to_pylist() == ["k1", "k2"]
    # A recipe that says nothing of columns has the documents under their usual names.
    recipe = {"stages": ["extract"], "dataset": [{"name": "again", "files": out}]}
    again = curation.run(recipe, out=tmp_path / "again", workers=1)
    rows_again = [row for batch in again.documents() for row in batch.to_pylist()]
    assert [(row["id"], row["text"]) for row in rows_again] == [
        (row["key"], row["body"]) for row in (rows[0], rows[2])
    ]


def test_a_folder_of_lines_and_tables_is_one_input(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", str(tmp_path / "run")
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    pq.write_table(pa.Table.from_pylist([ROWS[1]]), folder / "b.parquet")
    call("dedup", str(folder), "--format", "same", "--out", out)
    assert sorted(p.name for p in (tmp_path / "run" / "kept").iterdir()) == [
        "00000.jsonl",
        "00001.parquet",
    ]
    assert len(call("dedup", out).splitlines()) == 2


def test_documents_of_a_run_that_only_extracts(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", str(tmp_path / "run")
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    call("extract", str(file), "--out", out)
    shown = [json.loads(line) for line in call("dedup", out).splitlines()]
    assert [row["n"] for row in shown] == [1, 2]
    assert not {"content", "record_id", "extra", "date", "archive"} & shown[0].keys()


def test_lines_of_a_run_are_no_table(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", str(tmp_path / "run")
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    call("dedup", str(file), "--format", "same", "--out", out)
    run = curation.Run.open(out)
    assert "kept" not in run.tables()
    with pytest.raises(InputError, match=r"kept: lines of JSON.*curation\.read\("):
        run.table("kept")
