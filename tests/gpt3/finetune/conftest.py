"""A tiny pre-trained model, whose tokens are the words of a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.gpt3.sizes import Size  # noqa: E402

VOCABULARY = 61


@dataclass(frozen=True)
class Words:
    """An encoding whose tokens are w0, w1 and so on."""

    def encode_ordinary(self, text: str) -> list[int]:
        return [int(word[1:]) for word in text.split()]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(f"w{token}" for token in tokens)


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
def dense() -> Size:
    return Size(
        "test",
        2,
        16,
        2,
        32,
        1e-2,
        tokens=10**6,
        context=16,
        vocabulary=VOCABULARY,
        attention=("dense",),
        norm="post",
    )


@pytest.fixture
def pretrained(make_shards: Callable[..., Path], dense: Size, tmp_path: Path) -> Path:
    from curation.gpt3.train import Options, train

    return train(make_shards(), tmp_path / "model", dense, Options(tokens=640)).checkpoint


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, records: Sequence[object]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write
