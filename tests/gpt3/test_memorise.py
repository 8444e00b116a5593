from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from curation.cli.study import study
from curation.errors import InputError, RunError
from curation.gpt3 import checkpoint
from curation.gpt3.data import open_shards, windows
from curation.gpt3.memorise import memorisation, seen_documents
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train

VOCABULARY, END = 30, 0
LENGTH = 16  # of a document; with its end-of-text no divisor of the context


def write_shards(folder: Path, documents: list[np.ndarray], held_out: list[np.ndarray]) -> Path:
    """Shards of the documents in their order, an end-of-text after each."""
    folder.mkdir()
    names = {"train-00000": documents, "validation-00000": held_out}
    for name, some in names.items():
        tokens = np.concatenate([np.append(document, END) for document in some])
        tokens.astype("<u2").tofile(folder / f"{name}.bin")
    listing = {
        "encoding": "gpt2",
        "vocabulary": VOCABULARY,
        "end_of_text": END,
        "dtype": "uint16",
        "train": ["train-00000"],
        "validation": {"own": ["validation-00000"]},
    }
    (folder / "shards.json").write_text(json.dumps(listing))
    return folder


def drawn(count: int, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(1, VOCABULARY, LENGTH) for _ in range(count)]


def test_extraction_grows_with_repetition_and_is_none_for_unseen(tmp_path: Path) -> None:
    """Lines of random tokens, which cannot be guessed: 3 are repeated 100 times, 4 ten times, 20
    stand there once.
    """
    often, some, once, never = drawn(3, 1), drawn(4, 2), drawn(20, 3), drawn(20, 4)
    documents = often * 100 + some * 10 + once
    order = np.random.default_rng(5).permutation(len(documents))
    shards = write_shards(tmp_path / "shards", [documents[i] for i in order], never)
    size = Size("test", 2, 64, 4, 16, 5e-3, 10**9, 10**6, 16, 16, VOCABULARY)
    options = Options(warmup_tokens=200, validate_every=1000, checkpoint_every=1000)
    train(shards, tmp_path / "model", size, options)
    command = ["memorise", str(tmp_path / "model"), str(shards), "--prefix", "5", "--length", "10"]
    done = CliRunner().invoke(study, [*command, "--out", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    shares = {row["least"]: row["memorised"]["value"] for row in rows}
    # A document that ends in the rest that is no whole window is seen once less.
    assert set(shares) == {0, 1, 9, 65}
    assert shares[0] == shares[1] == 0.0
    assert shares[9] < shares[65]
    assert shares[65] >= 2 / 3
    right = {row["least"]: row["right_tokens"] for row in rows}
    assert max(right[0], right[1]) <= right[9] < right[65]
    assert right[65] > 8
    assert [row["documents"] for row in rows if row["least"] == 65] == [3]
    assert "times seen" in done.output


def test_times_seen_are_those_of_the_windows_read(tmp_path: Path) -> None:
    """Counted by hand from the batches that a run reads, document by document."""
    documents = drawn(6, 7)
    several = documents * 5
    shards = open_shards(write_shards(tmp_path / "shards", several, documents[:1]))
    train_windows = windows(shards, shards.train, 16, 3)
    for read in (0, 4, 11, len(train_windows)):
        rows, times = seen_documents(train_windows, read, END, LENGTH)
        assert len(rows) == len(documents)
        numbers = set(train_windows.visited(0, read).tolist())
        for row, count in zip(rows, times, strict=True):
            places = [(LENGTH + 1) * n for n, d in enumerate(several) if np.array_equal(d, row)]
            ends = ({p // 16, (p + LENGTH - 2) // 16} for p in places)
            assert count == sum(pair <= numbers for pair in ends)


def test_other_shards_and_long_prefixes_are_refused(tmp_path: Path) -> None:
    size = Size("test", 1, 8, 2, 64, 1e-2, tokens=10**6, context=32, band=8, vocabulary=VOCABULARY)
    shards = write_shards(tmp_path / "shards", drawn(30, 1), drawn(2, 2))
    result = train(shards, tmp_path / "model", size, Options(max_steps=1))
    other = write_shards(tmp_path / "other", drawn(30, 9), drawn(2, 2))
    done = CliRunner().invoke(study, ["memorise", str(tmp_path / "model"), str(other)])
    assert isinstance(done.exception, RunError)
    assert "give the shards it was trained on" in str(done.exception)
    model = checkpoint.load_model(result.checkpoint, size)
    state = checkpoint.read_state(result.checkpoint)
    with pytest.raises(InputError, match="do not fit into the model's window of 32"):
        memorisation(model, open_shards(shards), state, 20, 20, 5, 0)
