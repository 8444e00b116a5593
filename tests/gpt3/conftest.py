"""Token shards of a few hundred tokens, and a model that trains on them in a second."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.gpt3.sizes import Size  # noqa: E402

VOCABULARY = 61


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are faster on one thread, and never wait for a busy second core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def size() -> Size:
    return Size("test", 2, 16, 2, 32, 1e-2, tokens=10**6, context=16, band=4, vocabulary=VOCABULARY)


@pytest.fixture
def make_shards(tmp_path: Path) -> Callable[..., Path]:
    """Writes shards of the given lengths; tokens count upwards with a little noise, so they can be
    learnt.
    """

    def make(
        lengths: tuple[int, ...] = (700, 900),
        validation: int = 100,
        dtype: str = "uint16",
        seed: int = 1,
    ) -> Path:
        folder = tmp_path / f"shards-{dtype}-{seed}"
        folder.mkdir()
        generator = np.random.default_rng(seed)

        def write(name: str, count: int) -> str:
            tokens = (np.arange(count) * 7 + generator.integers(0, 3, count)) % VOCABULARY
            tokens.astype(np.dtype(dtype).newbyteorder("<")).tofile(folder / f"{name}.bin")
            return name

        listing = {
            "encoding": "gpt2",
            "vocabulary": VOCABULARY,
            "end_of_text": 0,
            "dtype": dtype,
            "train": [write(f"train-{number:05d}", count) for number, count in enumerate(lengths)],
            "validation": {"webtext2": [write("validation-webtext2-00000", validation)]},
            "tokens": sum(lengths),
        }
        (folder / "shards.json").write_text(json.dumps(listing))
        return folder

    return make
