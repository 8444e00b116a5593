"""Our evaluation of a model whose scores are known: SmolLM2-135M-Instruct.

The intervals are those of an earlier measurement, of the model behind the same reader; where the
model's card names a score, it lies in them. `python tests/support/known_model.py` measures all of them in
full. Needs pip's index, and for all tests but the first ../shared/data.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra `dev` is not installed")
torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytestmark = pytest.mark.slow

from known_model import TASKS, gguf_file, open_known  # noqa: E402

from curation.gpt3.evaluate import evaluate  # noqa: E402

CHOICES = (
    ("The capital of France is", "Paris.", "Berlin."),
    ("Fish live in", "water.", "books."),
    ("At night people see the moon and the", "stars.", "soup."),
    ("To cut the paper she used a pair of", "scissors.", "socks."),
    ("Ice is very", "cold.", "loud."),
    ("The opposite of up is", "down.", "green."),
    ("Bees make", "honey.", "shoes."),
    ("He was thirsty, so he drank a glass of", "water.", "sand."),
    ("In winter the ground is covered with", "snow.", "sugar."),
    ("The doctor worked at the", "hospital.", "volcano."),
)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    """Where the model's file is, kept between runs of the tests."""
    cache = request.config.cache
    assert cache is not None
    kept = cache.mkdir("known-model")
    try:
        gguf_file(kept)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return kept


@pytest.fixture(scope="module")
def reader(folder: Path) -> Any:
    return open_known(folder)


def test_it_prefers_what_is_true_and_answers_with_it(reader: Any) -> None:
    scores = reader.score([(c, f" {o}") for c, *options in CHOICES for o in options])
    better = [
        right.log_probability / right.tokens > wrong.log_probability / wrong.tokens
        for right, wrong in zip(scores[::2], scores[1::2], strict=True)
    ]
    assert all(better)
    asked = "Q: What is the capital of France?\n\nA:"
    for width in (1, 4):
        assert "Paris" in replace(reader, width=width).answer([asked], ["\n"], 8)[0]


def test_its_score_is_known(reader: Any, shared_data: Path) -> None:
    """The task of short texts; the others take minutes each, and are measured by the script."""
    (count, interval) = next((quick, row) for name, _, _, row, quick in TASKS if name == "copa")
    result = evaluate(reader, shared_data / "benchmarks", ["copa"], limit=count)[0]
    found = {name: 100 * value for name, value in result["accuracy"].items()}
    assert found["low"] <= interval[1]
    assert found["high"] >= interval[0]
    assert found["value"] > 100 * result["chance"]
