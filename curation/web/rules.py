"""The report's sections on `filter`: what each rule removes, and each signal's distribution."""

from __future__ import annotations

from html import escape

from curation.inspect.evidence.rules import RuleReport, SignalShape, rules_sentence
from curation.web import charts, markup


def rules_sections(reports: list[RuleReport] | None) -> str:
    """Both sections; empty where no dataset is filtered."""
    if not reports:
        return ""
    head = ["rule", "removes when", "is the reason of", "alone", "nothing else does", "undecided"]
    tables, cards = [], []
    for report in reports:
        rows = [
            [
                rule.name,
                rule.drop,
                *(f"{n:,}" for n in (rule.first, rule.alone, rule.only, rule.undecided)),
            ]
            for rule in report.rules
        ]
        tables.append(f"<h3>{escape(report.dataset)}</h3><p>{escape(rules_sentence(report))}</p>")
        tables.append(markup.table(head, rows))
        cards += [_signal_card(report, signal) for signal in _sorted(report)]
    rules = (
        "Documents that each rule removes. The first rule that is true of a document is its reason; "
        "“alone” counts all documents that the rule is true of."
    )
    signals = (
        "Each signal's distribution: <i class='a'></i> documents <i class='b'></i> kept "
        "<i class='c'></i> what a rule compares it with. The outer bars hold all that is beyond them."
    )
    parts = [markup.section("Rules", rules, *tables)]
    return "\n".join([*parts, markup.section("Signals", signals, markup.cards(*cards))])


def _sorted(report: RuleReport) -> list[SignalShape]:
    """Signals with a threshold first."""
    return sorted(report.signals, key=lambda signal: not signal.thresholds)


def _signal_card(report: RuleReport, signal: SignalShape) -> str:
    missing = f"; {signal.missing:,} have none" if signal.missing else ""
    note = f"{signal.share:.1%} of {report.looked_at:,} documents are not 0{missing}"
    title = f"{signal.name}, {report.dataset}"
    chart = ""
    if signal.edges:
        chart = charts.histogram(
            title, signal.edges, signal.counts, part=signal.kept, marks=signal.thresholds, log=True
        )
    return markup.card(title, f"{chart}<p class='dim'>{escape(note)}</p>")
