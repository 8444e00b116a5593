"""Documents on a terminal: those of `curation sample`, a cluster of duplicates, one to label.

The first thing to look at after deduplication is the largest cluster: it may be a mirrored page, or
a menu that the extractor took for text.

Trap: a page's text may hold anything; it is printed without control characters, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.clusters import Cluster, ClusterDocument
from curation.inspect.evidence.labelling import Question
from curation.inspect.evidence.sample import CHARS, SampledDocument
from curation.inspect.terminal.explain import clean

LABEL_CHARS = 2500  # of a text to label


def sample_parts(documents: Sequence[SampledDocument]) -> Iterator[RenderableType]:
    """What to print of a sample: a panel for each document, a line for each reject."""
    if documents and all(document.text is None for document in documents):
        yield _rejects_table(documents)
        return
    for document in documents:
        evidence = "  ".join(
            f"{name} {_shown(value)}"
            for name, value in document.evidence.items()
            if value not in (None, [])
        )
        facts = f"{document.chars:,} characters  {evidence}"
        lines = [clean(line) for line in (document.text or "").splitlines() if line.strip()]
        title = f"{document.dataset} {clean(document.id or '')}"
        url = clean(document.url) if document.url else ""
        yield _text_panel(title, url, facts, lines, document.chars > CHARS)


def document_panel(question: Question, count: int) -> Panel:
    """A document to label, one of `count`."""
    text = question.text
    lines = [clean(line, LABEL_CHARS) for line in text[:LABEL_CHARS].splitlines() if line.strip()]
    title = clean(f"{question.number} of {count}   {question.dataset} {question.id}", 200)
    url = clean(question.url, 300) if question.url else ""
    return _text_panel(title, url, f"{len(text):,} characters", lines, len(text) > LABEL_CHARS)


def _text_panel(title: str, url: str, facts: str, lines: list[str], is_cut: bool) -> Panel:
    body = Text()
    if url:
        body.append(url + "\n", style="blue")
    body.append(f"{facts}\n\n", style="dim")
    body.append("\n".join(lines) + (" …" if is_cut else ""))
    return _panel(body, title)


def _panel(body: RenderableType, title: str) -> Panel:
    return Panel(body, title=Text(title), title_align="left", border_style="dim")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return " ".join(
            f"[{v['start']}, {v['end']})" if isinstance(v, dict) else str(v) for v in value[:4]
        )
    return clean(str(value), 80)


def _rejects_table(documents: Sequence[SampledDocument]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("reason", "url", "detail", "where"):
        table.add_column(name, style="bold" if name == "reason" else "", overflow="fold")
    for document in documents:
        reject = document.evidence
        where = f"{document.dataset} {clean(reject['archive'] or '')} {reject['offset']}"
        cells = (clean(document.url or "", 200), clean(reject["detail"] or "", 200))
        table.add_row(reject["reason"], *map(Text, cells), Text(where, style="dim"))
    return table


def cluster_panel(cluster: Cluster) -> Panel:
    """The kept document, three of its duplicates, and the words they share."""
    parts = [_head(f"kept: {cluster.kept.dataset}", cluster.kept, "bold")]
    parts.append(Text(clean(cluster.kept.text, 300)))
    for document in cluster.removed[:3]:
        parts.append(_head(f"removed, Jaccard {document.jaccard:.3f}:", document, "bold dim"))
        parts.append(Text(clean(document.text, 150)))
    if cluster.shingles:
        texts = 1 + len(cluster.removed)
        shared = "; ".join(f"“{clean(s)}” ({count} of {texts})" for s, count in cluster.shingles)
        parts.append(Text(f"most in common: {shared}", style="dim"))
    of_dataset = f"{cluster.dataset} removed ({100 * cluster.share:.1f} % of it)"
    return _panel(Group(*parts), f"{cluster.documents:,} of {of_dataset}")


def _head(label: str, document: ClusterDocument, style: str) -> Text:
    line = Text(f"{label} {clean(document.id)}", style=style)
    return line.append(f"  {clean(document.url)}", style="blue") if document.url else line
