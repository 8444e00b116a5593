from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dedup_corpora import TABLE, copies_of_copies, fates_of, random_text

from curation import store
from curation.errors import RunError
from curation.recipe import reading as recipe
from curation.rundir.directory import RunDirectory
from curation.stages.dedup.index import dataset_names, index_runs, indexed_shards, new_shards


def _dedup(index: Any = None, **settings: Any) -> dict[str, Any]:
    return {
        **TABLE,
        "dedup": {"alarm": "warn", **({"index": index.out} if index else {}), **settings},
    }


def _batches(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Three batches, of which the later hold copies, near copies and copies of copies of what the earlier hold."""
    rows = copies_of_copies(seed, 150)
    random.Random(seed).shuffle(rows)
    return {name: rows[i * 50 : i * 50 + 50] for i, name in enumerate(("one", "two", "three"))}


def test_batch_after_batch_decides_as_one_run_over_all(run_recipe: Callable[..., Any]) -> None:
    batches = _batches(0)
    rundir, plan = run_recipe(batches, _dedup(), out="all")
    expected = fates_of(rundir, plan, *batches)
    assert 20 < sum(not fate["keep"] for fate in expected.values()) < 120
    index, found = None, {}
    for name, rows in batches.items():
        index, plan = run_recipe({name: rows}, _dedup(index), out=f"run-{name}")
        found |= fates_of(index, plan, name)
    # each run counts its own documents; together they are those of one run, index and all
    sizes = [sum(fate.pop("cluster_size") or 0 for fate in fates.values())
             for fates in (expected, found)]  # fmt: skip
    assert sizes[0] == len(expected)
    assert sizes[1] < len(expected)  # copies of what an earlier run kept are of none of its own
    assert found == expected
    fates = [fate for id_, fate in fates_of(index, plan, "three").items() if not fate["keep"]]
    assert {fate["kept_dataset"] for fate in fates} == {"one", "two", "three"}


def test_what_the_index_removed_stays_removed_and_is_nobodys_survivor(
    run_recipe: Callable[..., Any],
) -> None:
    """b left for a; a copy of b, exact or near, leaves for a where it is like a, and stays where it is not."""
    rng = random.Random(4)
    words = random_text(rng, 300).split()
    a, b = " ".join(words), " ".join(words[:255])  # 0.85 of the shingles
    c = " ".join([*words[30:255], *random_text(rng, 5).split()])  # like b, not like a
    index, plan = run_recipe(
        {"old": [{"id": "a", "text": a}, {"id": "b", "text": b}]}, _dedup(), out="first"
    )
    assert not fates_of(index, plan, "old")["b"]["keep"]
    rows = [{"id": "b2", "text": b}, {"id": "b3", "text": b + " x"}, {"id": "c", "text": c}]
    new, plan = run_recipe({"new": rows}, _dedup(index), out="second")
    fates = fates_of(new, plan, "new")
    assert {id_: (f["keep"], f["kept_id"], f["reason"]) for id_, f in fates.items()} == {
        "b2": (False, "a", "duplicate"),
        "b3": (False, "a", "duplicate"),
        "c": (True, None, None),
    }


def test_only_candidates_of_the_index_are_read_again(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    """An index without the texts of documents that resemble nothing new serves as well; nothing in it is written."""
    rng = random.Random(6)
    index, plan = run_recipe(
        {"old": [{"id": f"o{i}", "text": random_text(rng)} for i in range(20)]},
        _dedup(),
        out="first",
    )
    before = {
        path: path.stat().st_mtime_ns for path in Path(index.out).rglob("*") if path.is_file()
    }
    new, plan = run_recipe(
        {"new": [{"id": "n", "text": random_text(rng)}]}, _dedup(index), out="second"
    )
    assert {
        path: path.stat().st_mtime_ns for path in Path(index.out).rglob("*") if path.is_file()
    } == before
    (old, mine) = indexed_shards(new, plan)
    assert new_shards([old, mine]) == [mine]
    assert not store.listing(new.path("dedup", "pairs", "wanted"))  # nobody's text was asked for


def test_an_index_made_otherwise_is_refused(run_recipe: Callable[..., Any]) -> None:
    index, _ = run_recipe({"old": [{"id": "a", "text": "one two"}]}, _dedup(), out="first")
    datasets = [{"name": name, "files": "x"} for name in ("new", "newer")]

    def said(seed: int = 0, **settings: Any) -> str:
        made = recipe.parse({"seed": seed, "dataset": datasets, **_dedup(index, **settings)})
        with pytest.raises(RunError, match="this index was made with") as raised:
            index_runs(RunDirectory("elsewhere", made))
        assert "\n" not in str(raised.value)
        return str(raised.value)

    assert "dedup.shingle_words = 5, and here it is 4" in said(shingle_words=4)
    assert "dedup.features = 'shingle', and here it is 'unigram'" in said(features="unigram")
    assert "dedup.bands = 20, and here it is 10" in said(bands=10)
    assert "dedup.rows = 6, and here it is 5" in said(rows=5)
    assert "dedup.min_jaccard = 0.8, and here it is 0.7" in said(min_jaccard=0.7)
    assert "dedup.across = 'all', and here it is" in said(across=[["new", "newer"]])
    assert "dedup.within = True, and here it is False" in said(within=False)
    assert "seed = 0, and here it is 1" in said(seed=1)


def test_pairs_may_name_what_only_the_index_has(run_recipe: Callable[..., Any]) -> None:
    rng = random.Random(8)
    text, other, third = random_text(rng), random_text(rng), random_text(rng)
    pairs = {"across": [["web", "crawl"]]}
    held = {
        "web": [{"id": "w", "text": text}],
        "books": [{"id": "b", "text": third}],
        "crawl": [{"id": "c", "text": other}],
    }
    index, _ = run_recipe(held, _dedup(**pairs), out="first")
    Path(index.out).with_name("crawl.jsonl").unlink()
    rows = [
        {"id": "n", "text": text + " x"},
        {"id": "m", "text": other},
        {"id": "k", "text": third + " x"},
    ]
    new, plan = run_recipe({"crawl": rows}, _dedup(index, **pairs), out="second")
    assert dataset_names(new) == ("crawl", "web", "books")
    fates = {
        id_: (fate["kept_dataset"], fate["kept_id"])
        for id_, fate in fates_of(new, plan, "crawl").items()
    }
    assert fates == {
        "n": ("web", "w"),
        "m": ("crawl", "c"),
        "k": (None, None),
    }  # books was not to be compared


def test_an_index_that_is_none_or_lost_its_tables_is_refused(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    rows = {"new": [{"id": "b", "text": "three"}]}
    old = {"old": [{"id": "a", "text": "one two"}]}
    with pytest.raises(RunError, match="nowhere: the index is not there"):
        run_recipe(rows, {**TABLE, "dedup": {"index": str(tmp_path / "nowhere")}}, out="x")
    other, _ = run_recipe(old, {"stages": ["extract"]}, out="other")
    with pytest.raises(RunError, match="its recipe has no dedup"):
        run_recipe(rows, _dedup(other), out="x")
    index, _ = run_recipe(old, _dedup(), out="first")
    with pytest.raises(RunError, match="seed = 0, and here it is 1"):
        run_recipe(rows, {**_dedup(index), "seed": 1}, out="x")
    second, _ = run_recipe(rows, _dedup(index), out="second")
    with pytest.raises(RunError, match="would be its own index"):
        run_recipe(rows, _dedup(second), out="second")
    shutil.rmtree(Path(index.out, "documents"))
    with pytest.raises(
        RunError,
        match=r"first/documents/.*: missing; .*curation dedup",
    ):
        run_recipe({"third": rows["new"]}, _dedup(second), out="third")
    shutil.rmtree(index.out)
    with pytest.raises(RunError, match=r"first: the index of .*second is not there"):
        run_recipe({"third": rows["new"]}, _dedup(second), out="third")
