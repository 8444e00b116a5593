from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dedup_corpora import TABLE, copies_of_copies, fates_of, random_text

from curation import store
from curation.kernels import minhash
from curation.kernels.buffers import text_buffers
from curation.recipe import reading as recipe
from curation.stages.dedup import candidates as dedup_candidates
from curation.stages.dedup import index as dedup_index


def _jaccard(a: str, b: str) -> float:
    import pyarrow as pa

    indptr, values = minhash.feature_sets(*text_buffers(pa.array([a, b])), "shingle", 5)
    shared, total = minhash.intersection_and_union(values[: indptr[1]], values[indptr[1] :])
    return shared / total


def _reference(rundir: Any) -> dict[int, int]:
    """The rule, plainly: walk documents in priority order; one leaves for its first verified link that stayed."""
    links: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
    folder = rundir.path("dedup", "pairs", "measured")
    for file in store.find(folder):
        for row in store.read_table(file.path).to_pylist():
            if row["shared"] >= 0.8 * row["total"]:
                links.setdefault((row["priority_b"], row["tie_b"], row["b"]), []).append(
                    (row["priority_a"], row["tie_a"], row["a"])
                )
    left: dict[int, int] = {}
    for (*_, doc), others in sorted(links.items()):
        for *_, other in sorted(others):
            if other not in left:
                left[doc] = other
                break
    return left


@pytest.mark.parametrize("seed", range(4))
def test_the_choice_equals_a_sequential_walk_over_the_same_pairs(
    run_recipe: Callable[..., Any], seed: int
) -> None:
    rows = copies_of_copies(seed)
    rundir, _ = run_recipe({"a": rows[:60], "b": rows[60:]}, TABLE)
    removed = {
        row["doc"]: row["kept"]
        for file in store.find(rundir.path("dedup", "pairs", "removed"))
        if not file.name.startswith("_")
        for row in store.read_table(file.path).to_pylist()
    }
    copies = {
        row["doc"]: row["first"]
        for file in store.find(rundir.path("dedup", "pairs", "copies"))
        if not file.name.startswith("_")
        for row in store.read_table(file.path).to_pylist()
    }
    expected = _reference(rundir)
    expected |= {doc: expected.get(first, first) for doc, first in copies.items()}
    assert removed == expected
    assert len(removed) > 20


