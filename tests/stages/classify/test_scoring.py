"""Scores of windows: the mean over a text's windows, each scored as a text of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from classify_corpus import DATASETS, TABLE, WORDS

from curation import store
from curation.errors import RecipeError
from curation.kernels.buffers import text_buffers
from curation.stages.classify.model import NUM_FEATURES, Model
from curation.stages.classify.sample import window_text
from curation.stages.classify.scoring import score_texts, scores

DRAW = np.random.default_rng(4)
WEIGHTS = np.append(DRAW.normal(size=NUM_FEATURES), 0.2)
MODELS = tuple(Model(WEIGHTS * k, 0.1, "l2", ("log_chars",), "sigmoid", "") for k in (1, -1))
TEXTS = ["one two three " * 40, "", "short", "lamp keeper " * 25]


def test_a_score_of_windows_is_their_mean_by_the_model_of_the_texts_fold() -> None:
    fold = np.array([0, 1, 1, 1], np.int16)
    found = scores(pa.array(TEXTS), MODELS, fold, 100)
    for text, number, score in zip(TEXTS, fold.tolist(), found.tolist(), strict=True):
        count = max(1, len(text) // 100)
        windows = pa.array([window_text(text, k, count) for k in range(count)])
        by_hand = score_texts(MODELS[number], *text_buffers(windows))
        assert score == pytest.approx(by_hand.mean(), abs=1e-12)
    whole = scores(pa.array(TEXTS), MODELS, fold)
    assert whole[1:3].tolist() == found[1:3].tolist()  # one window each
    assert (np.abs(whole - found)[[0, 3]] > 1e-3).all()


def test_a_run_scores_windows_where_asked(run_recipe: Callable[..., Any]) -> None:
    def run(**more: Any) -> Any:
        rundir, plan = run_recipe(
            DATASETS, {**TABLE, "classify": {**WORDS, "C": 1.0, "window_chars": 90, **more}}
        )
        (shard,) = plan.of("web")
        path = rundir.table("classify", shard, "evidence")
        return store.read_table(path).column("score").to_numpy(), rundir

    (whole, _), (windows, _), (again, _) = run(), run(scores_of="windows"), run()
    assert (np.abs(whole - windows) > 1e-6).mean() > 0.9
    assert again.tolist() == whole.tolist()
    with pytest.raises(
        RecipeError, match=r"\"windows\" needs their length in classify.window_chars"
    ):
        run(scores_of="windows", window_chars=0)
