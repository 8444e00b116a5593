"""`curation.QualityClassifier`: the model of `classify`, with scikit-learn's words.

Trap: a score is the probability of being like the positives, where documents of both classes weigh
alike; it is no share of good pages. `classify` keeps by chance, `predict` by one half.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation import store
from curation.api import memory
from curation.api.data import Batches, Columns, Files, given, path_of
from curation.api.documents import plain_text
from curation.api.memory import Dataset
from curation.api.messages import listed
from curation.api.results import INPUT, Result
from curation.errors import InputError
from curation.stages.classify.model import FOLDS, MODEL, Model, load_model

REPORT, CARD = "report.json", "card.json"
BATCH_ROWS = 4096


class QualityClassifier:
    """Logistic regression on words or on signals of prose; nothing of it is pickled.

    Args:
        scaling: how term counts become features; "none": only signals.
        signals: signals beside the terms, groups or names.
        calibration: what makes a score of a logit.
        positives_by: what positives weigh by.
        C: inverse regularisation; "auto": several are tried.
        class_weight: whether both classes weigh alike.
        folds: folds by site on which it is measured; "auto": five.
        max_documents: documents of each class that it learns from.
        window_chars: windows of long documents, in characters; 0: whole.
        seed: of what is drawn.

    >>> model = QualityClassifier.shipped()
    >>> model.predict_proba(["The miller wound the sluice at dawn, and the yard smelled of flour."]).shape
    (1, 2)
    """

    classes_ = np.array([0, 1])

    def __init__(
        self,
        *,
        scaling: Literal["none", "tf", "binary", "l2", "log-l2"] = "none",
        signals: str | Sequence[str] = ("prose",),
        calibration: Literal["trusted", "none"] = "trusted",
        positives_by: Literal["characters", "documents"] = "characters",
        C: float | Literal["auto"] = 100.0,  # noqa: N803
        class_weight: Literal["balanced", "none"] = "balanced",
        folds: int | Literal["auto"] = "auto",
        max_documents: int = 100_000,
        window_chars: int = 0,
        seed: int = 0,
    ) -> None:
        self._settings: dict[str, Any] = {
            "scaling": scaling,
            "signals": tuple(listed("QualityClassifier", "signals", signals, str)),
            "calibration": calibration,
            "positives_by": positives_by,
            "C": C,
            "class_weight": class_weight,
            "folds": folds,
            "max_documents": max_documents,
            "window_chars": window_chars,
        }
        self._seed = seed
        self._files: dict[str, bytes] = {}
        self._model: Model | None = None

    @classmethod
    def shipped(cls) -> QualityClassifier:
        """The model that ships with curation."""
        from curation.stages.classify.shipped import SHIPPED

        return cls.load(SHIPPED)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> QualityClassifier:
        """The model in a folder that `save` or a run (RUN/classify/model) wrote.

        Raises InputError where there is none, or it is damaged or of another version.
        """
        path = path_of(folder)
        model = cls()
        model._take(path)
        return model

    def fit(
        self,
        positives: Any,
        negatives: Any,
        *,
        text_column: str = "text",
        id_column: str = "id",
        url_column: str = "url",
        workers: int | None = None,
    ) -> QualityClassifier:
        """Learn to tell positives from negatives; both are data as `classify` takes them.

        Raises InputError where the classes cannot be told apart better than by chance.
        """
        columns = Columns(text_column, id_column, url_column)
        own = given(negatives, "negatives", text_column)
        if isinstance(own, Files):
            from curation.api.read import need_files, read

            need_files(own.paths, "negatives")
            own = Batches(read(own.paths, **vars_of(columns)), "negatives")
        datasets = [
            Dataset(INPUT, "crawl", own, columns),
            Dataset("positives", "reference", given(positives, "positives", text_column), columns),
        ]
        keys = {**self._settings, "positives": ["positives"], "negatives": [INPUT]}
        settings = {"classify": keys, "seed": self._seed}
        with memory.finished("classify", datasets, settings, workers) as done:
            self._take(done.rundir.path("classify", "model"))
        return self

    def predict_proba(self, data: Any, *, text_column: str = "text") -> npt.NDArray[np.float64]:
        """Probabilities float64[n, 2] of texts: of being like the negatives, and the positives.

        A text that is null or empty is like neither: nan. Raises InputError before `fit`.
        """
        from curation.kernels.buffers import text_buffers
        from curation.stages.classify.scoring import score_texts

        model = self._fitted()
        scores = []
        for text in _texts(data, text_column):
            score = score_texts(model, *text_buffers(text.fill_null("")))
            score[text.is_null().to_numpy(zero_copy_only=False)] = np.nan
            scores.append(score)
        positive = np.concatenate(scores) if scores else np.zeros(0)
        return np.stack([1.0 - positive, positive], axis=1)

    def predict(self, data: Any, *, text_column: str = "text") -> npt.NDArray[np.int64]:
        """1 where a text is rather like the positives, else 0: int64[n]."""
        return (self.predict_proba(data, text_column=text_column)[:, 1] > 0.5).astype(np.int64)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model to a folder, as a run writes it: npz and JSON.

        Raises InputError where the folder holds something else, or is a file.
        """
        self._fitted()
        path = path_of(folder)
        if store.exists(path) and not store.is_folder(path):
            raise InputError(f"{path}: a file is there; name a folder")
        others = {file.name for file in store.listing(path)} - {MODEL, FOLDS, REPORT, CARD}
        if others:
            raise InputError(
                f"{path}: not the folder of a model, and not empty (it holds {min(others)!r}); "
                "name a new folder"
            )
        # A folder without its card is no model: it goes first and comes last.
        store.delete(store.join(path, CARD))
        for name, data in self._files.items():
            store.write_bytes(store.join(path, name), data)

    @property
    def card(self) -> dict[str, Any]:
        """What it was fitted on, and how well it tells what it has not seen apart."""
        import orjson

        self._fitted()
        card: dict[str, Any] = orjson.loads(self._files[CARD])
        return card

    def __repr__(self) -> str:
        if self._model is None:
            return "QualityClassifier(not fitted)"
        heldout = self.card.get("heldout") or {}
        auc = f", AUC {heldout['auc']:.3f} on held-out documents" if heldout.get("auc") else ""
        return f"QualityClassifier({self.card.get('kind', 'fitted')}{auc})"

    def _fitted(self) -> Model:
        if self._model is None:
            raise InputError(
                "QualityClassifier: not fitted; call fit(positives, negatives), or take "
                "QualityClassifier.shipped()"
            )
        return self._model

    def _take(self, folder: str) -> None:
        """Read the model's files, the card last."""
        self._model = load_model(folder)
        names = (MODEL, FOLDS, REPORT, CARD)
        paths = {name: store.join(folder, name) for name in names}
        self._files = {n: store.read_bytes(p) for n, p in paths.items() if store.exists(p)}


def _texts(data: Any, text_column: str) -> Any:
    """Arrays of texts of some thousand rows."""
    from curation.api.read import need_files, read

    source = given(data, "data", text_column)
    if isinstance(source, Files):
        need_files(source.paths, "data")
        source = Batches(read(source.paths, text_column=text_column), "data")
    column = source.table(Columns(text_column)).column(text_column)
    for start in range(0, len(column), BATCH_ROWS):
        yield plain_text(column.slice(start, BATCH_ROWS))


def vars_of(columns: Columns) -> dict[str, Any]:
    """The arguments of `read` that name columns."""
    return {**columns.as_keys()}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Classified(Result):
    """A Result of `classify`: `kept` and `removed` have `quality` and `pareto_draw`; `model` is the
    classifier that scored."""

    model: QualityClassifier
