"""The fit: what it learns from, what it says of itself, and that it is the regression it claims to be."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from classify_corpus import DATASETS, GOOD, JUNK, TABLE, WORDS, labelled_rows

from curation import store
from curation.errors import InputError
from curation.kernels.elementary import sigmoid
from curation.kernels.hashingtf import tokenize
from curation.recipe.tables import ClassifyConfig
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.stages.classify import fit as classify_fit
from curation.stages.classify import measure as classify_measure
from curation.stages.classify import sample as classify_sample
from curation.stages.classify import stage as classify
from curation.stages.classify import training as classify_training
from curation.stages.classify.model import load_folds
from curation.stages.classify.training import features


def fitted(rundir: RunDirectory) -> tuple[dict[str, Any], dict[str, Any]]:
    return tuple(
        store.read_json(rundir.path("classify", "model", name))
        for name in ("card.json", "report.json")
    )  # type: ignore[return-value]


def training(
    rundir: RunDirectory, plan: Any, folds: int = 5, **changes: Any
) -> classify_training.Training:
    made = rundir.recipe
    classes = {"positive": made.positives(), "negative": made.negatives()}
    tables = {d: features(rundir, plan.of(d)) for names in classes.values() for d in names}
    config = replace(made.classify, **changes)
    return classify_training.training_set(tables, classes, config, folds, made.seed)


# ---- the sample ------------------------------------------------------------------------------------------------------------------------


def test_the_budget_of_a_class_is_spread_by_weight(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe(
        {"a": labelled_rows(GOOD, 10, 1), "b": labelled_rows(GOOD, 100, 2)}, {"stages": ["extract"]}
    )
    for most, weights, expected in (
        (40, {}, {"a": 1.0, "b": 0.3}),
        (10, {}, {"a": 0.5, "b": 0.05}),
        (10, {"a": 4.0}, {"a": 0.8, "b": 0.02}),
        (1000, {"b": 0.001}, {"a": 1.0, "b": 1.0}),
    ):
        config = ClassifyConfig(max_documents=most, weights=weights)
        own = RunDirectory(rundir.out, replace(rundir.recipe, classify=config))
        assert classify_sample.shares(own, plan, ["a", "b"]) == pytest.approx(expected)


def test_the_sample_depends_on_contents_not_on_files(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    table = {**TABLE, "classify": {**WORDS, "max_documents": 40}}
    rundir, plan = run_recipe(DATASETS, table)
    reordered = {"good": DATASETS["good"], "crawl:other": DATASETS["crawl:web"][::-1]}
    other, other_plan = run_recipe(reordered, table, out="other")
    one = features(rundir, plan.of("web")).column("content").to_pylist()
    two = features(other, other_plan.of("other")).column("content").to_pylist()
    assert one == two
    assert 20 < len(one) < 60


def test_windows_cut_long_documents_and_a_class_stays_bounded(
    run_recipe: Callable[..., Any],
) -> None:
    book = {"id": "book", "url": "http://book.example/", "text": " ".join(GOOD * 400)}
    datasets = {"good": DATASETS["good"], "books": [book], "crawl:web": DATASETS["crawl:web"]}
    windows = {**WORDS, "window_chars": 400, "max_documents": 1000}
    rundir, plan = run_recipe(datasets, {**TABLE, "classify": windows})
    table = features(rundir, plan.of("books"))
    assert table.column("window").to_pylist() == list(range(len(book["text"]) // 400))
    whole = Counter(tokenize(book["text"]))
    assert sum(map(sum, table.column("counts").to_pylist())) == whole.total()
    rundir, plan = run_recipe(
        datasets, {**TABLE, "classify": {**WORDS, **windows, "max_documents": 20}}, out="few"
    )
    assert 2 < features(rundir, plan.of("books")).num_rows < 25


def test_a_book_is_not_repeated_for_each_of_its_windows() -> None:
    """Its text, once for each window, would be 6 GB, three times what an Arrow string column
    holds."""
    text = "the keeper lit the lamp. " * 160_000
    names = ["content", "id", "url", "text"]
    columns = [
        pa.array([b"0123456789abcdef"], pa.binary(16)),
        *map(pa.array, (["b"], [None], [text])),
    ]
    batch = pa.RecordBatch.from_arrays(columns, names=names)
    windows = classify_sample._windows(batch, 2500, 0, 1.0)
    assert windows.num_rows == len(text) // 2500 == 1600
    assert "".join(windows.column("text").to_pylist()) == text


@pytest.mark.parametrize("windows", [1, 2, 7, 300])
def test_windows_put_together_are_the_text(windows: int) -> None:
    for text in (" ".join(GOOD * 9), "x" * 1000, "a b" * 300, ""):
        cut = [classify_sample.window_text(text, k, windows) for k in range(windows)]
        assert "".join(cut) == text


def test_weights_share_a_class_between_its_datasets(run_recipe: Callable[..., Any]) -> None:
    datasets = {
        "good": DATASETS["good"],
        "books": labelled_rows(GOOD, 4, 7),
        "crawl:web": DATASETS["crawl:web"],
    }
    rundir, plan = run_recipe(datasets, {"stages": ["extract"], "classify": WORDS})
    for name in datasets:
        for shard in plan.of(name.removeprefix("crawl:")):
            classify_sample.sample_shard(rundir, (shard, 1.0))
    found = training(rundir, plan, weights={"books": 3.0})
    assert found.names == ("good", "books", "web")
    for rows in (np.ones(164, bool), found.fold != 2):
        weight, dataset = classify_training.example_weights(found, rows), found.dataset[rows]
        sums = [weight[dataset == place].sum() for place in range(3)]
        positives, negatives = (int((found.y[rows] == label).sum()) for label in (1, 0))
        assert sums == pytest.approx([positives / 4, positives * 3 / 4, negatives])
    even = classify_training.example_weights(training(rundir, plan), np.ones(164, bool))
    assert (even == 1).all()


# ---- the model -------------------------------------------------------------------------------------------------------------------------


def test_the_same_data_gives_the_same_model_bytes(run_recipe: Callable[..., Any]) -> None:
    runs = [run_recipe(DATASETS, TABLE, out=out)[0] for out in ("one", "two")]
    for name in ("model.npz", "folds.npz", "report.json", "card.json"):
        one, two = (Path(rundir.path("classify", "model", name)).read_bytes() for rundir in runs)
        assert one == two


def test_the_card_counts_and_names_the_training_sets(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe(DATASETS, TABLE)
    card, report = fitted(rundir)
    good, web = (
        card["training"]["positive"]["datasets"]["good"],
        card["training"]["negative"]["datasets"]["web"],
    )
    assert (good["documents"], web["documents"], web["sites"]) == (60, 100, 17)
    table = features(rundir, plan.of("good"))
    keys = b"".join(content + bytes(4) for content in table.column("content").to_pylist())
    assert good["sha256"] == hashlib.sha256(keys).hexdigest()
    assert (good["share"], web["share"]) == (1, 1)
    assert report["documents"] == 160
    changed = [*DATASETS["good"][:-1], {"id": "x", "text": "another one"}]
    other, _ = run_recipe({"fine": changed, "crawl:web": DATASETS["crawl:web"]}, TABLE, out="other")
    theirs = fitted(other)[0]["training"]
    assert theirs["positive"]["datasets"]["fine"]["sha256"] != good["sha256"]
    assert theirs["negative"]["datasets"]["web"]["sha256"] == web["sha256"]


def test_c_is_chosen_on_one_fold_and_measured_on_the_others(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe(DATASETS, {**TABLE, "classify": {**WORDS, "C": "auto", "folds": 2}})
    card, report = fitted(rundir)
    assert [one["C"] for one in report["tried"]] == list(classify_fit.TRIED_C)
    least = min(report["tried"], key=lambda one: one["log_loss"])
    assert card["C"] == least["C"]
    chosen_on = int((training(rundir, plan, folds=2).fold == 0).sum())
    assert (least["documents"], report["documents"]) == (chosen_on, 160 - chosen_on)


def test_each_fold_is_fitted_on_the_others_alone(run_recipe: Callable[..., Any]) -> None:
    """What stands in the folds file is the fit without a fold: of words the one that scikit-learn
    comes to when it is run on."""
    rundir, plan = run_recipe(DATASETS, TABLE)
    found = training(rundir, plan)
    for k, model in enumerate(load_folds(rundir.path("classify", "model"))):
        w, intercept = classify_training.regression(
            found, found.fold != k, 1.0, "balanced", tol=1e-10
        )
        np.testing.assert_allclose(model.weights, w, rtol=0, atol=1e-6)
        assert model.intercept == pytest.approx(intercept, abs=1e-6)


def test_folds_of_signals_are_scikit_learns_from_the_fit_of_all(
    run_recipe: Callable[..., Any],
) -> None:
    table = {**TABLE, "classify": {**WORDS, "scaling": "none", "signals": ["prose", "chars"]}}
    rundir, plan = run_recipe(DATASETS, {**table, "stages": ["extract"]})
    for shard in plan.shards:
        classify_sample.sample_shard(rundir, (shard, 1.0))
    found = training(rundir, plan)
    assert not found.has_words
    subsets = [classify_training.Subset(1.0), classify_training.Subset(1.0, 2)]
    whole, fold = classify_training.fit_subsets(found, subsets, "balanced", from_first=True)
    given = {"c": 1.0, "class_weight": "balanced", "start": whole}
    w, intercept = classify_training.regression(found, found.fold != 2, **given)
    assert (fold[0].tobytes(), fold[1]) == (w.tobytes(), intercept)


def test_the_weights_are_the_minimum_of_the_stated_objective(
    run_recipe: Callable[..., Any],
) -> None:
    found = training(*run_recipe(DATASETS, TABLE))
    rows = np.ones(len(found.y), bool)
    w, intercept = classify_training.regression(found, rows, 1.0, "balanced", tol=1e-10)
    weight = classify_training.class_weights(found.y, "balanced")
    residual = weight * (sigmoid(found.x @ w + intercept) - found.y)
    np.testing.assert_allclose(found.x.T @ residual + w, 0, atol=1e-5)
    assert residual.sum() == pytest.approx(0, abs=1e-5)


def test_a_fit_that_ended_before_its_minimum_is_known_and_said(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe(DATASETS, TABLE)
    card = fitted(rundir)[0]
    assert 0 <= card["gradient_left"] <= 1e-7
    assert not [line for line in classify.warnings(rundir) if "minimum" in line]
    found, whole = training(rundir, plan), classify_training.Subset(card["C"])
    ((w, b),) = classify_training.fit_subsets(found, [whole], "balanced")
    left = [classify_training.gradient_left(found, whole, "balanced", (k * w, b)) for k in (1, 0.5)]
    assert left[0] <= 1e-7
    assert left[1] > classify.MOST_LEFT
    assert "ended before its minimum" in classify.minimum_warnings(left[1])[0]


# ---- the report ------------------------------------------------------------------------------------------------------------------------


def test_the_strongest_tokens_come_from_the_training_text_with_their_collisions(
    run_recipe: Callable[..., Any],
) -> None:
    _, report = fitted(run_recipe(DATASETS, TABLE)[0])
    shown = {
        side: {f["tokens"][0]["token"] for f in rows} for side, rows in report["strongest"].items()
    }
    assert shown["negative"] <= set(JUNK)
    assert shown["positive"] <= set(GOOD)
    counts = Counter(
        word for rows in DATASETS.values() for row in rows for word in row["text"].split()
    )
    for side in report["strongest"].values():
        for feature in side:
            assert feature["tokens"] == [
                {"token": t["token"], "count": counts[t["token"]]} for t in feature["tokens"]
            ]
            assert feature["distinct_tokens"] == len(feature["tokens"])


def test_the_figures_add_up(run_recipe: Callable[..., Any]) -> None:
    card, report = fitted(run_recipe(DATASETS, {**TABLE, "classify": {**WORDS, "C": 10.0}})[0])
    assert sum(band["documents"] for band in report["calibration"]) == report["documents"]
    assert sum(sum(own["scores"]) for own in report["datasets"].values()) == report["documents"]
    assert 0.7 < report["auc"] <= 1  # a fifth of the crawl is good
    assert [one["documents"] for one in report["curve"]] == sorted(
        one["documents"] for one in report["curve"]
    )
    assert report["curve"][-1]["documents"] < report["documents"] == 160
    assert 0 < card["heldout"]["marks_auc"] < 1


def test_calibration_weighs_classes_as_the_fit_does() -> None:
    y = np.array([1, 0, 0, 0])
    weight = classify_training.class_weights(y, "balanced")
    (band,) = classify_measure._calibration(y, np.full(4, 0.5), weight, np.linspace(0, 1, 3))
    assert (band["documents"], band["positive"], band["score"]) == (4, 0.5, 0.5)


def test_layout_that_tells_the_classes_apart_is_measured_and_said(
    run_recipe: Callable[..., Any],
) -> None:
    """The same words in both, but for spaced commas and bullets."""
    rows = labelled_rows(GOOD, 120, 4)
    good = [{**row, "text": row["text"].replace(" rain", " , rain ,")} for row in rows[:60]]
    web = [{**row, "text": "- " + row["text"].replace(" rain", "\n- rain")} for row in rows[60:]]
    rundir, _ = run_recipe({"good": good, "crawl:web": web}, TABLE)
    heldout = fitted(rundir)[0]["heldout"]
    assert heldout["marks_auc"] > 0.95
    (line,) = [line for line in classify.warnings(rundir) if "layout" in line]
    assert f"AUC {heldout['marks_auc']:.3f}, all words with {heldout['auc']:.3f}" in line


def test_a_classifier_that_cannot_be_told_from_chance_does_not_filter(
    run_recipe: Callable[..., Any],
) -> None:
    """Both classes are drawn from the same words; it is refused in the second run as in the first."""
    alike = {"good": labelled_rows(GOOD, 40, 11), "crawl:web": labelled_rows(GOOD, 40, 12)}
    for _ in range(2):
        with pytest.raises(InputError, match="not to be told from chance on the 80 documents"):
            run_recipe(alike, TABLE)
    with pytest.raises(
        InputError, match=r"worse than chance on the 9 documents.*AUC 0\.10, and one"
    ):
        classify_fit.check_chance({"documents": 9, "auc": 0.1, "chance": 0.2})


def test_chance_is_as_wide_as_that_of_scores_that_know_nothing() -> None:
    """Documents of a site count once, since they are no independent draws."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(5)
    y, group = np.repeat([1, 0], [20, 60]), np.arange(80)
    width = classify_measure.chance_width(y, group)
    inside = [abs(roc_auc_score(y, rng.random(80)) - 0.5) < width for _ in range(400)]
    assert 0.92 < np.mean(inside) < 0.98
    twice = classify_measure.chance_width(np.repeat(y, 2), np.repeat(group, 2))
    assert twice == width


