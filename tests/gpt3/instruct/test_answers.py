from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from word_encoding import WordEncoding

from curation.errors import InputError
from curation.gpt3.instruct import answers
from curation.gpt3.instruct.data import Prompt, read_rankings
from curation.gpt3.instruct.labeler import rule_named

Make, Write = Callable[..., Path], Callable[..., Path]
TEXTS = ["river.", "a river", "Nile", "of of of"]


def test_letters_become_ranks() -> None:
    assert answers.ranks_of("b a", 2) == [2, 1]
    assert answers.ranks_of("D,c,b,a", 4) == [4, 3, 2, 1]
    for order in ("", "ab", "abb", "abcd", "abz"):
        with pytest.raises(InputError, match="each of the letters a to c once expected"):
            answers.ranks_of(order, 3)


def test_a_file_of_rankings_goes_on_where_it_stopped(write_lines: Write, tmp_path: Path) -> None:
    prompts = write_lines("p.jsonl", *({"prompt": text} for text in ("a", "b", "b", "c")))
    out = tmp_path / "ranked.jsonl"
    assert [p.prompt for p in answers.waiting(prompts, out)] == ["a", "b", "c"]
    answers.append(out, [answers.ranking_row("b", ["x", "y"], [2, 1])])
    answers.append(out, [answers.ranking_row("a", ["x", "y"], [1, 2])])
    assert [p.prompt for p in answers.waiting(prompts, out)] == ["c"]
    rows = read_rankings(out)
    assert [(r.prompt, r.ranks, r.by) for r in rows] == [
        ("b", (2, 1), "a person"),
        ("a", (1, 2), "a person"),
    ]
    with pytest.raises(InputError, match="ties"):
        answers.append(out, [answers.ranking_row("c", ["x", "y"], [1, 1])])
    assert len(read_rankings(out)) == 2


def test_simulated_rankings_say_what_they_are_and_have_the_agreement() -> None:
    prompts = [Prompt(f"name a river {n}", "here") for n in range(300)]
    found = answers.simulated(lambda p: TEXTS, prompts, rule_named("brief"), 0.73, 5)
    assert "simulated labeler (rule brief), not a person" in found.text
    assert "73.0 %" in found.text
    assert found.skipped == 0
    for row in found.rows:
        assert row["by"] == "simulated labeler (rule brief)"
        assert row["rule"] == found.text
        assert sorted(row["ranking"]) == [1, 2, 3, 4]
        assert row["scores"] == [rule_named("brief").score(row["prompt"], t) for t in TEXTS]
    again = answers.simulated(lambda p: TEXTS, prompts, rule_named("brief"), 0.73, 6)
    same = [
        np.sign(np.subtract.outer(a["ranking"], a["ranking"]))
        == np.sign(np.subtract.outer(b["ranking"], b["ranking"]))
        for a, b in zip(found.rows, again.rows, strict=True)
    ]
    pairs = np.array(same)[:, *np.triu_indices(4, 1)]
    assert abs(pairs.mean() - 0.73) < 0.05


def test_prompts_with_one_answer_are_skipped_or_refused() -> None:
    prompts = [Prompt("name", "here"), Prompt("a river", "here")]
    rule = rule_named("brief")
    found = answers.simulated(
        lambda p: TEXTS[: len(p.prompt) - 3], prompts, rule, 0.6, 0
    )  # one answer to `name`
    assert (found.skipped, len(found.rows)) == (1, 1)
    with pytest.raises(InputError, match="nothing to rank"):
        answers.simulated(lambda p: TEXTS[:1], prompts, rule, 0.6, 0)


def test_a_sampler_gives_answers_that_differ_and_the_same_again(
    make_checkpoint: Make, encoding: WordEncoding
) -> None:
    base = make_checkpoint("sft", kind="sft", separator="\n")
    sampler = answers.open_sampler(base, 9, 8, 1.0, 0, "cpu", encoding)
    found = sampler.answers(Prompt("name a river?", "here"))
    assert len(found) == len(set(found)) == 9
    assert found == sampler.answers(Prompt("name a river?", "elsewhere"))
    assert found != sampler.answers(Prompt("name a peak?", "here"))
    with pytest.raises(InputError, match="here: the prompt has 12 tokens"):
        sampler.answers(Prompt("the " * 11, "here"))
