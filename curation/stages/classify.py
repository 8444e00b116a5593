"""classify: GPT-3's quality filter (appendix A.1).

Logistic regression on HashingTF features, trusted corpora against raw crawl, fitted once per run; every document scored (evidence); crawl
documents kept by the Pareto rule (decision) and written once more, compactly, as survivors.

Cost: scoring reads each text once; another alpha reads only the crawl's evidence and the documents it keeps. Memory: one row group per
task; the fit holds the sampled features, about 12 bytes a distinct term of a document.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, ledger, schema, store
from curation.context import Context, Shard
from curation.errors import InputError, RecipeError
from curation.stages.common import Made, char_lengths, close_books, once

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.plan import Plan

VERSION = 1
NUM_FEATURES = 1 << 18  # HashingTF's default
Scaling = Literal["tf", "binary", "l2", "log-l2"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassifyConfig:
    """The classifier and the Pareto rule.

    Not stated by the paper, so declared here: feature scaling, regularisation `C`, class balance and training size. `gpt3.toml` has the
    paper's raw term frequencies; the defaults are what separates held-out sites best (docs/classifier.md).
    """

    scaling: Scaling = "log-l2"
    alpha: float = 9.0
    C: float = 100.0
    class_weight: Literal["balanced", "none"] = "balanced"
    positives: tuple[str, ...] = ()  # datasets; the trusted ones when empty
    negatives: tuple[str, ...] = ()  # datasets; the crawls when empty
    max_documents: int = 100_000  # of each class, shared evenly between its datasets
    heldout: float = 0.1  # share of sites that the fit does not see
    model: str = ""  # folder of a fitted model, to use instead of fitting one

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ValueError(f"alpha: more than 0 expected, got {self.alpha}")
        if self.C <= 0:
            raise ValueError(f"C: more than 0 expected, got {self.C}")
        if self.max_documents < 1:
            raise ValueError(f"max_documents: at least 1 expected, got {self.max_documents}")
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout: a share in [0, 1) expected, got {self.heldout}")


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted classifier: `weights` float64[2**18], `intercept`, the scaling it was fitted with, and what it is called by."""

    weights: Floats
    intercept: float
    scaling: Scaling
    identity: str


def run(context: Context, plan: Plan, engine: Engine) -> dict[Shard, Made]:
    """Fit (or load) the model, score every document, decide on the crawl."""
    recipe = context.recipe
    scored = [s for s in plan.shards if recipe.dataset[recipe.place(s.dataset)].role != "reference"]
    decided = [s for s in scored if recipe.filtered(s.dataset)]
    if not decided:
        return {}
    path = context.path("classify", "model")
    if recipe.classify.model:
        _copy_model(recipe.classify.model, path)
    else:
        _fit(context, plan, engine, path)
    model = load_model(path)
    _check_scaling(recipe.classify, model)
    engine.map("classify: score", partial(score_shard, context, model.identity), scored)
    made = dict(zip(decided, engine.map("classify: decide", partial(decide_shard, context), decided), strict=True))
    close_books(context, "classify", plan, made)
    return made


# ---- scoring and deciding --------------------------------------------------------------------------------------------------------------


def pareto_draw(u: Floats, alpha: float) -> Floats:
    """numpy's `pareto(alpha)` (the Lomax law) by inversion from u in [0, 1): P(draw > 1 - s) = (2 - s)**-alpha.

    >>> pareto_draw(np.array([0.0, 0.5]), 1.0).tolist()
    [0.0, 1.0]
    """
    return (1.0 - u) ** (-1.0 / alpha) - 1.0


