"""The quality classifier on the report's page: how the fit went, alpha, and documents by score. Trap: as in page.py, escape everything."""

from __future__ import annotations

from html import escape
from typing import Any

from curation.inspect.format import measure
from curation.inspect.terminal.fit import token_list
from curation.kernels.pareto import law_density
from curation.web import charts, markup

Data = dict[str, Any]


def fit_section(model: Data | None) -> str:
    """Metrics, calibration, held-out scores, learning curve and strongest tokens, from the model's report."""
    if model is None or model.get("report") is None:
        return ""
    report = model["report"]
    if report["auc"] is None:
        intro = "No site was held out, or not of both classes: how well the classifier does is not known."
    else:
        intro = (
            f"On {report['documents']:,} documents of held-out sites: AUC {report['auc']:.4f}, average precision "
            f"{report['average_precision']:.4f}, F1 {report['f1']:.4f}, log loss {report['log_loss']:.4f}."
        )
    bands = report["calibration"]
    calibration = charts.lines(
        "Calibration: share of positives by score",
        [band["score"] for band in bands],
        [band["positive"] for band in bands],
        diagonal=True,
        label="mean score of a band; on the line, the score is a probability",
    )
    cards = [markup.card("Calibration", calibration + _calibration_table(bands))]
    for name, own in report["datasets"].items():
        if own["documents"]:
            auc = "" if own["auc"] is None else f", AUC against the other class {own['auc']:.4f}"
            chart = charts.histogram(
                f"Held-out scores of {name}",
                report["edges"],
                own["scores"],
                labels=("score", ""),
                log=True,
            )
            note = (
                f"<p class='dim'>{own['documents']:,} documents of {own['sites']:,} sites{auc}</p>"
            )
            cards.append(markup.card(f"{name}, held out", chart + note))
    cards.append(markup.card("Learning curve", _curve_table(report["curve"])))
    if report["tried"]:
        cards.append(
            markup.card("C, on the other half of the held-out sites", _tried_table(report["tried"]))
        )
    cards += [
        markup.card(f"Strongest features of the {side}s", _strongest(rows))
        for side, rows in report["strongest"].items()
    ]
    return markup.section("Fit of the classifier", escape(intro), markup.cards(*cards))


def alpha_section(found: Data | None) -> str:
    """The alpha that fits, its misfit, and what each alpha would keep."""
    if found is None:
        return ""
    fit = found["fit"]
    if "refused" in fit:
        intro, cards = f"No alpha fits {fit['dataset']}: {fit['refused']}.", []
    else:
        intro = (
            f"alpha {fit['alpha']:.2f} (95 % interval {fit['low']:.2f} to {fit['high']:.2f}) fits {fit['dataset']} best: "
            f"{fit['documents']:,} {fit['which']}. Widest gap to the law: {fit['distance']:.3f}. This run has {found['alpha']:g}."
        )
        top = max([1, *fit["counts"]])
        scale = fit["documents"] / (len(fit["edges"]) - 1) / top
        law = [min(1.0, scale * law_density(1.0 - edge, fit["alpha"])) for edge in fit["edges"]]
        chart = charts.histogram(
            "Scores found and the law",
            fit["edges"],
            fit["counts"],
            curve=law,
            labels=("score", "the law"),
        )
        cards = [markup.card(f"Misfit: scores of {fit['dataset']} and the law", chart)]
    cards += [
        markup.card(f"What each alpha keeps of {name}", _alphas(found, own))
        for name, own in found["datasets"].items()
    ]
    return markup.section("Alpha", escape(intro), markup.cards(*cards))


def scores_section(found: Data | None) -> str:
    """Documents at scores near 0, 0.1 ... 1, kept and not."""
    if not found:
        return ""
    cards = []
    for rows in found.values():
        for row in rows:
            word = "kept" if row["kept"] else "removed"
            said = f"score {row['score']:.3f}, kept with chance {row['chance']:.2%}"
            where = escape(row["url"] or row["id"])
            cards.append(
                f"<div class='card {word}'><strong>near {row['near']:g}, {word}</strong> "
                f"<span class='dim'>{escape(said)}<br>{where}</span><p class='text'>{escape(row['text'] or '')}</p></div>"
            )
    intro = "A random document kept and one removed at each score, as far as there are such."
    return markup.section("What the filter lets in and throws out", intro, markup.cards(*cards))


def _calibration_table(bands: list[Data]) -> str:
    rows = [
        [
            f"{b['from']:.2f} to {b['to']:.2f}",
            f"{b['documents']:,}",
            f"{b['score']:.3f}",
            f"{b['positive']:.3f}",
        ]
        for b in bands
    ]
    return f"<details><summary>Numbers</summary>{markup.table(['score', 'documents', 'mean', 'positive'], rows)}</details>"


def _curve_table(curve: list[Data]) -> str:
    rows = [
        [f"{one['documents']:,}", measure(one["auc"]), measure(one["log_loss"])] for one in curve
    ]
    return markup.table(["training documents", "AUC", "log loss"], rows)


def _tried_table(tried: list[Data]) -> str:
    rows = [[f"{one['C']:g}", measure(one["auc"]), measure(one["log_loss"])] for one in tried]
    return markup.table(["C", "AUC", "log loss"], rows)


def _strongest(rows: list[Data]) -> str:
    cells = [
        [
            f"{row['weight']:+.2f}",
            f"{row['positive_documents']:,}",
            f"{row['negative_documents']:,}",
            token_list(row),
        ]
        for row in rows
    ]
    return markup.table(["weight", "in positives", "in negatives", "tokens"], cells)


def _alphas(found: Data, own: Data) -> str:
    total = max(1, sum(own["counts"]))
    bands = [f"{edge:.1f}+" for edge in found["edges"][:-1]]
    rows = [["all", f"{sum(own['counts']):,}", "", *(f"{count:,}" for count in own["counts"])]]
    for alpha, kept in zip(found["alphas"], own["kept"], strict=True):
        rows.append(
            [
                f"{alpha:g}",
                f"{sum(kept):,}",
                f"{sum(kept) / total:.2%}",
                *(f"{count:,}" for count in kept),
            ]
        )
    classes = ["left", *("stay" if alpha == found["alpha"] else "" for alpha in found["alphas"])]
    return markup.table(["alpha", "kept", "share", *bands], rows, classes)
