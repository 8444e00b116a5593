"""Fitting the quality classifier, and how well it went: logistic regression by scikit-learn,
measured on sites that the fit never saw.

Cost: one fit, three smaller ones for the learning curve, and one for each C tried; on 200,000
documents of 1,500 characters three and a half minutes in all and 2.7 GB (perf/classify.py).
Newton's method: lbfgs needs twice as long to come as near to the minimum, and stops far from it at
scikit-learn's default tolerance. One thread, so the same features give the same bytes on the same
machine and versions; other machines agree to 1e-6.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.digests import config_digest
from curation.errors import InputError, RecipeError
from curation.recipe.tables import Scaling
from curation.rundir.directory import RunDirectory
from curation.stages.classify.measure import Bools, Training, class_weights, measure, rounded
from curation.stages.classify.model import NUM_FEATURES, Floats, load_model, whole_card, write_model
from curation.stages.classify.sample import commonest, sample_shard, shares, tokens_shard

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import ClassifyConfig, Recipe
    from curation.rundir.directory import Shard
    from curation.rundir.plan import Plan

VERSION = 4
TRIED_C = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # what C = "auto" chooses from
TOL = 1e-5  # largest gradient, in scikit-learn's scale, at which a fit ends
# Parts of the training set that the learning curve fits, besides all of it.
CURVE = (0.0625, 0.125, 0.25)
STRONGEST = 40  # features each way
TOKEN_CHARS = 60  # of a token shown: a page may be one long token


def fit_model(rundir: RunDirectory, plan: Plan, engine: Engine, path: str) -> None:
    """Gather features by tasks, fit, measure and write the model; nothing where it is there
    already."""
    recipe, config = rundir.recipe, rundir.recipe.classify
    classes = {"positive": recipe.positives(), "negative": recipe.negatives()}
    share = {
        name: s
        for datasets in classes.values()
        for name, s in shares(rundir, plan, datasets).items()
    }
    tasks = [(shard, share[shard.dataset]) for shard in plan.of(*share)]
    gathered = engine.map("classify: sample", partial(sample_shard, rundir), tasks)
    weights = tuple(sorted(config.weights.items()))
    settings = (
        config.scaling,
        config.C,
        config.class_weight,
        config.heldout,
        weights,
        config.window_chars,
        recipe.seed,
    )
    digest = config_digest(
        "classify/model", VERSION, settings, tuple(classes.items()), [m.identity for m in gathered]
    )
    if whole_card(path).get("digest") == digest:
        return
    _fit(rundir, plan, engine, tasks, classes, digest, path)


def _fit(
    rundir: RunDirectory,
    plan: Plan,
    engine: Engine,
    tasks: Sequence[tuple[Shard, float]],
    classes: Mapping[str, Sequence[str]],
    digest: str,
    path: str,
) -> None:
    recipe, config = rundir.recipe, rundir.recipe.classify
    datasets = [name for names in classes.values() for name in names]
    tables = {name: features(rundir, plan.of(name)) for name in datasets}
    training = training_set(tables, classes, config, recipe.seed)
    chosen, tried = choose_c(training, config, recipe.seed)
    w, intercept = regression(training, ~training.held, chosen, config.class_weight)
    test = (
        training.held if config.C != "auto" else training.held & ~_choosing(training, recipe.seed)
    )
    figures = measure(training, test, w, intercept, config.class_weight)
    whole = {"documents": int((~training.held).sum())}
    whole |= {key: figures[key] for key in ("auc", "log_loss")}
    report = {
        "tried": tried,
        **figures,
        "curve": [*learning_curve(training, test, chosen, config.class_weight), whole],
        "strongest": _strongest(rundir, engine, tasks, training, w),
    }
    card = {
        "kind": "logistic regression on Spark's Tokenizer and HashingTF features",
        "digest": digest,
        "scaling": config.scaling,
        "C": chosen,
        "class_weight": config.class_weight,
        "window_chars": config.window_chars,
        "training": {name: _described(tables, classes[name], training) for name in classes},
        "heldout": {key: report[key] for key in ("documents", "auc", "average_precision", "f1")},
        "versions": _versions(),
    }
    write_model(path, w, intercept, card, report)
    # What cannot be read back must not be found by a later run.
    load_model(path)


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


def features(rundir: RunDirectory, shards: Sequence[Shard]) -> pa.Table:
    """The examples gathered from a dataset's shards, in an order that does not depend on the
    shards."""
    tables = [store.read_table(rundir.table("classify", shard, "features")) for shard in shards]
    return pa.concat_tables(tables).sort_by(
        [(name, "ascending") for name in ("content", "id", "window")]
    )


def training_set(
    tables: Mapping[str, pa.Table],
    classes: Mapping[str, Sequence[str]],
    config: ClassifyConfig,
    seed: int,
) -> Training:
    """The training set of some tables of `schema.FEATURES`, one a dataset, each in a fixed order.

    Raises InputError where a class is empty.
    """
    from scipy.sparse import vstack

    names = tuple(name for datasets in classes.values() for name in datasets)
    rows = np.array([tables[name].num_rows for name in names])
    y = np.repeat([int(name in classes["positive"]) for name in names], rows)
    for name, label in (("positives", 1), ("negatives", 0)):
        if not (y == label).any():
            raise InputError(
                f"classify: there are no {name} to fit on; look at rejects/ for why their datasets "
                "are empty"
            )
    dataset = np.repeat(np.arange(len(names)), rows)
    sites = np.concatenate(
        [np.array(tables[name].column("site").to_pylist(), str) for name in names]
    )
    held_out = (
        draws.uniforms(seed, "classify/heldout", [site.encode() for site in sites.tolist()])
        < config.heldout
    )
    if len(np.unique(y[~held_out])) < 2:  # too few sites to spare any
        held_out[:] = False
    contents = [content for name in names for content in tables[name].column("content").to_pylist()]
    return Training(
        names,
        vstack([_matrix(tables[name], config.scaling) for name in names], format="csr"),
        y,
        dataset,
        _example_weights(names, dataset, y, held_out, config.weights),
        draws.uniforms(seed, "classify/curve", contents),
        sites,
        held_out,
    )


def _example_weights(
    names: Sequence[str],
    dataset: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    held: Bools,
    weights: Mapping[str, float],
) -> Floats:
    """1 for every example; with `weights`, what makes the datasets of a class weigh in their
    proportion and the class as it did."""
    out = np.ones(len(y))
    if not weights:
        return out
    fitted = np.bincount(dataset[~held], minlength=len(names))
    for label in (0, 1):
        of_class = [d for d in range(len(names)) if fitted[d] and y[dataset == d][0] == label]
        total = sum(weights.get(names[d], 1.0) for d in of_class)
        for d in of_class:
            share = weights.get(names[d], 1.0) / total
            out[dataset == d] = share * fitted[of_class].sum() / fitted[d]
    return out


def _matrix(table: pa.Table, scaling: Scaling) -> Any:
    from scipy.sparse import csr_matrix

    from curation.kernels.hashingtf import scale

    table = table.combine_chunks()
    indices, counts = (table.column(name).combine_chunks() for name in ("indices", "counts"))
    lengths = indices.value_lengths().to_numpy(zero_copy_only=False)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    values = scale(indptr, counts.flatten().to_numpy(), scaling)
    return csr_matrix(
        (values, indices.flatten().to_numpy(), indptr), shape=(table.num_rows, NUM_FEATURES)
    )


# ---- the fit -------------------------------------------------------------------------------------


def regression(
    training: Training, rows: Bools, c: float, class_weight: str, tol: float = TOL
) -> tuple[Floats, float]:
    """Weights float64[2**18] and intercept fitted on some rows: the minimum of C * weighted log
    loss + |w|^2 / 2."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    weight = training.weight[rows] * class_weights(training.y[rows], class_weight)
    model = LogisticRegression(C=c, solver="newton-cg", max_iter=200, tol=tol)
    # One thread adds in one order: the same weights every time.
    with threadpool_limits(1), warnings.catch_warnings():
        # Its line search may end at the last bit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(training.x[rows], training.y[rows], sample_weight=weight)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _choosing(training: Training, seed: int) -> Bools:
    """The half of the held-out sites that C is chosen on; the figures come from the other half."""
    return (
        draws.uniforms(seed, "classify/choose", [site.encode() for site in training.site.tolist()])
        < 0.5
    )


