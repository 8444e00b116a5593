from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiktoken

from curation import store
from curation.errors import InputError
from curation.kernels.bpe import encoding
from curation.kernels.indexed import read_index
from curation.recipe.tables import TokenizeConfig
from curation.stages.mix import stage as mix
from curation.stages.mix.mixture import mixture_warnings
from curation.stages.tokenize.stage import encoding_facts

EOT = 50256


def _rows(n: int, seed: int, words: int = 120) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    vocabulary = [
        f"{rng.choice('bcdfg')}{rng.choice('aeiou')}{rng.choice('lmnrst')}{i % 50}"
        for i in range(400)
    ]
    return [
        {"id": f"{seed}.{i}", "text": " ".join(rng.choices(vocabulary, k=rng.randrange(words) + 5))}
        for i in range(n)
    ]


def _table(**settings: Any) -> dict[str, Any]:
    weights = {"a": 60, "b": 41}
    return {
        "stages": ["extract", "tokenize", "mix"],
        "mix": {"weights": weights, "shards": 5, **settings},
    }


def _sequences(out: str, name: str) -> list[bytes]:
    data = Path(out, "shards", name + ".bin").read_bytes()
    lengths, dtype = read_index(Path(out, "shards", name + ".idx").read_bytes())
    ends = np.cumsum(lengths) * dtype.itemsize
    assert ends[-1] == len(data) if len(ends) else not data
    return [data[end - n * dtype.itemsize : end] for n, end in zip(lengths, ends, strict=True)]


def test_tokens_round_trip_and_end_of_text_ends_every_piece(run_recipe: Callable[..., Any]) -> None:
    texts = [
        "Hello, world",
        "naïve café — 日本語 🙂",
        "page says <|endoftext|> here",
        "\n\n  spaced\tout ",
    ]
    rows = [{"id": str(i), "text": t} for i, t in enumerate(texts)]
    rundir, plan = run_recipe({"a": rows}, {"stages": ["extract", "tokenize"]})
    table = store.read_table(rundir.table("tokens", plan.shards[0])).to_pylist()
    for row, text in zip(table, texts, strict=True):
        tokens = np.frombuffer(row["tokens"][0], "<u2")
        assert row["counts"] == [len(tokens)]
        assert tokens[-1] == EOT
        assert EOT not in tokens[:-1]
        assert encoding("gpt2").decode(tokens[:-1].tolist()) == text


def test_a_larger_vocabulary_takes_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Big:
        n_vocab, eot_token = 100_000, 99_999

    def facts(name: str) -> dict[str, Any]:
        recipe: Any = SimpleNamespace(tokenize=TokenizeConfig(name))
        return encoding_facts(recipe)

    assert facts("gpt2")["dtype"] == "uint16"
    monkeypatch.setattr("curation.kernels.bpe.encoding", lambda name: Big())
    assert facts("big") == {
        "encoding": "big",
        "vocabulary": 100_000,
        "end_of_text": 99_999,
        "dtype": "uint32",
    }
    assert issubclass(tiktoken.Encoding, object)