def score_shard(context: Context, model_identity: str, shard: Shard) -> Made:
    """Write `score` and `u` of every document of a shard."""
    path = context.table("classify", shard, "evidence")
    upstream = store.need_footer(context.documents(shard)).identity
    digest = draws.digest("classify/evidence", VERSION, model_identity, context.recipe.seed, upstream)

    def make() -> Made:
        from curation.kernels.buffers import text_buffers
        from curation.kernels.hashingtf import logits

        model = load_model(context.path("classify", "model"))
        with store.TableWriter(path, schema.QUALITY, digest) as writer:
            for batch in store.read_groups(context.documents(shard), ["text", "content"]):
                offsets, data = text_buffers(batch.column(0))
                score = _sigmoid(logits(offsets, data, model.weights, model.intercept, model.scaling))
                u = draws.uniforms(context.recipe.seed, "pareto", batch.column(1).to_pylist())
                writer.write(pa.record_batch([score, u], schema=schema.QUALITY))
        return Made(digest)

    return once(path, digest, make)


def decide_shard(context: Context, shard: Shard) -> Made:
    """Write the decision and the survivors of one crawl shard."""
    evidence = context.table("classify", shard, "evidence")
    alpha = context.recipe.classify.alpha
    digest = draws.digest("classify/decision", VERSION, alpha, store.need_footer(evidence).identity)
    path = context.decision("classify", shard)

    def make() -> Made:
        found = store.read_table(evidence)
        score, u = (found.column(name).to_numpy() for name in ("score", "u"))
        draw = pareto_draw(u, alpha)
        keep = draw > 1.0 - score
        books = _write_survivors(context, shard, digest, keep)
        with store.TableWriter(path, schema.CLASSIFIED, digest, books) as writer:
            reason = pa.array(np.where(keep, np.array(None), np.array("low_quality", object)), pa.string())
            writer.write(pa.record_batch([pa.array(keep), reason, pa.array(draw)], schema=schema.CLASSIFIED))
        return Made(digest, books)

    return once(path, digest, make)


def _write_survivors(context: Context, shard: Shard, digest: str, keep: npt.NDArray[np.bool_]) -> ledger.Ledger:
    books: ledger.Ledger = {}
    documents = context.documents(shard)
    columns = store.read_schema(documents).append(schema.ROW)
    start = 0
    with store.TableWriter(context.survivors(shard), columns, digest) as writer:
        for batch in store.read_groups(documents):
            rows = np.flatnonzero(keep[start : start + batch.num_rows])
            chars = char_lengths(batch.column("text"))
            ledger.add(books, ledger.IN, batch.num_rows, int(chars.sum()))
            ledger.add(books, ledger.KEPT, len(rows), int(chars[rows].sum()))
            ledger.add(books, "low_quality", batch.num_rows - len(rows), int(chars.sum() - chars[rows].sum()))
            kept = batch.take(pa.array(rows))
            writer.write(pa.RecordBatch.from_arrays([*kept.columns, pa.array(rows + start)], schema=columns))
            start += batch.num_rows
    return books


def _sigmoid(logit: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -700.0, 700.0)))


# ---- fitting ---------------------------------------------------------------------------------------------------------------------------


def _fit(context: Context, plan: Plan, engine: Engine, path: str) -> None:
    """Gather features by tasks, fit by scikit-learn, write the model; nothing where it is there already."""
    recipe, config = context.recipe, context.recipe.classify
    classes = {"positive": recipe.positives(), "negative": recipe.negatives()}
    for name, datasets in classes.items():
        if not datasets:
            role = "trusted" if name == "positive" else "crawl"
            raise RecipeError(
                f"classify: no {name}s: give a dataset the role {role!r}, or name some in classify.{name}s"
            )
    shares = {
        d: s for datasets in classes.values() for d, s in _shares(context, plan, datasets, config.max_documents).items()
    }
    shards = plan.of(*shares)
    tasks = [(shard, shares[shard.dataset]) for shard in shards]
    gathered = engine.map("classify: sample", partial(sample_shard, context), tasks)
    settings = (config.scaling, config.C, config.class_weight, config.heldout, recipe.seed)
    digest = draws.digest("classify/model", VERSION, settings, tuple(classes.items()), [m.identity for m in gathered])
    card_path = store.join(path, "card.json")
    if store.exists(card_path) and store.read_json(card_path).get("digest") == digest:
        return
    tables = {
        name: _features(context, [s for s in shards if s.dataset in datasets]) for name, datasets in classes.items()
    }
    weights, intercept, metrics = fit(tables["positive"], tables["negative"], config, recipe.seed)
    card = {
        "kind": "logistic regression on Spark's Tokenizer and HashingTF features",
        "digest": digest,
        "features": NUM_FEATURES,
        "scaling": config.scaling,
        "C": config.C,
        "class_weight": config.class_weight,
        "training": {name: {"datasets": list(classes[name]), "documents": t.num_rows} for name, t in tables.items()},
        "heldout": metrics,
        "versions": _versions(),
    }
    write_model(path, weights, intercept, card)


