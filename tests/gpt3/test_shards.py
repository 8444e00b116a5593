"""Shards of other programs, and shards that carry their vocabulary."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curation.errors import InputError
from curation.gpt3.data import windows
from curation.gpt3.display import losses
from curation.gpt3.finetune.evaluate import evaluate_tuned
from curation.gpt3.finetune.train import finetune
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.instruct.reward import reward
from curation.gpt3.instruct.sft import sft
from curation.gpt3.options import Drawing, FineTuning, Options, SftConfig
from curation.gpt3.samples import generate_many
from curation.gpt3.shards import open_shards
from curation.gpt3.sizes import Size
from curation.gpt3.train import train
from curation.kernels import vocabularies
from curation.kernels.indexed import index_bytes

MakeShards = Callable[..., Path]
pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")
TEXTS = ["the tide turns and the boats turn", "the boats turn late", "a tide table"]
LEARNED = vocabularies.trained(TEXTS, 300)


def vocabulary(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "tokenizer.json"
    path.write_bytes(LEARNED)
    return path


def tokens_of(texts: list[str], times: int) -> np.ndarray:
    loaded = vocabularies.load(LEARNED, "tokenizer.json")
    return vocabularies.encode(loaded, texts * times)[1]


def nanogpt(folder: Path, dtype: str = "<u2") -> Path:
    """As nanoGPT's data/*/prepare.py leaves them."""
    folder.mkdir()
    tokens_of(TEXTS, 60).astype(dtype).tofile(folder / "train.bin")
    tokens_of(TEXTS[::-1], 5).astype(dtype).tofile(folder / "val.bin")
    return folder


def megatron(folder: Path, dtype: str = "<u2") -> Path:
    """As Megatron's preprocess_data.py leaves them: a document a text, with an index."""
    folder.mkdir()
    for name, texts in (
        ("mine_text_document", TEXTS * 60),
        ("valid_text_document", TEXTS[::-1] * 5),
    ):
        tokens = tokens_of(texts, 1).astype(dtype)
        tokens.tofile(folder / f"{name}.bin")
        ends = np.flatnonzero(tokens == 0) + 1
        lengths = np.diff(np.concatenate([[0], ends]))
        (folder / f"{name}.idx").write_bytes(index_bytes(lengths, np.dtype(dtype)))
    return folder


@pytest.mark.parametrize("dtype", ["<u2", "<i4"])
def test_nanogpt_and_megatron_are_read_as_the_same_stream(tmp_path: Path, dtype: str) -> None:
    encoding = str(vocabulary(tmp_path / "v"))
    plain = open_shards(nanogpt(tmp_path / "nano"), encoding)
    other = open_shards(megatron(tmp_path / "mega", dtype), encoding)
    assert (plain.train, other.train) == (("train",), ("mine_text_document",))
    assert other.validation == {"validation": ("valid_text_document",)}
    assert plain.dtype.itemsize == 2
    assert other.dtype.itemsize == (2 if dtype == "<u2" else 4)
    assert plain.vocabulary == other.vocabulary == vocabularies.load(LEARNED, "a.json").n_vocab
    expected = tokens_of(TEXTS, 60)
    for shards in (plain, other):
        stream = windows(shards, shards.train, 16, None)
        assert stream.batch(0, 20)[:, :-1].ravel().tolist() == expected[: 20 * 16].tolist()


def test_the_same_tokens_give_the_same_losses_in_every_form(size: Size, tmp_path: Path) -> None:
    options = Options(max_steps=6, encoding=str(vocabulary(tmp_path / "v")))
    folder = nanogpt(tmp_path / "nano")
    listed = tmp_path / "listed"
    shutil.copytree(folder, listed)
    facts = {"encoding": vocabularies.stored_name(LEARNED, "a.json"), "vocabulary": 300}
    shutil.copyfile(tmp_path / "v/tokenizer.json", listed / str(facts["encoding"]))
    names = {"train": ["train"], "validation": {"validation": ["val"]}}
    loaded = vocabularies.load(LEARNED, "a.json")
    facts |= {"vocabulary": loaded.n_vocab, "end_of_text": loaded.eot_token, "dtype": "uint16"}
    (listed / "shards.json").write_text(json.dumps({**facts, **names}))
    train(folder, tmp_path / "a", size, options)
    train(listed, tmp_path / "b", size, replace(options, encoding=None))
    first, second = (losses(tmp_path / name / "log.jsonl") for name in "ab")
    assert first == second
    assert len(first) == 6


