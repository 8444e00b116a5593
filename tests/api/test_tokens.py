"""Tokens of texts, in memory and in a run directory; and mixtures of those."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import curation
from curation.errors import InputError
from curation.kernels.bpe import encoding

TEXTS = ["The tide turns.", None, "A ferry <|endoftext|> é 漢", "", "The tide turns."]
TABLE = pa.table({"n": range(5), "text": TEXTS, "tokens": ["mine"] * 5})


def test_tokens_are_those_of_the_encoding() -> None:
    done = curation.tokenize(TABLE)
    assert done.kept.column_names == ["id", "n", "text", "input_tokens", "tokens"]
    assert done.kept.column("n").to_pylist() == [0, 2, 4]
    bpe = encoding("gpt2")
    for row in done.kept.to_pylist():
        assert row["tokens"] == [*bpe.encode(row["text"], disallowed_special=()), 50256]
    assert done.kept.schema.field("tokens").type.value_type == pa.uint16()
    assert done.removed.column("reason").to_pylist() == ["missing_text", "empty"]
    assert done.encoding["vocabulary"] == 50257
    with pytest.raises(InputError, match="encoding"):
        curation.tokenize(["a"], encoding="nonesuch")


def test_runs_with_tokens_are_mixed(tmp_path: Path) -> None:
    web = curation.tokenize(TABLE, out=tmp_path / "web")
    assert (
        web.kept.column("tokens").to_pylist()
        == curation.tokenize(TABLE).kept.column("tokens").to_pylist()
    )
    assert web.rejects.num_rows == 2
    books = curation.tokenize([f"A book of number {i}." for i in range(9)], out=tmp_path / "books")
    inputs = {"web": web, "books": curation.Run.open(str(books.out))}
    mixed = curation.mix(inputs, out=tmp_path / "all", shards=2, validation=0)
    shards = mixed.table("shards").to_pylist()
    placed = np.concatenate(
        [
            np.fromfile(tmp_path / "all" / "shards" / f"{shard['name']}.bin", np.uint16)
            for shard in shards
            if shard["split"] == "train"
        ]
    )
    tokens = [t for run in (web, books) for t in run.kept.column("tokens").to_pylist()]
    assert sorted(placed.tolist()) == sorted(t for row in tokens for t in row)
    half = curation.mix(
        {"web": str(tmp_path / "web"), "books": tmp_path / "books"},
        out=tmp_path / "half", weights={"web": 1, "books": 1}, tokens=40, shards=1, validation=0,
    )  # fmt: skip
    assert half.recipe.mix.weights == {"web": 1.0, "books": 1.0}


def test_what_cannot_be_mixed_is_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "out"
    texts = curation.tokenize(["a"])
    for inputs, weights, message in (
        ({}, None, "a dict of names and runs expected, got {}"),
        (["a"], None, "a dict of names and runs expected"),
        ({"a": texts}, None, r"a run directory expected for 'a'.*out="),
        ({"a": tmp_path}, None, "no tokens there"),
        ({"a": curation.tokenize(["a b c"], out=tmp_path / "a")}, {"b": 1}, "each needs both"),
    ):
        with pytest.raises(InputError, match=message):
            curation.mix(inputs, weights=weights, out=out)
    assert not out.exists()
