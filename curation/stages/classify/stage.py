"""classify: GPT-3's quality filter (appendix A.1).

Logistic regression on HashingTF features, trusted corpora against raw crawl, fitted once per run,
and once more without each fold of the sites; every document scored (evidence), on a small crawl by
the model that has not seen its fold; crawl documents kept by the Pareto rule (decision) and written
once more, compactly, as survivors.

The sample it learns from is made in sample.py, the folds in folds.py, the fits in training.py and
fit.py, their figures in measure.py, the model file in model.py, the keep rule in kernels/pareto.py.

Cost: scoring reads each text once; another alpha reads only the crawl's evidence and the documents
it keeps. Memory: one row group per task; the driver fits, and holds the sampled features, by
its arrays about 32 bytes a distinct term of a document at most.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import draws, store
from curation.digests import config_digest, text_digest
from curation.kernels.pareto import pareto_draw
from curation.rundir import ledger, schema
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, check_ledgers, run_once, stored_ledgers
from curation.rundir.survivors import counted, remaining_rows, write_survivors
from curation.stages.classify.fasttext_model import (
    FastText,
    given_fasttext,
    write_card,
)
from curation.stages.classify.fit import check_classes, fit_model
from curation.stages.classify.folds import (
    FOLDS,
    KEY,
    MOST_SEEN,
    fold_keys,
    fold_numbers,
    scoring_folds,
    spread_names,
)
from curation.stages.classify.model import (
    Model,
    copy_model,
    load_folds,
    load_model,
    whole_card,
)
from curation.stages.classify.sample import site, training_shares
from curation.stages.classify.scoring import scores
from curation.stages.classify.shipped import given_folder, shipped_warnings

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 5
# A dataset that keeps less than this many times the rule's floor has hardly a good document.
ALARM_FLOOR = 1.5
ALARM_KEPT = 0.95  # one that keeps more is hardly filtered
MOST_LEFT = 1e-4  # of the gradient that a fit begins with
ALARM_MARKS = 0.9  # where layout alone has this part of the model's distance from AUC 0.5


def check(rundir: RunDirectory) -> None:
    """Raise what would end the stage, for all that is known before it: the model, or the classes
    to fit one on."""
    recipe = rundir.recipe
    if not any(recipe.classified(name) for name in recipe.names()):
        return
    if given_fasttext(recipe):
        return
    if folder := given_folder(recipe):
        load_model(folder)
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
    decided = [s for s in scored if recipe.classified(s.dataset)]
    names = {s.dataset for s in decided}
    ruled = [s for s in plan.shards if recipe.ruled(s.dataset) and s.dataset not in names]
    engine.map("classify: survivors", partial(carry_over, rundir), ruled)
    if not decided:
        return {}
    path = rundir.path("classify", "model")
    by_folds: tuple[str, ...] = ()
    fasttext = given_fasttext(recipe)
    if fasttext:
        write_card(path, fasttext)
    elif folder := given_folder(recipe):
        copy_model(folder, path)
    else:
        shares = training_shares(rundir, plan)
        folds = scoring_folds(rundir, plan)
        fit_model(rundir, plan, engine, shares, folds, path)
        by_folds = recipe.names() if folds else positives
    identity = fasttext.identity if fasttext else load_model(path).identity
    fold_identity = load_folds(path)[0].identity if by_folds else ""
    score = partial(score_shard, rundir, identity, fold_identity, by_folds, fasttext)
    engine.map("classify: score", score, scored)
    results = engine.map("classify: decide", partial(decide_shard, rundir), decided)
    by_shard = dict(zip(decided, results, strict=True))
    check_ledgers(rundir, "classify", by_shard)
    return by_shard


def outside(rundir: RunDirectory, plan: Plan) -> str:
    """What the stage depends on beside its recipe and its documents: what a given model's card
    says, a fastText file's content and label, or how many folds score."""
    if fasttext := given_fasttext(rundir.recipe):
        return fasttext.identity
    folder = given_folder(rundir.recipe)
    if not folder:
        filters = any(map(rundir.recipe.classified, rundir.recipe.names()))
        return str(scoring_folds(rundir, plan)) if filters else ""
    card = store.join(folder, "card.json")
    return text_digest(store.read_bytes(card)).hex() if store.exists(card) else ""