def _shares(context: Context, plan: Plan, datasets: Sequence[str], most: int) -> dict[str, float]:
    """Which share of each dataset's documents trains: the class's budget spread evenly, what a small one leaves going to the others."""
    counts = {
        name: sum(store.need_footer(context.documents(shard)).rows for shard in plan.of(name)) for name in datasets
    }
    shares: dict[str, float] = {}
    budget = most
    for i, (name, count) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0]))):
        quota = budget // (len(counts) - i)
        shares[name] = min(1.0, quota / count) if count else 1.0
        budget -= min(count, quota)
    return shares


def sample_shard(context: Context, task: tuple[Shard, float]) -> Made:
    """Write the term counts of a shard's documents whose draw is below the share."""
    shard, share = task
    path = context.table("classify", shard, "features")
    seed = context.recipe.seed
    upstream = store.need_footer(context.documents(shard)).identity
    digest = draws.digest("classify/features", VERSION, share, seed, upstream)

    def make() -> Made:
        from curation.kernels.buffers import text_buffers
        from curation.kernels.hashingtf import term_counts

        with store.TableWriter(path, schema.FEATURES, digest) as writer:
            for batch in store.read_groups(context.documents(shard), ["id", "url", "text", "content"]):
                chosen = draws.uniforms(seed, "classify/sample", batch.column("content").to_pylist()) < share
                batch = batch.filter(pa.array(chosen))
                offsets, data = text_buffers(batch.column("text"))
                indptr, indices, counts = term_counts(offsets, data, NUM_FEATURES)
                ends = pa.array(indptr.astype(np.int32))
                sites = [
                    site(url) or id_
                    for url, id_ in zip(*(batch.column(c).to_pylist() for c in ("url", "id")), strict=True)
                ]
                lists = [pa.ListArray.from_arrays(ends, pa.array(v.astype(np.int32))) for v in (indices, counts)]
                writer.write(
                    pa.record_batch(
                        [batch.column("content"), batch.column("id"), pa.array(sites, pa.string()), *lists],
                        schema=schema.FEATURES,
                    )
                )
        return Made(digest)

    return once(path, digest, make)


def site(url: str | None) -> str:
    """The host of a URL, without `www.`; empty where there is none.

    >>> site("https://www.example.org/a/b")
    'example.org'
    """
    try:
        return (urlsplit(url or "").hostname or "").removeprefix("www.")
    except ValueError:  # "http://[" and the like: real crawls have them
        return ""


def _features(context: Context, shards: Sequence[Shard]) -> pa.Table:
    tables = [store.read_table(context.table("classify", shard, "features")) for shard in shards]
    return pa.concat_tables(tables).sort_by([("content", "ascending"), ("id", "ascending")])


