"""A pre-trained model of nineteen words, in a checkpoint as `curation train` writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from word_encoding import WORDS, WordEncoding  # noqa: E402

from curation.gpt3 import checkpoint  # noqa: E402
from curation.gpt3.checkpoint import State  # noqa: E402
from curation.gpt3.model import build  # noqa: E402
from curation.gpt3.sizes import Size  # noqa: E402
from curation.gpt3.update import optimizer_for  # noqa: E402

WORD_SIZE = Size(
    "words", 2, 16, 2, 64, 1e-2, tokens=10**6, context=16, band=4, vocabulary=len(WORDS)
)


@pytest.fixture
def encoding() -> WordEncoding:
    return WordEncoding()


@pytest.fixture
def word_size() -> Size:
    return WORD_SIZE


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes an untrained model of `size` as a checkpoint of `curation train`, or of `kind`."""

    def make(name: str = "base", size: Size = WORD_SIZE, seed: int = 1, **config: object) -> Path:
        model = build(size, seed)
        state = State(
            0,
            0,
            0,
            {
                "size": json.loads(json.dumps(asdict(size))),
                "encoding": "words",
                "end_of_text": 0,
                **config,
            },
        )
        return checkpoint.save(tmp_path / name, state, model, optimizer_for(model))

    return make


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes objects, or lines as they are, to a file."""

    def write(name: str, *rows: object) -> Path:
        path = tmp_path / name
        path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
        return path

    return write
