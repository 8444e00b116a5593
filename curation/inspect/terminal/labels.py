"""`curation label` on a terminal: a document to label, and the figures of a filter by labels."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from curation.inspect.evidence.labelling import Question
from curation.inspect.evidence.labels import LabelReport, counts_sentence, report_listing
from curation.inspect.terminal.explain import clean
from curation.inspect.terminal.tables import table_of

CHARS = 2500  # of a text to label


def document_panel(question: Question, count: int) -> Panel:
    """A document to label, one of `count`."""
    title = f"{question.number} of {count}   {question.dataset} {question.id}"
    text, body = question.text, Text()
    if question.url:
        body.append(clean(question.url, 300) + "\n", style="blue")
    body.append(f"{len(text):,} characters\n\n", style="dim")
    lines = (clean(line, CHARS) for line in text[:CHARS].splitlines() if line.strip())
    body.append("\n".join(lines) + (" …" if len(text) > CHARS else ""))
    return Panel(body, title=Text(clean(title, 200)), title_align="left", border_style="dim")


def label_parts(report: LabelReport) -> Iterator[RenderableType]:
    """The figures of a filter by labels, each with its interval."""
    yield Text(counts_sentence(report))
    yield table_of(report_listing(report))
