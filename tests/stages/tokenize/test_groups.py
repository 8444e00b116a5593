"""Which value stands beside each document's tokens."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation import store
from curation.errors import InputError, TaskError
from curation.pipeline import line as pipeline
from curation.recipe import reading
from curation.rundir.columns import as_text, column_of
from curation.rundir.plan import read
from curation.stages.tokenize import groups


def again(run: Path, out: Path, inline: Any, by: str, weights: dict[str, float]) -> Any:
    """The tiny run's recipe, mixed by a column; all but the last stages is reused."""
    import shutil

    shutil.copytree(run, out)
    rundir, _ = read(str(run))
    table = reading.as_dict(rundir.recipe)
    names = [dataset["name"] for dataset in table["dataset"] if dataset["role"] != "reference"]
    table["mix"] |= {"by": by, "by_weights": dict.fromkeys(names, weights)}
    recipe = reading.parse(table)
    return pipeline.run(recipe, str(out), inline, update=True, say=lambda line: None)


def token_groups(rundir: Any, plan: Any, dataset: str) -> dict[str, str | None]:
    return {
        row["id"]: row["group"]
        for shard in plan.of(dataset)
        for row in store.read_table(rundir.table("tokens", shard), ["id", "group"]).to_pylist()
    }


def test_deciles_of_quality_are_ranks_over_all_documents_that_were_scored(
    tiny_run: Path, tmp_path: Path, inline: Any
) -> None:
    weights = {str(number): 1.0 for number in range(1, 11)}
    rundir, plan = again(tiny_run, tmp_path / "run", inline, "quality_decile", weights)
    for dataset in ("wiki", "crawl"):
        scored = []
        for shard in plan.of(dataset):
            documents = store.read_table(rundir.documents(shard), ["id", "content"]).to_pylist()
            scores = store.read_table(rundir.table("classify", shard, "evidence"), ["score"])
            values = scores.column(0).to_pylist()
            rows = zip(values, documents, strict=True)
            scored += [(score, row["content"], row["id"]) for score, row in rows]
        ranked = sorted(scored)
        cuts = [ranked[-(-number * len(ranked) // 10) - 1][:2] for number in range(1, 10)]
        expected = {row[2]: str(1 + sum(cut < row[:2] for cut in cuts)) for row in ranked}
        found = token_groups(rundir, plan, dataset)
        assert found
        assert {i: g for i, g in found.items() if g is not None}.items() <= expected.items()
        kept = {
            row["id"]
            for shard in plan.of(dataset)
            for row in store.read_table(rundir.table("tokens", shard)).to_pylist()
            if row["keep"]
        }
        assert {id_ for id_, group in found.items() if group is not None} == kept
        sizes = Counter(expected.values())
        assert max(sizes.values()) - min(sizes.values()) <= 1 + len(ranked) - len(set(ranked))
    facts = store.read_json(rundir.path("tokens", "quantiles", "crawl.json"))
    assert facts["documents"] == sum(
        store.need_footer(rundir.documents(shard)).rows for shard in plan.of("crawl")
    )
    assert len(facts["cuts"]) == 9


def test_the_size_of_a_cluster_is_what_the_kept_document_stands_for(
    tiny_run: Path, tmp_path: Path, inline: Any
) -> None:
    weights = {"1": 1.0, "2+": 2.0}
    rundir, plan = again(tiny_run, tmp_path / "run", inline, "cluster_size", weights)
    decided = {}
    for shard in plan.shards:
        ids = store.read_table(rundir.survivors(shard), ["id"]).column(0).to_pylist()
        table = store.read_table(rundir.decision("dedup", shard)).to_pylist()
        decided |= {(shard.dataset, i): row for i, row in zip(ids, table, strict=True)}
    removed = Counter(
        (row["kept_dataset"], row["kept_id"]) for row in decided.values() if row["kept_id"]
    )
    assert removed
    for place, row in decided.items():
        assert row["cluster_size"] == (1 + removed[place] if row["keep"] else None)
    for dataset in ("wiki", "crawl"):
        for id_, group in token_groups(rundir, plan, dataset).items():
            if group is not None:
                assert group == str(decided[dataset, id_]["cluster_size"])
    mixture = store.read_json(rundir.path("shards", "shards.json"))["mixture"]
    found = {g["value"]: g for row in mixture for g in row["groups"] if row["dataset"] == "wiki"}
    assert found["2+"]["documents"]
    assert found["2+"]["epochs"] == pytest.approx(2 * found["1"]["epochs"])


def test_a_column_stands_beside_the_survivors_row_by_row(tiny_run: Path) -> None:
    rundir, plan = read(str(tiny_run))
    for shard in plan.of("crawl"):
        survivors = store.read_table(rundir.survivors(shard), ["language", "row", "url"])
        scores = store.read_table(rundir.table("classify", shard, "evidence"), ["score"])
        rows = survivors.column("row").to_pylist()
        assert len(rows) < scores.num_rows  # some were removed
        assert column_of(rundir, shard, "quality").to_pylist() == [
            scores.column(0)[row].as_py() for row in rows
        ]
        languages = survivors.column("language").to_pylist()
        assert column_of(rundir, shard, "language").to_pylist() == languages
        assert column_of(rundir, shard, "extra.absent").null_count == len(rows)
        hosts = column_of(rundir, shard, "host").to_pylist()
        for url, host in zip(survivors.column("url").to_pylist(), hosts, strict=True):
            assert host == (url and url.split("/")[2])


def test_values_as_text() -> None:
    assert as_text(pa.array([True, None])).to_pylist() == ["true", ""]
    assert as_text(pa.array(["é" * 500])).to_pylist() == ["é" * 100]
    assert as_text(pa.array([0.1], pa.float32())).to_pylist() == ["0.1"]
    assert as_text(pa.nulls(2)).to_pylist() == ["", ""]
    with pytest.raises(TypeError, match="text, numbers or flags expected, got list"):
        as_text(pa.array([["a"]]))


def test_quantiles_of_text_and_values_that_are_lists_are_refused(
    run_recipe: Any,
) -> None:
    rows = [{"text": "one two three", "tags": ["a"], "name": "b", "big": 2**60}]
    table = {"stages": ["extract", "tokenize"]}
    with pytest.raises(TaskError, match="web/00000: text, numbers or flags expected, got list"):
        run_recipe({"web": rows}, {**table, "mix": {"by": "extra.tags"}})
    with pytest.raises(TaskError, match=r"numbers expected in the column 'extra\.name'"):
        run_recipe({"web": rows}, {**table, "mix": {"by": "extra.name_quantile:4"}})
    by_size = {"stages": ["extract", "dedup", "tokenize"], "mix": {"by": "cluster_size_quantile:4"}}
    with pytest.raises(InputError, match="no quantiles of cluster_size"):
        run_recipe({"web": rows}, by_size)
    rundir, plan = run_recipe({"web": rows}, {**table, "mix": {"by": "extra.big_quantile:4"}})
    assert list(token_groups(rundir, plan, "web").values()) == ["1"]
    rundir, plan = run_recipe({"web": rows}, {**table, "mix": {"by": "extra.none_quantile:4"}})
    assert list(token_groups(rundir, plan, "web").values()) == [""]


def test_cuts_need_few_keys_in_memory(run_recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two keys at a time, and a shard at a time, the groups are the same."""
    numbers = np.random.default_rng(3).integers(0, 40, 300) / 7
    rows = [
        {"id": str(i), "text": f"text {i} of many", "n": n} for i, n in enumerate(numbers.tolist())
    ]
    table = {"stages": ["extract", "tokenize"], "mix": {"by": "extra.n_quantile:7"}}
    rundir, plan = run_recipe({"web": rows}, table)
    first = json.dumps(store.read_json(rundir.path("tokens", "quantiles", "web.json")))
    monkeypatch.setattr(groups, "TAKEN", 2)
    monkeypatch.setattr(groups, "SHARDS", 1)
    rundir, plan = run_recipe({"web": rows}, table, out="other")
    assert json.dumps(store.read_json(rundir.path("tokens", "quantiles", "web.json"))) == first
    sizes = Counter(token_groups(rundir, plan, "web").values())
    assert sorted(sizes.values()) == [42, 43, 43, 43, 43, 43, 43]
