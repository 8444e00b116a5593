"""How the quality classifier did, as plain dictionaries: the fit's own report, alpha, what other alphas would keep, and documents by score.

Cost: evidence tables only (score and draw, 16 bytes a document), a shard at a time; texts of the few documents that are shown; url and id
of one dataset for the fit of alpha. The model's figures were measured when it was fitted and are only read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.kernels import pareto
from curation.stages.classify.sample import site

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

ALPHAS = tuple(float(alpha) for alpha in range(1, 21))
BANDS = 10
BINS = 20
STEPS = tuple(i / 10 for i in range(11))  # scores near which documents are shown
CANDIDATES = 200  # of a shard, for one place in the table of documents
Data = dict[str, Any]
Floats = npt.NDArray[np.float64]


def model_report(folder: str) -> Data | None:
    """What a model folder says of itself: its card, and under `report` how the fit went (None for a model without one)."""
    card, report = (store.join(folder, name) for name in ("card.json", "report.json"))
    if not store.exists(card):
        return None
    return {
        **store.read_json(card),
        "report": store.read_json(report) if store.exists(report) else None,
    }


# ---- alpha -----------------------------------------------------------------------------------------------------------------------------


def alpha_report(rundir: RunDirectory, plan: Plan, dataset: str | None = None) -> Data | None:
    """The alpha that fits `dataset` (the first of the positives), and what each alpha from 1 to 20 would keep of each filtered dataset.

    None where classify has not scored. `fit` has `refused` instead of numbers where no alpha fits.
    Raises InputError for a dataset that the recipe lacks.
    """
    if dataset is not None and dataset not in rundir.recipe.names():
        raise InputError(f"no dataset {dataset!r}; there are {', '.join(rundir.recipe.names())}")
    kept = kept_by_alpha(rundir, plan)
    if not kept:
        return None
    return {"alpha": rundir.recipe.classify.alpha, "fit": _fit(rundir, plan, dataset), **kept}


def kept_by_alpha(rundir: RunDirectory, plan: Plan) -> Data:
    """Documents of each filtered dataset by score band, and how many of them each alpha keeps with the draws they have."""
    edges = np.linspace(0.0, 1.0, BANDS + 1)
    datasets: Data = {}
    for shard, score, u in _evidence(rundir, plan.shards):
        if rundir.recipe.filtered(shard.dataset):
            own = datasets.setdefault(
                shard.dataset,
                {
                    "counts": np.zeros(BANDS, np.int64),
                    "kept": np.zeros((len(ALPHAS), BANDS), np.int64),
                },
            )
            own["counts"] += np.histogram(score, edges)[0]
            own["kept"] += pareto.kept_counts(score, u, ALPHAS, edges)
    found = {
        name: {key: values.tolist() for key, values in own.items()}
        for name, own in datasets.items()
    }
    return (
        {"alphas": list(ALPHAS), "edges": edges.round(6).tolist(), "datasets": found}
        if found
        else {}
    )


def _fit(rundir: RunDirectory, plan: Plan, dataset: str | None) -> Data:
    name = dataset or next(iter(rundir.recipe.positives()), None)
    if name is None:
        return {
            "dataset": None,
            "refused": "the recipe names no positives; give a dataset to fit alpha to",
        }
    score, which = _unseen_scores(rundir, plan, name)
    try:
        fit = pareto.fit_alpha(score)
    except ValueError as error:
        return {"dataset": name, "which": which, "documents": len(score), "refused": str(error)}
    edges = np.linspace(0.0, 1.0, BINS + 1)
    expected = -np.diff(pareto.law_share(1.0 - edges, fit.alpha)) * len(score)
    bins = {
        "edges": edges,
        "counts": np.histogram(score, edges)[0],
        "expected": np.abs(expected.round(3)),
    }
    return {
        "dataset": name,
        "which": which,
        **asdict(fit),
        **{key: values.tolist() for key, values in bins.items()},
    }


def _unseen_scores(rundir: RunDirectory, plan: Plan, dataset: str) -> tuple[Floats, str]:
    """Scores of a dataset's documents on held-out sites (of all where the model was fitted elsewhere), and which they are."""
    config = rundir.recipe.classify
    parts = []
    for shard, score, _ in _evidence(rundir, plan.of(dataset)):
        if not config.model:
            urls, ids = (
                frames.column(rundir.documents(shard), name).to_pylist() for name in ("url", "id")
            )
            sites = [(site(url) or id_).encode() for url, id_ in zip(urls, ids, strict=True)]
            score = score[
                draws.uniforms(rundir.recipe.seed, "classify/heldout", sites) < config.heldout
            ]
        parts.append(score)
    which = (
        "all documents (the model was fitted elsewhere)"
        if config.model
        else "documents of held-out sites"
    )
    return np.concatenate([np.zeros(0), *parts]), which


def _evidence(
    rundir: RunDirectory, shards: Sequence[Shard]
) -> Iterator[tuple[Shard, Floats, Floats]]:
    for shard in shards:
        path = rundir.table("classify", shard, "evidence")
        if "classify" in rundir.recipe.stages and store.exists(path):
            table = store.read_table(path, ["score", "u"])
            yield shard, table.column("score").to_numpy(), table.column("u").to_numpy()


# ---- documents by score ----------------------------------------------------------------------------------------------------------------


def by_score(
    rundir: RunDirectory, plan: Plan, dataset: str, n: int = 1, chars: int = 300, seed: int = 0
) -> list[Data]:
    """Random documents at scores near 0, 0.1 ... 1, `n` kept and `n` not kept of each, as far as there are such.

    Each has near, kept, score, draw, needed, chance (of being kept), id, url, text (its first `chars` characters).
    """
    alpha = rundir.recipe.classify.alpha
    chosen: dict[tuple[float, bool], list[tuple[float, int, int]]] = {}
    found: dict[int, tuple[Shard, Floats, Floats]] = {}
    for shard, score, u in _evidence(rundir, plan.of(dataset)):
        keep = pareto.pareto_draw(u, alpha) > 1.0 - score
        for near in STEPS:
            for kept in (True, False):
                rows = np.flatnonzero((np.abs(score - near) <= 0.05) & (keep == kept))
                rows = rows[:: max(1, len(rows) // CANDIDATES)]
                keys = [shard.doc(row).to_bytes(8, "little") for row in rows.tolist()]
                at = draws.uniforms(seed, "inspect/by_score", keys).tolist()
                here = list(zip(at, [shard.ordinal] * len(rows), rows.tolist(), strict=True))
                chosen[near, kept] = sorted([*chosen.get((near, kept), []), *here])[:n]
        found[shard.ordinal] = (shard, score, u)
    return [
        {"near": near, "kept": kept, **_shown(rundir, *found[ordinal], row, alpha, chars)}
        for (near, kept), rows_ in sorted(
            chosen.items(), key=lambda item: (item[0][0], not item[0][1])
        )
        for _, ordinal, row in rows_
    ]


def _shown(
    rundir: RunDirectory, shard: Shard, score: Floats, u: Floats, row: int, alpha: float, chars: int
) -> Data:
    at = np.array([row])
    return {
        "score": float(score[row]),
        "draw": float(pareto.pareto_draw(u[at], alpha)[0]),
        "needed": float(1.0 - score[row]),
        "chance": float(pareto.keep_chance(score[at], alpha)[0]),
        **frames.with_texts(rundir, shard, at, chars=chars).to_pylist()[0],
    }


def need(found: Data | None, out: str) -> Data:
    """`found`, or RunError where the run has not got that far."""
    if found is None:
        raise RunError(f"{out}: classify has not scored here; run it to the end of classify")
    return found
