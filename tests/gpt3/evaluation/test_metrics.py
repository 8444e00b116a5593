"""Metrics against sacrebleu, SQuAD's script, and by hand."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from curation.gpt3.evaluation.metrics import (
    answer_row,
    apart,
    bleu,
    bleu_counts,
    bleu_tokens,
    exact,
    f1,
    metrics,
    referent,
    share,
)

WORDS = [
    "the", "A", "house", "of", "Bücher", "1,500.5", "3.", "co-operate", "1990-91", "U.S.", "it's",
    '"so"', "(he", "said)", "50%", "a/b", "C++", "&amp;", "$7.50", "…", "«oui»", "well,", "end.",
    "5-", "-6", "#1", "x@y.z", "[1]", "{}", "~", "^", "`a'", "don't", "10.000,00", "?!", "，",
]  # fmt: skip


def lines(count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences with signs of all kinds, and each with some words changed, dropped and moved."""
    generator = random.Random(seed)
    out = []
    for _ in range(count):
        right = [generator.choice(WORDS) for _ in range(generator.randint(1, 25))]
        said = [w if generator.random() < 0.8 else generator.choice(WORDS) for w in right]
        said = [w for w in said if generator.random() < 0.95]
        if generator.random() < 0.1:
            generator.shuffle(said)
        out.append((" ".join(said), " ".join(right)))
    return out


@pytest.mark.parametrize("count", [1, 3, 500])
def test_bleu_is_sacrebleus(count: int) -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="the extra `dev` is not installed")
    for seed in range(1 if count == 500 else 60):
        pairs = lines(count, seed)
        answers, references = map(list, zip(*pairs, strict=True))
        wanted = sacrebleu.corpus_bleu(answers, [references]).score
        rows = [bleu_counts(answer, [right]) for answer, right in pairs]
        assert 100 * bleu(rows) == pytest.approx(wanted, abs=1e-9)


def test_bleu_of_two_references_is_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="the extra `dev` is not installed")
    pairs, others = lines(100, 7), lines(100, 8)
    answers = [answer for answer, _ in pairs]
    references = [[right for _, right in pairs], [right for _, right in others]]
    rows = [bleu_counts(a, both) for a, *both in zip(answers, *references, strict=True)]
    assert 100 * bleu(rows) == pytest.approx(sacrebleu.corpus_bleu(answers, references).score)


def test_words_are_split_as_sacrebleu_does() -> None:
    tokenizer = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    for text, _ in lines(300, 3):
        assert bleu_tokens(text) == tokenizer(text).split()


def squad_f1(said: str, right: str) -> float:
    """The rule of SQuAD's script, word by word."""

    def words(text: str) -> list[str]:
        kept = "".join(c for c in text.lower() if c not in r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""")
        return [word for word in re.split(r"\s+", kept) if word not in ("a", "an", "the", "")]

    ours, left = words(said), words(right)
    if not ours or not left:
        return float(ours == left)
    wanted, same = len(left), 0
    for word in ours:
        if word in left:
            left.remove(word)
            same += 1
    if not same:
        return 0.0
    precision, recall = same / len(ours), same / wanted
    return 2 * precision * recall / (precision + recall)


def test_f1_is_squads() -> None:
    for said, right in [*lines(500, 5), ("", "a"), ("the", "an"), ("x", ""), ("b b", "b")]:
        assert f1(said, right) == pytest.approx(squad_f1(said, right))
        assert exact(said, right) == float(squad_f1(said, right) == 1.0 and not_moved(said, right))


def not_moved(said: str, right: str) -> bool:
    """Whether two texts of the same words have them in the same order."""

    def order(text: str) -> list[str]:
        kept = "".join(c for c in text.lower() if c.isspace() or not c.isascii() or c.isalnum())
        return [word for word in kept.split() if word not in ("a", "an", "the")]

    assert Counter(order(said)) == Counter(order(right))
    return order(said) == order(right)


def test_the_best_of_several_right_answers_counts() -> None:
    right = [" MARCEL DUCHAMP", " r mutt", " duchamp"]
    assert answer_row("R. Mutt", right, "exact") == {"right": 1.0}
    assert answer_row("Picasso", right, "exact") == {"right": 0.0}
    row = answer_row("marcel du champ", [" marcel duchamp", " champ"], "f1")
    assert row == {"right": 0.0, "f1": 0.5}


def test_a_denied_noun_is_right_where_another_is_named() -> None:
    assert answer_row(" Edward.", [" mr. moncrieff"], "referent", denied=True) == {"right": 1.0}
    assert answer_row(" moncrieff", [" mr. moncrieff"], "referent", denied=True) == {"right": 0.0}
    assert referent("", "mr. moncrieff") == 0.0


def test_signs_of_numbers_count_in_arithmetic() -> None:
    assert answer_row("-6", [" 6"], "accuracy") == {"right": 0.0}
    assert answer_row(" 1,053.", [" 1053"], "accuracy") == {"right": 1.0}


def test_the_metric_that_counts_is_named() -> None:
    rows = [answer_row(said, [right], "bleu") for said, right in lines(50, 1)]
    found = metrics(rows, "answer", "bleu")
    assert found["metric"] == "bleu"
    assert found["score"] == found["bleu"]
    assert found["bleu"]["low"] < found["bleu"]["value"] < found["bleu"]["high"]
    assert found["bleu"]["value"] == pytest.approx(bleu(rows), abs=1e-4)
    words = metrics([{"right": 1.0, "f1": 1.0}, {"right": 0.0, "f1": 0.5}], "answer", "f1")
    assert (words["accuracy"]["value"], words["score"]["value"]) == (0.5, 0.75)
    assert metrics([{"right": 1.0}], "choice", "accuracy")["score"]["value"] == 1.0
    for kind, metric in (("answer", "bleu"), ("labels", "accuracy"), ("cloze", "accuracy")):
        assert metrics([], kind, metric)["score"] is None


def test_bleu_of_sides_is_that_of_their_own_answers() -> None:
    pairs = lines(40, 2)
    rows = [answer_row(said, [right], "bleu") for said, right in pairs]
    ids = [str(i) for i in range(40)]
    sides = apart(ids, {"dirty": set(ids[:10])}, rows, "answer", "bleu")
    assert sides["dirty"]["score"]["value"] == pytest.approx(bleu(rows[:10]), abs=1e-4)
    assert sides["clean"]["score"]["value"] == pytest.approx(bleu(rows[10:]), abs=1e-4)


def test_shares_have_wilsons_interval() -> None:
    """Of none and of all the interval does not close: 3.84 / (n + 3.84) remains."""
    n, z2 = 30, 1.96**2
    none, every = share(0, n), share(n, n)
    assert none is not None
    assert every is not None
    assert none["high"] == pytest.approx(z2 / (n + z2), abs=1e-4)
    assert every["low"] == pytest.approx(1 - z2 / (n + z2), abs=1e-4)
