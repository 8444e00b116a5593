"""classify: GPT-3's quality filter (appendix A.1).

Logistic regression on HashingTF features, trusted corpora against raw crawl, fitted once per run; every document scored (evidence); crawl
documents kept by the Pareto rule (decision) and written once more, compactly, as survivors.

The sample it learns from is made in classify_sample.py, the fit in classify_fit.py and its figures in classify_measure.py, the
model file in classify_model.py, the keep rule in kernels/pareto.py.

Cost: scoring reads each text once; another alpha reads only the crawl's evidence and the documents it keeps. Memory: one row group per
task; the fit holds the sampled features, about 24 bytes a distinct term of a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, ledger, schema, store
from curation.context import Context, Shard
from curation.errors import RecipeError
from curation.kernels.pareto import pareto_draw
from curation.stages.classify_fit import fit_model
from curation.stages.classify_measure import sigmoid
from curation.stages.classify_model import Model, Scaling, copy_model, load_model
from curation.stages.common import Made, char_lengths, close_books, once

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.plan import Plan

VERSION = 1
ALARM_FLOOR = 1.5  # a dataset that keeps less than this many times the rule's floor has hardly a good document
ALARM_SEEN = 0.5  # one of which the fit saw more as negatives is scored too low
ALARM_KEPT = 0.95  # one that keeps more is hardly filtered


@dataclass(frozen=True, slots=True)
class ClassifyConfig:
    """The classifier and the Pareto rule.

    Not stated by the paper, so declared here: feature scaling, regularisation `C`, class balance and training size. `gpt3.toml` has the
    paper's raw term frequencies; the defaults are what separates held-out sites best (docs/classifier.md).
    """

    scaling: Scaling = "log-l2"
    alpha: float = 9.0
    C: float | Literal["auto"] = (
        100.0  # "auto": the one of least log loss on half of the held-out sites
    )
    class_weight: Literal["balanced", "none"] = "balanced"
    positives: tuple[str, ...] = ()  # datasets; the trusted ones when empty
    negatives: tuple[str, ...] = ()  # datasets; the crawls when empty
    max_documents: int = 100_000  # of each class, shared between its datasets
    weights: dict[str, float] = field(
        default_factory=dict
    )  # of a dataset in its class, 1 when not named
    window_chars: int = (
        0  # long documents are cut into windows about this long to learn from; 0: they are not
    )
    heldout: float = 0.1  # share of sites that the fit does not see
    model: str = ""  # folder of a fitted model, to use instead of fitting one

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ValueError(f"alpha: more than 0 expected, got {self.alpha}")
        if self.C != "auto" and self.C <= 0:
            raise ValueError(f'C: more than 0, or "auto", expected, got {self.C}')
        if light := [name for name, weight in self.weights.items() if weight <= 0]:
            raise ValueError(
                f"weights.{light[0]}: more than 0 expected, got {self.weights[light[0]]}"
            )
        if self.window_chars < 0:
            raise ValueError(f"window_chars: at least 0 expected, got {self.window_chars}")
        if self.max_documents < 1:
            raise ValueError(f"max_documents: at least 1 expected, got {self.max_documents}")
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout: a share in [0, 1) expected, got {self.heldout}")


def run(context: Context, plan: Plan, engine: Engine) -> dict[Shard, Made]:
    """Fit (or load) the model, score every document, decide on the crawl."""
    recipe = context.recipe
    positives = (
        recipe.positives()
    )  # scored even where they are only references: alpha is fitted to their scores
    scored = [
        s
        for s in plan.shards
        if s.dataset in positives or recipe.dataset[recipe.place(s.dataset)].role != "reference"
    ]
    decided = [s for s in scored if recipe.filtered(s.dataset)]
    if not decided:
        return {}
    path = context.path("classify", "model")
    if recipe.classify.model:
        copy_model(recipe.classify.model, path)
    else:
        fit_model(context, plan, engine, path)
    model = load_model(path)
    _check_scaling(recipe.classify, model)
    engine.map("classify: score", partial(score_shard, context, model.identity), scored)
    made = dict(
        zip(
            decided,
            engine.map("classify: decide", partial(decide_shard, context), decided),
            strict=True,
        )
    )
    close_books(context, "classify", plan, made)
    return made


def warnings(context: Context) -> list[str]:
    """What a careful person would want to know of a finished run's filter, a line each."""
    books_path, card = context.path("ledger.json"), context.path("classify", "model", "card.json")
    books = store.read_json(books_path).get("classify", {}) if store.exists(books_path) else {}
    out = alarms(books, context.recipe.classify.alpha)
    if books and not context.recipe.classify.model and store.exists(card):
        out += memorised(books, store.read_json(card)["training"]["negative"]["datasets"])
    return out


