"""The quality classifier on the report's page: scores, how the fit went, and alpha.

Trap: as in page.py, escape everything.
"""

from __future__ import annotations

from html import escape

from curation.inspect.evidence.alpha import AlphaFit, AlphaReport, alpha_sentence, kept_listings
from curation.inspect.evidence.fit import (
    FitReport,
    Model,
    calibration_listing,
    feature_listings,
    fit_sentence,
    note_sentence,
    trial_listings,
)
from curation.inspect.evidence.scores import ScoreBand, ScoredDocument, ScoreHistograms
from curation.kernels.pareto import law_density
from curation.web import charts, markup


def quality_section(scores: ScoreHistograms | None, model: Model | None) -> str:
    """Documents of each dataset by score, and how many of them are kept."""
    if scores is None:
        return ""
    cards = []
    label = f"P(keep | score) = (2 - score)^-{scores.alpha:g}"
    for name, dataset in scores.datasets.items():
        chart = charts.histogram(
            f"Documents of {name} by score",
            scores.edges,
            dataset.counts,
            part=dataset.kept,
            curve=scores.keep_chance if dataset.filtered else None,
            labels=("score", label),
            log=True,
        )
        key = "not filtered"
        if dataset.filtered:
            key = "<i class='a'></i> documents <i class='b'></i> kept <i class='c'></i> "
            key += escape(label)
        cards.append(markup.card(name, f"{chart}<p class='dim'>{key}</p>"))
        if dataset.bands is not None:
            cards.append(markup.card(f"{name}: keep rate by score", _bands(dataset.bands)))
    intro = (
        "How much each document is like the trusted corpora (1) or like raw crawl (0). "
        "Heights are logarithmic; the curve rises from 0 to 1."
    )
    return markup.section("Quality", intro, _model(model), markup.cards(*cards))


def _bands(bands: list[ScoreBand]) -> str:
    rows = []
    for band in bands:
        shares = [
            f"{n / band.documents:.1%}" if band.documents else ""
            for n in (band.kept, band.expected)
        ]
        name = f"{band.low:.1f} to {band.high:.1f}"
        rows.append([name, f"{band.documents:,}", f"{band.kept:,}", *shares])
    return markup.table(["score", "documents", "kept", "rate", "expected"], rows)


def _model(model: Model | None) -> str:
    if model is None:
        return ""
    if model.note:
        return f"<p>Model: {escape(model.kind)}. {escape(note_sentence(model))}</p>"
    sides = {
        f"{side}s": (sum(part.documents for part in datasets.values()), ", ".join(datasets))
        for side, datasets in model.training.items()
    }
    sizes = ", ".join(f"{count:,} {side} ({names})" for side, (count, names) in sides.items())
    measured = fit_sentence(model.heldout)
    how = f"{model.kind}; scaling {model.scaling}, C {model.C}, classes {model.class_weight}"
    return (
        f"<p>Model: {escape(f'{how}. Fitted on {sizes}.')} <strong>{escape(measured)}</strong></p>"
    )


def fit_section(report: FitReport | None) -> str:
    """Measures, calibration, held-out scores, learning curve and strongest tokens."""
    if report is None:
        return ""
    intro = "The figures need documents of both classes: how good the classifier is, is unknown."
    if report.auc is not None:
        intro = (
            f"On {report.documents:,} documents, each scored by a model that has not seen its fold: "
            f"AUC {report.auc:.4f}, average precision {report.average_precision:.4f}, "
            f"F1 {report.f1:.4f}, log loss {report.log_loss:.4f}."
        )
    cards = [
        markup.card("Calibration", _calibration(report)),
        *_held_out_cards(report),
        *map(markup.listing_card, (*trial_listings(report), *feature_listings(report))),
    ]
    return markup.section("Fit of the classifier", intro, markup.cards(*cards))


def _calibration(report: FitReport) -> str:
    listing = calibration_listing(report)
    chart = charts.lines(
        listing.title,
        [band.score for band in report.calibration],
        [band.positive for band in report.calibration],
        diagonal=True,
        label="mean score of a band; on the line, the score is a probability",
    )
    table = markup.listing_table(listing)
    return f"{chart}<details><summary>Numbers</summary>{table}</details>"


def _held_out_cards(report: FitReport) -> list[str]:
    cards = []
    for name, dataset in report.datasets.items():
        if dataset.documents:
            auc = dataset.auc
            against = "" if auc is None else f", AUC against the other class {auc:.4f}"
            title = f"Held-out scores of {name}"
            labels = ("score", "")
            chart = charts.histogram(title, report.edges, dataset.scores, labels=labels, log=True)
            note = f"{dataset.documents:,} documents of {dataset.sites:,} sites{against}"
            cards.append(markup.card(f"{name}, held out", f"{chart}<p class='dim'>{note}</p>"))
    return cards


def alpha_section(report: AlphaReport | None) -> str:
    """The alpha that fits, its misfit, and what each alpha would keep."""
    if report is None:
        return ""
    cards = [_law_card(report.fit)] if report.fit.refused is None else []
    cards += map(markup.listing_card, kept_listings(report))
    return markup.section("Alpha", escape(alpha_sentence(report)), markup.cards(*cards))


def _law_card(fit: AlphaFit) -> str:
    top = max([1, *fit.counts])
    scale = fit.documents / (len(fit.edges) - 1) / top
    law = [min(1.0, scale * law_density(1.0 - edge, fit.alpha)) for edge in fit.edges]
    title = f"Scores of {fit.dataset} and the law"
    labels = ("score", f"the law at alpha {fit.alpha:.2f}")
    return markup.card(
        title, charts.histogram(title, fit.edges, fit.counts, curve=law, labels=labels)
    )


def by_score_section(by_dataset: dict[str, list[ScoredDocument]] | None) -> str:
    """Documents at scores near 0, 0.1 ... 1, kept and removed."""
    if not by_dataset:
        return ""
    cards = [
        _document_card(
            document,
            f"near {document.near:g}, ",
            f"score {document.score:.3f}, kept with chance {document.chance:.2%}",
        )
        for documents in by_dataset.values()
        for document in documents
    ]
    intro = "A random document kept and one removed at each score, as far as there are such."
    return markup.section("Kept and removed at each score", intro, markup.cards(*cards))


def threshold_section(by_dataset: dict[str, list[ScoredDocument]] | None) -> str:
    """Documents whose draws are nearest to what they needed."""
    if not by_dataset:
        return ""
    cards = [
        _document_card(
            document,
            "",
            f"draw {document.draw:.4f}, more than {document.needed:.4f} needed "
            f"(score {document.score:.4f})",
        )
        for documents in by_dataset.values()
        for document in documents
    ]
    intro = "Random documents that were just kept and just removed."
    return markup.section("Near the threshold", intro, markup.cards(*cards))


def _document_card(document: ScoredDocument, near: str, evidence: str) -> str:
    word = "kept" if document.kept else "removed"
    where = escape(document.url or document.id)
    return (
        f"<div class='card {word}'><strong>{near}{word}</strong> "
        f"<span class='dim'>{evidence}<br>{where}</span>"
        f"<p class='text'>{escape(document.text or '')}</p></div>"
    )
