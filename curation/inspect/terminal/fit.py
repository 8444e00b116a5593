"""`curation model` and `curation alpha` on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from curation.inspect.evidence.alpha import AlphaReport, alpha_sentence, kept_listings
from curation.inspect.evidence.fit import (
    FitReport,
    Model,
    calibration_listing,
    feature_listings,
    fit_sentence,
    note_sentence,
    training_listing,
    trial_listings,
)
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.numbers import metric
from curation.inspect.terminal.tables import table_of

BAR = 40  # characters of the longest bar
FEATURES = 15  # strongest features shown of each class


def model_parts(model: Model) -> Iterator[RenderableType]:
    """A model's card and how its fit went."""
    yield Text(model.kind, style="bold")
    if model.note:
        yield Text(f"  sha256 {model.sha256}")
        yield Text(note_sentence(model))
        return
    for key in ("scaling", "C", "class_weight", "window_chars", "folds", "sha256"):
        yield Text(f"  {key} {getattr(model, key)}")
    if model.signal_weights:
        weights = (f"{name} {weight:+.2f}" for name, weight in model.signal_weights.items())
        yield Text(f"  signals, by their weight: {', '.join(weights)}")
    if model.spread:
        yield Text(f"  spread over the folds, a document at a time: {', '.join(model.spread)}")
    yield from _spaced([training_listing(model)])
    if model.report is None:
        yield Text("There is no report.json beside the card: how the fit went is not known.")
        return
    report = model.report
    measures = ("auc", "average_precision", "f1", "log_loss")
    figures = "  ".join(f"{key} {metric(getattr(report, key))}" for key in measures)
    yield Text(fit_sentence(model.heldout))
    yield Text(figures, style="bold")
    yield from _spaced(
        [
            _held_out_listing(report),
            calibration_listing(report),
            *trial_listings(report),
            *feature_listings(report, FEATURES),
        ]
    )


def alpha_parts(report: AlphaReport) -> Iterator[RenderableType]:
    """The fit of alpha with its misfit, and what each alpha would keep."""
    yield Text(alpha_sentence(report))
    fit = report.fit
    listings = kept_listings(report)
    if fit.refused is None:
        top = max([1.0, *fit.counts, *fit.expected])
        bins = zip(fit.edges[:-1], fit.edges[1:], fit.counts, fit.expected, strict=True)
        rows = [
            (f"{a:.2f} to {b:.2f}", f"{n:,}", f"{law:,.1f}", _bar(n / top, law / top))
            for a, b, n, law in bins
        ]
        title = "Misfit: documents found (#) against the law (|)"
        listings = [listing(title, ("score", "found", "law", ""), rows, (0, 3)), *listings]
    yield from _spaced(listings)


def _spaced(listings: list[Listing]) -> Iterator[RenderableType]:
    for each in listings:
        yield Text()
        yield table_of(each)


def _held_out_listing(report: FitReport) -> Listing:
    rows = [
        (name, f"{d.documents:,}", f"{d.sites:,}", metric(d.auc), _sparks(d.scores))
        for name, d in report.datasets.items()
    ]
    head = ("dataset", "documents", "sites", "AUC", "scores 0 to 1")
    return listing("Held-out scores by dataset", head, rows, left=(0, 4))


def _bar(share: float, law: float) -> str:
    cells = ["#" if i < round(BAR * share) else " " for i in range(BAR + 1)]
    cells[round(BAR * law)] = "|"
    return "".join(cells).rstrip()


def _sparks(counts: list[int]) -> str:
    """A histogram in one line, heights by the logarithm.

    >>> _sparks([0, 1, 10, 1000])
    ' ▁▃█'
    """
    top = math.log1p(max([1, *counts]))
    return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * math.log1p(count) / top)] for count in counts)
