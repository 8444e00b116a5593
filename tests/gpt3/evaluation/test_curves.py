"""Curves over the number of shots: each as `evaluate` says it, none asked twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.gpt3.evaluation.curves import Plan, curves  # noqa: E402
from curation.gpt3.scoring import Score  # noqa: E402

UNSCRAMBLE = "Please unscramble the letters into a word, and write that word:\n"


class Shown:
    """Stands in for `Reader`: right where it was shown what to do, by words or by an example."""

    window = 1000

    def __init__(self) -> None:
        self.asked: list[str] = []

    def tokens(self, text: str) -> int:
        return len(text.split())

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        self.asked += [context for context, _ in pairs]
        return [Score(-float(len(option)), 1, False, False) for _, option in pairs]

    def answer(self, contexts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        self.asked += contexts
        return [
            context.removesuffix(" =").split("\n")[-1][::-1]
            if context.startswith(UNSCRAMBLE) or context.count("=") > 1
            else "?"
            for context in contexts
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = ["defeat", "objects", "victory", "casino"]
    lines = [{"context": f"\n{word[::-1]} =", "completion": f" {word}"} for word in words]
    (tmp_path / "gpt3_reversed_words.jsonl").write_text(
        "".join(json.dumps(x) + "\n" for x in lines)
    )
    choices = [{"query": f"q{i}", "choices": ["a", "bcd"], "gold": 0} for i in range(3)]
    (tmp_path / "copa.val.llmfoundry.jsonl").write_text(
        "".join(json.dumps(x) + "\n" for x in choices)
    )
    pair = [{"translation": {"de": f"Ja {i}", "en": f"Yes {i}"}} for i in range(3)]
    (tmp_path / "wmt16_de-en.test.jsonl").write_text("".join(json.dumps(x) + "\n" for x in pair))
    return tmp_path


def test_accuracy_over_k_with_and_without_a_description(folder: Path) -> None:
    plan = Plan([folder], ["reversed_words"], shots=(0, 1, 2), described=(True, False))
    results = curves(Shown(), plan, model="m", parameters=5)
    found = {(r["described"], r["shots_asked"]): r["accuracy"]["value"] for r in results}
    assert found == {
        (True, 0): 1.0, (True, 1): 1.0, (True, 2): 1.0,
        (False, 0): 0.0, (False, 1): 1.0, (False, 2): 1.0,
    }  # fmt: skip
    assert {(r["model"], r["parameters"]) for r in results} == {("m", 5)}


def test_what_has_no_description_is_asked_once(folder: Path) -> None:
    plan = Plan([folder], shots=(0, 1), described=(True, False))
    results = curves(Shown(), plan)
    asked = [(r["task"], r["described"], r["shots_asked"]) for r in results]
    assert len(asked) == len(set(asked))
    assert {a[1:] for a in asked if a[0] == "copa"} == {(True, 0), (True, 1)}
    # A translation is asked for in words without shots; with them both wordings are the same.
    assert {a[1:] for a in asked if a[0] == "translate_de_en"} == {
        (True, 0), (True, 1), (False, 0),
    }  # fmt: skip
    bare = curves(Shown(), Plan([folder], ["copa"], described=(False,)))
    assert [r["described"] for r in bare] == [False]


def test_contexts_are_those_of_the_wording(folder: Path) -> None:
    for described, start in ((True, UNSCRAMBLE), (False, "taefed =")):
        reader = Shown()
        curves(reader, Plan([folder], ["reversed_words"], described=(described,)))
        assert reader.asked[0].startswith(start)
    reader = Shown()
    curves(reader, Plan([folder], ["translate_de_en"], described=(True, False)))
    assert reader.asked[0] == "Q: What is the English translation of Ja 0 A:"
    assert reader.asked[3] == "Ja 0 ="
