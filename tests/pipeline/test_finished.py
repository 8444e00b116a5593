"""A run in which nothing is to do is recognised without an engine, and one with a missing table is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.pipeline import line
from curation.recipe import reading


class NoEngine:
    """An engine that must not be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the engine was asked for {name}")


def test_a_finished_run_asks_no_engine_and_a_damaged_one_does(tmp_path: Path) -> None:
    from curation.engine.local import LocalEngine

    (tmp_path / "in.jsonl").write_text('{"id": "1", "text": "one two three"}\n')
    dataset = {"name": "a", "files": [str(tmp_path / "in.jsonl")]}
    recipe = reading.parse({"stages": ["extract", "dedup"], "dataset": [dataset]}, "test")
    out = str(tmp_path / "run")
    engine = LocalEngine(1)
    try:
        line.run(recipe, out, engine, say=lambda _: None)
    finally:
        engine.close()
    nothing: Any = NoEngine()
    said: list[str] = []
    line.run(recipe, out, nothing, say=said.append)
    assert said == ["Every table is there already: nothing to do."]
    for table in (Path(out) / "dedup").rglob("*.parquet"):
        table.unlink()
    with pytest.raises(AssertionError, match="the engine was asked"):
        line.run(recipe, out, nothing, say=said.append)
