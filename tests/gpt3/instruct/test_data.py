from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from word_encoding import WordEncoding

from curation.errors import InputError
from curation.gpt3.instruct.data import (
    Coder,
    labelers,
    read_demonstrations,
    read_prompts,
    read_rankings,
)

Write = Callable[..., Path]
CODER = Coder(WordEncoding(), 0, "\n", 16)


def test_files_are_read_in_their_order(write_lines: Write) -> None:
    demonstrations = write_lines(
        "d.jsonl", {"prompt": "p", "response": "r"}, "", {"prompt": "q", "response": "s", "x": 1}
    )
    assert [(d.prompt, d.response) for d in read_demonstrations(demonstrations)] == [
        ("p", "r"),
        ("q", "s"),
    ]
    assert [p.prompt for p in read_prompts(demonstrations)] == ["p", "q"]
    row = {"prompt": "p", "responses": ["a", "b", ""], "ranking": [3, 1, 2]}
    rankings = read_rankings(write_lines("r.jsonl", row, {**row, "by": "simulated labeler"}))
    assert (rankings[0].responses, rankings[0].ranks) == (("a", "b", ""), (3, 1, 2))
    assert labelers(rankings) == ["a person", "simulated labeler"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"responses": ["a", "b"], "ranking": [1, 1]}, "several answers have rank 1; ties"),
        ({"responses": ["a"], "ranking": [1]}, "1 answers cannot be compared"),
        ({"responses": [], "ranking": []}, "0 answers cannot be compared"),
        ({"responses": ["a", "b"], "ranking": [0, 1]}, "a rank from 1"),
        ({"responses": ["a", "b"], "ranking": [1, 2, 3]}, "a rank from 1"),
        ({"responses": ["a", "b"], "ranking": [1.0, 2]}, "a rank from 1"),
        ({"responses": ["a", "b"], "ranking": [True, 2]}, "a rank from 1"),
        ({"responses": ["a", 3], "ranking": [1, 2]}, "up to 100 responses"),
        ({"responses": ["a"] * 101, "ranking": [1]}, "up to 100 responses"),
        ({"responses": "ab", "ranking": [1, 2]}, "expected; got"),
        ({"responses": ["a", "b"]}, "expected; got"),
    ],
)
def test_a_bad_ranking_is_one_sentence_with_its_line(
    write_lines: Write, row: dict[str, object], words: str
) -> None:
    path = write_lines("r.jsonl", "", {"prompt": "p", **row})
    with pytest.raises(InputError, match=words) as caught:
        read_rankings(path)
    assert f"{path}, line 2: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["{", "[1]", '{"prompt": 3}', '{"prompt": " "}', '{"prompt": "p", "response": ""}']
)
def test_what_is_no_demonstration_is_said_with_its_line(write_lines: Write, line: str) -> None:
    with pytest.raises(InputError, match=r"line 1: .*`prompt` and `response`|line 1: not JSON"):
        read_demonstrations(write_lines("d.jsonl", line))


def test_an_empty_file_is_said(write_lines: Write) -> None:
    with pytest.raises(InputError, match="has no prompts in it"):
        read_prompts(write_lines("p.jsonl", ""))


def test_tokens_are_prompt_separator_answer_and_end() -> None:
    found = CODER.answered("name a river?", "Nile.", "here")
    assert CODER.encoding.decode(found.ids[: found.prompt]) == "name a river?\n"
    assert CODER.text(found.ids[found.prompt :]) == "Nile."
    assert found.ids[-1] == 0


def test_the_context_is_the_limit_to_the_token() -> None:
    # Prompt and separator are 3 tokens, the end is one: 12 are left of 16.
    assert len(CODER.answered("a river", "the " * 12, "here").ids) == 16
    with pytest.raises(InputError, match=r"here: prompt \(3 tokens\), response \(13\).* 16 tokens"):
        CODER.answered("a river", "the " * 13, "here")
    assert len(CODER.prompt("the " * 11, "here", 4)) == 12
    with pytest.raises(InputError, match="here: the prompt has 13 tokens"):
        CODER.prompt("the " * 12, "here", 4)
