"""Gram tables of one run serve the next with the same benchmarks, and no other."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curation.errors import InputError
from curation.stages.decontaminate import benchmarks, kept_tables

QUESTION = " ".join(f"word{i}" for i in range(30))
DOCUMENTS = [
    {"id": "clean", "text": "nothing of it " * 40},
    {"id": "dirty", "text": "a page " * 60 + QUESTION + " and on " * 60},
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "benchmarks"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which benchmark files were parsed."""
    paths: list[str] = []
    read = benchmarks._records

    def noted(path: str) -> Any:
        paths.append(Path(path).name)
        return read(path)

    monkeypatch.setattr(benchmarks, "_records", noted)
    return paths


@pytest.fixture
def run(run_recipe: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, str]]:
    def of(out: str, question: str = QUESTION, folder: str = "sets", **keys: Any) -> dict[str, str]:
        """The digest of every file of a run's decontaminate/ but its cards."""
        path = tmp_path / folder / "quiz.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"id": "q", "question": question}) + "\n")
        table = {
            "stages": ["extract", "decontaminate"],
            "decontaminate": {"benchmarks": [str(path)], **keys},
        }
        run_recipe({"a": DOCUMENTS}, table, out=out)
        folder_of_run = tmp_path / out / "decontaminate"
        return {
            str(file.relative_to(folder_of_run)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder_of_run.rglob("*"))
            if file.is_file() and file.name != "card.json"
        }

    return of


def test_another_run_reads_no_benchmark_and_has_the_same_bytes(
    cache: Path, made: list[str], run: Callable[..., dict[str, str]]
) -> None:
    first = run("one")
    assert made == ["quiz.jsonl"] * 2  # before anything is read, and for the tables
    # Where the files lie does not matter, what is in them does.
    assert run("two", folder="elsewhere") == first
    assert len(made) == 2
    other = run("three", QUESTION.replace("word7", "other"))
    assert len(made) == 4
    assert other["benchmarks/pool.npy"] != first["benchmarks/pool.npy"]
    run("four", gram_words=12)
    assert len(made) == 6
    assert len(list(cache.iterdir())) == 5  # the study's tables do not depend on gram_words


@pytest.mark.parametrize("name", ["pool.npy", "card.json", "digests.json"])
@pytest.mark.parametrize("harm", ["half", "other", "missing"])
def test_a_damaged_table_is_made_again(
    cache: Path, made: list[str], run: Callable[..., dict[str, str]], name: str, harm: str
) -> None:
    first = run("one")
    for kept in cache.iterdir():
        if not (file := kept / name).exists():
            continue
        data = file.read_bytes()
        if harm == "missing":
            file.unlink()
        else:
            file.write_bytes(data[: len(data) // 2] if harm == "half" else data[:-1] + b"\x00")
    made.clear()
    assert run("two") == first
    assert made
    made.clear()
    assert run("three") == first
    assert not made


def test_a_place_that_cannot_be_written_and_none_at_all_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., dict[str, str]]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "file"))
    first = run("one")
    monkeypatch.setenv("CURATION_CACHE", "")
    assert run("two") == first
    assert (tmp_path / "file").read_text() == ""


def test_what_was_used_last_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, name in enumerate("abc"):
        (cache / name).mkdir(parents=True)
        (cache / name / "x.npy").write_bytes(b"x" * 100)
        os.utime(cache / name, (age, age))
    monkeypatch.setattr(kept_tables, "MOST_BYTES", 250)
    kept_tables._make_room(cache)
    assert sorted(path.name for path in cache.iterdir()) == ["b", "c"]


def test_a_broken_benchmark_is_said_before_anything_is_read(
    cache: Path, run: Callable[..., dict[str, str]], run_recipe: Any, tmp_path: Path
) -> None:
    run("one")
    (tmp_path / "bad.jsonl").write_text("{no JSON\n")
    table = {
        "stages": ["extract", "decontaminate"],
        "decontaminate": {"benchmarks": [str(tmp_path / "bad.jsonl")]},
    }
    with pytest.raises(InputError, match=r"bad\.jsonl"):
        run_recipe({"a": DOCUMENTS}, table, out="two")