def choose_c(
    training: Training, config: ClassifyConfig, seed: int
) -> tuple[float, list[dict[str, Any]]]:
    """The C to use, and what each C tried gave: the one of least log loss on one half of the
    held-out sites.

    Log loss and not AUC, since the keep rule needs probabilities and not only an order.
    Raises InputError where that half lacks a class.
    """
    if config.C != "auto":
        return float(config.C), []
    rows = training.held & _choosing(training, seed)
    if len(np.unique(training.y[rows])) < 2:
        raise InputError(
            'classify.C = "auto" needs positives and negatives on held-out sites; '
            "give more documents of more sites, raise classify.heldout, or give C as a number"
        )
    tried = []
    for c in TRIED_C:
        w, intercept = regression(training, ~training.held, c, config.class_weight)
        figures = measure(training, rows, w, intercept, config.class_weight)
        tried.append({"C": c, **{key: figures[key] for key in ("documents", "auc", "log_loss")}})
    return min(tried, key=lambda fit: (fit["log_loss"], fit["C"]))["C"], tried


# ---- how well it went ----------------------------------------------------------------------------


def learning_curve(
    training: Training, rows: Bools, c: float, class_weight: str
) -> list[dict[str, Any]]:
    """AUC and log loss on `rows` of fits on a keyed sixteenth, eighth and quarter of the
    training set."""
    out = []
    for part in CURVE:
        part_of_it = ~training.held & (training.u < part)
        if len(np.unique(training.y[part_of_it])) == 2:
            figures = measure(
                training, rows, *regression(training, part_of_it, c, class_weight), class_weight
            )
            out.append(
                {
                    "documents": int(part_of_it.sum()),
                    "auc": figures["auc"],
                    "log_loss": figures["log_loss"],
                }
            )
    return out


