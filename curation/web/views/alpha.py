"""What another alpha would keep, decided anew from the stored scores and draws; nothing is written.

Later stages are not redone. Memory: score and draw of at most `MOST` documents of a dataset, evenly
spread; above that the counts are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation.inspect.evidence.scores import BANDS, score_parts
from curation.kernels import pareto
from curation.web import charts, render, templating
from curation.web.views.sections import NOTHING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

LEAST, MOST_ALPHA = 0.1, 50.0
MOST = 2_000_000
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AtAlpha:
    """A dataset at one alpha: `documents`, those `kept` now and in the run, `entering` and
    `leaving` between the two; `counts` and `bands`: documents and kept ones by score."""

    dataset: str
    documents: int
    kept: int
    kept_now: int
    entering: int
    leaving: int
    counts: list[int]
    bands: list[int]
    is_estimate: bool


def alpha(run: OpenRun, request: Request) -> Response:
    """`/alpha?alpha=3`; where htmx asks, only the result."""
    recipe = run.rundir.recipe
    what = f"alpha is a number from {LEAST:g} to {MOST_ALPHA:g}"
    asked = render.number_of(request.query_params.get("alpha", ""), LEAST, MOST_ALPHA, what)
    value = recipe.classify.alpha if asked is None else asked
    is_asked_for = "hx-request" in request.headers or run.small() or "now" in request.query_params
    results = _results(run, value) if is_asked_for else None
    values = {
        "alpha": value,
        "of_run": recipe.classify.alpha,
        "results": results,
        "nothing": NOTHING["classify"],
        "least": LEAST,
        "most": max(20.0, value, recipe.classify.alpha),
    }
    return render.page(request, run, "alpha.html", "Alpha", values)


def _results(run: OpenRun, value: float) -> list[tuple[AtAlpha, Any]]:
    """What an alpha keeps of each dataset that is filtered, with a chart."""
    recipe, results = run.rundir.recipe, []
    for name in filter(recipe.classified, recipe.names()) if "classify" in recipe.stages else ():
        score, u, kept, every = _scores(run, name)
        if len(score):
            result = at_alpha(name, score, u, kept, every, value)
            results.append((result, templating.svg(_chart(result))))
    return results


def at_alpha(
    dataset: str, score: Floats, u: Floats, kept_in_run: Flags, every: int, alpha: float
) -> AtAlpha:
    """What an alpha keeps of some scores and draws, of which each stands for `every` documents."""
    edges = np.linspace(0.0, 1.0, BANDS + 1)
    keeps = pareto.pareto_draw(u, alpha) > 1.0 - score
    counts, bands = (np.histogram(part, edges)[0] * every for part in (score, score[keeps]))
    return AtAlpha(
        dataset,
        documents=len(score) * every,
        kept=int(keeps.sum()) * every,
        kept_now=int(kept_in_run.sum()) * every,
        entering=int((keeps & ~kept_in_run).sum()) * every,
        leaving=int((~keeps & kept_in_run).sum()) * every,
        counts=counts.tolist(),
        bands=bands.tolist(),
        is_estimate=every > 1,
    )


def _scores(run: OpenRun, dataset: str) -> tuple[Floats, Floats, Flags, int]:
    """Scores and draws, what the run's own alpha keeps of them, and how many documents each stands for."""

    def read() -> tuple[Floats, Floats, Flags, int]:
        sizes = run.sizes()
        documents = sum(sizes.get(shard.ordinal, 0) for shard in run.plan.of(dataset))
        every = max(1, -(-documents // MOST))
        parts = [
            tuple(part.column(name).to_numpy()[::every] for name in ("score", "u"))
            for part in score_parts(*run.opened(), dataset)
        ]
        score, u = (np.concatenate([np.zeros(0), *(part[i] for part in parts)]) for i in (0, 1))
        kept = pareto.pareto_draw(u, run.rundir.recipe.classify.alpha) > 1.0 - score
        return score, u, kept, every

    return run.cached(("scores", dataset), read)


def _chart(result: AtAlpha) -> str:
    edges = np.linspace(0.0, 1.0, BANDS + 1).tolist()
    title = f"Documents of {result.dataset} by score, and those kept"
    labels = ("score", "")
    return charts.histogram(title, edges, result.counts, part=result.bands, labels=labels, log=True)
