"""`--json`: the figures that a table shows, for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.rundir.schema import REASONS

TEXT = " ".join(f"The ferry of day {n} turns at noon and the tide turns with it." for n in range(9))
OPTIONS = ["--workers", "1"]


def call(*arguments: str) -> Any:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """A run of three documents, of which two are alike, and what the command printed."""
    folder = tmp_path_factory.mktemp("json")
    texts = [TEXT, TEXT, "something else\x9b altogether, in a few words"]
    rows = [{"id": f"d{n}", "text": text, "url": f"http://a/{n}"} for n, text in enumerate(texts)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = str(folder / "run")
    return run, call("dedup", str(folder / "in.jsonl"), "--out", run, "--json", *OPTIONS)


def test_a_step_prints_its_funnel(made: tuple[str, Any]) -> None:
    run, shown = made
    assert shown["run"] == run
    total = next(flow for flow in shown["funnel"] if flow["dataset"] == "total")
    lines = {(line["stage"], line["outcome"]): line["documents"] for line in total["lines"]}
    assert lines["dedup", "in"] == 3
    assert lines["dedup", "kept"] == 2
    assert lines["dedup", "exact_duplicate"] == 1
    assert isinstance(shown["warnings"], list)


def test_looking_commands_print_what_they_found(made: tuple[str, Any]) -> None:
    run, _ = made
    (cluster,) = call("clusters", run, "--json")
    assert (cluster["documents"], cluster["kept"]["text"][:9]) == (1, "The ferry")
    (removed,) = call("sample", run, "--stage", "dedup", "--json")
    assert removed["evidence"]["reason"] == "exact_duplicate"
    assert call("sample", run, "--dataset", "input", "-n", "1", "--json")[0]["dataset"] == "input"
    explained = call("explain", run, removed["id"], "--json")
    (document,) = explained["documents"]
    assert document["duplicate"]["kept_id"] == cluster["kept"]["id"]
    assert document["document"]["columns"]["id"] == removed["id"]
    assert explained["rejects"] == []
    checks = call("check", run, "--json")
    assert checks
    assert all(check["problems"] == [] for check in checks)
    assert call("diff", run, run, "--json")
    assert call("reasons", "stub", "--json") == {"stub": REASONS["stub"]}
    assert call("reasons", "--json") == REASONS


def test_a_plan_as_json(made: tuple[str, Any]) -> None:
    assert call("dedup", made[0], "--plan", "--json", *OPTIONS)["documents"] == 3


def test_controls_of_texts_are_escaped(made: tuple[str, Any]) -> None:
    run, _ = made
    shown = CliRunner().invoke(main, ["explain", run, "d2", "--json"]).stdout
    assert "\\u009b" in shown
    assert "\x9b" not in shown
    assert "\x9b" in json.loads(shown)["documents"][0]["text"]


def test_what_is_not_there_is_still_a_sentence(made: tuple[str, Any]) -> None:
    run, _ = made
    for arguments in (["explain", run, "nobody"], ["alpha", run], ["contamination", run]):
        done = CliRunner().invoke(main, [*arguments, "--json"])
        assert (done.exit_code, done.stdout) == (1, "")


def test_the_shipped_model_as_json(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "a", "text": TEXT}) + "\n")
    run = str(tmp_path / "run")
    call("classify", str(tmp_path / "in.jsonl"), "--out", run, "--json", *OPTIONS)
    assert call("model", run, "--json")["kind"]
    assert call("alpha", run, "--json") is not None


def test_the_plan_of_a_mixture_and_an_export(made: tuple[str, Any], tmp_path: Path) -> None:
    run, _ = made
    tokens = str(tmp_path / "tokens")
    assert call("tokenize", run, "--out", tokens, "--json", *OPTIONS)["run"] == tokens
    (row,) = call("mix", f"web={tokens}", "--plan", "--json")
    assert (row["dataset"], row["epochs"]) == ("web", 1)
    assert row["tokens"] + row["validation_tokens"] > 0
    mixed = call("mix", f"web={tokens}", "--out", str(tmp_path / "mixed"), "--json", *OPTIONS)
    assert mixed["warnings"] == []
    folder = str(tmp_path / "text")
    written = call("export", run, "--format", "jsonl.zst", "--out", folder, "--json", *OPTIONS)
    assert (written["out"], written["documents"]) == (folder, 2)
