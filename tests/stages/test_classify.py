from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from curation import draws, store
from curation.context import Context
from curation.errors import InputError, RecipeError
from curation.stages import classify, classify_sample
from curation.stages.classify import ClassifyConfig

GOOD = "the river rose slowly through spring while farmers watched quiet fields and wrote letters about rain".split()  # noqa: SIM905
JUNK = "buy cheap click here free offer login cart sale best price casino bonus deal now".split()  # noqa: SIM905


def _rows(words: list[str], n: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {"id": f"{seed}-{i}", "url": f"http://s{i % 17}.example/{i}", "text": " ".join(rng.choices(words, k=60))}
        for i in range(n)
    ]


DATASETS = {"good": _rows(GOOD, 60, 1), "crawl:web": _rows(GOOD, 20, 2) + _rows(JUNK, 80, 3)}
TABLE: dict[str, Any] = {"stages": ["extract", "classify"], "classify": {"C": 1.0, "alpha": 2.0}}


def test_the_pareto_rule_keeps_with_probability_2_minus_s_to_the_minus_alpha() -> None:
    u = draws.uniforms(0, "pareto", [str(i).encode() for i in range(50_000)])
    for alpha in (1.0, 9.0):
        draw = classify.pareto_draw(u, alpha)
        for score in (0.0, 0.5, 0.9):
            expected = (2 - score) ** -alpha * len(u)
            kept = int((draw > 1 - score).sum())
            assert stats.chisquare([kept, len(u) - kept], [expected, len(u) - expected]).pvalue > 1e-4
        assert (draw > 0).mean() > 0.9999  # a score of 1 is always kept, but for a draw of exactly 0


def test_draws_follow_numpys_pareto() -> None:
    u = draws.uniforms(3, "pareto", [str(i).encode() for i in range(20_000)])
    theirs = np.random.default_rng(0).pareto(9.0, 20_000)
    assert stats.ks_2samp(classify.pareto_draw(u, 9.0), theirs).pvalue > 1e-4


def test_good_scores_above_junk_and_survivors_point_back(run_recipe: Callable[..., Any]) -> None:
    context, plan = run_recipe(DATASETS, TABLE)
    (shard,) = plan.of("web")
    score = store.read_table(context.table("classify", shard, "evidence")).column("score").to_numpy()
    assert stats.mannwhitneyu(score[:20], score[20:], alternative="greater").pvalue < 1e-6
    decision = store.read_table(context.decision("classify", shard))
    keep = decision.column("keep").to_numpy()
    survivors = store.read_table(context.survivors(shard))
    assert survivors.column("row").to_pylist() == np.flatnonzero(keep).tolist()
    texts = store.read_table(context.documents(shard)).column("text").to_pylist()
    assert survivors.column("text").to_pylist() == [texts[i] for i in np.flatnonzero(keep)]
    assert set(decision.column("reason").to_pylist()) == {None, "low_quality"}


def test_another_alpha_decides_again_from_the_stored_evidence(run_recipe: Callable[..., Any], tmp_path: Path) -> None:
    context, plan = run_recipe(DATASETS, TABLE)
    (shard,) = plan.of("web")
    evidence = Path(context.table("classify", shard, "evidence"))
    before = evidence.stat().st_mtime_ns
    run_recipe(DATASETS, {**TABLE, "classify": {"C": 1.0, "alpha": 50.0}})
    assert evidence.stat().st_mtime_ns == before
    keep = store.read_table(context.decision("classify", shard)).column("keep").to_numpy()
    found = store.read_table(str(evidence))
    score, u = found.column("score").to_numpy(), found.column("u").to_numpy()
    assert keep.tolist() == (classify.pareto_draw(u, 50.0) > 1 - score).tolist()


def test_a_model_of_another_run_gives_the_same_scores(run_recipe: Callable[..., Any], tmp_path: Path) -> None:
    context, plan = run_recipe(DATASETS, TABLE)
    model = {"model": context.path("classify", "model"), "alpha": 2.0}
    other, _ = run_recipe({"crawl:web": []}, {**TABLE, "classify": model}, out="other")
    (shard,) = plan.of("web")
    scores = [store.read_table(c.table("classify", shard, "evidence")).column("score") for c in (context, other)]
    assert scores[0].equals(scores[1])
    with pytest.raises(RecipeError, match="scaling"):
        run_recipe({"crawl:web": []}, {**TABLE, "classify": {**model, "scaling": "tf"}}, out="third")


def test_a_damaged_model_is_refused(run_recipe: Callable[..., Any], tmp_path: Path) -> None:
    context, _ = run_recipe(DATASETS, TABLE)
    folder = Path(context.path("classify", "model"))
    data = bytearray((folder / "model.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.npz").write_bytes(data)
    with pytest.raises(InputError, match="sha256"):
        classify.load_model(str(folder))


def test_no_positives_is_one_clear_sentence(run_recipe: Callable[..., Any]) -> None:
    with pytest.raises(RecipeError, match="no positives"):
        run_recipe({"crawl:web": DATASETS["crawl:web"]}, TABLE)


def test_the_budget_of_a_class_is_spread_evenly(run_recipe: Callable[..., Any]) -> None:
    context, plan = run_recipe({"a": _rows(GOOD, 10, 1), "b": _rows(GOOD, 100, 2)}, {"stages": ["extract"]})
    context = Context(context.out, replace(context.recipe, classify=ClassifyConfig(max_documents=40)))
    assert classify_sample.shares(context, plan, ["a", "b"]) == {"a": 1.0, "b": 0.3}
