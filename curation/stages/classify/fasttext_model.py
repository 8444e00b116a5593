"""A fastText classifier in place of a fitted model, such as the one that DCLM published: the score
of a text is the probability of one of its labels.

The text is one line, as DCLM's program makes it: `" ".join(text.strip().splitlines())`; NUL, which
ends a text for fastText, becomes a space. The file stays where it is: it may have gigabytes, and a
run keeps its sha256 and a card. Cost: a process loads the file once. The trap: fastText computes in
float32, so scores may differ by 1e-6 from machine to machine.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation import store
from curation.digests import text_digest
from curation.errors import InputError, RunError
from curation.recipe.classify import FASTTEXT_FILES
from curation.recipe.tables import Recipe
from curation.shown import brief

if TYPE_CHECKING:
    import pyarrow as pa

    from curation.readers.language_model import ModelFile

SHOWN = 10  # labels named in a message
PREFIX = "__label__"
NO_WEIGHTS = (
    "a fastText model is not made of weights of words: it has no strongest tokens and no figures of "
    "a fit"
)
_ANOTHER = "give a supervised fastText file, or the folder of a fitted model"


@dataclass(frozen=True, slots=True)
class FastText:
    """A user's fastText file, and the label whose probability is the score, with `__label__`."""

    file: ModelFile
    label: str

    @property
    def identity(self) -> str:
        """What stands for it in digests: the file's content and the label."""
        return text_digest(f"{self.file.sha256} {self.label}".encode()).hex()


def is_fasttext(path: str) -> bool:
    """Whether a given model is a fastText file, by its name."""
    return path.endswith(FASTTEXT_FILES)


def given_fasttext(recipe: Recipe) -> FastText | None:
    """The fastText file that a recipe is scored by; None where it names none.

    Raises InputError where the file is not there or is no such model, or the label is none of its.
    """
    from curation.readers.language_model import model_file

    path = recipe.classify.model
    if not is_fasttext(path):
        return None
    labels = fasttext_labels(path)
    try:
        label = checked_label(recipe.classify.model_label, labels, path)
        return FastText(model_file(path), label)
    except (InputError, ValueError) as error:
        raise InputError(f"classify.{error}") from error


def fasttext_labels(path: str) -> list[str]:
    """The labels of a file, with `__label__`. Raises InputError where it is no such model."""
    from curation.readers.language_model import model_labels

    try:
        return [PREFIX + label for label in model_labels(path, _ANOTHER)]
    except InputError as error:
        raise InputError(f"classify.model: {error}") from error


def checked_label(label: str, labels: list[str], model: str) -> str:
    """The label of a model that a recipe means, with or without `__label__`. Raises ValueError,
    naming the nearest, where it is none.

    >>> checked_label("hq", ["__label__cc", "__label__hq"], "x.bin")
    '__label__hq'
    >>> checked_label("high", ["__label__cc", "__label__hq"], "x.bin")
    Traceback (most recent call last):
    ...
    ValueError: model_label: a label of x.bin expected (cc, hq), got 'high'; nearest: 'hq'
    """
    full = PREFIX + label.removeprefix(PREFIX)
    if label and full in labels:
        return full
    names = [name.removeprefix(PREFIX) for name in labels]
    known = ", ".join(brief(name).strip("'") for name in names[:SHOWN])
    known += f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    # Where none is named, DCLM's label of good text is asked for.
    near = difflib.get_close_matches(full.removeprefix(PREFIX)[:80] or "hq", names, 1, 0.3)
    hint = f"; nearest: {brief(near[0])}" if near else ""
    got = brief(label) if label else "none (its probability is the score)"
    raise ValueError(f"model_label: a label of {model} expected ({known}), got {got}{hint}")


def write_card(folder: str, model: FastText) -> None:
    """Write what the run keeps of the model in place of a fitted one."""
    labels = fasttext_labels(model.file.path)
    card: dict[str, Any] = {
        "kind": f"fastText classifier: the probability of {model.label}",
        "sha256": model.file.sha256,
        "label": model.label,
        "labels": labels[:SHOWN],
        "note": NO_WEIGHTS,
    }
    store.delete(folder)
    store.write_json(store.join(folder, "card.json"), card)


def was_scored_by_fasttext(folder: str) -> bool:
    """Whether the card in a run's model folder is that of a fastText file."""
    path = store.join(folder, "card.json")
    try:
        card = store.read_json(path) if store.exists(path) else None
    except RunError:
        return False
    return isinstance(card, dict) and "label" in card


def line_of(text: str) -> str:
    """A text as one line, as DCLM's program gives it to fastText.

    >>> line_of(" one\\ntwo\\r\\n\\nthree ")
    'one two  three'
    """
    return " ".join(text.strip().splitlines()).replace("\0", " ")


def score_fasttext(model: FastText, texts: pa.Array) -> npt.NDArray[np.float64]:
    """The probability float64[n] of the model's label for each text; 0 for one in which the model
    knows no word."""
    from curation.readers.language_model import loaded

    predict = loaded(model.file).predict
    out = np.zeros(len(texts))
    for row, text in enumerate(texts):
        labels, chances = predict(line_of(text.as_py()), k=-1)
        if model.label in labels:
            # fastText's own sum may be a little above 1.
            out[row] = min(float(chances[labels.index(model.label)]), 1.0)
    return out
