"""Scores of logits: Platt's line is the one of least log loss, isotonic steps rise and are means,
and both come back from the model's file."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classify_corpus import DATASETS, TABLE, WORDS
from scipy.optimize import minimize

from curation import store
from curation.errors import InputError
from curation.stages.classify.calibration import isotonic, platt
from curation.stages.classify.model import load_folds, load_model, write_model

RNG = np.random.default_rng(7)
LOGIT = RNG.normal(3, 2, 4000)
Y = (RNG.random(4000) < 1 / (1 + np.exp(1 - 2 * LOGIT))).astype(np.int64)
WEIGHT = RNG.uniform(0.5, 2, 4000)


def test_platts_line_is_that_of_least_weighted_log_loss() -> None:
    def loss(line: Any) -> float:
        sign = np.where(Y == 1, -1.0, 1.0)
        return float((WEIGHT * np.logaddexp(0, sign * (line[0] * LOGIT + line[1]))).sum())

    best = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-6})
    found = platt(LOGIT, Y, WEIGHT)
    assert found.link == "sigmoid"
    assert (found.slope, found.shift) == pytest.approx(tuple(best.x), rel=1e-4)
    assert (found.slope, found.shift) == pytest.approx((2, -1), abs=0.3)
    again = platt(LOGIT, Y, WEIGHT)
    assert (again.slope, again.shift) == (found.slope, found.shift)


def test_isotonic_steps_are_weighted_means_of_pooled_neighbours() -> None:
    logit, y, weight = np.array([0.0, 1, 2, 3]), np.array([0, 1, 0, 1]), np.array([1.0, 1, 3, 1])
    steps = isotonic(logit, y, weight).steps
    assert steps is not None
    assert np.interp(logit, *steps).tolist() == pytest.approx([0, 0.25, 0.25, 1])
    assert np.interp([-9, 9], *steps).tolist() == [0, 1]


def test_a_calibrated_run_keeps_the_order_and_its_numbers_stand_in_its_files(
    run_recipe: Callable[..., Any],
) -> None:
    def run(calibration: str) -> Any:
        table = {**WORDS, "C": 1.0, "calibration": calibration, "folds": 0}
        rundir, plan = run_recipe(DATASETS, {**TABLE, "classify": table}, out=calibration)
        (shard,) = plan.of("web")
        score = store.read_table(rundir.table("classify", shard, "evidence")).column("score")
        return score.to_numpy(), rundir.path("classify", "model")

    plain, _ = run("none")
    logit = np.log(plain / (1 - plain))
    line, folder = run("platt")
    card = store.read_json(store.join(folder, "card.json"))
    assert (card["link"], card["slope"] > 0) == ("sigmoid", True)
    by_hand = 1 / (1 + np.exp(-(card["slope"] * logit + card["shift"])))
    assert line == pytest.approx(by_hand, abs=1e-4)
    assert np.abs(line - plain).max() > 0.01
    steps, folder = run("isotonic")
    model = load_model(folder)
    assert model.link == "isotonic"
    assert model.steps is not None
    assert steps == pytest.approx(np.interp(logit, *model.steps), abs=1e-9)
    for fold in load_folds(folder):
        assert np.array_equal(fold.steps, model.steps)
    with np.load(io.BytesIO(Path(folder, "model.npz").read_bytes()), allow_pickle=False) as arrays:
        assert set(arrays) == {"weights", "intercept", "steps"}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([[0.0, 1.0], [0.5, 0.2]], "rising logits and rising scores"),
        ([[1.0, 0.0], [0.2, 0.5]], "rising logits and rising scores"),
        ([[0.0, 1.0], [0.5, 2.0]], "rising logits and rising scores"),
        ([0.0, 1.0], "rising logits and rising scores"),
        ([[0.0, np.nan], [0.5, 0.6]], "finite weights expected"),
        (None, "`weights` and `intercept` and `steps` expected"),
    ],
)
def test_steps_that_are_none_are_refused(tmp_path: Path, steps: Any, said: str) -> None:
    model = load_model("curation/stages/classify/shipped_model")
    card = {"scaling": model.scaling, "signals": list(model.signals), "link": "isotonic"}
    array = None if steps is None else np.array(steps)
    write_model(str(tmp_path), model.weights, model.intercept, card, steps=array)
    with pytest.raises(InputError, match=said):
        load_model(str(tmp_path))
    assert dataclasses.replace(model).steps is None
