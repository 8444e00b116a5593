"""The sections of the report and of browse: what their templates need, and one rendered by its name.

A section whose stage has not run is empty. Every value is escaped by the templates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from curation.inspect.evidence.alpha import AlphaFit, alpha_sentence, kept_listings
from curation.inspect.evidence.contamination import dirty_listing
from curation.inspect.evidence.duplicates import missed_sentence
from curation.inspect.evidence.fit import (
    calibration_listing,
    feature_listings,
    fit_sentence,
    note_sentence,
    trial_listings,
)
from curation.inspect.evidence.mixture import groups_listing
from curation.inspect.evidence.rules import rules_sentence
from curation.inspect.evidence.status import slowest_listing
from curation.inspect.numbers import counted, percent
from curation.kernels.pareto import law_density
from curation.web import charts
from curation.web.templating import environment, svg

if TYPE_CHECKING:
    from curation.inspect.evidence.corpus import LanguageCount
    from curation.inspect.evidence.mixture import PlacedMixture

# In the order of the report. The name is the template, and the anchor of its heading.
TITLES = {
    "rules": "Rules",
    "quality": "Quality",
    "fit": "Fit of the classifier",
    "alpha": "Alpha",
    "by_score": "Kept and removed at each score",
    "samples": "Near the threshold",
    "sites": "Sites by kept text",
    "clusters": "Largest clusters",
    "duplicates": "Duplicates",
    "repeats": "Repeated lines",
    "benchmarks": "Benchmarks",
    "contamination": "Dirty examples",
    "mixture": "Mixture",
    "languages": "Languages",
    "lengths": "Lengths",
    "extracted": "Pages, block by block",
    "slowest": "Slowest shards",
}
FEW = 12  # features of a class that are shown before one asks for more


def section(name: str, base: str | None, **values: Any) -> Markup:
    """A section of a page, empty where there is nothing to show.

    `base`: where addresses of pages begin, None where there are no pages to go to.
    """
    template = environment().get_template(f"sections/{name}.html")
    html = template.render(HELPERS, name=name, title=TITLES[name], base=base, **values)
    return svg(html.strip())


def law(fit: AlphaFit) -> list[float]:
    """The law of a fitted alpha at the edges of the scores' histogram, to the scale of its highest bar."""
    scale = fit.documents / (len(fit.edges) - 1) / max([1, *fit.counts])
    return [min(1.0, scale * law_density(1.0 - edge, fit.alpha)) for edge in fit.edges]


def shares(mixture: PlacedMixture) -> list[tuple[str, float, float | None, str]]:
    """Bars of planned and achieved shares."""
    return [
        (d.dataset, d.weight, d.share, f"{percent(d.share)}, planned {percent(d.weight)}")
        for d in mixture.datasets
    ]


def language_bars(counts: Sequence[LanguageCount]) -> list[tuple[str, float, float | None, str]]:
    """Bars of documents and kept ones by language, by their logarithms: rare languages stay visible."""
    return [
        (
            c.language,
            math.log10(1 + c.documents),
            math.log10(1 + c.kept),
            f"{c.documents:,}, {c.kept:,} kept",
        )
        for c in counts
    ]


def bars_by_power(counts: Sequence[int]) -> tuple[list[str], list[int]]:
    """Names and heights of bars of lengths from 2**i to 2**(i+1), from the first that is there.

    >>> bars_by_power([0, 0, 3, 4])
    (['4', '8'], [3, 4])
    """
    first = next((i for i, count in enumerate(counts) if count), 0)
    names = [charts.short(2**i) if i < 10 else f"{2 ** (i - 10)}Ki"
             for i in range(first, len(counts))]  # fmt: skip
    return names, list(counts[first:])


HELPERS: dict[str, Any] = {
    "FEW": FEW,
    "alpha_sentence": alpha_sentence,
    "calibration_listing": calibration_listing,
    "counted": counted,
    "dirty_listing": dirty_listing,
    "feature_listings": feature_listings,
    "fit_sentence": fit_sentence,
    "groups_listing": groups_listing,
    "kept_listings": kept_listings,
    "language_bars": language_bars,
    "law": law,
    "missed_sentence": missed_sentence,
    "note_sentence": note_sentence,
    "bars_by_power": bars_by_power,
    "rules_sentence": rules_sentence,
    "shares": shares,
    "slowest_listing": slowest_listing,
    "trial_listings": trial_listings,
}
