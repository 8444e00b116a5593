"""Pages made of sections that take a while to read: of a large run each is asked for by itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from curation.errors import CurationError, InputError
from curation.inspect.evidence.benchmarks import benchmark_hits
from curation.inspect.evidence.clusters import Cluster, largest_clusters
from curation.inspect.evidence.contamination import contamination
from curation.inspect.evidence.corpus import languages, lengths
from curation.inspect.evidence.duplicates import duplicates, repeats
from curation.inspect.evidence.fit import model_report
from curation.inspect.evidence.mixture import placed_mixture
from curation.inspect.evidence.rules import rule_reports
from curation.inspect.evidence.scores import by_score, near_threshold, score_histograms
from curation.inspect.evidence.sites import sites
from curation.web import page as report_page
from curation.web import render, templating
from curation.web.duplicates import duplicates_section, repeats_section
from curation.web.fit import by_score_section, fit_section, quality_section, threshold_section
from curation.web.rules import rules_sections

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

CLUSTERS = 10
CHARS = 400

# Page -> its title, its sections, and what to say where there is nothing.
PAGES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "duplicates": ("Duplicates", ("clusters", "pairs", "repeats"), "dedup has not run here."),
    "classifier": (
        "Classifier",
        ("quality", "fit", "by_score", "threshold"),
        "classify has not scored here.",
    ),
    "rules": ("Rules and signals", ("rules",), "filter has decided on nothing here."),
    "benchmarks": (
        "Benchmarks",
        ("benchmarks", "contamination"),
        "decontaminate has not run here.",
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
    if name not in SECTIONS:
        raise InputError(f"no section {name[:40]!r}; go on from the pages above")
    values = {"text": section(run, name), "nothing": "Nothing to show: its stage has not run."}
    title = name.replace("_", " ").capitalize()
    return render.page(request, run, "part.html", title, values)


def section(run: OpenRun, name: str) -> Any:
    """The HTML of a section, empty where its stage has not run."""
    return run.cached(("section", name), lambda: SECTIONS[name](run))


def _clusters(run: OpenRun) -> Any:
    try:
        shown: list[Cluster] = list(islice(largest_clusters(*run.opened(), n=CLUSTERS), CLUSTERS))
    except CurationError:  # dedup has not run
        return ""
    template = templating.environment().get_template("clusters.html")
    return templating.svg(template.render(clusters=shown, base=run.prefix))


def _sites(run: OpenRun) -> Any:
    template = templating.environment().get_template("sites.html")
    return templating.svg(template.render(found=sites(*run.opened()), base=run.prefix))


def _fit(run: OpenRun) -> str:
    model = model_report(run.rundir.path("classify", "model"))
    return fit_section(model.report) if model else ""


def _quality(run: OpenRun) -> str:
    model = model_report(run.rundir.path("classify", "model"))
    return quality_section(score_histograms(*run.opened()), model)


def _filtered(run: OpenRun) -> list[str]:
    recipe = run.rundir.recipe
    scored = score_histograms(*run.opened())
    return list(filter(recipe.classified, recipe.names())) if scored else []


def _by_score(run: OpenRun) -> str:
    shown = {name: by_score(*run.opened(), name, chars=CHARS) for name in _filtered(run)}
    return by_score_section(shown)


def _threshold(run: OpenRun) -> str:
    shown = {name: near_threshold(*run.opened(), name, chars=CHARS) for name in _filtered(run)}
    return threshold_section(shown)


def _mixture(run: OpenRun) -> str:
    return report_page.mixture_section(placed_mixture(run.rundir), run.rundir.recipe.mix.by)


def _of_report(make: Callable[[OpenRun], str]) -> Callable[[OpenRun], Any]:
    return lambda run: templating.svg(make(run))


SECTIONS: dict[str, Callable[[OpenRun], Any]] = {
    "clusters": _clusters,
    "sites": _sites,
    "pairs": _of_report(lambda run: duplicates_section(duplicates(*run.opened()))),
    "repeats": _of_report(lambda run: repeats_section(repeats(*run.opened()))),
    "quality": _of_report(_quality),
    "fit": _of_report(_fit),
    "by_score": _of_report(_by_score),
    "threshold": _of_report(_threshold),
    "rules": _of_report(lambda run: rules_sections(rule_reports(*run.opened()))),
    "benchmarks": _of_report(
        lambda run: report_page.benchmarks_section(benchmark_hits(*run.opened()))
    ),
    "contamination": _of_report(
        lambda run: report_page.contamination_section(contamination(run.rundir))
    ),
    "mixture": _of_report(_mixture),
    "languages": _of_report(lambda run: report_page.languages_section(languages(*run.opened()))),
    "lengths": _of_report(lambda run: report_page.lengths_section(lengths(*run.opened()))),
}