def fit(
    positive: pa.Table, negative: pa.Table, config: ClassifyConfig, seed: int
) -> tuple[Floats, float, dict[str, Any]]:
    """Fit on the sites that are not held out; metrics on those that are.

    Args:
        positive, negative: tables of `schema.FEATURES`, in a fixed order.

    Returns:
        weights float64[2**18], intercept, and {"documents", "auc", "average_precision"} (None where a class has none held out).
    """
    from scipy.sparse import vstack
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    for name, table in (("positives", positive), ("negatives", negative)):
        if not table.num_rows:
            raise InputError(
                f"classify: there are no {name} to fit on; look at rejects/ for why their datasets are empty"
            )
    x = vstack([_matrix(positive, config.scaling), _matrix(negative, config.scaling)], format="csr")
    y = np.repeat([1, 0], [positive.num_rows, negative.num_rows])
    sites = [*positive.column("site").to_pylist(), *negative.column("site").to_pylist()]
    held = draws.uniforms(seed, "classify/heldout", [s.encode() for s in sites]) < config.heldout
    if len(np.unique(y[~held])) < 2:  # too few sites to spare any
        held[:] = False
    weight = "balanced" if config.class_weight == "balanced" else None
    regression = LogisticRegression(C=config.C, class_weight=weight, solver="lbfgs", max_iter=1000)
    with threadpool_limits(1):  # one thread adds in one order: the same weights every time
        regression.fit(x[~held], y[~held])
    return (
        regression.coef_[0].astype(np.float64),
        float(regression.intercept_[0]),
        _metrics(regression, x[held], y[held]),
    )


def _matrix(table: pa.Table, scaling: Scaling) -> Any:
    from scipy.sparse import csr_matrix

    from curation.kernels.hashingtf import scale

    table = table.combine_chunks()
    lengths = table.column("indices").combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    indices, counts = (table.column(name).combine_chunks().flatten().to_numpy() for name in ("indices", "counts"))
    return csr_matrix((scale(indptr, counts, scaling), indices, indptr), shape=(table.num_rows, NUM_FEATURES))


def _metrics(regression: Any, x: Any, y: npt.NDArray[np.int64]) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    if len(np.unique(y)) < 2:
        return {"documents": len(y), "auc": None, "average_precision": None}
    scores = regression.decision_function(x)
    return {
        "documents": len(y),
        "auc": round(float(roc_auc_score(y, scores)), 6),
        "average_precision": round(float(average_precision_score(y, scores)), 6),
    }


# ---- the model file --------------------------------------------------------------------------------------------------------------------


def write_model(folder: str, weights: Floats, intercept: float, card: dict[str, Any]) -> None:
    """`model.npz` (weights, intercept; no objects) and, after it, `card.json`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=weights, intercept=np.float64(intercept))
    store.write_bytes(store.join(folder, "model.npz"), buffer.getvalue())
    store.write_json(store.join(folder, "card.json"), {**card, "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()})


def load_model(folder: str) -> Model:
    """Read a model folder. Raises InputError where it is none, was damaged, or has another feature size."""
    card = store.read_json(store.join(folder, "card.json"))
    data = store.read_bytes(store.join(folder, "model.npz"))
    if hashlib.sha256(data).hexdigest() != card.get("sha256"):
        raise InputError(
            f"{folder}/model.npz: not the bytes that card.json names (sha256 differs); copy the model again"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        weights, intercept = arrays["weights"], float(arrays["intercept"])
    if weights.shape != (NUM_FEATURES,):
        raise InputError(
            f"{folder}: {NUM_FEATURES} weights expected, got {weights.shape}; this model is of another feature size"
        )
    return Model(weights, intercept, card["scaling"], card["sha256"])


def _copy_model(source: str, path: str) -> None:
    load_model(source)
    if store.exists(store.join(path, "card.json")) and load_model(path).identity == load_model(source).identity:
        return
    for name in ("model.npz", "card.json"):
        store.write_bytes(store.join(path, name), store.read_bytes(store.join(source, name)))


def _check_scaling(config: ClassifyConfig, model: Model) -> None:
    if config.scaling != model.scaling:
        raise RecipeError(
            f"classify.scaling is {config.scaling!r}, but the model was fitted with {model.scaling!r}; set it to that"
        )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("curation", "numpy", "scikit-learn", "scipy")}
