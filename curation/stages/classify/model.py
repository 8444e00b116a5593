"""The model folder of `classify`: data, not code.

`model.npz` (weights and intercept, no objects) is the model fitted on all that was learned from;
`folds.npz` the models that have each not seen one fold of it (a row each); `report.json` how the
fit went; and, written last, `card.json` what it was fitted on and how, versions, and the sha256 of
both: the models' identities.

Any program that reads npz and JSON can use it: a text's logit is intercept + scaled HashingTF
features . weights[:262144] + signals . weights[262144:]; its score is sigmoid(logit); where
card.json says `link` "odds", min(1, e**logit); where it says "isotonic", what the broken line
through the corners `steps` (float64[2, k]: logits, scores) has at the logit. A copy in another run
has no `folds.npz`: the folds say something only of the run that made them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from curation import store
from curation.errors import MISSHAPEN, InputError, RunError
from curation.recipe.signals import SIGNALS
from curation.recipe.tables import Scaling
from curation.shown import brief

FORMAT = 2  # of the folder; a reader refuses another
NUM_FEATURES = 1 << 18  # HashingTF's default
TERMS = "Spark's Tokenizer and HashingTF features"
MODEL, FOLDS = "model.npz", "folds.npz"
Link = Literal["sigmoid", "odds", "isotonic"]  # odds: e**logit, at most 1
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted classifier: `weights` float64[2**18 + signals], `intercept`, the scaling and the
    signals it was fitted with, what makes a score of its logit, what it is called by, and of link
    "isotonic" the `steps` float64[2, k]."""

    weights: Floats
    intercept: float
    scaling: Scaling
    signals: tuple[str, ...]
    link: Link
    identity: str
    steps: Floats | None = None


def write_model(
    folder: str,
    weights: Floats,
    intercept: float,
    card: dict[str, Any],
    report: dict[str, Any] | None = None,
    folds: Sequence[tuple[Floats, float]] = (),
    steps: Floats | None = None,
) -> None:
    """Write the files; the card comes last, and a folder without one is no model. `folds`: weights
    and intercept of each. `steps`: of all of them, where the card's `link` is "isotonic"."""
    store.delete(store.join(folder, "card.json"))
    full_card = {
        **card,
        "format": FORMAT,
        "features": NUM_FEATURES,
        "sha256": _write_arrays(store.join(folder, MODEL), weights, np.float64(intercept), steps),
    }
    if folds:
        full_card["folds_sha256"] = _write_arrays(
            store.join(folder, FOLDS),
            np.array([weights for weights, _ in folds]),
            np.array([intercept for _, intercept in folds]),
            steps,
        )
    if report is not None:
        store.write_json(store.join(folder, "report.json"), report)
    store.write_json(store.join(folder, "card.json"), full_card)


def _write_arrays(path: str, weights: Floats, intercept: Any, steps: Floats | None) -> str:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"weights": weights, "intercept": intercept}
    np.savez_compressed(buffer, **arrays | ({} if steps is None else {"steps": steps}))
    store.write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def load_model(folder: str) -> Model:
    """Read the model of a folder that was fitted on everything.

    Raises InputError where there is none, or it was damaged, is of another version, or has another
    number of features.
    """
    card = _card(folder)
    path = store.join(folder, MODEL)
    signals, link = tuple(card["signals"]), card["link"]
    shape = (NUM_FEATURES + len(signals),)
    weights, intercept, steps = _read_arrays(path, card["sha256"], shape, link)
    return Model(weights, float(intercept), card["scaling"], signals, link, card["sha256"], steps)


def load_folds(folder: str) -> tuple[Model, ...]:
    """The models that have each not seen one fold, in the order of the folds; all have the identity
    of their file. Raises InputError as `load_model` does."""
    card = _card(folder)
    sha256, count = card.get("folds_sha256"), card.get("folds")
    if not isinstance(sha256, str) or not isinstance(count, int):
        raise InputError(f"{folder}/card.json: `folds` and `folds_sha256` expected; fit it again")
    path = store.join(folder, FOLDS)
    signals, link = tuple(card["signals"]), card["link"]
    shape = count, NUM_FEATURES + len(signals)
    weights, intercepts, steps = _read_arrays(path, sha256, shape, link)
    return tuple(
        Model(weights[k], float(intercepts[k]), card["scaling"], signals, link, sha256, steps)
        for k in range(count)
    )


