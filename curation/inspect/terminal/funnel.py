"""The funnel on a terminal: the stages from top to bottom, the datasets from left to right."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.flow import TOTAL, Flow, Line, funnel_rows
from curation.inspect.numbers import number, volume
from curation.rundir import ledger

WIDTH = 100


# ---- the table

Row = tuple[str, str, list[tuple[str, str]]]  # label, style, and (documents, tokens) for each flow


def funnel_table(flows: Sequence[Flow]) -> Table:
    """The funnel for a terminal of 100 columns.

    Too many datasets for one row of columns stand below each other, the total last.
    """
    flows = flows[:1] if len(flows) == 2 else flows  # the total of one dataset says nothing new
    rows = _rows(flows)
    label = max(len(name) for name, _, _ in rows)
    widths = [_widths(flow, [cells[i] for _, _, cells in rows]) for i, flow in enumerate(flows)]
    grid = Table.grid(padding=(0, 0))
    for block in _blocks([sum(w) + 3 for w in widths], WIDTH - label - 2):
        if grid.row_count:
            grid.add_row("")
        grid.add_row(_block(flows, rows, block, widths, label))
    outer = Table(
        title="What came in, what left, what stays",
        title_style="bold",
        title_justify="left",
        box=None,
        show_header=False,
        width=None,
    )
    outer.caption, outer.caption_style, outer.caption_justify = _caption(flows), "dim", "left"
    outer.add_column()
    outer.add_row(grid)
    return outer


def _block(
    flows: Sequence[Flow],
    rows: Sequence[Row],
    block: Sequence[int],
    widths: list[tuple[int, int]],
    label: int,
) -> Table:
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="bold"
    )
    table.add_column("", width=label, no_wrap=True)
    for i in block:
        style = "bold" if flows[i].dataset == TOTAL and len(flows) > 2 else ""
        width = sum(widths[i]) + 1
        table.add_column(
            Text(_short(flows[i].dataset, width), justify="right"),
            justify="right",
            width=width,
            no_wrap=True,
            style=style,
        )
    unit = _unit(flows)
    heads = [f"{'docs':>{widths[i][0]}} {unit:>{widths[i][1]}}" for i in block]
    table.add_row("", *heads, style="dim")
    for name, style, cells in rows:
        shown = [f"{cells[i][0]:>{widths[i][0]}} {cells[i][1]:>{widths[i][1]}}" for i in block]
        table.add_row(escape(name), *shown, style=style)
    return table


def _widths(flow: Flow, cells: Sequence[tuple[str, str]]) -> tuple[int, int]:
    left, right = max(4, *(len(a) for a, _ in cells)), max(6, *(len(b) for _, b in cells))
    return left, max(right, min(len(flow.dataset), 18) - left - 1)


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Which columns stand side by side."""
    blocks: list[list[int]] = [[]]
    used = 0
    for i, width in enumerate(widths):
        if blocks[-1] and used + width > room:
            blocks.append([])
            used = 0
        blocks[-1].append(i)
        used += width
    return blocks


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
        rows.append(
            ("in training shards", "bold cyan", [("", volume(flow.placed)) for flow in flows])
        )
        rows.append(("  share", "cyan", [("", _percent(flow.share)) for flow in flows]))
        rows.append(("  planned", "dim", [("", _percent(flow.planned)) for flow in flows]))
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


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _epochs(epochs: float) -> str:
    return f"{epochs:.2f}" if epochs < 10 else f"{epochs:,.0f}"


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
