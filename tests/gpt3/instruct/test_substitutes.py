"""Substitutes for demonstrations: pairs as the documents, questions and sums have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from curation.cli.tune import tune
from curation.gpt3.instruct.data import read_demonstrations, read_prompts
from curation.gpt3.instruct.substitutes import first_sentence, of_documents, titled

DOCUMENTS = [
    f"The mill at {name}\n\nIt was built in 18{n:02}. Nobody knows by whom.\nA second paragraph."
    for n, name in enumerate(
        ["Arbon", "Brenz", "Calw", "Dorn", "Elz", "Fils", "Gaden", "Horb", "Ilm", "Jagst", "Kocher"]
    )
]


def made(*arguments: object) -> Result:
    return CliRunner().invoke(tune, ["demonstrations", *map(str, arguments)])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def both(folder: Path) -> tuple[dict[str, str], set[str]]:
    """The demonstrations and the prompts, by the readers that `sft` and `ppo` use."""
    shown = {d.prompt: d.response for d in read_demonstrations(folder / "demonstrations.jsonl")}
    asked = {prompt.prompt for prompt in read_prompts(folder / "prompts.jsonl")}
    assert not set(shown) & asked
    for name in ("demonstrations.jsonl", "prompts.jsonl"):
        assert all("no person" in line["by"] for line in lines(folder / name))
    return shown, asked


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    rows = [{"id": str(n), "text": text} for n, text in enumerate(DOCUMENTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_titles_and_summaries(documents: Path, tmp_path: Path) -> None:
    assert made("titles", documents, "--out", tmp_path / "t").exit_code == 0
    shown, asked = both(tmp_path / "t")
    assert {*shown, *asked} == {text.partition("\n")[0] for text in DOCUMENTS}
    assert shown
    assert asked
    for prompt, response in shown.items():
        [whole] = [text for text in DOCUMENTS if text.startswith(prompt)]
        assert response == whole.split("\n\n")[1].partition(".")[0] + "."
    assert made("summaries", documents, "--out", tmp_path / "s").exit_code == 0
    shown, _ = both(tmp_path / "s")
    for prompt, response in shown.items():
        assert prompt.endswith("A second paragraph.\n\nTL;DR:")
        assert response.startswith("The mill at")
        assert response not in prompt


@pytest.mark.parametrize(
    ("paragraph", "sentence"),
    [
        ("He met J. Bach in 1720. Then he left.", "He met J. Bach in 1720."),
        ("“Come in!” she said. He did.", "“Come in!”"),
        ("It costs 3.50 a day. It did.", "It costs 3.50 a day."),
        ("no end", None),
        ("x" * 401 + ".", None),
        ("", None),
    ],
)
def test_the_first_sentence(paragraph: str, sentence: str | None) -> None:
    assert first_sentence(paragraph) == sentence


def test_a_document_without_a_title_gives_nothing() -> None:
    texts = ["One line", "A whole sentence stands first.\nMore.", "x" * 200 + "\nMore.", ""]
    assert [titled(text) for text in texts] == [None] * 4
    assert list(of_documents(texts, "titles")) == []


def test_questions_of_both_sets(tmp_path: Path) -> None:
    trivia = tmp_path / "trivia.jsonl"
    rows = [
        {"context": f"Question: Who kept lamp {n}?\nAnswer:", "answer": f"Orla {n}", "aliases": []}
        for n in range(6)
    ]
    trivia.write_text("".join(json.dumps(row) + "\n" for row in rows))
    web = tmp_path / "web.jsonl"
    web.write_text('{"qId": "1", "qText": "what is a sluice", "answers": ["a gate", "a door"]}\n')
    assert made("questions", trivia, web, "--out", tmp_path / "q").exit_code == 0
    shown, asked = both(tmp_path / "q")
    assert {*shown, *asked} == {f"Who kept lamp {n}?" for n in range(6)} | {"What is a sluice?"}
    for prompt, response in shown.items():
        assert response == ("a gate" if "sluice" in prompt else f"Orla {prompt[-2]}")


def test_sums_are_right_and_the_same_for_one_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / name
        assert made("arithmetic", "--out", out, "--count", 60, "--seed", seed).exit_code == 0
    shown, asked = both(tmp_path / "a")
    assert len(shown) + len(asked) == 60
    plus = [text.split() for text in shown if " plus " in text]
    assert plus
    for words in plus:
        total = int(words[2].replace(",", "")) + int(words[4].rstrip("?").replace(",", ""))
        assert int(shown[" ".join(words)].replace(",", "")) == total
    assert both(tmp_path / "b") == (shown, asked)
    assert both(tmp_path / "c") != (shown, asked)


def test_what_is_refused(documents: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        result = made(*arguments)
        assert result.exit_code != 0
        assert not isinstance(result.exception, KeyError)
        return f"{result.output} {result.exception}"

    assert "needs an INPUT" in error("titles", "--out", tmp_path / "x")
    assert "takes no INPUT" in error("arithmetic", documents, "--out", tmp_path / "x")
    assert "TriviaQA or WebQuestions expected" in error(
        "questions", documents, "--out", tmp_path / "x"
    )
    (tmp_path / "plain.txt").write_text("no title here.")
    assert "no titles found" in error("titles", tmp_path / "plain.txt", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert made("titles", documents, "--out", tmp_path / "x").exit_code == 0
    assert "there is such a file already" in error("titles", documents, "--out", tmp_path / "x")
