"""classify: GPT-3's quality filter (appendix A.1).

Logistic regression on HashingTF features, trusted corpora against raw crawl, fitted once per run;
every document scored (evidence); crawl documents kept by the Pareto rule (decision) and written
once more, compactly, as survivors.

The sample it learns from is made in sample.py, the fit in fit.py and its figures in measure.py, the
model file in model.py, the keep rule in kernels/pareto.py.

Cost: scoring reads each text once; another alpha reads only the crawl's evidence and the documents
it keeps. Memory: one row group per task; the fit holds the sampled features, about 24 bytes a
distinct term of a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.digests import config_digest, text_digest
from curation.errors import RecipeError
from curation.kernels.pareto import pareto_draw
from curation.recipe.tables import ClassifyConfig
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, check_ledgers, run_once, stored_ledgers
from curation.rundir.survivors import char_lengths
from curation.stages.classify.fit import check_classes, fit_model
from curation.stages.classify.model import Model, copy_model, load_model

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 2
# A dataset that keeps less than this many times the rule's floor has hardly a good document.
ALARM_FLOOR = 1.5
ALARM_SEEN = 0.5  # one of which the fit saw more as negatives is scored too low
ALARM_KEPT = 0.95  # one that keeps more is hardly filtered


def check(rundir: RunDirectory) -> None:
    """Raise what would end the stage, for all that is known before it: the model, or the classes
    to fit one on."""
    recipe = rundir.recipe
    if not any(recipe.filtered(name) for name in recipe.names()):
        return
    if recipe.classify.model:
        _check_scaling(recipe.classify, load_model(recipe.classify.model))
    else:
        check_classes(recipe)


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[Shard, ShardResult]:
    """Fit (or load) the model, score every document, decide on the crawl."""
    recipe = rundir.recipe
    # Scored even where they are only references: alpha is fitted to their scores.
    positives = recipe.positives()
    scored = [
        s
        for s in plan.shards
        if s.dataset in positives or recipe.dataset[recipe.place(s.dataset)].role != "reference"
    ]
    decided = [s for s in scored if recipe.filtered(s.dataset)]
    if not decided:
        return {}
    path = rundir.path("classify", "model")
    if recipe.classify.model:
        copy_model(recipe.classify.model, path)
    else:
        fit_model(rundir, plan, engine, path)
    model = load_model(path)
    engine.map("classify: score", partial(score_shard, rundir, model.identity), scored)
    results = engine.map("classify: decide", partial(decide_shard, rundir), decided)
    by_shard = dict(zip(decided, results, strict=True))
    check_ledgers(rundir, "classify", by_shard)
    return by_shard


def given_model(rundir: RunDirectory) -> str:
    """What a given model's card says; empty where there is none."""
    card = store.join(rundir.recipe.classify.model, "card.json")
    there = rundir.recipe.classify.model and store.exists(card)
    return text_digest(store.read_bytes(card)).hex() if there else ""


def warnings(rundir: RunDirectory) -> list[str]:
    """What the keep rates of a finished run say against its filter, a line each."""
    ledgers = stored_ledgers(rundir, "classify")
    card = rundir.path("classify", "model", "card.json")
    out = alarms(ledgers, rundir.recipe.classify.alpha)
    if ledgers and not rundir.recipe.classify.model and store.exists(card):
        out += memorised_warnings(
            ledgers, store.read_json(card)["training"]["negative"]["datasets"]
        )
    return out


def memorised_warnings(
    ledgers: Mapping[str, ledger.Ledger], negatives: Mapping[str, Any]
) -> list[str]:
    """Datasets most of whose documents the fit saw as negatives, a line each: it scores those too
    low.

    On 2,589 real pages the rule keeps 4 % of those of held-out sites and 0.2 % of those that the
    fit had seen (docs/results/classifier.md).

    >>> lines = memorised_warnings({"web": {"in": [100, 0, 0]}}, {"web": {"fitted": 90}})
    >>> [line[:60] for line in lines]
    ['the classifier learned from 90 % of web as negatives, and sc']
    """
    out = []
    for name, counts in ledgers.items():
        fitted = negatives.get(name, {"fitted": 0})["fitted"]
        share = fitted / max(1, ledger.documents(counts, ledger.IN))
        if share > ALARM_SEEN:
            out.append(
                f"the classifier learned from {100 * share:.0f} % of {name} as negatives, and "
                "scores what it has seen too low: "
                "give it more pages than it learns from (classify.max_documents), or other pages "
                "as negatives"
            )
    return out


