"""The generators: a rule that solves each of them, uniform operands, the form of OpenAI's files."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from scipy import stats

from curation.errors import InputError
from curation.gpt3.evaluation import synthetic
from curation.gpt3.tasks import ARITHMETIC, WORDS, examples, find_tasks

LIST = [
    "reciprocal", "dominant", "scanners", "defeat", "casino", "sticks", "volkswagen", "banana",
    "queue", "aaaaa", "abbbbbc", "succession", "inevitably", "corruption", "opponent", "objects",
]  # fmt: skip
BELOW = {"two": 100, "three": 1000, "four": 10_000, "five": 100_000, "six": 1_000_000}


def solved(context: str) -> int:
    """The answer to a question, worked out from its words."""
    asked = re.fullmatch(r"\n\nQ: What is (.+)\?\n\nA:", context)
    assert asked
    text = asked[1]
    if digits := re.fullmatch(r"the sum of the digits of the number (\d+)", text):
        return sum(int(digit) for digit in digits[1])
    for word, sign in (("plus", "+"), ("minus", "-"), ("times", "*")):
        text = text.replace(word, sign)
    assert re.fullmatch(r"[0-9+*() -]+", text)
    return int(eval(text))


@pytest.mark.parametrize("name", ARITHMETIC)
def test_a_rule_solves_every_sum(name: str) -> None:
    records = synthetic.arithmetic(name, seed=3)
    assert len({record["context"] for record in records}) == 2000
    assert all(f" {solved(r['context'])}" == r["completion"] for r in records)


@pytest.mark.parametrize("name", [n for n in ARITHMETIC if n.split("_")[0] in BELOW])
def test_operands_are_uniform(name: str) -> None:
    """Chi-square over a hundred equal parts of the range, both operands, and of both together."""
    below = BELOW[name.split("_")[0]]
    numbers = [
        [int(n) for n in re.findall(r"\d+", record["context"])]
        for record in synthetic.arithmetic(name, seed=11, count=4000)
    ]
    for side in (0, 1):
        parts = Counter(pair[side] * 100 // below for pair in numbers)
        assert stats.chisquare([parts[i] for i in range(100)]).pvalue > 1e-4
    both = Counter((a * 6 // below, b * 6 // below) for a, b in numbers)
    edges = [sum(n * 6 // below == i for n in range(below)) / below for i in range(6)]
    wanted = [4000 * p * q for p in edges for q in edges]
    found = [both[i, j] for i in range(6) for j in range(6)]
    assert stats.chisquare(found, wanted).pvalue > 1e-4


def test_digits_and_operations_are_uniform() -> None:
    records = synthetic.arithmetic("single_digit_three_ops", seed=5, count=4000)
    forms = Counter(re.sub(r"\d", "d", record["context"]) for record in records)
    assert len(forms) == 9
    assert stats.chisquare(list(forms.values())).pvalue > 1e-4
    for place in range(3):
        digits = Counter(re.findall(r"\d", record["context"])[place] for record in records)
        assert len(digits) == 10
        assert stats.chisquare(list(digits.values())).pvalue > 1e-4


def test_the_chi_square_would_see_numbers_of_exactly_two_digits() -> None:
    """The commonest mistake: 10 to 99 instead of 0 to 99."""
    records = synthetic.arithmetic("two_digit_addition", seed=11, count=4000)
    first = [int(re.findall(r"\d+", record["context"])[0]) for record in records]
    parts = Counter(number for number in first if number >= 10)
    assert stats.chisquare([parts[i] for i in range(100)]).pvalue < 1e-9


def unscrambled(name: str, asked: str, word: str) -> bool:
    """Whether `asked` is `word` changed as the task says."""
    if name == "reversed_words":
        return asked == word[::-1]
    if name == "random_insertion_in_word":
        return asked[::2] == word and set(asked[1::2]) <= set(" .!/")
    if name == "cycle_letters_in_word":
        return asked in {word[i:] + word[:i] for i in range(1, len(word))}
    kept = 1 if name == "mid_word_1_anagrams" else 2
    ends = asked[:kept] == word[:kept] and asked[-kept:] == word[-kept:]
    middle = word[kept:-kept]
    return ends and sorted(asked) == sorted(word) and (asked != word or len(set(middle)) <= 1)


@pytest.mark.parametrize("name", WORDS)
def test_a_rule_finds_every_word(name: str) -> None:
    records = synthetic.scrambled(name, LIST, seed=3)
    assert [record["completion"] for record in records] == [" " + word for word in LIST]
    for record, word in zip(records, LIST, strict=True):
        asked = re.fullmatch(r"\n(.+) =", record["context"])
        assert asked
        assert unscrambled(name, asked[1], word)


def test_places_signs_and_orders_are_uniform() -> None:
    words = ["abcdefgh"] * 3000
    cycled = Counter(r["context"] for r in synthetic.scrambled("cycle_letters_in_word", words, 1))
    assert len(cycled) == 7
    assert stats.chisquare(list(cycled.values())).pvalue > 1e-4
    inserted = synthetic.scrambled("random_insertion_in_word", words, 1)
    signs = Counter(sign for r in inserted for sign in r["context"][2:-2:2])
    assert set(signs) == set(" .!/")
    assert stats.chisquare(list(signs.values())).pvalue > 1e-4
    moved = Counter(
        r["context"] for r in synthetic.scrambled("mid_word_2_anagrams", ["abcdefg"] * 1000, 1)
    )
    assert len(moved) == 5  # all orders of three letters but their own
    assert stats.chisquare(list(moved.values())).pvalue > 1e-4


def test_a_seed_makes_a_set() -> None:
    first, again, other = (
        synthetic.arithmetic("five_digit_addition", seed, 50) for seed in (1, 1, 2)
    )
    assert first == again
    assert not {r["context"] for r in first} & {r["context"] for r in other}
    assert synthetic.scrambled("mid_word_1_anagrams", LIST, 1) != synthetic.scrambled(
        "mid_word_1_anagrams", LIST, 2
    )


def test_more_questions_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="at most 4,500 questions expected, got 5,000"):
        synthetic.arithmetic("single_digit_three_ops", 0, 5000)


def test_words_come_from_a_text_or_a_list(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(
        "The river was wider than that river. Don't cross-check naïveté or rivers2 wider river"
    )
    assert list(synthetic.words_of(path)) == ["river", "wider"]
    path.write_text("\n".join(LIST))
    assert list(synthetic.words_of(path)) == LIST
    path.write_bytes(b"\xff of a ten 12345")
    with pytest.raises(InputError, match="words of 5 to 14 letters"):
        synthetic.words_of(path)


def test_the_vocabulary_has_enough_words() -> None:
    words = list(synthetic.vocabulary_words())
    assert len(words) > synthetic.MOST_WORDS
    assert {"there", "people", "government"} < set(words[:2000])
    assert all(re.fullmatch(r"[a-z]{5,14}", word) for word in words)


def test_evaluate_knows_the_files(tmp_path: Path) -> None:
    for name in ("two_digit_addition", "single_digit_three_ops"):
        synthetic.write(synthetic.arithmetic(name, 0, 3), tmp_path, name)
    synthetic.write(synthetic.scrambled("reversed_words", LIST, 0), tmp_path, "reversed_words")
    found = {task.name: examples(task, path) for task, path in find_tasks(tmp_path)}
    assert {name: len(rows) for name, rows in found.items()} == {
        "two_digit_addition": 3,
        "single_digit_three_ops": 3,
        "reversed_words": len(LIST),
    }
    assert found["reversed_words"][3].shown == "taefed = defeat"
