"""What a run writes of its cost, and the line that says how far it is."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tiny_corpus import tiny_recipe

from curation.engine.inline import InlineEngine
from curation.engine.local import LocalEngine
from curation.engine.tasks import Cost
from curation.pipeline import line as pipeline
from curation.rundir import metrics
from curation.rundir.metrics import Metrics
from curation.rundir.plan import Plan
from curation.rundir.results import ShardResult

COST = Cost(2.0, 10, 20, 100)


def rows(out: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (out / metrics.NAME).read_bytes().splitlines()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    return now


def test_a_run_writes_a_line_for_each_task_with_what_it_cost(
    tiny_run: Path, opened: tuple[Any, Plan]
) -> None:
    written = rows(tiny_run)
    tasks = [row for row in written if "shard" in row]
    extracted = {row["shard"]: row for row in tasks if row["label"] == "extract"}
    assert set(extracted) == {str(shard) for shard in opened[1].shards}
    assert extracted["wiki/00000"]["documents"] == 12
    assert all(row["seconds"] > 0 and row["peak_mb"] > 10 for row in extracted.values())
    assert all(row["read"] > 1000 and row["written"] > 1000 for row in extracted.values())
    began = [row["stage"] for row in written if "began" in row]
    assert began == [s for s in opened[0].recipe.stages if s != "download"]
    assert began == [row["stage"] for row in written if "ended" in row]


def test_a_run_with_nothing_to_do_maps_nothing_and_writes_no_metrics(copied: Path) -> None:
    """Manifests say that all is there: no task is sent, and no table opened by one."""
    before = (copied / metrics.NAME).read_bytes()
    engine = InlineEngine()
    seen: list[str] = []
    engine.observe = lambda label, *_: seen.append(label)
    try:
        folder = Path(
            orjson.loads((copied / "plan.json").read_bytes())["shards"][0]["files"][0]["path"]
        )
        pipeline.run(tiny_recipe(folder.parent), str(copied), engine, say=lambda line: None)
    finally:
        engine.close()
    assert not seen
    assert (copied / metrics.NAME).read_bytes() == before


@pytest.mark.parametrize("kind", [InlineEngine, LocalEngine])
def test_an_engine_is_followed_while_the_block_runs(kind: Any, tmp_path: Path) -> None:
    engine = kind() if kind is InlineEngine else kind(1)
    shown: list[str] = []
    try:
        told = Metrics(str(tmp_path), show=lambda line, keep: shown.append(line))
        with told.following(engine):
            told.stage("extract", 1, ["extract", "mix"], 3)
            assert engine.map("extract", operator.neg, [1, 2, 3]) == [-1, -2, -3]
            told.ended()
        engine.map("other", operator.neg, [1])
    finally:
        engine.close()
    written = rows(tmp_path)
    assert [row["shard"] for row in written if "shard" in row] == ["1", "2", "3"]
    assert {"stage": "extract", "label": "extract", "items": 3}.items() <= written[1].items()
    assert shown[-1].startswith("stage 1 of 2, extract: done in ")


def test_the_line_says_stage_documents_rate_and_time_left(
    tmp_path: Path, clock: list[float]
) -> None:
    told = Metrics(str(tmp_path))
    told.stage("extract", 1, ["extract", "tokenize"], 10)
    told.progress("extract", 0, 10)
    clock[0] += 20
    told.task("extract", "web/00000", ShardResult("x", {"in": [3000, 9, 0]}), COST)
    told.progress("extract", 2, 10)
    # 20 s for 2 of 10 are 80 s more; tokenize takes a seventh of extract's 100 s
    assert told.seconds_left() == pytest.approx(80 + 100 * 2 / 14)
    assert told.line() == "stage 1 of 2, extract, 2 of 10, 3,000 documents, 150/s, about 94 s left"
    told.ended()
    told.stage("tokenize", 2, ["extract", "tokenize"], 10)
    told.progress("tokenize", 0, 10)
    assert told.seconds_left() is None
    assert told.line() == "stage 2 of 2, tokenize, 0 of 10"
    told.close()


def test_lines_are_shown_at_most_twice_a_second_and_the_last_of_a_stage_always(
    tmp_path: Path, clock: list[float]
) -> None:
    shown: list[tuple[str, bool]] = []
    told = Metrics(str(tmp_path), show=lambda line, keep: shown.append((line, keep)))
    told.stage("extract", 1, ["extract"], 10)
    for done in range(100):
        told.progress("extract", done, 100)
        clock[0] += 0.01
    assert len(shown) == 2
    told.ended()
    assert shown[-1] == ("stage 1 of 1, extract: done in 1.0 s", True)
    told.close()