def test_a_model_keeps_its_vocabulary_and_writes_with_it(size: Size, tmp_path: Path) -> None:
    encoding = str(vocabulary(tmp_path / "v"))
    out = tmp_path / "model"
    result = train(nanogpt(tmp_path / "nano"), out, size, Options(max_steps=3, encoding=encoding))
    assert set(result.bits_per_byte) == {"validation"}
    shutil.rmtree(tmp_path / "v")
    shutil.rmtree(tmp_path / "nano")
    moved = out.rename(tmp_path / "moved")
    assert Path(load_checkpoint(moved)[1]).parent == moved
    assert next(generate_many(moved, ["the tide"], 1, Drawing(5)))["prompt"] == "the tide"
    (moved / vocabularies.stored_name(LEARNED, "a.json")).unlink()
    with pytest.raises(InputError, match=r"vocabulary-.*\.json expected in .* or beside it"):
        load_checkpoint(moved)


def test_a_model_of_its_own_vocabulary_can_be_tuned(size: Size, tmp_path: Path) -> None:
    encoding = str(vocabulary(tmp_path / "v"))
    asked = Options(max_steps=2, encoding=encoding)
    train(nanogpt(tmp_path / "nano"), tmp_path / "model", replace(size, context=32), asked)
    shutil.rmtree(tmp_path / "v")
    name = vocabularies.stored_name(LEARNED, "a.json")

    def lines(file: str, *rows: dict[str, object]) -> Path:
        path = tmp_path / file
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    shown = lines("shown.jsonl", {"prompt": "the tide", "response": "turns"})
    sft(tmp_path / "model", shown, tmp_path / "sft", SftConfig(epochs=1))
    ranked = {"prompt": "the tide", "responses": ["turns", "late"], "ranking": [1, 2], "by": "me"}
    reward(tmp_path / "sft", lines("ranked.jsonl", ranked), tmp_path / "reward")
    labelled = [{"text": "the boats turn", "label": "a"}, {"text": "a table", "label": "b"}]
    task = lines("task.jsonl", *labelled)
    options = FineTuning(epochs=1)
    finetune(tmp_path / "model", "classify", task, task, tmp_path / "tuned", options)
    shutil.rmtree(tmp_path / "model")
    for folder in ("sft", "reward", "tuned"):
        assert (tmp_path / folder / name).read_bytes() == LEARNED
    assert len(list(generate_many(tmp_path / "sft", ["the tide"], 2, Drawing(3)))) == 2
    [row] = evaluate_tuned(tmp_path / "tuned", [task])
    assert row["examples"] == 2


def test_bits_per_byte_count_the_bytes_of_the_text(size: Size, tmp_path: Path) -> None:
    encoding = str(vocabulary(tmp_path / "v"))
    options = Options(max_steps=1, encoding=encoding)
    result = train(nanogpt(tmp_path / "nano"), tmp_path / "out", size, options)
    predicted = len(tokens_of(TEXTS, 5)) - 1
    # All but the first token is predicted.
    first = vocabularies.load(LEARNED, "a.json").decode_single_token_bytes(
        int(tokens_of(TEXTS[::-1], 1)[0])
    )
    text = len("".join(TEXTS)) * 5 - len(first)
    expected = result.validation["validation"] * predicted / np.log(2) / text
    assert result.bits_per_byte["validation"] == pytest.approx(expected)


def test_what_cannot_be_read_is_said(tmp_path: Path, make_shards: MakeShards) -> None:
    encoding = str(vocabulary(tmp_path / "v"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.bin file for training in it"):
        open_shards(tmp_path / "empty", encoding)
    with pytest.raises(InputError, match="or shards of nanoGPT or Megatron with --encoding"):
        open_shards(nanogpt(tmp_path / "nano"))
    with pytest.raises(InputError, match="is of encoding 'gpt2', not 'cl100k_base'"):
        open_shards(make_shards(), "cl100k_base")
    wide = megatron(tmp_path / "wide", "<i8")
    with pytest.raises(InputError, match="tokens of 16 or 32 bits expected, got int64"):
        open_shards(wide, encoding)
    (wide / "mine_text_document.idx").write_bytes(b"x" * 50)
    with pytest.raises(InputError, match="not a Megatron index"):
        open_shards(wide, encoding)
    cut = megatron(tmp_path / "cut")
    path = cut / "mine_text_document.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"its \.idx announces"):
        open_shards(cut, encoding)
    two = megatron(tmp_path / "two")
    other = two / "valid_text_document.idx"
    other.write_bytes(index_bytes(np.array([3]), np.dtype("<i4")))
    with pytest.raises(InputError, match="tokens of one type expected, got uint16, int32"):
        open_shards(two, encoding)


def test_a_vocabulary_that_was_changed_is_refused(tmp_path: Path, make_shards: MakeShards) -> None:
    folder = make_shards()
    listing = folder / "shards.json"
    name = vocabularies.stored_name(LEARNED, "a.json")
    listing.write_text(json.dumps({**json.loads(listing.read_text()), "encoding": name}))
    with pytest.raises(InputError, match="there is no such file"):
        open_shards(folder)
    (folder / name).write_bytes(LEARNED + b" ")
    with pytest.raises(InputError, match="is not the file that the shards were encoded with"):
        open_shards(folder)
    (folder / name).write_bytes(LEARNED)
    assert open_shards(folder).encoding_path == str(folder / name)
