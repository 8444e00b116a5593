"""Scores of texts: by a fitted model, by the model of each text's fold, or by a fastText file; of
the whole text, or the mean of those of its windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.stages.classify.fasttext_model import FastText, score_fasttext
from curation.stages.classify.model import NUM_FEATURES, Floats, Model
from curation.stages.classify.sample import cut_windows, window_places

Folds = npt.NDArray[np.int16]


def scores(
    texts: pa.Array, models: Sequence[Model] | FastText, fold: Folds, window_chars: int = 0
) -> Floats:
    """The score float64[n] of each text, by the model of its fold int16[n] where several are
    given. `window_chars`: of the windows whose mean it is; 0 for the whole text."""

    def score(texts: pa.Array, fold: Folds) -> Floats:
        if isinstance(models, FastText):
            return score_fasttext(models, texts)
        return _scores_by_fold(texts, models, fold)

    return _window_means(texts, fold, window_chars, score) if window_chars else score(texts, fold)


def _window_means(
    texts: pa.Array, fold: Folds, window_chars: int, score: Callable[[pa.Array, Folds], Floats]
) -> Floats:
    """The mean score of each text's windows, cut as the fit cuts them."""
    rows, numbers, counts = window_places(texts, window_chars)
    windows = pa.array(cut_windows(texts, rows, numbers, counts), pa.string())
    sums = np.bincount(rows, score(windows, fold[rows]), minlength=len(texts))
    return np.asarray(sums / counts)


def _scores_by_fold(texts: pa.Array, models: Sequence[Model], fold: Folds) -> Floats:
    from curation.kernels.buffers import text_buffers

    out = np.empty(len(texts))
    for number in np.unique(fold).tolist():
        rows, model = np.flatnonzero(fold == number), models[number]
        buffers = text_buffers(texts if len(rows) == len(texts) else texts.take(pa.array(rows)))
        out[rows] = score_texts(model, *buffers)
    return out


def score_texts(model: Model, offsets: Any, data: Any) -> Floats:
    """The score float64[n] of each text that `text_buffers` gave."""
    from curation.kernels.elementary import odds, sigmoid
    from curation.kernels.hashingtf import logits
    from curation.kernels.signals import signals

    terms, weights = model.weights[:NUM_FEATURES], model.weights[NUM_FEATURES:]
    logit = np.full(len(offsets) - 1, model.intercept)
    if model.scaling != "none":
        logit = logits(offsets, data, terms, model.intercept, model.scaling)
    if model.signals:
        # Column by column: the order of additions is that of the signals, on every machine.
        for values, weight in zip(signals(offsets, data, model.signals).T, weights, strict=True):
            logit += values * weight
    if model.steps is not None:
        return np.asarray(np.interp(logit, *model.steps))
    return odds(logit) if model.link == "odds" else sigmoid(logit)