def warnings(rundir: RunDirectory) -> list[str]:
    """What a finished run says against its filter, a line each."""
    ledgers = stored_ledgers(rundir, "classify")
    card = rundir.path("classify", "model", "card.json")
    out = alarms(ledgers, rundir.recipe.classify.alpha)
    if ledgers:
        out += shipped_warnings(rundir.recipe)
    if ledgers and not given_folder(rundir.recipe) and store.exists(card):
        described = store.read_json(card)
        negatives = described["training"]["negative"]["datasets"]
        seen = {name: negatives[name]["share"] for name in ledgers if name in negatives}
        out += seen_warnings(seen, _folds(rundir), described["spread"]["negative"])
        out += marks_warnings(described["heldout"])
        out += minimum_warnings(described["gradient_left"])
    return out


def minimum_warnings(gradient_left: float) -> list[str]:
    """What is said where a fit ended before its minimum.

    >>> minimum_warnings(1e-9)
    []
    >>> minimum_warnings(0.2)[0][:69]
    'classify: the fit ended before its minimum: 20 % of the gradient that'
    """
    if gradient_left <= MOST_LEFT:
        return []
    return [
        f"classify: the fit ended before its minimum: {100 * gradient_left:.2g} % of the gradient that "
        "it began with is left; a smaller classify.C, or another classify.scaling, is easier to fit"
    ]


def _folds(rundir: RunDirectory) -> int:
    """How many folds scored the filtered datasets of a finished run."""
    folds = rundir.recipe.classify.folds
    return int(plans.recorded(rundir.out).get(KEY, FOLDS) if folds == "auto" else folds)


def seen_warnings(seen: Mapping[str, float], folds: int, spread: Sequence[str] = ()) -> list[str]:
    """Datasets of which the models that score them saw much as negatives, a line each: they score
    those too low. `spread`: the sites that are too large to be left out as a whole.

    >>> seen_warnings({"web": 0.9}, 5), len(seen_warnings({"web": 0.9, "more": 0.01}, 0))
    ([], 1)
    >>> seen_warnings({"web": 0.9}, 5, ["a.example"])[0][:57]
    'more than a fifth of the negatives are pages of a.example'
    """
    out = [
        f"one model scores {name} and has learned from {100 * share:.0f} % of it as negatives, "
        f"which it scores too low; set classify.folds = {FOLDS}"
        for name, share in seen.items()
        if not folds and share > MOST_SEEN
    ]
    if folds and spread:
        out.append(
            f"more than a fifth of the negatives are pages of {' and of '.join(spread)}: models "
            "that have seen other pages of that site score them, which may be too low; add pages "
            "of more sites"
        )
    return out


def marks_warnings(heldout: Mapping[str, Any]) -> list[str]:
    """Whether the classes differ in layout more than in what is written.

    >>> (line,) = marks_warnings({"auc": 0.99, "marks_auc": 0.97})
    >>> line[:67]
    'the classifier may know the trusted corpora by their layout: line b'
    >>> marks_warnings({"auc": 0.9, "marks_auc": 0.7})
    []
    """
    auc, marks = heldout["auc"], heldout["marks_auc"]
    if auc is None or marks is None or marks - 0.5 < ALARM_MARKS * (auc - 0.5):
        return []
    return [
        "the classifier may know the trusted corpora by their layout: line breaks, spaced "
        f"punctuation and bullets alone tell them from the crawl with AUC {marks:.3f}, all words "
        f"with {auc:.3f}; read what it keeps (`curation sample RUN`), and take trusted text that "
        "is laid out like the crawl's"
    ]


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


