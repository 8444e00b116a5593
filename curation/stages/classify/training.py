"""The training set of the classifier, and fits on parts of it: logistic regression, on signals alone
by scikit-learn, on words by newton.py, up to eight at once.

scikit-learn's Newton's method: lbfgs needs twice as long to come as near to the minimum, and stops
far from it at scikit-learn's default tolerance. Sums are made in one order, so the same features
give the same bytes on the same machine and versions, for any number of threads.

Memory: the features, 12 bytes a distinct term of a document, and what newton.py says.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.errors import InputError
from curation.stages.classify import folds as crossfit
from curation.stages.classify.model import NUM_FEATURES, Floats

if TYPE_CHECKING:
    from curation.recipe.tables import ClassifyConfig
    from curation.rundir.directory import RunDirectory, Shard

TOL = 1e-5  # largest gradient, in scikit-learn's scale, at which a fit ends
MOST_CHARS = 20_000  # of a positive that count: one book is not a whole class
WHOLE = -1  # the fold that no document is in
# Tokens without a letter or digit: how often they stand in a text says how it is laid out.
MARKS = (*"-–—•·*|/>»«#=+:;&…©{}()[].,!?<~_\\\"'", "", "...", "--", "||", "//", "\u00a0")
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Fitted = tuple[Floats, float]  # weights float64[2**18] and intercept


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """The training set of n documents, or windows of them.

    `x`: csr float64[n, 2**18 + signals]: scaled terms, and signals standardised by `mean` and
    `deviation` float64[signals]; `size`: what an example weighs in its class; `marks`: float64[n, m], the share of each of MARKS among
    the tokens; `y`: 0 or 1; `dataset`: the place in `names`; `u`: its draw for the learning curve;
    `fold`, and `group`, which is the same for documents that are in one fold together. `weights`:
    of datasets in their class, by name. `spread`: sites of each class whose documents are drawn one
    by one. `has_words`: whether there are terms in `x`, and not signals alone.
    """

    names: tuple[str, ...]
    weights: Mapping[str, float]
    spread: crossfit.Spread
    x: Any
    mean: Floats
    deviation: Floats
    size: Floats
    marks: Floats
    y: Ints
    dataset: Ints
    u: Floats
    fold: npt.NDArray[np.int16]
    group: Ints
    has_words: bool


@dataclass(frozen=True, slots=True)
class Subset:
    """What one fit sees: all folds but `without`, and of them the part of the documents whose draw
    is below `part`; and its C."""

    C: float
    without: int = WHOLE
    part: float = 1.0

    def rows(self, training: Training) -> Bools:
        return np.asarray((training.fold != self.without) & (training.u < self.part))


def features(rundir: RunDirectory, shards: Sequence[Shard]) -> pa.Table:
    """The examples gathered from a dataset's shards, in an order that does not depend on the
    shards."""
    tables = store.read_tables([rundir.table("classify", shard, "features") for shard in shards])
    return tables.sort_by([(name, "ascending") for name in ("content", "id", "window")])


def training_set(
    tables: Mapping[str, pa.Table],
    classes: Mapping[str, Sequence[str]],
    config: ClassifyConfig,
    folds: int,
    seed: int,
) -> Training:
    """The training set of some tables of `schema.FEATURES`, one a dataset, each in a fixed order.

    Raises InputError where a class is empty, or has too few sites for the folds.
    """
    from scipy.sparse import csr_matrix, hstack, vstack

    names = tuple(name for datasets in classes.values() for name in datasets)
    rows = np.array([tables[name].num_rows for name in names])
    y = np.repeat([int(name in classes["positive"]) for name in names], rows)
    for name, label in (("positives", 1), ("negatives", 0)):
        if not (y == label).any():
            raise InputError(
                f"classify: there are no {name} to fit on; look at rejects/ for why their datasets "
                "are empty"
            )
    sites, contents = (
        [value for name in names for value in tables[name].column(column).to_pylist()]
        for column in ("site", "content")
    )
    spread = crossfit.spread_sites(y, sites)
    keys = crossfit.fold_keys(sites, contents, crossfit.spread_names(spread))
    fold = crossfit.fold_numbers(seed, keys, folds)
    group = np.unique(np.array(keys, object), return_inverse=True)[1].astype(np.int64)
    crossfit.need_classes(y, group, fold, folds)
    matrices = [_matrices(tables[name], config) for name in names]
    size = _sizes(tables, names, y, config)
    measured = np.vstack([_signals(tables[name]) for name in names])
    mean, deviation = _moments(measured, size, y)
    standard = csr_matrix((measured - mean) / deviation)
    marks = np.vstack([marks for _, marks in matrices])
    terms = vstack([x for x, _ in matrices], format="csr")
    del matrices  # as large as `terms`
    return Training(
        names,
        config.weights,
        spread,
        hstack([terms, standard], format="csr"),
        mean,
        deviation,
        size,
        marks,
        y,
        np.repeat(np.arange(len(names)), rows),
        draws.uniforms(seed, "classify/curve", contents),
        fold,
        group,
        config.scaling != "none",
    )


def _matrices(table: pa.Table, config: ClassifyConfig) -> tuple[Any, Floats]:
    """The scaled features of a table of `schema.FEATURES`, and its marks."""
    from scipy.sparse import csr_matrix

    from curation.kernels.buffers import text_buffers
    from curation.kernels.hashingtf import scale, term_counts

    table = table.combine_chunks()
    indices, counts = (table.column(name).combine_chunks() for name in ("indices", "counts"))
    lengths = indices.value_lengths().to_numpy(zero_copy_only=False)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    where = indices.flatten().to_numpy(), indptr
    shape = table.num_rows, NUM_FEATURES
    counted = csr_matrix((counts.flatten().to_numpy(), *where), shape=shape)
    columns = np.unique(term_counts(*text_buffers(pa.array(MARKS)))[1])
    marks = counted[:, columns].toarray() / np.maximum(1, counted.sum(axis=1)).reshape(-1, 1)
    if config.scaling == "none":
        return csr_matrix(shape), np.asarray(marks, np.float64)
    x = csr_matrix((scale(indptr, counted.data, config.scaling), *where), shape=shape)
    return x, np.asarray(marks, np.float64)


def _signals(table: pa.Table) -> Floats:
    values = table.column("signals").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values.reshape(table.num_rows, -1), np.float64)


def _sizes(
    tables: Mapping[str, pa.Table], names: Sequence[str], y: Ints, config: ClassifyConfig
) -> Floats:
    """What each example weighs in its class: 1, or the characters of a positive.

    Where a trusted corpus is cut (articles, paragraphs, whole books) is an accident; what is
    trusted is its text. A crawled page is what the filter decides on, so it always counts as one.
    """
    if config.positives_by == "documents":
        return np.ones(len(y))
    chars = np.concatenate([tables[name].column("chars").to_numpy() for name in names])
    return np.where(y == 1, np.clip(chars, 1, MOST_CHARS), 1).astype(np.float64)


def _moments(measured: Floats, size: Floats, y: Ints) -> tuple[Floats, Floats]:
    """Mean and deviation float64[signals], with both classes weighing alike; a deviation of 0 is
    1."""
    weight = np.where(y == 1, size / size[y == 1].sum(), size / size[y == 0].sum()) / 2
    mean = weight @ measured
    deviation = np.sqrt(weight @ (measured - mean) ** 2)
    return mean, np.where(deviation > 0, deviation, 1.0)


def unstandardised(training: Training, weights: Floats, intercept: float) -> tuple[Floats, float]:
    """The same model for signals as they are measured."""
    signals = weights[NUM_FEATURES:] / training.deviation
    weights = np.append(weights[:NUM_FEATURES], signals)
    return weights, intercept - float(signals @ training.mean)


# ---- one fit -------------------------------------------------------------------------------------


def class_weights(y: Ints, class_weight: str) -> Floats:
    """`balanced`: n / (2 n_class), so that both classes weigh alike; `none`: 1.

    >>> class_weights(np.array([1, 0, 0, 0]), "balanced").round(3).tolist()
    [2.0, 0.667, 0.667, 0.667]
    """
    counts = np.bincount(y, minlength=2)
    if class_weight != "balanced" or not counts.all():
        return np.ones(len(y))
    return np.asarray((len(y) / 2 / counts)[y])


def class_sizes(training: Training, rows: Bools) -> Floats:
    """The sizes of some rows, so that each class weighs as many as it has."""
    y, out = training.y[rows], training.size[rows].copy()
    for label in np.unique(y).tolist():
        of_class = y == label
        out[of_class] *= of_class.sum() / out[of_class].sum()
    return out


def example_weights(training: Training, rows: Bools) -> Floats:
    """`class_sizes`; with `weights`, what makes the datasets of a class weigh in their
    proportion."""
    y, dataset = training.y[rows], training.dataset[rows]
    out = class_sizes(training, rows)
    if not training.weights:
        return out
    counts = np.bincount(dataset, out, minlength=len(training.names))
    for label in (0, 1):
        of_class = np.unique(dataset[y == label]).tolist()
        total = sum(training.weights.get(training.names[d], 1.0) for d in of_class)
        for d in of_class:
            share = training.weights.get(training.names[d], 1.0) / total
            out[dataset == d] *= share * counts[of_class].sum() / counts[d]
    return out


def regression(
    training: Training,
    rows: Bools,
    c: float,
    class_weight: str,
    tol: float = TOL,
    start: Fitted | None = None,
) -> Fitted:
    """Weights float64[2**18 + signals] and intercept fitted on some rows: the minimum of C *
    weighted log loss + |w|^2 / 2, looked for from `start`, or from 0."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    weight = example_weights(training, rows) * class_weights(training.y[rows], class_weight)
    warm = start is not None
    model = LogisticRegression(C=c, solver="newton-cg", max_iter=200, tol=tol, warm_start=warm)
    if start is not None:
        model.coef_, model.intercept_ = start[0].reshape(1, -1), np.array([start[1]])
    # One thread adds in one order: the same weights every time.
    with threadpool_limits(1), warnings.catch_warnings():
        # Its line search may end at the last bit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(training.x[rows], training.y[rows], sample_weight=weight)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def gradient_left(training: Training, subset: Subset, class_weight: str, model: Fitted) -> float:
    """The length of the objective's gradient where a fit on a subset ended, as a part of that at
    weights of 0, where fits begin: 0 at the minimum."""
    rows = subset.rows(training)
    x, y = training.x[rows], training.y[rows]
    weight = example_weights(training, rows) * class_weights(y, class_weight)
    signs = np.where(y == 1, 1.0, -1.0)

    def length(w: Floats, intercept: float) -> float:
        margin = signs * (x @ w + intercept)
        wrong = subset.C * weight * signs / (1 + np.exp(np.clip(margin, -700, 700)))
        return float(np.linalg.norm(np.append(w - x.T @ wrong, wrong.sum())))

    return length(*model) / max(length(np.zeros(x.shape[1]), 0.0), 1e-300)


# ---- many fits -----------------------------------------------------------------------------------


def fit_subsets(
    training: Training,
    subsets: Sequence[Subset],
    class_weight: str,
    threads: int = 1,
    *,
    from_first: bool = False,
) -> list[Fitted]:
    """What is fitted on each subset. `from_first`: the others begin at the minimum of the first,
    where scikit-learn fits (signals without words)."""
    if training.has_words:
        return _fit_words(training, subsets, class_weight, threads)
    out: list[Fitted] = []
    for s in subsets:
        start = out[0] if from_first and out else None
        out.append(regression(training, s.rows(training), s.C, class_weight, start=start))
    return out


def _fit_words(
    training: Training, subsets: Sequence[Subset], class_weight: str, threads: int
) -> list[Fitted]:
    from threadpoolctl import threadpool_limits

    from curation.stages.classify.newton import minima

    weights = np.zeros((len(subsets), len(training.y)))
    for k, subset in enumerate(subsets):
        rows = subset.rows(training)
        weight = example_weights(training, rows) * class_weights(training.y[rows], class_weight)
        weights[k, rows] = subset.C * weight
    # One thread adds in one order: the same weights every time.
    with threadpool_limits(1):
        return minima(training.x, training.y, weights, threads)
