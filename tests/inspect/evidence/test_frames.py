from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation import store
from curation.errors import RunError
from curation.inspect.evidence import frames, scores
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read
from curation.store.tables import GROUP_ROWS


def test_margins_say_what_classify_kept(opened: tuple[RunDirectory, Plan]) -> None:
    rundir, plan = opened
    table = scores.scores(rundir, plan, "crawl")
    kept = scores.margins(table, rundir.recipe.classify.alpha) > 0
    assert np.array_equal(kept, table.column("keep").to_numpy())


def test_near_threshold_tells_both_sides(opened: tuple[RunDirectory, Plan]) -> None:
    documents = scores.near_threshold(*opened, "crawl", n=3, chars=20)
    assert [document.kept for document in documents] == [True] * 3 + [False] * 3
    for document in documents:
        assert (document.draw > document.needed) == document.kept
        assert len(document.text) <= 20
        assert document.id


def test_duplicate_pairs_hold_both_texts(opened: tuple[RunDirectory, Plan]) -> None:
    pairs = {pair.id: pair for pair in frames.duplicate_pairs(*opened, n=10)}
    assert set(pairs) == {"page-31", "page-32"}
    assert pairs["page-32"].text.startswith(pairs["page-32"].kept_text)


def test_take_keeps_the_order_asked_for_over_row_groups(tmp_path: Path) -> None:
    path = str(tmp_path / "t.parquet")
    with store.TableWriter(path, pa.schema([("n", pa.int64())]), "d") as writer:
        writer.write(pa.table({"n": np.arange(3 * GROUP_ROWS)}))
    rows = np.array([2 * GROUP_ROWS, 5, GROUP_ROWS, 5])
    assert frames.take(path, rows, ["n"]).column(0).to_pylist() == rows.tolist()
    assert frames.take(path, np.zeros(0, np.int64), ["n"]).num_rows == 0


def test_without_scores_or_dedup_it_says_so(half_run: Path) -> None:
    rundir, plan = read(str(half_run))
    for shard in plan.shards:
        store.delete(rundir.decision("dedup", shard))
        store.delete(rundir.table("classify", shard, "evidence"))
    with pytest.raises(RunError, match="no scores"):
        scores.scores(rundir, plan)
    with pytest.raises(RunError, match="dedup has not run"):
        frames.duplicate_pairs(rundir, plan)