def score_shard(
    rundir: RunDirectory,
    model_identity: str,
    fold_identity: str,
    by_folds: Collection[str],
    fasttext: FastText | None,
    shard: Shard,
) -> ShardResult:
    """Write `score`, `u` and `fold` of every document of a shard; the datasets of `by_folds` are
    scored by folds, all by `fasttext` where it is given."""
    path = rundir.table("classify", shard, "evidence")
    upstream = store.need_footer(rundir.documents(shard)).identity
    config, seed = rundir.recipe.classify, rundir.recipe.seed
    identity = fold_identity if shard.dataset in by_folds else model_identity
    window = config.window_chars if config.scores_of == "windows" else 0
    windows = (window,) if window else ()  # by default the digest of versions before windows
    digest = config_digest("classify/evidence", VERSION, identity, seed, upstream, *windows)

    def make() -> ShardResult:
        folds: tuple[Model, ...] = ()
        spread: frozenset[str] = frozenset()
        if not fasttext:
            folder, is_folded = rundir.path("classify", "model"), shard.dataset in by_folds
            loaded, spread = _loaded_models(folder, identity, is_folded)
            folds = loaded if is_folded else ()
        models = fasttext or loaded
        with store.TableWriter(path, schema.QUALITY, digest) as writer:
            for batch in store.read_groups(rundir.documents(shard), ["text", "content", "url"]):
                contents = batch.column("content").to_pylist()
                fold = np.zeros(batch.num_rows, np.int16)
                if folds:
                    sites = map(site, batch.column("url").to_pylist())
                    fold = fold_numbers(seed, fold_keys(sites, contents, spread), len(folds))
                score = scores(batch.column("text"), models, fold, window)
                u = draws.uniforms(seed, "pareto", contents)
                mask = np.full(len(fold), not folds)
                writer.write(
                    pa.record_batch([score, u, pa.array(fold, mask=mask)], schema=schema.QUALITY)
                )
        return ShardResult(digest)

    return run_once(path, digest, make)


@functools.lru_cache(maxsize=2)
def _loaded_models(
    folder: str, identity: str, folded: bool
) -> tuple[tuple[Model, ...], frozenset[str]]:
    """The models of a run's folder, and the sites that no fold leaves out as a whole; read once a
    process for each identity."""
    if not folded:
        return (load_model(folder),), frozenset()
    return load_folds(folder), spread_names(whole_card(folder)["spread"])


def decide_shard(rundir: RunDirectory, shard: Shard) -> ShardResult:
    """Write the decision and the survivors of one crawl shard."""
    evidence = rundir.table("classify", shard, "evidence")
    before = rundir.decided_before("classify", shard)
    alpha = rundir.recipe.classify.alpha
    made_from = [store.need_footer(path).identity for path in (evidence, before) if path]
    digest = config_digest("classify/decision", VERSION, alpha, made_from)
    path = rundir.decision("classify", shard)

    def make() -> ShardResult:
        score, u = (column.to_numpy() for column in store.read_table(evidence, ["score", "u"]))
        draw = pareto_draw(u, alpha)
        remaining = remaining_rows(before, len(draw))
        low = draw <= 1.0 - score
        chars = write_survivors(rundir, shard, digest, remaining & ~low)
        reasons = pc.if_else(pa.array(remaining & low), "low_quality", pa.scalar(None, pa.string()))
        shard_ledger = counted(chars, remaining, reasons)
        with store.TableWriter(path, schema.CLASSIFIED, digest, shard_ledger) as writer:
            keep = pa.array(~low, mask=~remaining)
            writer.write(pa.record_batch([keep, reasons, pa.array(draw)], schema=schema.CLASSIFIED))
        return ShardResult(digest, shard_ledger)

    return run_once(path, digest, make, rundir.survivors(shard))


def carry_over(rundir: RunDirectory, shard: Shard) -> ShardResult:
    """Write the survivors of a shard that `filter` decides on, and `classify` does not."""
    before = rundir.decision("filter", shard)
    path = rundir.survivors(shard)
    rows, identity = store.need_footer(before).rows, store.need_footer(before).identity
    digest = config_digest("classify/survivors", VERSION, identity)

    def make() -> ShardResult:
        write_survivors(rundir, shard, digest, remaining_rows(before, rows))
        return ShardResult(digest)

    return run_once(path, digest, make)