def memorised(books: Mapping[str, ledger.Ledger], negatives: Mapping[str, Any]) -> list[str]:
    """Datasets most of whose documents the fit saw as negatives, a line each: it knows them by heart, and scores them too low.

    On 2,589 real pages the rule keeps 4 % of those of held-out sites and 0.2 % of those that the fit had seen (docs/classifier.md).

    >>> [line[:60] for line in memorised({"web": {"in": [100, 0, 0]}}, {"web": {"fitted": 90}})]
    ['the classifier learned from 90 % of web as negatives, and sc']
    """
    out = []
    for name, found in books.items():
        share = negatives.get(name, {"fitted": 0})["fitted"] / max(
            1, ledger.documents(found, ledger.IN)
        )
        if share > ALARM_SEEN:
            out.append(
                f"the classifier learned from {100 * share:.0f} % of {name} as negatives, and scores what it has seen too low: "
                "give it more pages than it learns from (classify.max_documents), or other pages as negatives"
            )
    return out


def alarms(books: Mapping[str, ledger.Ledger], alpha: float) -> list[str]:
    """What the keep rates of a run (dataset -> its books at this stage) say against the classifier, a line each.

    >>> alarms({"web": {"in": [1000, 0, 0], "kept": [2, 0, 0]}, "news": {"in": [100, 0, 0], "kept": [40, 0, 0]}}, 9.0)
    ['web keeps 0.20 % of its documents; the rule keeps 0.20 % of those of score 0: the classifier finds hardly a good one there']
    """
    out = []
    for name, found in books.items():
        came = ledger.documents(found, ledger.IN)
        share = ledger.documents(found, ledger.KEPT) / max(1, came)
        keeps = f"{name} keeps {100 * share:.2f} % of its documents"
        if share > ALARM_KEPT:
            out.append(
                f"{keeps}: it is hardly filtered; are positives and negatives alike, or is alpha ({alpha:g}) too small?"
            )
        elif came and share < ALARM_FLOOR * 2.0**-alpha:
            floor = f"the rule keeps {100 * 2.0**-alpha:.2f} % of those of score 0"
            out.append(f"{keeps}; {floor}: the classifier finds hardly a good one there")
    return out


# ---- scoring and deciding --------------------------------------------------------------------------------------------------------------


def score_shard(context: Context, model_identity: str, shard: Shard) -> Made:
    """Write `score` and `u` of every document of a shard."""
    path = context.table("classify", shard, "evidence")
    upstream = store.need_footer(context.documents(shard)).identity
    digest = draws.digest(
        "classify/evidence", VERSION, model_identity, context.recipe.seed, upstream
    )

    def make() -> Made:
        from curation.kernels.buffers import text_buffers
        from curation.kernels.hashingtf import logits

        model = load_model(context.path("classify", "model"))
        with store.TableWriter(path, schema.QUALITY, digest) as writer:
            for batch in store.read_groups(context.documents(shard), ["text", "content"]):
                offsets, data = text_buffers(batch.column(0))
                score = sigmoid(
                    logits(offsets, data, model.weights, model.intercept, model.scaling)
                )
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
            reason = pa.array(
                np.where(keep, np.array(None), np.array("low_quality", object)), pa.string()
            )
            writer.write(
                pa.record_batch([pa.array(keep), reason, pa.array(draw)], schema=schema.CLASSIFIED)
            )
        return Made(digest, books)

    return once(path, digest, make, context.survivors(shard))


def _write_survivors(
    context: Context, shard: Shard, digest: str, keep: npt.NDArray[np.bool_]
) -> ledger.Ledger:
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
            ledger.add(
                books,
                "low_quality",
                batch.num_rows - len(rows),
                int(chars.sum() - chars[rows].sum()),
            )
            kept = batch.take(pa.array(rows))
            writer.write(
                pa.RecordBatch.from_arrays([*kept.columns, pa.array(rows + start)], schema=columns)
            )
            start += batch.num_rows
    return books


def _check_scaling(config: ClassifyConfig, model: Model) -> None:
    if config.scaling != model.scaling:
        raise RecipeError(
            f"classify.scaling is {config.scaling!r}, but the model was fitted with {model.scaling!r}; set it to that"
        )
