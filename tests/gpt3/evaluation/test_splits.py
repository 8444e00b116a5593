from __future__ import annotations

from pathlib import Path

import pytest

from curation.errors import InputError
from curation.gpt3.evaluation import splits


def test_a_split_is_a_word_of_the_name() -> None:
    names = {
        "piqa.val.jsonl": "piqa.train.jsonl",
        "race_high.test.jsonl": "race_high.train.jsonl",
        "wmt16_de-en.test.jsonl": "wmt16_de-en.train.jsonl",
        "contest.jsonl": "contest.jsonl",
        "developers.jsonl": "developers.jsonl",
        "mine.jsonl": "mine.jsonl",
    }
    assert {name: splits.training_name(name) for name in names} == names


def test_the_training_split_beside_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.test.jsonl", "a.train.jsonl", "b.val.jsonl", "c.train.jsonl"):
        (tmp_path / name).write_text("{}\n")
    files = sorted(tmp_path.iterdir())
    assert splits.training_file(tmp_path / "a.test.jsonl") == tmp_path / "a.train.jsonl"
    assert splits.training_file(tmp_path / "b.val.jsonl") is None
    assert splits.training_file(tmp_path / "c.train.jsonl") is None
    kept = [file.name for file in splits.without_training(files)]
    assert kept == ["a.test.jsonl", "b.val.jsonl", "c.train.jsonl"]
    monkeypatch.setattr(splits, "MOST_BYTES", 2)
    with pytest.raises(InputError, match="keep its first lines, or use --shots 0"):
        splits.training_file(tmp_path / "a.test.jsonl")
