"""The funnel on a terminal: the stages from top to bottom, the datasets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group
from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.flow import TOTAL, Flow, Line, funnel_rows, total_of
from curation.inspect.numbers import number, percent, volume
from curation.rundir import ledger

WIDTH = 100
LONGEST_NAME = 18
LOSS = "  - "  # opens the label of what a stage removed
PLACED = "in training shards"
Row = tuple[str, str, list[tuple[str, str]]]  # label, style, and (documents, tokens) for each flow


def funnel_table(flows: Sequence[Flow], width: int = WIDTH) -> Group:
    """The funnel for a terminal of `width` columns: stages from top to bottom, datasets side by side.

    Its title stands above it, and below how its numbers are counted.
    Where documents and tokens of every dataset do not fit, only the total has its tokens beside its
    documents. Where that does not fit either, the smallest datasets are counted together.
    """
    flows = flows[:1] if len(flows) == 2 else flows  # the total of one dataset says nothing new
    table, needed = _table(flows, narrow=False)
    names = len(flows) - 1
    while needed > width and names >= 0:
        table, needed = _table(_largest(flows, names), narrow=True)
        names -= 1
    title = Text("Documents and tokens, stage by stage", style="bold")
    caption = Text(" ".join(filter(None, (_caption(flows), "Reasons: `curation reasons`."))), "dim")
    return Group(title, table, caption)


def _largest(flows: Sequence[Flow], names: int) -> Sequence[Flow]:
    """The `names` largest datasets in their order, the others as one flow, and the total."""
    *datasets, total = flows
    by_size = sorted(datasets, key=lambda flow: -max((x.documents for x in flow.lines), default=0))
    largest = [flow for flow in datasets if flow in by_size[:names]]
    others = [flow for flow in datasets if flow not in largest]
    if not others:
        return flows
    together = replace(
        total_of(others),
        dataset=f"{len(others)} others",
        share=sum(flow.share or 0 for flow in others) if total.share else None,
        planned=sum(flow.planned or 0 for flow in others) if total.planned else None,
    )
    return [*largest, together, total]


def _table(flows: Sequence[Flow], narrow: bool) -> tuple[Table, int]:
    """The table and the columns it needs. `narrow`: tokens beside documents for the last flow only."""
    rows = _rows(flows)
    labels = ["tokens in shards" if narrow and name == PLACED else name for name, _, _ in rows]
    gap = 1 if narrow else 2
    table = Table(
        box=None,
        padding=(0, gap, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    columns: list[list[str]] = [["", *labels]]
    for i, flow in enumerate(flows):
        cells = [("docs", _unit(flows)), *(cells[i] for _, _, cells in rows)]
        both = not narrow or i == len(flows) - 1
        columns.append(_column(flow.dataset, cells) if both else _documents(["", *labels], cells))
    table.add_column("", no_wrap=True)
    for flow, column in zip(flows, columns[1:], strict=True):
        style = "bold" if flow.dataset == TOTAL and len(flows) > 2 else ""
        name = Text(_short(flow.dataset, LONGEST_NAME), justify="right")
        table.add_column(name, justify="right", no_wrap=True, style=style)
        column.append(name.plain)
    for i, style in enumerate(["dim", *(style for _, style, _ in rows)]):
        table.add_row(*(Text(column[i]) for column in columns), style=style)
    return table, sum(max(map(len, column)) + gap for column in columns)


def _column(name: str, cells: Sequence[tuple[str, str]]) -> list[str]:
    """Documents and tokens beside each other, aligned, at least as wide as the name above them."""
    left, right = (max(len(cell[side]) for cell in cells) for side in (0, 1))
    right = max(right, min(len(name), LONGEST_NAME) - left - 1)
    return [f"{documents:>{left}} {tokens:>{right}}" for documents, tokens in cells]


def _documents(labels: Sequence[str], cells: Sequence[tuple[str, str]]) -> list[str]:
    """Documents only; what has none, a dataset's part of the shards, in tokens."""
    return [
        documents or ("" if label.startswith(LOSS) else tokens)
        for label, (documents, tokens) in zip(labels, cells, strict=True)
    ]


def _rows(flows: Sequence[Flow]) -> list[Row]:
    """Milestones in bold, what left before each of them in between."""
    rows: list[Row] = []
    for row in funnel_rows(flows):
        if row.removes:
            cells = [_loss(line, flows) for line in row.lines]
            rows.append((f"  {row.name}", "dim red", cells))
        else:
            style = "" if row.outcome == ledger.IN else "bold green" if row.last else "bold"
            rows.append((row.name, style, [_milestone(line, flows) for line in row.lines]))
    if any(flow.placed is not None for flow in flows):
        rows.append((PLACED, "bold cyan", [("", volume(flow.placed)) for flow in flows]))
        rows.append(("  share", "cyan", [("", percent(flow.share)) for flow in flows]))
        rows.append(("  planned", "dim", [("", percent(flow.planned)) for flow in flows]))
        rows.append(
            (
                "  epochs",
                "dim",
                [("", "" if flow.epochs is None else _epochs(flow.epochs)) for flow in flows],
            )
        )
    return rows


def _milestone(line: Line | None, flows: Sequence[Flow]) -> tuple[str, str]:
    if line is None:
        return "", ""
    return number(line.documents), "" if line.outcome == ledger.IN else _volume(line, flows)


def _loss(line: Line | None, flows: Sequence[Flow]) -> tuple[str, str]:
    if line is None:
        return "", ""
    return (f"-{number(line.documents)}" if line.documents else ""), _volume(
        line, flows
    ) if line.chars else ""


def _volume(line: Line, flows: Sequence[Flow]) -> str:
    if _unit(flows) == "chars":
        return volume(line.chars)
    return ("" if line.exact else "~") + volume(line.tokens)


def _unit(flows: Sequence[Flow]) -> str:
    return "tokens" if any(flow.chars_per_token or flow.placed for flow in flows) else "chars"


def _caption(flows: Sequence[Flow]) -> str:
    if _unit(flows) == "chars":
        return "Counted in characters, for nothing has been tokenized."
    if all(line.exact for flow in flows for line in flow.lines):
        return ""
    parts = [
        f"{flow.chars_per_token:.2f} for {flow.dataset}"
        for flow in flows
        if flow.chars_per_token and flow.dataset != TOTAL
    ]
    return f"~ estimated: characters / characters per token of what survived ({', '.join(parts)})."


def _epochs(epochs: float) -> str:
    return f"{epochs:.2f}" if epochs < 10 else f"{epochs:,.0f}"


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
