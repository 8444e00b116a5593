"""Pages made of sections that take a while to read: of a large run each is asked for by itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from curation.errors import CurationError, InputError
from curation.inspect.evidence.alpha import alpha_report
from curation.inspect.evidence.benchmarks import benchmark_hits
from curation.inspect.evidence.clusters import Cluster, largest_clusters
from curation.inspect.evidence.contamination import contamination
from curation.inspect.evidence.corpus import languages, lengths
from curation.inspect.evidence.duplicates import duplicates, repeats
from curation.inspect.evidence.fit import Model, model_report
from curation.inspect.evidence.mixture import placed_mixture
from curation.inspect.evidence.report import ignored_grams
from curation.inspect.evidence.rules import rule_reports
from curation.inspect.evidence.scores import (
    ScoredDocument,
    by_score,
    near_threshold,
    score_histograms,
)
from curation.inspect.evidence.sites import sites
from curation.web import render
from curation.web import sections as templates

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

CLUSTERS = 10
CHARS = 400

NOTHING = {
    "dedup": 'dedup has not run here. A recipe that names "dedup" among its stages removes near '
    "duplicates.",
    "classify": 'classify has not scored here. A recipe that names "classify" among its stages, and '
    "trusted datasets, filters by quality.",
    "filter": 'filter has decided on nothing here. A recipe that names "filter" among its stages '
    'removes by rules: its own, or a published set as rules = ["gopher"].',
    "decontaminate": 'decontaminate has not run here. A recipe that names "decontaminate" among its '
    "stages, and benchmarks, cuts out what overlaps with them.",
}
# Page -> its title, its sections, and what to say where there is nothing: why, and how to get it.
PAGES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "duplicates": ("Duplicates", ("clusters", "duplicates", "repeats"), NOTHING["dedup"]),
    "classifier": (
        "Classifier",
        ("quality", "fit", "alpha", "samples", "by_score"),
        NOTHING["classify"],
    ),
    "rules": ("Rules and signals", ("rules",), NOTHING["filter"]),
    "benchmarks": (
        "Benchmarks",
        ("benchmarks", "contamination"),
        NOTHING["decontaminate"],
    ),
    "mixture": ("Mixture", ("mixture", "languages", "lengths"), "Nothing is there yet."),
    "sites": ("Sites", ("sites",), "No document has an address here."),
}


def view(run: OpenRun, request: Request) -> Response:
    """A page of sections: at once where the run is small, else a frame that asks for each."""
    name = request.url.path.removeprefix(run.prefix).strip("/")
    title, names, nothing = PAGES[name]
    texts = {part: section(run, part) for part in names} if run.small() else dict.fromkeys(names)
    is_empty = run.small() and not any(texts.values())
    values = {"parts": texts, "is_empty": is_empty, "nothing": nothing}
    return render.page(request, run, "sections.html", title, values)


def part(run: OpenRun, request: Request) -> Response:
    """`/part/NAME`: one section."""
    name = request.path_params["name"]
    if name not in VALUES:
        raise InputError(f"no section {name[:40]!r}; go on from the pages above")
    values = {"text": section(run, name), "nothing": "Nothing to show: its stage has not run."}
    title = templates.TITLES[name]
    return render.page(request, run, "part.html", title, values)


def section(run: OpenRun, name: str) -> Any:
    """The HTML of a section, empty where its stage has not run."""

    def rendered() -> Any:
        return templates.section(name, run.prefix, **VALUES[name](run))

    return run.cached(("section", name), rendered)


def _clusters(run: OpenRun) -> list[Cluster]:
    try:
        return list(islice(largest_clusters(*run.opened(), n=CLUSTERS), CLUSTERS))
    except CurationError:  # dedup has not run
        return []


def _model(run: OpenRun) -> Model | None:
    return model_report(run.rundir.path("classify", "model"))


def _filtered(run: OpenRun) -> list[str]:
    recipe = run.rundir.recipe
    scored = score_histograms(*run.opened())
    return list(filter(recipe.classified, recipe.names())) if scored else []


def _by_score(run: OpenRun) -> dict[str, list[ScoredDocument]]:
    return {name: by_score(*run.opened(), name, chars=CHARS) for name in _filtered(run)}


def _samples(run: OpenRun) -> dict[str, list[ScoredDocument]]:
    return {name: near_threshold(*run.opened(), name, chars=CHARS) for name in _filtered(run)}


# Section -> the values that its template asks for.
VALUES: dict[str, Callable[[OpenRun], dict[str, Any]]] = {
    "clusters": lambda run: {"clusters": _clusters(run)},
    "sites": lambda run: {"sites": sites(*run.opened())},
    "duplicates": lambda run: {"duplicates": duplicates(*run.opened())},
    "repeats": lambda run: {"repeats": repeats(*run.opened())},
    "quality": lambda run: {"scores": score_histograms(*run.opened()), "model": _model(run)},
    "fit": lambda run: {"model": _model(run)},
    "alpha": lambda run: {"alpha": alpha_report(*run.opened())},
    "by_score": lambda run: {"by_score": _by_score(run)},
    "samples": lambda run: {"samples": _samples(run)},
    "rules": lambda run: {"rules": rule_reports(*run.opened())},
    "benchmarks": lambda run: {
        "benchmarks": benchmark_hits(*run.opened()),
        "ignored_grams": ignored_grams(run.rundir),
    },
    "contamination": lambda run: {"contamination": contamination(run.rundir)},
    "mixture": lambda run: {
        "mixture": placed_mixture(run.rundir),
        "by": run.rundir.recipe.mix.by,
    },
    "languages": lambda run: {"languages": languages(*run.opened())},
    "lengths": lambda run: {"lengths": lengths(*run.opened())},
}
