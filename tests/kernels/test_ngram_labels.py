"""The kernel for lid.176 against fastText itself: equal labels, and probabilities equal to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_language_model import write_language_model

from curation.kernels.buffers import text_arrays
from curation.kernels.ngram_labels import labels, slots
from curation.readers import label_model, language_model

LINES = [
    "",
    " ",
    "a",
    "the old mill stood at the end of the valley, and nobody came",
    "der alte müller kam nie zurück und die mühle verfiel",
    "быстрая коричневая лиса прыгает через ленивую собаку",
    "敏捷的棕色狐狸跳过了懒狗，然后回家了。 素早い茶色の狐",
    "__label__en the mill",
    "__label__ __labels__ </s> the mill </s>",
    "x" * 3000,
    "é" * 1500 + " \U0001f600 ab",
    "a\tb\vc\fd\re\0f",
]


def _both(lines: list[str]) -> tuple[list[object], list[object]]:
    model, names = label_model.shipped()
    data = [line.encode() for line in lines]
    offsets = np.cumsum([0, *map(len, data)], dtype=np.int64)
    numbers, chances = labels(model, *text_arrays(offsets, np.frombuffer(b"".join(data), np.uint8)))
    ours = [(names[n], float(c)) if n >= 0 else None for n, c in zip(numbers, chances, strict=True)]
    answers = [language_model.loaded(None).predict(line) for line in lines]
    theirs = [(a[0].removeprefix("__label__"), float(c[0])) if a else None for a, c in answers]
    return list(ours), list(theirs)


def test_lines_are_labelled_as_fasttext_does() -> None:
    ours, theirs = _both(LINES)
    assert ours == theirs


@given(
    st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), max_size=5)
)
def test_any_lines_are(lines: list[str]) -> None:
    ours, theirs = _both(lines)
    assert ours == theirs


@given(st.lists(st.sampled_from(" ".join(LINES).split()), max_size=40))
def test_any_words_are(words: list[str]) -> None:
    ours, theirs = _both([" ".join(words)])
    assert ours == theirs


@given(st.sets(st.integers(0, 2**31 - 1), max_size=50))
def test_slots_hold_every_key_once(keys: set[int]) -> None:
    given_keys = np.array(sorted(keys), np.int64)
    table, places = slots(given_keys)
    held = {int(key): int(place) for key, place in zip(table, places, strict=True) if key >= 0}
    assert held == {int(key): place for place, key in enumerate(given_keys)}


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a pruned model"):
        label_model.label_model(write_language_model(tmp_path / "tiny.bin"))
