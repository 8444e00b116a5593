from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation import store
from curation.errors import RunError
from curation.inspect.evidence import frames
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read
from curation.store.tables import GROUP_ROWS


def test_kept_share_at_the_recipes_alpha_is_what_classify_kept(
    opened: tuple[RunDirectory, Plan],
) -> None:
    rundir, plan = opened
    table = frames.scores(rundir, plan, "crawl")
    kept = frames.kept_share(
        table.column("score").to_numpy(),
        table.column("u").to_numpy(),
        [rundir.recipe.classify.alpha],
    )
    assert kept[0] == np.mean(table.column("keep").to_numpy())
    assert np.array_equal(
        frames.margins(table, rundir.recipe.classify.alpha) > 0, table.column("keep").to_numpy()
    )


def test_a_larger_alpha_keeps_less() -> None:
    chance = np.random.default_rng(0)
    share = frames.kept_share(chance.random(500), chance.random(500), range(1, 21))
    assert (np.diff(share) <= 0).all()
    assert share[0] > share[-1]


def test_near_threshold_tells_both_sides(opened: tuple[RunDirectory, Plan]) -> None:
    rows = frames.near_threshold(*opened, "crawl", n=3, chars=20).to_pylist()
    assert [row["kept"] for row in rows] == [True] * 3 + [False] * 3
    assert all(
        (row["draw"] > row["needed"]) == row["kept"] and len(row["text"]) <= 20 and row["id"]
        for row in rows
    )


def test_duplicate_pairs_hold_both_texts(opened: tuple[RunDirectory, Plan]) -> None:
    pairs = {pair["id"]: pair for pair in frames.duplicate_pairs(*opened, n=10)}
    assert set(pairs) == {"page-31", "page-32"}
    assert pairs["page-32"]["text"].startswith(pairs["page-32"]["kept_text"])


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
        frames.scores(rundir, plan)
    with pytest.raises(RunError, match="dedup has not run"):
        frames.duplicate_pairs(rundir, plan)