def test_no_chunk_repeats_within_an_epoch_and_none_is_missing(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe(
        {"a": _rows(200, 1), "b": _rows(60, 2)}, _table(tokens=60_000, validation=0.1)
    )
    facts = json.loads(Path(rundir.out, "shards", "shards.json").read_text())
    shares = {row["dataset"]: row for row in facts["mixture"]}
    placed = Counter(s for name in facts["train"] for s in _sequences(rundir.out, name))
    for dataset in ("a", "b"):
        epochs = shares[dataset]["epochs"]
        for shard in plan.of(dataset):
            for row in store.read_table(rundir.table("tokens", shard)).to_pylist():
                copies = placed.pop(row["tokens"][0], 0)
                assert copies in ({int(epochs), int(epochs) + 1} if copies else {0})
    assert not placed  # nothing but the documents' own tokens
    assert shares["b"]["epochs"] > 1.5


def test_validation_texts_are_never_in_train(run_recipe: Callable[..., Any]) -> None:
    rundir, _ = run_recipe(
        {"a": _rows(200, 1), "b": _rows(60, 2)}, _table(tokens=30_000, validation=0.2)
    )
    facts = json.loads(Path(rundir.out, "shards", "shards.json").read_text())
    held = {
        s
        for names in facts["validation"].values()
        for name in names
        for s in _sequences(rundir.out, name)
    }
    train = {s for name in facts["train"] for s in _sequences(rundir.out, name)}
    assert len(held) > 30
    assert not held & train


def test_every_shard_has_the_weights_in_expectation(run_recipe: Callable[..., Any]) -> None:
    rundir, _ = run_recipe(
        {"a": _rows(1500, 1), "b": _rows(900, 2)}, _table(tokens=200_000, validation=0.0)
    )
    manifest = store.read_table(rundir.path("shards", "manifest.parquet")).to_pylist()
    train = [row for row in manifest if row["split"] == "train"]
    for row in train:
        tokens = np.array(row["dataset_tokens"])
        assert tokens[0] / tokens.sum() == pytest.approx(
            60 / 101, abs=0.12
        )  # about four standard deviations
        data = Path(rundir.out, "shards", row["name"] + ".bin").read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert (np.frombuffer(data, "<u2") == EOT).sum() == row["ends"]
    assert sum(row["tokens"] for row in train) == pytest.approx(200_000, rel=0.05)


def test_long_pieces_are_placed_in_parts(
    run_recipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = mix._chunks(_tokens_batch([b"ab" * 70_000, b"cd" * 5]), 2)
    assert [len(t) // 2 for t in chunks.tokens] == [32_768, 32_768, 4464, 5]
    assert chunks.numbers == [0, 1, 2, 3]
    assert len(set(chunks.keys)) == 4


def _tokens_batch(pieces: list[bytes]) -> Any:
    import pyarrow as pa

    from curation.rundir import schema

    row = {"keep": True, "id": "x", "content": b"0" * 16, "counts": [1], "tokens": pieces}
    return pa.RecordBatch.from_pylist([row], schema.TOKENS)


def test_a_dataset_without_tokens_and_weights_of_nothing(run_recipe: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="'b' has weight 41 but no tokens"):
        run_recipe({"a": _rows(20, 1), "b": []}, _table(tokens=1000))
    copies = {
        "stages": ["extract", "dedup", "tokenize", "mix"],
        "mix": {"weights": {"a": 1, "c": 41}},
    }
    with pytest.raises(
        InputError, match="'c' has weight 41 but no tokens"
    ):  # all of it is in a already
        run_recipe({"a": _rows(20, 1), "c": _rows(20, 1)}, copies)


def test_a_budget_of_zero_takes_what_lasts_one_epoch(run_recipe: Callable[..., Any]) -> None:
    rundir, _ = run_recipe({"a": _rows(100, 1), "b": _rows(20, 2)}, _table(validation=0.0))
    mixture = json.loads(Path(rundir.out, "shards", "shards.json").read_text())["mixture"]
    assert max(row["epochs"] for row in mixture) == pytest.approx(1.0)


def test_more_shards_than_documents_leaves_empty_shards_that_read(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, _ = run_recipe(
        {"a": _rows(3, 1), "b": _rows(2, 2)}, _table(tokens=300, shards=40, validation=0.0)
    )
    names = [f"train-{i:05d}" for i in range(40)]
    assert sum(len(_sequences(rundir.out, name)) for name in names) > 0
    run_recipe({"a": _rows(3, 1), "b": _rows(2, 2)}, _table(tokens=300, shards=4, validation=0.0))
    assert len(list(Path(rundir.out, "shards").glob("train-*.bin"))) == 4  # the others are gone


def test_warnings_name_what_is_repeated() -> None:
    row = {"dataset": "wikipedia", "epochs": 5.3, "tokens": 100}
    assert mixture_warnings([row, {"dataset": "web", "epochs": 0.4, "tokens": 100}]) == [
        "mix: wikipedia is repeated 5.3 times; more than 4 rarely help"
    ]
