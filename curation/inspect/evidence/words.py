"""What the words of a document weigh in its quality score.

The score is a function of its logit: intercept + the sum of what each word adds + that of the
signals. Cost: the model of the document's fold (a few MB) and one text.

Trap: many words share a feature; a word's weight is that of its feature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from curation import store
from curation.stages.classify.fasttext_model import FastText
from curation.stages.classify.model import NUM_FEATURES, Model, load_folds, load_model

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory

_WORD = re.compile(r"[^ \t\n\x0b\f\r]+")
MOST_WORDS = 200_000


@dataclass(frozen=True, slots=True)
class Weights:
    """`words`: (start, end, what it adds to the logit) in code points of the text; `signals`: name
    and what it adds; `intercept`: what the logit is without both."""

    words: tuple[tuple[int, int, float], ...]
    signals: tuple[tuple[str, float], ...]
    intercept: float


def model_of(rundir: RunDirectory, fold: int | None) -> Model | None:
    """The model that scored the documents of a fold; None where it has no words (fastText)."""
    folder = rundir.path("classify", "model")
    if not store.exists(store.join(folder, "card.json")):
        return None
    card = store.read_json(store.join(folder, "card.json"))
    if "label" in card:
        return None
    return load_model(folder) if fold is None else load_folds(folder)[fold]


def word_weights(model: Model | FastText | None, text: str) -> Weights | None:
    """What each word of a text and each signal adds to its logit; None where the model has none."""
    if model is None or isinstance(model, FastText):
        return None
    from curation.kernels.buffers import text_buffers
    from curation.kernels.hashingtf import scale, term_counts
    from curation.kernels.signals import signals

    whole = text_buffers(pa.array([text], pa.string()))
    words: tuple[tuple[int, int, float], ...] = ()
    if model.scaling != "none":
        indptr, indices, counts = term_counts(*whole, NUM_FEATURES)
        each = scale(indptr, counts, model.scaling) * model.weights[indices] / counts
        adds = dict(zip(indices.tolist(), each.tolist(), strict=True))
        spans = [match.span() for match in _WORD.finditer(text)][:MOST_WORDS]
        distinct = list(dict.fromkeys(text[start:end] for start, end in spans))
        starts, features, _ = term_counts(
            *text_buffers(pa.array(distinct, pa.string())), NUM_FEATURES
        )
        # A word that lower-casing changes in length is still one token; none has no feature.
        feature = {word: int(features[starts[i]]) for i, word in enumerate(distinct)}
        words = tuple((a, b, adds.get(feature[text[a:b]], 0.0)) for a, b in spans)
    values = signals(*whole, model.signals)[0] if model.signals else np.zeros(0)
    parts = values * model.weights[NUM_FEATURES:]
    return Weights(
        words, tuple(zip(model.signals, parts.tolist(), strict=True)), float(model.intercept)
    )