def _read_arrays(
    path: str, sha256: Any, shape: tuple[int, ...], link: Link
) -> tuple[Floats, Floats, Floats | None]:
    """Weights of a shape, an intercept for each model, and the steps of link "isotonic"."""
    names = ("weights", "intercept", *(["steps"] * (link == "isotonic")))
    data = store.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{path}: not the bytes that card.json names (sha256 differs); copy the model again"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = [np.asarray(arrays[name]) for name in names]
    except (*MISSHAPEN, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError) as error:
        raise InputError(
            f"{path}: arrays `{'` and `'.join(names)}` expected ({brief(error)}); copy the model "
            "again"
        ) from error
    for array in found:
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path}: weights are numbers, got {array.dtype}")
    weights, intercept = found[:2]
    if weights.shape != shape or intercept.shape != shape[:-1]:
        raise InputError(
            f"{path}: weights of shape {shape} expected, and an intercept for each model, got "
            f"{weights.shape} and {intercept.shape}; this model is of another feature size"
        )
    if not all(np.isfinite(array).all() for array in found):
        raise InputError(f"{path}: finite weights expected; fit the model again")
    weights, intercept = (np.asarray(array, np.float64) for array in found[:2])
    return weights, intercept, _checked_steps(path, found[2]) if found[2:] else None


def _checked_steps(path: str, steps: npt.NDArray[Any]) -> Floats:
    steps = np.asarray(steps, np.float64)
    is_line = steps.ndim == 2 and len(steps) == 2 and steps.shape[1] > 0
    if not is_line or (np.diff(steps) < 0).any() or steps[1].min() < 0 or steps[1].max() > 1:
        raise InputError(
            f"{path}: `steps` expected as rising logits and rising scores in [0, 1], got shape "
            f"{steps.shape}; fit the model again"
        )
    return steps


def _card(folder: str) -> dict[str, Any]:
    path = store.join(folder, "card.json")
    if not store.exists(path):
        raise InputError(
            f"{folder}: not a model (no card.json); give a folder such as RUN/classify/model, or a "
            "fastText file (.bin, .ftz)"
        )
    try:
        card = store.read_json(path)
    except RunError as error:
        raise InputError(f"{path}: not JSON; copy the model again") from error
    if isinstance(card, dict) and "label" in card:
        raise InputError(
            f"{folder}: this run was scored by a fastText file, which it does not hold; give that "
            "file itself"
        )
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        got = card.get("format") if isinstance(card, dict) else card
        raise InputError(
            f"{path}: a model of format {FORMAT} expected, got {brief(got)}; fit it again with this "
            "version"
        )
    if card.get("features") != NUM_FEATURES:
        raise InputError(
            f"{path}: {NUM_FEATURES} features expected, got {brief(card.get('features'))}; this "
            "model is of another feature size"
        )
    if card.get("scaling") not in get_args(Scaling):
        raise InputError(
            f"{path}: a scaling of {', '.join(get_args(Scaling))} expected, got "
            f"{brief(card.get('scaling'))}; fit the model again"
        )
    card = {"sha256": None, "signals": [], "link": "sigmoid", **card}
    names = card["signals"]
    if not isinstance(names, list) or not set(map(str, names)) <= set(SIGNALS):
        raise InputError(f"{path}: signals of {', '.join(SIGNALS)} expected, got {brief(names)}")
    if card["link"] not in get_args(Link):
        raise InputError(
            f"{path}: a link of {', '.join(get_args(Link))} expected, got {brief(card['link'])}"
        )
    return card


def whole_card(folder: str) -> dict[str, Any]:
    """The card of a model that can be read; empty where there is none."""
    try:
        load_model(folder)
        return _card(folder)
    except InputError:
        return {}


def copy_model(source: str, folder: str) -> None:
    """Copy a model into a run, unless it is there already."""
    identity = load_model(source).identity
    if whole_card(folder).get("sha256") == identity:
        return
    # The card first: a copy cut short must not look like a model.
    for name in ("card.json", "report.json", FOLDS):
        store.delete(store.join(folder, name))
    for name in (MODEL, "report.json", "card.json"):
        if name != "report.json" or store.exists(store.join(source, name)):
            store.write_bytes(store.join(folder, name), store.read_bytes(store.join(source, name)))