# ---- parity with pyspark.ml ------------------------------------------------------------------------------------------------------------


@pytest.mark.spark
@pytest.mark.slow  # Spark's own fit is what takes long
@pytest.mark.parametrize(("scaling", "c"), [("log-l2", 100.0), ("tf", 0.01)])
def test_coefficients_agree_with_pyspark_ml(
    spark: Any, sample_run: Path, scaling: Any, c: float
) -> None:
    """Same objective: regParam = 1 / (C * sum of weights), no standardization. Tolerance: 1 % of the largest coefficient for the fit that
    `classify` makes, 0.0005 of it for one that is run on until nothing changes (of raw counts
    Spark's own last steps are 0.00025 away). Spark gets the features that occur; the others are 0."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.linalg import Vectors

    found = training(*plans.read(str(sample_run)), scaling=scaling)
    # Every eighth negative: of all of them neither fit is run on far enough within the test.
    rows = (found.y == 1) | (np.arange(len(found.y)) % 8 == 0)
    y = found.y[rows]
    weight = classify_training.class_weights(y, "balanced")
    used = np.unique(found.x[rows].indices)
    x = found.x[rows][:, used].sorted_indices()
    data = [
        (Vectors.sparse(len(used), row.indices.tolist(), row.data.tolist()), float(one), float(w))
        for row, one, w in zip(x, y, weight, strict=True)
    ]
    frame = spark.createDataFrame(data, ["features", "label", "weight"]).coalesce(1).cache()
    theirs = LogisticRegression(
        regParam=1 / (c * weight.sum()),
        standardization=False,
        weightCol="weight",
        maxIter=500,
        tol=1e-10,
    ).fit(frame)
    coefficients = np.zeros(found.x.shape[1])
    coefficients[used] = theirs.coefficients.toArray()
    largest = np.abs(coefficients).max()
    for tol, share in ((classify_training.TOL, 1e-2), (1e-9, 5e-4)):
        w, intercept = classify_training.regression(found, rows, c, "balanced", tol)
        np.testing.assert_allclose(w, coefficients, rtol=0, atol=share * largest)
        assert intercept == pytest.approx(theirs.intercept, abs=share * largest)
