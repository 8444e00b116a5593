"""Two runs compared: fates, texts, and what one of them never had."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.inspect.evidence.fates import shard_fates
from curation.inspect.evidence.two_runs import Change, two_runs

WORDS = [
    "each",
    "evening",
    "the",
    "keeper",
    "of",
    "the",
    "lamps",
    "wrote",
    "down",
    "what",
    "had",
    "happened",
    "on",
    "the",
    "river",
]
ROWS = [{"id": f"d{i}", "text": " ".join(WORDS[i:] + WORDS[:i]) + f" {i}."} for i in range(8)]
COPY = [{"id": "copy", "text": ROWS[0]["text"]}]
STAGES = ["extract", "dedup", "tokenize"]


@pytest.fixture
def runs(run_recipe: Callable[..., Any], tmp_path: Any) -> tuple[Any, Any]:
    """A: with dedup, and one document more. B: without, one text changed, one row without text."""
    a = run_recipe({"web": ROWS + COPY}, {"stages": STAGES}, out="a")
    (tmp_path / "web.jsonl").unlink()
    changed = [{**row, "text": row["text"].replace("river", "brook")} for row in ROWS[1:2]]
    rows = [ROWS[0], *changed, *ROWS[2:7], {"id": "d7", "text": None}, *COPY]
    b = run_recipe({"web": rows}, {"stages": ["extract", "tokenize"]}, out="b")
    return a, b


def test_each_document_has_one_fate(runs: tuple[Any, Any]) -> None:
    (rundir, plan), _ = runs
    table = shard_fates(rundir, plan.shards[0]).to_pylist()
    fates = {row["id"]: row["fate"] for row in table}
    assert sorted((fates.pop("d0"), fates.pop("copy"))) == ["dedup: exact_duplicate", "kept"]
    assert set(fates.values()) == {"kept"}
    assert [row["id"] for row in table] == [*(f"d{i}" for i in range(8)), "copy"]


def test_fates_texts_and_settings_are_compared(runs: tuple[Any, Any]) -> None:
    comparison = two_runs(*runs)
    rows = shard_fates(runs[0][0], runs[0][1].shards[0]).to_pylist()
    (removed,) = [row["id"] for row in rows if row["fate"] != "kept"]
    assert comparison.kept == (8, 8, 7)
    assert comparison.text_changed == 1
    assert comparison.differing() == [
        Change("web", "dedup: exact_duplicate", "kept", 1, 0, [removed], [""]),
        Change("web", "kept", "extract: missing_text", 1, 0, ["d7"], [""]),
    ]
    assert any(line.startswith("stages: ") for line in comparison.settings)


def test_the_other_way_round_is_the_mirror(runs: tuple[Any, Any]) -> None:
    there, back = two_runs(*runs), two_runs(*reversed(runs))
    swapped = {(c.dataset, c.after, c.before, c.documents) for c in back.changes}
    assert {(c.dataset, c.before, c.after, c.documents) for c in there.changes} == swapped


def test_a_run_does_not_differ_from_itself(runs: tuple[Any, Any]) -> None:
    comparison = two_runs(runs[0], runs[0])
    assert not comparison.differing()
    assert not comparison.settings
    assert comparison.kept == (8, 8, 8)


def test_the_command_shows_examples_and_gives_json(runs: tuple[Any, Any]) -> None:
    folders = [rundir.out for rundir, _ in runs]
    shown = CliRunner().invoke(main, ["diff", *folders])
    assert shown.exit_code == 0, shown.output
    for text in ("8 in A, 8 in B, 7 in both", "dedup: exact_duplicate", "+brook+", "-river-"):
        assert text in shown.output
    assert "more kinds" not in shown.output
    data = json.loads(CliRunner().invoke(main, ["diff", *folders, "--json"]).output)
    assert data["kept"] == [8, 8, 7]
    only = CliRunner().invoke(main, ["diff", *folders, "--fate", "dedup: exact_duplicate"])
    assert "missing_text" not in only.output
