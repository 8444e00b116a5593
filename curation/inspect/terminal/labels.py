"""`curation label` on a terminal: a document to label, and the figures of a filter by labels."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from curation.inspect.evidence.labels import Figure, LabelReport
from curation.inspect.evidence.listing import listing
from curation.inspect.terminal.explain import clean
from curation.inspect.terminal.tables import table_of

CHARS = 2500  # of a text to label


def document_panel(title: str, url: str | None, text: str) -> Panel:
    """A document without its score, which would sway whoever labels it."""
    body = Text()
    if url:
        body.append(clean(url, 300) + "\n", style="blue")
    body.append(f"{len(text):,} characters\n\n", style="dim")
    lines = (clean(line, CHARS) for line in text[:CHARS].splitlines() if line.strip())
    body.append("\n".join(lines) + (" …" if len(text) > CHARS else ""))
    return Panel(body, title=Text(title), title_align="left", border_style="dim")


def label_parts(report: LabelReport) -> Iterator[RenderableType]:
    """The figures of a filter by labels, each with its interval."""
    bad, borderline, good = report.counts
    yield Text(
        f"{sum(report.counts):,} labels: {good:,} worth training on (2), {borderline:,} borderline "
        f"(1), {bad:,} not (0)."
    )
    rows = [
        ("score: AUC of 2 against 0", _row(report.auc)),
        ("length of the text alone: AUC", _row(report.auc_of_length)),
        ("the score's lead over the length", _row(report.lead, "+.3f")),
        (f"kept at alpha {report.alpha:g}", _row(report.kept, ".1%")),
        ("mean label of all, 0 to 1", _row(report.mean_all)),
        ("mean label of what is kept", _row(report.mean_kept)),
        ("precision: share of 2 in what is kept", _row(report.precision, ".1%")),
        ("recall: share of 2 that is kept", _row(report.recall, ".1%")),
    ]
    table = listing("", ("", "", "95 % interval"), [(name, *cells) for name, cells in rows])
    yield table_of(table)


def _row(figure: Figure, form: str = ".3f") -> tuple[str, str]:
    return f"{figure.value:{form}}", f"{figure.low:{form}} to {figure.high:{form}}"
