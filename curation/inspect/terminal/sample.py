"""`curation sample` on a terminal: a panel for each document, a line for each reject.

Trap: a page's text may hold anything; it is printed without control characters, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.sample import CHARS, SampledDocument
from curation.inspect.terminal.explain import clean


def sample_parts(documents: Sequence[SampledDocument]) -> Iterator[RenderableType]:
    """What to print of a sample."""
    if documents and all(document.text is None for document in documents):
        yield _rejects_table(documents)
    else:
        yield from map(_panel, documents)


def _panel(document: SampledDocument) -> Panel:
    body = Text()
    if document.url:
        body.append(clean(document.url) + "\n", style="blue")
    evidence = "  ".join(
        f"{name} {_shown(value)}"
        for name, value in document.evidence.items()
        if value not in (None, [])
    )
    body.append(f"{document.chars:,} characters  {evidence}\n\n", style="dim")
    lines = (clean(line) for line in (document.text or "").splitlines() if line.strip())
    body.append("\n".join(lines) + (" …" if document.chars > CHARS else ""))
    title = Text(f"{document.dataset} {clean(document.id or '')}")
    return Panel(body, title=title, title_align="left", border_style="dim")


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
