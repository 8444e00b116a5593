"""Which fold a document is in, that its model has not seen it, and when folds score a crawl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classify_corpus import DATASETS, GOOD, TABLE, WORDS, labelled_rows

from curation import store
from curation.errors import InputError
from curation.recipe.tables import ClassifyConfig
from curation.rundir import manifest as manifests
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.stages.classify import folds as crossfit
from curation.stages.classify import stage as classify
from curation.stages.classify.model import load_folds, load_model
from curation.stages.classify.scoring import scores


def evidence(rundir: RunDirectory, plan: Any, dataset: str) -> Any:
    (shard,) = plan.of(dataset)
    return store.read_table(rundir.table("classify", shard, "evidence"))


def test_a_site_is_in_one_fold_and_a_page_scored_by_the_model_without_it(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe(DATASETS, TABLE)
    models = load_folds(rundir.path("classify", "model"))
    assert len(models) == 5
    for name, key in (("good", "good"), ("web", "crawl:web")):
        table = evidence(rundir, plan, name)
        fold, score = (table.column(c).to_numpy() for c in ("fold", "score"))
        by_site: dict[str, set[int]] = {}
        for row, number in zip(DATASETS[key], fold.tolist(), strict=True):
            by_site.setdefault(row["url"].split("/")[2], set()).add(number)
        assert {len(numbers) for numbers in by_site.values()} == {1}
        (shard,) = plan.of(name)
        texts = store.read_table(rundir.documents(shard)).column("text").combine_chunks()
        for k, model in enumerate(models):
            of_all = scores(texts, (model,), np.zeros(len(texts), np.int16))
            assert of_all[fold == k].tolist() == score[fold == k].tolist()


def test_the_fold_depends_on_nothing_but_site_text_and_seed() -> None:
    rng = np.random.default_rng(1)
    contents = [rng.bytes(16) for _ in range(4000)]
    sites = [None if i % 3 else f"s{i % 40}.example" for i in range(4000)]
    keys = crossfit.fold_keys(sites, contents, {"s0.example"})
    fold = crossfit.fold_numbers(7, keys, 4)
    order = rng.permutation(4000)
    shuffled = crossfit.fold_numbers(7, [keys[i] for i in order], 4)
    assert fold[order].tolist() == shuffled.tolist()
    assert set(fold.tolist()) == {0, 1, 2, 3}
    assert fold.tolist() != crossfit.fold_numbers(8, keys, 4).tolist()
    spread = [fold[i] for i in range(4000) if sites[i] == "s0.example"]
    assert set(spread) == {0, 1, 2, 3}


def test_a_corpus_of_one_site_is_spread_over_the_folds(run_recipe: Callable[..., Any]) -> None:
    """An encyclopedia is one site: to leave it out would leave no positives."""
    wiki = [{**row, "url": f"https://wiki.example/{i}"} for i, row in enumerate(DATASETS["good"])]
    rundir, plan = run_recipe({"wiki": wiki, "crawl:web": DATASETS["crawl:web"]}, TABLE)
    card = store.read_json(rundir.path("classify", "model", "card.json"))
    assert card["spread"] == {"positive": ["wiki.example"], "negative": []}
    assert card["heldout"]["documents"] == 160
    assert set(evidence(rundir, plan, "wiki").column("fold").to_pylist()) == set(range(5))


def test_a_crawl_of_one_site_is_spread_and_the_run_says_so(run_recipe: Callable[..., Any]) -> None:
    web = [
        {**row, "url": f"https://one.example/{i}"} for i, row in enumerate(DATASETS["crawl:web"])
    ]
    rundir, plan = run_recipe({"good": DATASETS["good"], "crawl:web": web}, TABLE)
    assert set(evidence(rundir, plan, "web").column("fold").to_pylist()) == set(range(5))
    (line,) = [line for line in classify.warnings(rundir) if "fifth" in line]
    assert "pages of one.example" in line


def test_one_model_scores_a_crawl_of_which_little_was_learned(
    run_recipe: Callable[..., Any],
) -> None:
    """The trusted corpus, of which everything was learned, is scored by folds all the same."""
    web = labelled_rows(GOOD, 300, 21) + DATASETS["crawl:web"] * 6
    web = [{**row, "id": f"{i}", "url": f"http://p{i}.example/"} for i, row in enumerate(web)]
    settings = {**TABLE["classify"], "max_documents": 60}
    rundir, plan = run_recipe(
        {"good": DATASETS["good"], "crawl:web": web}, {**TABLE, "classify": settings}
    )
    assert plans.recorded(rundir.out) == {"classify.folds": 0}
    assert evidence(rundir, plan, "web").column("fold").null_count == len(web)
    assert evidence(rundir, plan, "good").column("fold").null_count == 0
    model = load_model(rundir.path("classify", "model"))
    (shard,) = plan.of("web")
    texts = store.read_table(rundir.documents(shard)).column("text").combine_chunks()
    one = scores(texts, (model,), np.zeros(len(texts), np.int16))
    assert evidence(rundir, plan, "web").column("score").to_pylist() == one.tolist()


def test_what_auto_came_to_is_kept_when_the_crawl_grows(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    def run(web: list[dict[str, Any]], **settings: Any) -> tuple[RunDirectory, Any]:
        table = {
            **TABLE,
            "classify": {**WORDS, **TABLE["classify"], "max_documents": 60, **settings},
        }
        return run_recipe({"good": DATASETS["good"], "crawl:web": web}, table)

    rundir, plan = run(DATASETS["crawl:web"])
    assert plans.recorded(rundir.out) == {"classify.folds": 5}
    copies = [store.read_json(store.join(rundir.out, name)) for name in manifests.PLANS]
    assert copies[0] == copies[1]
    grown = [
        {**row, "id": f"{copy}-{i}"}
        for copy in range(9)
        for i, row in enumerate(DATASETS["crawl:web"])
    ]
    (tmp_path / "web.jsonl").unlink()
    rundir, plan = run(grown)
    assert plans.recorded(rundir.out) == {"classify.folds": 5}
    assert evidence(rundir, plan, "web").column("fold").null_count == 0
    assert evidence(rundir, plan, "web").num_rows == 900
    rundir, plan = run(grown, folds=0)
    assert evidence(rundir, plan, "web").column("fold").null_count == 900


@pytest.mark.parametrize(
    ("positives", "folds", "said"),
    [
        (3, 5, "the 3 positives are of 3 sites, too few for 5 folds"),
        (60, 50, "are of 17 sites, too few for 50 folds"),
    ],
)
def test_what_cannot_be_cut_into_folds_is_one_sentence(
    run_recipe: Callable[..., Any], positives: int, folds: int, said: str
) -> None:
    datasets = {**DATASETS, "good": DATASETS["good"][:positives]}
    with pytest.raises(InputError, match=said):
        run_recipe(datasets, {**TABLE, "classify": {**WORDS, "folds": folds}})


def test_one_fold_is_refused_when_the_recipe_is_read() -> None:
    with pytest.raises(ValueError, match="0 for one model, or 2 and more"):
        ClassifyConfig(folds=1)


def test_a_class_that_is_all_in_one_fold_is_refused() -> None:
    y, group = np.array([1, 1, 0, 0]), np.arange(4)
    crossfit.need_classes(y, group, np.array([0, 1, 0, 1], np.int16), 2)
    with pytest.raises(InputError, match="all 2 positives are in fold 1, so the fit without it"):
        crossfit.need_classes(y, group, np.array([1, 1, 0, 1], np.int16), 2)
