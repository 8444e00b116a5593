"""Table C.1 of constructed models, against figures worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.gpt3.dirty import overlap_table  # noqa: E402
from curation.gpt3.evaluate import evaluate, read_dirty  # noqa: E402
from curation.gpt3.scoring import Score  # noqa: E402

RIGHT = [0, 2, 4, 5, 7]  # of the ten questions, those that the second model answers


class Knows:
    """Stands in for `Reader`: prefers the right option of the questions in `known` alone."""

    window = 1000

    def __init__(self, known: Sequence[int]) -> None:
        self.known = {f"query{i}" for i in known}

    def tokens(self, text: str) -> int:
        return len(text.split())

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        return [
            Score(-1.0 if (context in self.known) == (option == " good") else -2.0, 1, False, False)
            for context, option in pairs
        ]

    def answer(self, contexts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        return ["good" if context in self.known else "bad" for context in contexts]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Ten questions: 0, 1 and 2 dirty, 3 too short to be looked for."""
    path = tmp_path / "copa.val.llmfoundry.jsonl"
    records = [{"query": f"query{i}", "choices": ["good", "bad"], "gold": 0} for i in range(10)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    folder = tmp_path / "run" / "decontaminate"
    folder.mkdir(parents=True)
    lines = [{"benchmark": "copa.val.llmfoundry", "id": str(i), "after": ["web"]} for i in range(3)]
    (folder / "dirty.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = [{"benchmark": "copa.val.llmfoundry", "n": 8, "short_ids": ["3"]}]
    (folder / "contamination.json").write_text(json.dumps(report))
    return tmp_path


def table(run: Path, known: Sequence[int]) -> dict[str, Any]:
    results = evaluate(Knows(known), run, dirty=read_dirty(run / "run"))
    return overlap_table(results)[0]


def test_a_model_that_is_right_on_dirty_examples_alone_loses_everything(run: Path) -> None:
    """3 of 10 right, none of the 6 clean ones: (0 - 0.3) / 0.3."""
    row = table(run, [0, 1, 2])
    assert (row["score"], row["dirty_score"], row["clean_score"]) == (0.3, 1.0, 0.0)
    assert (row["examples"], row["dirty"], row["clean"], row["unsearched"]) == (10, 3, 6, 1)
    assert row["clean_share"] == 0.6
    assert row["relative_difference"] == -1.0
    assert row["n"] == 8


def test_a_model_that_is_right_on_some_of_both(run: Path) -> None:
    """5 of 10 right, 3 of the 6 clean: no change. Without question 7: 0.4 and 2 of 6."""
    assert table(run, RIGHT)["relative_difference"] == 0.0
    row = table(run, RIGHT[:-1])
    assert row["relative_difference"] == pytest.approx((2 / 6 - 0.4) / 0.4, abs=1e-3)
    assert table(run, [4, 5, 6, 7, 8, 9])["relative_difference"] == pytest.approx(2 / 3, abs=1e-3)


def test_a_model_that_is_never_right_has_no_difference(run: Path) -> None:
    assert table(run, [])["relative_difference"] is None


def test_the_dirtiest_set_comes_first_and_the_others_are_left_out() -> None:
    def result(task: str, clean: int) -> dict[str, Any]:
        score = {"value": 0.5, "low": 0.4, "high": 0.6}
        side = {"examples": clean, "score": score}
        return {"task": task, "examples": 10, "score": score, "clean": side, "dirty": {}}

    rows = overlap_table([result("a", 9), result("b", 2), {"task": "c", "examples": 10}])
    assert [row["task"] for row in rows] == ["b", "a"]