def test_decisions_do_not_depend_on_how_many_shards_share_a_table(
    run_recipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = copies_of_copies(0)
    parts = {"a": rows[:40], "b": rows[40:80], "c": rows[80:]}
    decided, tables = [], []
    for together in (1, 2, 16):
        monkeypatch.setattr(dedup_index, "TOGETHER", together)
        rundir, plan = run_recipe(parts, TABLE, out=f"by-{together}")
        decided.append([fates_of(rundir, plan, name) for name in parts])
        tables.append(len(store.listing(rundir.path("dedup", "pairs", "removed"))))
    assert decided[0] == decided[1] == decided[2]
    assert sorted(tables, reverse=True) == tables
    assert tables[0] > tables[2] == 1


def test_every_removal_names_a_survivor_and_its_measured_similarity(
    run_recipe: Callable[..., Any],
) -> None:
    rows = copies_of_copies(9)
    texts = {row["id"]: row["text"] for row in rows}
    rundir, plan = run_recipe({"a": rows[:60], "b": rows[60:]}, TABLE)
    fates = fates_of(rundir, plan, "a", "b")
    removed = {id_: fate for id_, fate in fates.items() if not fate["keep"]}
    for id_, fate in removed.items():
        assert fates[fate["kept_id"]]["keep"]
        assert fate["jaccard"] >= 0.8
        assert fate["jaccard"] == pytest.approx(
            _jaccard(texts[id_], texts[fate["kept_id"]]), abs=1e-12
        )
        assert (fate["reason"] == "exact_duplicate") == (texts[id_] == texts[fate["kept_id"]])


def test_nearly_all_there_is_to_find_is_found(run_recipe: Callable[..., Any]) -> None:
    """Against all pairs: no two documents that stay are alike at 0.9, and few at 0.8."""
    rows = copies_of_copies(5)
    rundir, plan = run_recipe({"a": rows}, TABLE)
    kept = [row["text"] for row in rows if fates_of(rundir, plan, "a")[row["id"]]["keep"]]
    similar = [_jaccard(x, y) for i, x in enumerate(kept) for y in kept[:i]]
    assert max(similar) < 0.9
    assert sum(s >= 0.8 for s in similar) <= 2


def test_a_page_that_grew_a_line_a_day_for_a_thousand_days(run_recipe: Callable[..., Any]) -> None:
    """A chain far longer than the rounds ends as the plain walk does."""
    rng = random.Random(0)
    lines = [random_text(rng, 2) for _ in range(1010)]
    rows = [{"id": f"d{n}", "text": " ".join(lines[:n])} for n in range(10, 1010)]
    rundir, plan = run_recipe({"a": rows}, {**TABLE, "dedup": {"alarm": "warn"}})
    expected = _reference(rundir)
    got = {id_ for id_, fate in fates_of(rundir, plan, "a").items() if not fate["keep"]}
    (shard,) = plan.shards
    assert {shard.doc(row) for row, r in enumerate(rows) if r["id"] in got} == set(expected)
    assert (
        10 <= len(rows) - len(got) < 60
    )  # neither one survivor, as connected components would leave, nor all


def test_earlier_datasets_win_and_nothing_leaves_them_for_a_later_one(
    run_recipe: Callable[..., Any],
) -> None:
    rng = random.Random(1)
    texts = [random_text(rng) for _ in range(10)]
    first = [{"id": f"f{i}", "text": t} for i, t in enumerate(texts)]
    second = [
        {"id": f"s{i}", "text": t + " and one tail"} for i, t in enumerate(texts)
    ]  # longer: would win by length
    rundir, plan = run_recipe({"a": first, "b": second}, TABLE)
    assert all(fate["keep"] for fate in fates_of(rundir, plan, "a").values())
    fates = fates_of(rundir, plan, "b")
    assert {id_: f["kept_id"] for id_, f in fates.items()} == {f"s{i}": f"f{i}" for i in range(10)}
    assert {f["kept_dataset"] for f in fates.values()} == {"a"}


def test_against_a_reference_only_the_input_loses(run_recipe: Callable[..., Any]) -> None:
    rng = random.Random(2)
    text = random_text(rng)
    reference = [
        {"id": "r0", "text": text},
        {"id": "r1", "text": text + " x"},
        {"id": "r2", "text": text},
    ]
    rows = [
        {"id": "i0", "text": text + " y z"},
        {"id": "i1", "text": random_text(rng)},
        {"id": "i2", "text": text},
    ]
    table = {**TABLE, "dedup": {"across": [["ref", "input"]]}}
    rundir, plan = run_recipe({"reference:ref": reference, "input": rows}, table)
    assert all(fate["keep"] for fate in fates_of(rundir, plan, "ref").values())
    fates = fates_of(rundir, plan, "input")
    assert [fates[i]["keep"] for i in ("i0", "i1", "i2")] == [False, True, False]
    assert fates["i2"]["kept_dataset"] == "ref"


def test_texts_without_words_stay_unless_they_are_exact_copies(
    run_recipe: Callable[..., Any],
) -> None:
    rows = [
        {"id": str(i), "text": t}
        for i, t in enumerate(["...", "!!!", "...", "one", "one", "two words"])
    ]
    rundir, plan = run_recipe({"a": rows}, TABLE)
    fates = fates_of(rundir, plan, "a")
    assert [fates[str(i)]["keep"] for i in range(6)] == [True, True, False, True, False, True]


def test_another_threshold_reuses_signatures_and_measurements(
    run_recipe: Callable[..., Any],
) -> None:
    from pathlib import Path

    rows = copies_of_copies(3)
    rundir, plan = run_recipe({"a": rows}, TABLE)
    (shard,) = plan.shards
    files = [
        rundir.table("dedup", shard, "evidence"),
        rundir.path("dedup", "pairs", "measured", "00000.parquet"),
    ]
    before = [Path(f).stat().st_mtime_ns for f in files]
    few = sum(not f["keep"] for f in fates_of(rundir, plan, "a").values())
    run_recipe({"a": rows}, {**TABLE, "dedup": {"min_jaccard": 0.5}})
    assert [Path(f).stat().st_mtime_ns for f in files] == before
    assert sum(not f["keep"] for f in fates_of(rundir, plan, "a").values()) > few


def test_scopes_of_all_and_of_pairs() -> None:
    datasets = [{"name": n, "files": ["x"]} for n in ("web", "crawl", "books")]
    everything = recipe.parse({"stages": ["dedup"], "dataset": datasets})
    assert dedup_candidates.scopes(everything) == ((0, 0, 0, 0), (0, 1, 0, 0), (0, 2, 0, 0))
    pairs = recipe.parse(
        {"stages": ["dedup"], "dataset": datasets, "dedup": {"across": [["web", "crawl"]]}}
    )
    assert dedup_candidates.scopes(pairs)[3:] == ((3, 0, 1, 1), (3, 1, 1, 0))
    assert np.unique([s for s, *_ in dedup_candidates.scopes(pairs)]).tolist() == [0, 1, 2, 3]
