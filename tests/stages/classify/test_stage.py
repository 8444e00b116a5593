from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from classify_corpus import DATASETS, JUNK, TABLE, WORDS, labelled_rows
from scipy import stats

from curation import store
from curation.errors import InputError, RecipeError
from curation.kernels.pareto import pareto_draw
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.stages.classify import stage as classify


def test_good_scores_above_junk_and_survivors_point_back(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe(DATASETS, TABLE)
    (shard,) = plan.of("web")
    score = store.read_table(rundir.table("classify", shard, "evidence")).column("score").to_numpy()
    assert stats.mannwhitneyu(score[:20], score[20:], alternative="greater").pvalue < 1e-6
    decision = store.read_table(rundir.decision("classify", shard))
    keep = decision.column("keep").to_numpy()
    survivors = store.read_table(rundir.survivors(shard))
    assert survivors.column("row").to_pylist() == np.flatnonzero(keep).tolist()
    texts = store.read_table(rundir.documents(shard)).column("text").to_pylist()
    assert survivors.column("text").to_pylist() == [texts[i] for i in np.flatnonzero(keep)]
    assert set(decision.column("reason").to_pylist()) == {None, "low_quality"}


def test_another_alpha_decides_again_from_the_stored_evidence(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    rundir, plan = run_recipe(DATASETS, TABLE)
    (shard,) = plan.of("web")
    evidence = Path(rundir.table("classify", shard, "evidence"))
    model = Path(rundir.path("classify", "model", "model.npz")).stat().st_mtime_ns
    before = evidence.stat().st_mtime_ns
    run_recipe(DATASETS, {**TABLE, "classify": {**WORDS, "C": 1.0, "alpha": 50.0}})
    assert evidence.stat().st_mtime_ns == before
    assert Path(rundir.path("classify", "model", "model.npz")).stat().st_mtime_ns == model
    keep = store.read_table(rundir.decision("classify", shard)).column("keep").to_numpy()
    found = store.read_table(str(evidence))
    score, u = found.column("score").to_numpy(), found.column("u").to_numpy()
    assert keep.tolist() == (pareto_draw(u, 50.0) > 1 - score).tolist()


def test_the_model_of_another_run_is_the_one_that_learned_from_all(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    """Where no folds score the crawl, the same model does in both runs."""
    whole = {**TABLE, "classify": {**WORDS, **TABLE["classify"], "folds": 0}}
    rundir, plan = run_recipe(DATASETS, whole)
    model = {"model": rundir.path("classify", "model"), "alpha": 2.0}
    other, _ = run_recipe({"crawl:web": []}, {**TABLE, "classify": model}, out="other")
    (shard,) = plan.of("web")
    one, two = (
        store.read_table(c.table("classify", shard, "evidence")).drop_columns("u")
        for c in (rundir, other)
    )
    assert one.equals(two)
    assert one.column("fold").null_count == 100


PROSE = "The river rose slowly, and the farmers, who had seen it before, waited. " * 3
MENU = "Home\nNews\nContact us\nLog in | Register | 2019 | 2020\n"


def test_where_nothing_is_trusted_the_shipped_model_scores_and_says_so(
    run_recipe: Callable[..., Any],
) -> None:
    texts = ["\n".join([PROSE] * 9), PROSE, MENU * 30]
    rows = [{"id": str(i), "url": None, "text": text} for i, text in enumerate(texts)]
    rundir, plan = run_recipe({"crawl:web": rows}, {"stages": ["extract", "classify"]})
    (shard,) = plan.of("web")
    score = store.read_table(rundir.table("classify", shard, "evidence")).column("score")
    long, short, menu = score.to_pylist()
    assert long > 0.8 > short > 2 * menu
    assert "the classifier that ships" in "".join(classify.warnings(rundir))


def test_signals_tell_prose_from_menus_and_positives_weigh_by_characters(
    run_recipe: Callable[..., Any],
) -> None:
    """Trusted text in short pieces and a few long ones: by documents, long pages would look bad."""

    def rows(texts: list[str], name: str) -> list[dict[str, Any]]:
        return [
            {"id": f"{name}{i}", "url": f"http://{name}{i}.example/", "text": f"{text} {i}."}
            for i, text in enumerate(texts)
        ]

    trusted = rows([PROSE] * 60 + ["\n".join([PROSE] * 20)] * 20, "t")
    web = rows(["\n".join([PROSE] * 20)] * 10 + [PROSE] * 30 + [MENU * 9] * 60, "w")
    table = {"stages": ["extract", "classify"]}
    rundir, plan = run_recipe({"good": trusted, "crawl:web": web}, table)
    (shard,) = plan.of("web")
    documents = store.read_table(rundir.documents(shard), ["id"]).column("id").to_pylist()
    score = store.read_table(rundir.table("classify", shard, "evidence")).column("score")
    by_page = dict(zip(documents, score.to_pylist(), strict=True))
    long, short, menu = (
        np.mean([by_page[f"w{i}"] for i in places])
        for places in (range(10), range(10, 40), range(40, 100))
    )
    assert long > 0.9 > short > menu


def test_one_class_only_is_one_clear_sentence(run_recipe: Callable[..., Any]) -> None:
    both = {**TABLE, "classify": {**WORDS, "positives": ["good"], "negatives": ["good"]}}
    with pytest.raises(RecipeError, match="'good' is among the positives and the negatives"):
        run_recipe(DATASETS, both)
    with pytest.raises(InputError, match="no negatives to fit on"):
        run_recipe(
            {"good": DATASETS["good"], "crawl:blank": [{"id": "1", "text": "  "}]},
            TABLE,
            out="blank",
        )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("C", 0, "C: a number in"),
        ("C", "best", "C: "),
        ("weights", {"good": 0}, "weights.good: a number in"),
        ("weights", {"goood": 1}, "no dataset 'goood'; did you mean 'good'"),
        ("window_chars", -1, "window_chars: a number in"),
        ("alpha", 0, "alpha: a number in"),
    ],
)
def test_a_bad_setting_is_refused_by_name(
    run_recipe: Callable[..., Any], key: str, value: Any, said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        run_recipe(DATASETS, {**TABLE, "classify": {**WORDS, key: value}})


def test_hopeless_and_idle_filters_raise_an_alarm(run_recipe: Callable[..., Any]) -> None:
    web = {"good": DATASETS["good"], "crawl:junk": labelled_rows(JUNK, 300, 5)}
    rundir, _ = run_recipe(web, {**TABLE, "classify": {**WORDS, "C": 1e5, "alpha": 3.0}})
    (line,) = pipeline.warnings(rundir)
    assert line.startswith("junk keeps")
    assert "12.50 % of those of score 0" in line
    rundir, _ = run_recipe(web, {**TABLE, "classify": {**WORDS, "C": 1e5, "alpha": 0.01}})
    (line,) = pipeline.warnings(rundir)
    assert "hardly filtered" in line
    rundir, _ = run_recipe(
        web, {**TABLE, "classify": {**WORDS, "alpha": 0.01, "folds": 0}}, out="one"
    )
    assert "one model scores junk and has learned from 100 %" in pipeline.warnings(rundir)[-1]
    few = {**WORDS, "C": 1.0, "alpha": 5.0, "max_documents": 40}
    rundir, _ = run_recipe(DATASETS, {**TABLE, "classify": few}, out="well")
    assert pipeline.warnings(rundir) == []


def test_empty_blank_broken_and_huge_texts_are_scored_or_counted(
    tmp_path: Path, inline: Any
) -> None:
    """A text of 50 MB is scored like any other; what is no text is counted under its reason."""
    texts = [row["text"].encode() for row in DATASETS["crawl:web"]]
    odd = [b"", b" \n\t ", b"caf\xff\xfe broken", b"word " * 10_000_000]
    values = pa.array([*texts, *odd], pa.binary())
    column = pa.Array.from_buffers(
        pa.string(), len(values), values.buffers()
    )  # Arrow does not look at the bytes
    pq.write_table(pa.table({"text": column}), tmp_path / "web.parquet")
    pq.write_table(
        pa.table({"text": [row["text"] for row in DATASETS["good"]]}), tmp_path / "good.parquet"
    )
    described = [
        {"name": "good", "files": [str(tmp_path / "good.parquet")]},
        {"name": "web", "role": "crawl", "files": [str(tmp_path / "web.parquet")]},
    ]
    made = recipe.parse({**TABLE, "dataset": described})
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=lambda line: None)
    books = pipeline.ledgers(rundir, plan)
    reasons = {reason: counts[0] for reason, counts in books["extract"]["web"].items()}
    assert reasons == {"in": 104, "kept": 101, "empty": 2, "undecodable": 1}
    (shard,) = plan.of("web")
    score = store.read_table(rundir.table("classify", shard, "evidence")).column("score").to_numpy()
    assert len(score) == 101
    assert ((score >= 0) & (score <= 1)).all()
