"""The model file of `classify`: data, not code.

A folder of `model.npz` (weights and intercept, no objects), `report.json` (how the fit went) and,
written last, `card.json` (what it was fitted on and how, versions, and the sha256 of model.npz: the
model's identity).

Any program that reads npz and JSON can use it: the score of a text is sigmoid(intercept + scaled
HashingTF features . weights).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from curation import store
from curation.errors import MISSHAPEN, InputError, RunError
from curation.recipe.tables import Scaling
from curation.shown import brief

FORMAT = 1  # of the folder; a reader refuses another
NUM_FEATURES = 1 << 18  # HashingTF's default
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted classifier: `weights` float64[2**18], `intercept`, the scaling it was fitted
    with, and what it is called by."""

    weights: Floats
    intercept: float
    scaling: Scaling
    identity: str


def write_model(
    folder: str,
    weights: Floats,
    intercept: float,
    card: dict[str, Any],
    report: dict[str, Any] | None = None,
) -> None:
    """Write the three files; the card comes last, and a folder without one is no model."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=weights, intercept=np.float64(intercept))
    data = buffer.getvalue()
    store.delete(store.join(folder, "card.json"))
    store.write_bytes(store.join(folder, "model.npz"), data)
    if report is not None:
        store.write_json(store.join(folder, "report.json"), report)
    full_card = {
        **card,
        "format": FORMAT,
        "features": NUM_FEATURES,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    store.write_json(store.join(folder, "card.json"), full_card)


def load_model(folder: str) -> Model:
    """Read a model folder.

    Raises InputError where it is none, was damaged, is of another version, or has another number of
    features.
    """
    card = _card(folder)
    data = store.read_bytes(store.join(folder, "model.npz"))
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise InputError(
            f"{folder}/model.npz: not the bytes that card.json names (sha256 differs); copy the "
            "model again"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            weights, intercept = arrays["weights"], float(arrays["intercept"])
    except (*MISSHAPEN, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError) as error:
        raise InputError(
            f"{folder}/model.npz: arrays `weights` and `intercept` expected ({brief(error)}); copy "
            "the model again"
        ) from error
    if weights.dtype.kind not in "fiu":
        raise InputError(f"{folder}/model.npz: weights are numbers, got {weights.dtype}")
    if weights.shape != (NUM_FEATURES,):
        raise InputError(
            f"{folder}: {NUM_FEATURES} weights expected, got {weights.shape}; this model is of "
            "another feature size"
        )
    if not (np.isfinite(weights).all() and np.isfinite(intercept)):
        raise InputError(f"{folder}/model.npz: finite weights expected; fit the model again")
    return Model(np.asarray(weights, np.float64), intercept, card["scaling"], card["sha256"])


def _card(folder: str) -> dict[str, Any]:
    path = store.join(folder, "card.json")
    if not store.exists(path):
        raise InputError(
            f"{folder}: not a model (no card.json); give a folder such as RUN/classify/model"
        )
    try:
        card = store.read_json(path)
    except RunError as error:
        raise InputError(f"{path}: not JSON; copy the model again") from error
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
    return {"sha256": None, **card}


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
    for name in ("card.json", "report.json"):
        store.delete(store.join(folder, name))
    for name in ("model.npz", "report.json", "card.json"):
        if name != "report.json" or store.exists(store.join(source, name)):
            store.write_bytes(store.join(folder, name), store.read_bytes(store.join(source, name)))
