"""A run with a vocabulary in a file: its tokens, what it keeps, and when they are made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from curation import store
from curation.cli.mix import mix as mix_command
from curation.errors import InputError
from curation.gpt3.data import open_shards
from curation.inspect.check.check import check_run
from curation.kernels import vocabularies

tokenizers = pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")
TEXTS = [f"the tide turns at {i} and the boat of pier {i % 7} turns with it" for i in range(40)]
ROWS = [{"id": f"d{i}", "text": text + " <|endoftext|>" * (i == 3)} for i, text in enumerate(TEXTS)]


def table(path: Path, **tokenize: Any) -> dict[str, Any]:
    mix = {"weights": {"a": 1}, "shards": 2, "validation": 0.1}
    return {
        "stages": ["extract", "tokenize", "mix"],
        "tokenize": {"encoding": str(path), **tokenize},
        "mix": mix,
    }


def tokens_of(rundir: Any, plan: Any) -> dict[str, list[int]]:
    (shard,) = plan.shards
    rows = store.read_table(rundir.table("tokens", shard)).to_pylist()
    return {row["id"]: np.frombuffer(row["tokens"][0], "<u2").tolist() for row in rows}


def test_tokens_are_those_of_the_file_and_the_run_keeps_it(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(vocabularies.trained(TEXTS, 320))
    rundir, plan = run_recipe({"a": ROWS}, table(path))
    theirs = tokenizers.Tokenizer.from_file(str(path))
    end = theirs.token_to_id("<|endoftext|>")
    for id_, tokens in tokens_of(rundir, plan).items():
        text = ROWS[int(id_[1:])]["text"]
        assert tokens[-1] == end
        assert end not in tokens[:-1]
        if "<|" not in text:
            assert tokens[:-1] == theirs.encode(text).ids
    name = vocabularies.stored_name(path.read_bytes(), path.name)
    for folder in ("tokens", "shards"):
        assert store.read_bytes(rundir.path(folder, name)) == path.read_bytes()
    facts = json.loads(Path(rundir.path("shards", "shards.json")).read_text())
    assert (facts["encoding"], facts["end_of_text"]) == (name, end)
    assert open_shards(Path(rundir.out)).encoding_path == rundir.path("shards", name)
    results = check_run(rundir.out)
    assert all(result.ok for result in results), [r for r in results if not r.ok]


def test_another_file_makes_tokens_again_and_another_path_does_not(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    first, moved, other = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    first.write_bytes(vocabularies.trained(TEXTS, 320))
    moved.write_bytes(first.read_bytes())
    other.write_bytes(vocabularies.trained(TEXTS[:5], 280))
    rundir, plan = run_recipe({"a": ROWS}, table(first))
    before = tokens_of(rundir, plan)
    written = Path(rundir.table("tokens", plan.shards[0])).stat().st_mtime_ns
    rundir, plan = run_recipe({"a": ROWS}, table(moved))
    assert Path(rundir.table("tokens", plan.shards[0])).stat().st_mtime_ns == written
    moved.write_bytes(other.read_bytes())
    rundir, plan = run_recipe({"a": ROWS}, table(moved))
    assert tokens_of(rundir, plan) != before
    kept = [file.name for file in Path(rundir.path("shards")).glob("vocabulary-*")]
    assert kept == [vocabularies.stored_name(other.read_bytes(), "c.json")]
    assert [f.name for f in Path(rundir.path("tokens")).glob("vocabulary-*")] == kept


def test_a_sentencepiece_model_and_another_end(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    spm = pytest.importorskip("sentencepiece", reason="the extra `tokenizers` is not installed")
    path = tmp_path / "spm.model"
    with path.open("wb") as file:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS),
            model_writer=file,
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    theirs = spm.SentencePieceProcessor(model_file=str(path))
    rundir, plan = run_recipe({"a": ROWS}, table(path))
    for id_, tokens in tokens_of(rundir, plan).items():
        assert tokens == [*theirs.encode(ROWS[int(id_[1:])]["text"]), theirs.eos_id()]
    assert all(result.ok for result in check_run(rundir.out))
    rundir, plan = run_recipe({"a": ROWS}, table(path, end_of_text="<s>"))
    assert {tokens[-1] for tokens in tokens_of(rundir, plan).values()} == {theirs.bos_id()}


def test_mixes_of_runs_take_the_vocabulary_along(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(vocabularies.trained(TEXTS, 320))
    rundir, _ = run_recipe(
        {"a": ROWS}, {**table(path), "stages": ["extract", "tokenize"], "mix": {}}
    )
    out = tmp_path / "mixed"
    arguments = [f"a={rundir.out}", "--out", str(out), "--workers", "1"]
    result = CliRunner().invoke(mix_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert open_shards(out).vocabulary_path is not None
    assert all(result.ok for result in check_run(str(out)))


def test_a_file_that_is_not_there_ends_a_run_before_it_starts(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"gone\.json: a tokenizer\.json or a SentencePiece model"):
        run_recipe({"a": ROWS}, table(tmp_path / "gone.json"))
    assert not list((tmp_path / "run").glob("documents"))
