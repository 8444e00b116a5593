"""Few bytes of text start no worker process; pages, addresses and much text do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.engine.forkserver import INLINE_BYTES, THREADED_BYTES
from curation.engine.inline import InlineEngine
from curation.engine.local import LocalEngine
from curation.pipeline.engines import engine_for, input_size, may_share
from curation.recipe import reading


def recipe(stages: list[str], files: list[str], **tables: Any) -> Any:
    dataset = {"name": "a", "files": files, **tables.pop("dataset", {})}
    return reading.parse({"stages": stages, "dataset": [dataset], **tables})


def test_the_size_is_that_of_the_files_and_benchmarks(tmp_path: Path) -> None:
    for name, size in (("a.jsonl", 100), ("b.txt", 20), ("bench.jsonl", 3)):
        (tmp_path / name).write_bytes(b"x" * size)
    both = [str(tmp_path / "a.jsonl"), str(tmp_path / "*.txt")]
    assert input_size(recipe(["extract"], both)) == 120
    benchmarks = {"benchmarks": [str(tmp_path / "bench.jsonl")]}
    stages = ["extract", "decontaminate"]
    assert input_size(recipe(stages, both, decontaminate=benchmarks)) == 123
    assert input_size(recipe(["extract"], both, decontaminate=benchmarks)) == 120
    (tmp_path / "a.jsonl.gz").write_bytes(b"x" * 50)  # packed text is longer
    assert input_size(recipe(["extract"], [*both, str(tmp_path / "a.jsonl.gz")])) == 320
    # What is not there is said by the plan.
    assert input_size(recipe(["extract"], [str(tmp_path / "none.jsonl")])) == 0


def test_pages_and_addresses_are_never_small(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"")
    (tmp_path / "a.jsonl").write_bytes(b"")
    table = str(tmp_path / "a.jsonl")
    assert input_size(recipe(["extract"], [str(tmp_path / "a.warc.gz")])) >= THREADED_BYTES
    as_pages = recipe(["extract"], [table], dataset={"format": "archive"})
    assert input_size(as_pages) >= THREADED_BYTES
    address = recipe(["download", "extract"], [table, "https://a.example/a.jsonl"])
    assert input_size(address) >= THREADED_BYTES


@pytest.mark.parametrize(
    ("size", "workers", "kind"),
    [
        (INLINE_BYTES - 1, None, InlineEngine),
        (INLINE_BYTES, None, LocalEngine),
        (INLINE_BYTES, 1, InlineEngine),
        (5, 2, LocalEngine),
    ],
)
def test_the_engine_of_a_size(size: int, workers: int | None, kind: type) -> None:
    engine = engine_for(size, workers)
    assert type(engine) is kind
    assert engine.workers == (workers or engine.workers)
    engine.close()


@pytest.mark.parametrize(
    ("stages", "size", "workers", "threads"),
    [
        (["extract", "dedup"], THREADED_BYTES - 1, 3, 3),
        (["extract", "dedup"], 5, 2, 2),
        (["extract", "dedup"], 5, 1, 1),
        (["extract", "dedup"], THREADED_BYTES, 3, 0),
        (["extract", "dedup", "tokenize"], 5, 2, 0),  # gigatoken's object is one for all
    ],
)
def test_threads_where_tasks_may_share_a_process(
    stages: list[str], size: int, workers: int, threads: int
) -> None:
    asked = recipe(stages, ["a.jsonl"], extract={"table_languages": False})
    engine = engine_for(size, workers, recipe=asked)
    assert isinstance(engine, InlineEngine) == bool(threads)
    assert engine.workers == workers
    engine.close()


def test_a_recipe_that_guesses_languages_or_calls_own_functions_gets_no_threads() -> None:
    assert not may_share(recipe(["extract"], ["a.jsonl"]))
    plain = {"extract": {"table_languages": False}}
    own = {**plain, "filter": {"signals": ["package.module:digits"]}}
    ours = {**plain, "filter": {"signals": ["gopher"]}}
    assert may_share(recipe(["extract", "filter"], ["a.jsonl"], **ours))
    assert not may_share(recipe(["extract", "filter"], ["a.jsonl"], **own))


def test_a_step_on_a_small_table_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started() -> None:
        raise AssertionError("a worker was asked for")

    monkeypatch.setattr("curation.engine.forkserver.start", started)
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "The tide turns twice a day."}\n')
    command = ["dedup", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