def alarms(ledgers: Mapping[str, ledger.Ledger], alpha: float) -> list[str]:
    """What the keep rates of a run (dataset -> its ledger at this stage) say against the
    classifier, a line each.

    >>> web, news = {"in": [1000, 0, 0], "kept": [2, 0, 0]}, {"in": [100, 0, 0], "kept": [40, 0, 0]}
    >>> (line,) = alarms({"web": web, "news": news}, 9.0)
    >>> line[:78]
    'web keeps 0.20 % of its documents; the rule keeps 0.20 % of those of score 0: '
    """
    out = []
    for name, counts in ledgers.items():
        documents = ledger.documents(counts, ledger.IN)
        share = ledger.documents(counts, ledger.KEPT) / max(1, documents)
        keeps = f"{name} keeps {100 * share:.2f} % of its documents"
        if share > ALARM_KEPT:
            out.append(
                f"{keeps}: it is hardly filtered; are positives and negatives alike, or is alpha "
                f"({alpha:g}) too small?"
            )
        elif documents and share < ALARM_FLOOR * 2.0**-alpha:
            floor = f"the rule keeps {100 * 2.0**-alpha:.2f} % of those of score 0"
            out.append(f"{keeps}; {floor}: the classifier finds hardly a good one there")
    return out


# ---- scoring and deciding ------------------------------------------------------------------------


def score_shard(rundir: RunDirectory, model_identity: str, shard: Shard) -> ShardResult:
    """Write `score` and `u` of every document of a shard."""
    path = rundir.table("classify", shard, "evidence")
    upstream = store.need_footer(rundir.documents(shard)).identity
    digest = config_digest(
        "classify/evidence", VERSION, model_identity, rundir.recipe.seed, upstream
    )

    def make() -> ShardResult:
        from curation.kernels.buffers import text_buffers
        from curation.kernels.elementary import sigmoid
        from curation.kernels.hashingtf import logits

        model = load_model(rundir.path("classify", "model"))
        with store.TableWriter(path, schema.QUALITY, digest) as writer:
            for batch in store.read_groups(rundir.documents(shard), ["text", "content"]):
                offsets, data = text_buffers(batch.column(0))
                score = sigmoid(
                    logits(offsets, data, model.weights, model.intercept, model.scaling)
                )
                u = draws.uniforms(rundir.recipe.seed, "pareto", batch.column(1).to_pylist())
                writer.write(pa.record_batch([score, u], schema=schema.QUALITY))
        return ShardResult(digest)

    return run_once(path, digest, make)


def decide_shard(rundir: RunDirectory, shard: Shard) -> ShardResult:
    """Write the decision and the survivors of one crawl shard."""
    evidence = rundir.table("classify", shard, "evidence")
    alpha = rundir.recipe.classify.alpha
    digest = config_digest(
        "classify/decision", VERSION, alpha, store.need_footer(evidence).identity
    )
    path = rundir.decision("classify", shard)

    def make() -> ShardResult:
        scores = store.read_table(evidence)
        score, u = (scores.column(name).to_numpy() for name in ("score", "u"))
        draw = pareto_draw(u, alpha)
        keep = draw > 1.0 - score
        shard_ledger = _write_survivors(rundir, shard, digest, keep)
        with store.TableWriter(path, schema.CLASSIFIED, digest, shard_ledger) as writer:
            reason = pa.array(
                np.where(keep, np.array(None), np.array("low_quality", object)), pa.string()
            )
            writer.write(
                pa.record_batch([pa.array(keep), reason, pa.array(draw)], schema=schema.CLASSIFIED)
            )
        return ShardResult(digest, shard_ledger)

    return run_once(path, digest, make, rundir.survivors(shard))


def _write_survivors(
    rundir: RunDirectory, shard: Shard, digest: str, keep: npt.NDArray[np.bool_]
) -> ledger.Ledger:
    shard_ledger: ledger.Ledger = {}
    documents = rundir.documents(shard)
    columns = store.read_schema(documents).append(schema.ROW)
    start = 0
    with store.TableWriter(rundir.survivors(shard), columns, digest) as writer:
        for batch in store.read_groups(documents):
            rows = np.flatnonzero(keep[start : start + batch.num_rows])
            chars = char_lengths(batch.column("text"))
            ledger.add(shard_ledger, ledger.IN, batch.num_rows, int(chars.sum()))
            ledger.add(shard_ledger, ledger.KEPT, len(rows), int(chars[rows].sum()))
            ledger.add(
                shard_ledger,
                "low_quality",
                batch.num_rows - len(rows),
                int(chars.sum() - chars[rows].sum()),
            )
            kept = batch.take(pa.array(rows))
            writer.write(
                pa.RecordBatch.from_arrays([*kept.columns, pa.array(rows + start)], schema=columns)
            )
            start += batch.num_rows
    return shard_ledger


def _check_scaling(config: ClassifyConfig, model: Model) -> None:
    if config.scaling != model.scaling:
        raise RecipeError(
            f"classify.scaling is {config.scaling!r}, but the model was fitted with "
            f"{model.scaling!r}; set it to that"
        )