def _strongest(
    rundir: RunDirectory,
    engine: Engine,
    tasks: Sequence[tuple[Shard, float]],
    training: Training,
    w: Floats,
) -> dict[str, list[dict[str, Any]]]:
    """The features of largest weight each way, among those in at least 5 training documents,
    with the tokens behind them."""
    positive, negative = (
        np.bincount(
            training.x[~training.held & (training.y == label)].indices, minlength=NUM_FEATURES
        )
        for label in (1, 0)
    )
    documents = positive + negative
    common = np.flatnonzero(documents >= 5)
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
    tables: Mapping[str, pa.Table], datasets: Sequence[str], training: Training
) -> dict[str, Any]:
    """A class's training sets for the card: counts, and the sha256 of their examples' contents
    and windows."""
    out: dict[str, Any] = {"documents": 0, "datasets": {}}
    for name in datasets:
        of_dataset = training.dataset == training.names.index(name)
        fitted = of_dataset & ~training.held
        state = hashlib.sha256()
        for content, window in zip(
            *(tables[name].column(c).to_pylist() for c in ("content", "window")), strict=True
        ):
            state.update(content + window.to_bytes(4, "little"))
        out["documents"] += int(of_dataset.sum())
        out["datasets"][name] = {
            "documents": int(of_dataset.sum()),
            "fitted": int(fitted.sum()),
            "sites": len(np.unique(training.site[of_dataset])),
            "weight": rounded(
                training.weight[fitted].sum() / max(1.0, training.weight[~training.held].sum())
            ),
            "sha256": state.hexdigest(),
        }
    return out


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("curation", "numpy", "scikit-learn", "scipy")}
