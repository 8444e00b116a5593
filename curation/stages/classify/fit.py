"""Fitting the quality classifier, and how well it went: one model on all that is learned from, and
one for each fold that has not seen it (folds.py says why). The figures are those of the folds, on
documents that they have not seen.

Cost: the features are gathered once. Then K + 1 fits and three smaller ones for the learning curve,
and one for each C tried; a fit is in training.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curation.digests import config_digest
from curation.errors import InputError, RecipeError
from curation.recipe.signals import names_of
from curation.rundir.directory import RunDirectory
from curation.stages.classify.calibration import Calibration, calibration
from curation.stages.classify.folds import FOLDS, INSTEAD
from curation.stages.classify.measure import marks_auc, measure, rounded
from curation.stages.classify.model import (
    NUM_FEATURES,
    TERMS,
    Floats,
    load_folds,
    load_model,
    whole_card,
    write_model,
)
from curation.stages.classify.sample import commonest, sample_shard, tokens_shard
from curation.stages.classify.training import (
    Fitted,
    Subset,
    Training,
    example_weights,
    features,
    fit_subsets,
    gradient_left,
    training_set,
    unstandardised,
)

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import ClassifyConfig, Recipe
    from curation.rundir.directory import Shard
    from curation.rundir.plan import Plan

VERSION = 8
TRIED_C = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # what C = "auto" chooses from
# Parts of folds 1 to K that the learning curve fits, besides all of them.
CURVE = (0.0625, 0.125, 0.25)
STRONGEST = 40  # features each way
TOKEN_CHARS = 60  # of a token shown: a page may be one long token
Classes = Mapping[str, Sequence[str]]


def fit_model(
    rundir: RunDirectory,
    plan: Plan,
    engine: Engine,
    shares: Mapping[str, float],
    folds: int,
    path: str,
) -> None:
    """Gather features by tasks, fit, measure and write the models; nothing where they are there
    already. `shares`: of each dataset's examples, those that are learned from.

    Raises InputError where the figures cannot be told from chance.
    """
    recipe, config = rundir.recipe, rundir.recipe.classify
    classes = {"positive": recipe.positives(), "negative": recipe.negatives()}
    tasks = [(shard, shares[shard.dataset]) for shard in plan.of(*shares)]
    gathered = engine.map("classify: sample", partial(sample_shard, rundir), tasks)
    weights = tuple(sorted(config.weights.items()))
    settings = (
        config.scaling,
        config.signals,
        config.calibration,
        config.positives_by,
        config.C,
        config.class_weight,
        folds or FOLDS,
        weights,
        config.window_chars,
        recipe.seed,
    )
    digest = config_digest(
        "classify/model", VERSION, settings, tuple(classes.items()), [m.identity for m in gathered]
    )
    if not _is_fitted(path, digest):
        _fit(rundir, plan, engine, tasks, classes, folds or FOLDS, digest, path)
    check_chance(whole_card(path)["heldout"])


def _is_fitted(path: str, digest: str) -> bool:
    if whole_card(path).get("digest") != digest:
        return False
    try:
        load_folds(path)
    except InputError:
        return False
    return True


def _fit(
    rundir: RunDirectory,
    plan: Plan,
    engine: Engine,
    tasks: Sequence[tuple[Shard, float]],
    classes: Classes,
    folds: int,
    digest: str,
    path: str,
) -> None:
    recipe, config = rundir.recipe, rundir.recipe.classify
    datasets = [name for names in classes.values() for name in names]
    tables = {name: features(rundir, plan.of(name)) for name in datasets}
    training = training_set(tables, classes, config, folds, recipe.seed)
    fit = partial(fit_subsets, training, class_weight=config.class_weight, threads=engine.workers)
    tried = _tried_c(training, fit, config.class_weight) if config.C == "auto" else []
    c = min((t["log_loss"], t["C"]) for t in tried)[1] if tried else float(config.C)
    curve = [s for part in CURVE if _has_classes(training, s := Subset(c, 0, part))]
    subsets = [Subset(c), *(Subset(c, k) for k in range(folds)), *curve]
    whole, *rest = fit(subsets, from_first=True)
    of_folds = rest[:folds]
    logit = held_out_logits(training, of_folds)
    calibrated = calibration(config, training, logit)
    # Fold 0 has chosen C.
    measured = training.fold != 0 if tried else np.ones(len(training.y), bool)
    figures = measure(training, measured, logit, config.class_weight)
    report = {
        "tried": tried,
        **figures,
        "curve": _curve(training, [*curve, Subset(c, 0)], [*rest[folds:], rest[0]], config),
        "strongest": _strongest(rundir, engine, tasks, training, whole[0]),
    }
    measures = ("documents", "auc", "chance", "average_precision", "f1")
    card = {
        "kind": _kind(config),
        "digest": digest,
        **_form(config, calibrated),
        "signal_weights": _signal_weights(config, whole[0]),
        "C": c,
        "folds": folds,
        "spread": training.spread,
        "gradient_left": gradient_left(training, subsets[0], config.class_weight, whole),
        "training": {name: _described(tables, classes[name], training, tasks) for name in classes},
        "heldout": {
            **{key: figures[key] for key in measures},
            "marks_auc": None if config.scaling == "none" else marks_auc(training),
        },
        "versions": _versions(),
    }
    shifted = [unstandardised(training, *calibrated.applied(m)) for m in [whole, *of_folds]]
    write_model(path, *shifted[0], card, report, shifted[1:], calibrated.steps)
    # What cannot be read back must not be found by a later run.
    load_model(path)
    load_folds(path)


def _curve(
    training: Training, subsets: Sequence[Subset], models: Sequence[Fitted], config: ClassifyConfig
) -> list[dict[str, Any]]:
    """What each model of the learning curve does on fold 0, and how many documents it saw."""
    return [
        {
            **_trial(training, model, config.class_weight),
            "documents": int(subset.rows(training).sum()),
        }
        for subset, model in zip(subsets, models, strict=True)
    ]


def _kind(config: ClassifyConfig) -> str:
    parts = [TERMS] * (config.scaling != "none") + ["signals of prose"] * bool(config.signals)
    return "logistic regression on " + " and ".join(parts)


def _form(config: ClassifyConfig, calibrated: Calibration) -> dict[str, Any]:
    """What the card says of how the model was fitted and how it scores."""
    return {
        "scaling": config.scaling,
        "signals": list(names_of(config.signals)),
        **calibrated.described(),
        "positives_by": config.positives_by,
        "class_weight": config.class_weight,
        "window_chars": config.window_chars,
    }


def _signal_weights(config: ClassifyConfig, w: Floats) -> dict[str, float]:
    """What each signal weighs, in standard deviations of the training set."""
    return dict(zip(names_of(config.signals), map(rounded, w[NUM_FEATURES:]), strict=True))


def held_out_logits(training: Training, folds: Sequence[Fitted]) -> Floats:
    """The logit float64[n] of each document by the model that has not seen its fold."""
    out = np.empty(len(training.y))
    for k, (w, intercept) in enumerate(folds):
        rows = training.fold == k
        out[rows] = (training.x @ w)[rows] + intercept
    return out


def check_chance(heldout: Mapping[str, Any]) -> None:
    """Raise InputError where a model's AUC on what it has not seen cannot be told from chance, or
    is worse; `heldout` is that of its card.

    >>> check_chance({"documents": 900, "auc": 0.9, "chance": 0.05})
    """
    auc, width = heldout["auc"], heldout["chance"]
    if auc is None or auc <= 0.5 + width:
        shown, worse = "unknown", auc is not None and auc < 0.5 - width
        if auc is not None:
            shown = f"{auc:.2f}, and one that knows nothing has {0.5 - width:.2f} to"
            shown += f" {0.5 + width:.2f} on so few"
        verdict = "worse than chance" if worse else "not to be told from chance"
        raise InputError(
            f"classify: the classifier is {verdict} on the {heldout['documents']:,} documents that "
            f"its folds have not seen (AUC {shown}); give more trusted text and crawl (200 "
            f"documents of each or more), try another classify.scaling, {INSTEAD}"
        )


def check_classes(recipe: Recipe) -> None:
    """Raise RecipeError where a recipe names nothing to fit on."""
    classes = {"positive": recipe.positives(), "negative": recipe.negatives()}
    for name, datasets in classes.items():
        if not datasets:
            role = "trusted" if name == "positive" else "crawl"
            raise RecipeError(
                f"classify: no {name}s: give a dataset the role {role!r}, or name some in "
                f"classify.{name}s"
            )
    if both := sorted(set(classes["positive"]) & set(classes["negative"])):
        raise RecipeError(
            f"classify: {both[0]!r} is among the positives and the negatives; name it in one of "
            "them"
        )


# ---- how well it went ----------------------------------------------------------------------------


def _tried_c(training: Training, fit: Any, class_weight: str) -> list[dict[str, Any]]:
    """What each of TRIED_C gives on fold 0. The one of least log loss is used: not of greatest AUC,
    since the keep rule needs probabilities and not only an order.

    Raises InputError where that fold lacks a class.
    """
    if len(np.unique(training.y[training.fold == 0])) < 2:
        raise InputError(
            'classify.C = "auto" needs positives and negatives in fold 0; give more documents of '
            "more sites, or give C as a number"
        )
    fitted = fit([Subset(c, 0) for c in TRIED_C])
    return [
        {"C": c, **_trial(training, model, class_weight)}
        for c, model in zip(TRIED_C, fitted, strict=True)
    ]


def _trial(training: Training, model: Fitted, class_weight: str) -> dict[str, Any]:
    """What a model does on fold 0."""
    w, intercept = model
    figures = measure(training, training.fold == 0, training.x @ w + intercept, class_weight)
    return {key: figures[key] for key in ("documents", "auc", "log_loss")}


def _has_classes(training: Training, subset: Subset) -> bool:
    return len(np.unique(training.y[subset.rows(training)])) == 2


def _strongest(
    rundir: RunDirectory,
    engine: Engine,
    tasks: Sequence[tuple[Shard, float]],
    training: Training,
    w: Floats,
) -> dict[str, list[dict[str, Any]]]:
    """The features of largest weight each way, among those in at least 5 training documents,
    with the tokens behind them."""
    label = np.repeat(training.y, np.diff(training.x.indptr))  # of each stored value
    positive, negative = (
        np.bincount(training.x.indices[label == side], minlength=len(w))[:NUM_FEATURES]
        for side in (1, 0)
    )
    documents = positive + negative
    common = np.flatnonzero((documents >= 5) & (w[:NUM_FEATURES] != 0))
    order = common[np.argsort(w[common], kind="stable")]
    sides = {"positive": order[::-1][:STRONGEST], "negative": order[:STRONGEST]}
    features = sorted({int(feature) for side in sides.values() for feature in side})
    tokens: dict[int, dict[str, int]] = {}
    for part in engine.map(
        "classify: strongest tokens", partial(tokens_shard, rundir, features), tasks
    ):
        for feature, counts in part.items():
            total = tokens.setdefault(int(feature), {})
            for token, count in counts.items():
                total[token] = total.get(token, 0) + count
    return {
        name: [
            {
                "feature": int(feature),
                "weight": rounded(w[feature]),
                "positive_documents": int(positive[feature]),
                "negative_documents": int(negative[feature]),
                "distinct_tokens": len(tokens.get(int(feature), {})),
                "tokens": [
                    {"token": token[:TOKEN_CHARS], "count": count}
                    for token, count in commonest(tokens.get(int(feature), {}), 5).items()
                ],
            }
            for feature in side
            if (w[feature] > 0) == (name == "positive")
        ]
        for name, side in sides.items()
    }


def _described(
    tables: Mapping[str, pa.Table],
    datasets: Sequence[str],
    training: Training,
    tasks: Sequence[tuple[Shard, float]],
) -> dict[str, Any]:
    """A class's training sets for the card: counts, share of the dataset, and the sha256 of their
    examples' contents and windows."""
    weight = example_weights(training, np.ones(len(training.y), bool))
    shares = {shard.dataset: share for shard, share in tasks}
    out: dict[str, Any] = {"documents": 0, "datasets": {}}
    for name in datasets:
        of_dataset = training.dataset == training.names.index(name)
        state = hashlib.sha256()
        for content, window in zip(
            *(tables[name].column(c).to_pylist() for c in ("content", "window")), strict=True
        ):
            state.update(content + window.to_bytes(4, "little"))
        out["documents"] += int(of_dataset.sum())
        out["datasets"][name] = {
            "documents": int(of_dataset.sum()),
            "share": rounded(shares.get(name, 0.0)),
            "sites": len(np.unique(training.group[of_dataset])),
            "weight": rounded(weight[of_dataset].sum() / max(1.0, weight.sum())),
            "sha256": state.hexdigest(),
        }
    return out


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("curation", "numpy", "scikit-learn", "scipy")}
