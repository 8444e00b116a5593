"""The funnel: what came in, what each stage removed and why, and what stands in the training shards, dataset by dataset.

Cost: the footers of every shard and two small files. Trap: tokens before `tokenize` are an estimate, characters divided by the characters
per token of what survived; such numbers carry a "~".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from curation import store
from curation.errors import RunError
from curation.inspect.format import compact, number, percent
from curation.rundir import ledger

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

WIDTH = 100
LONGEST_NAME = 18
LOSS = "  - "  # opens the label of what a stage removed
PLACED = "in training shards"
TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Line:
    """One number of the books. `outcome` is `in`, `kept`, `cut` or a reason.

    `tokens` is None where nothing is known of them, and `exact` unless they are estimated.
    """

    stage: str
    outcome: str
    documents: int
    chars: int
    tokens: int | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """One dataset's way through the line (or the total's). Token numbers of the mixture are None where it has not been made."""

    dataset: str
    lines: tuple[Line, ...]
    chars_per_token: float | None
    placed: int | None  # tokens in the training shards, repetitions included
    share: float | None  # of the training shards
    planned: float | None  # the normalised weight
    epochs: float | None

    def find(self, stage: str, outcome: str) -> Line | None:
        return next(
            (line for line in self.lines if (line.stage, line.outcome) == (stage, outcome)), None
        )


def funnel(rundir: RunDirectory, plan: Plan) -> list[Flow]:
    """The flow of every dataset in the recipe's order, and their total (without `reference` datasets) last.

    Raises RunError where not one dataset has been extracted.
    """

    from curation.pipeline.line import ledgers

    found = ledgers(rundir, plan)
    mixed = _mixture(rundir)
    if ("extract" in rundir.recipe.stages and "extract" not in found) or not (found or mixed):
        raise RunError(f"{rundir.out}: nothing has been extracted yet; run the recipe first")
    everything = ledger.total(found.get("tokenize", {}).values())
    flows = []
    for dataset in rundir.recipe.dataset:
        own = {
            stage: datasets[dataset.name]
            for stage, datasets in found.items()
            if dataset.name in datasets
        }
        if own or dataset.name in mixed:
            rate = _rate(own.get("tokenize", {})) or _rate(everything)
            lines = tuple(line for stage in own for line in _lines(stage, own[stage], rate))
            flows.append(Flow(dataset.name, lines, rate, *mixed.get(dataset.name, (None,) * 4)))
    roles = {d.name: d.role for d in rundir.recipe.dataset}
    return [*flows, _total([flow for flow in flows if roles[flow.dataset] != "reference"] or flows)]


def _rate(books: ledger.Ledger) -> float | None:
    """Characters per token of what was tokenized."""
    _, chars, tokens = books.get(ledger.KEPT, [0, 0, 0])
    return chars / tokens if tokens else None


def _lines(stage: str, books: ledger.Ledger, rate: float | None) -> list[Line]:
    order = [
        ledger.IN,
        *sorted(ledger.removed(books), key=lambda r: (-books[r][0], r)),
        ledger.CUT,
        ledger.KEPT,
    ]
    lines = []
    for outcome in order:
        if outcome not in books and outcome != ledger.KEPT:
            continue
        documents, chars, tokens = books.get(outcome, [0, 0, 0])
        exact = bool(tokens) or not chars
        lines.append(Line(stage, outcome, documents, chars, _tokens(chars, tokens, rate), exact))
    return lines


def _tokens(chars: int, tokens: int, rate: float | None) -> int | None:
    if tokens or rate is None:
        return tokens or None
    return round(chars / rate)


def _stages(flows: Sequence[Flow]) -> list[str]:
    """The stages of the books, in the order of the line."""
    from curation.recipe.line import STAGES

    seen = {line.stage for flow in flows for line in flow.lines}
    return [stage for stage in STAGES if stage in seen]


def _total(flows: Sequence[Flow]) -> Flow:
    """The sum. A dataset that a stage has no books of (classify does not filter it) keeps there what it had."""
    stages = _stages(flows)
    lines = []
    for stage in stages:
        parts = [line for flow in flows for line in _as_of(flow, stage)]
        for outcome in dict.fromkeys(line.outcome for line in parts if line.outcome != ledger.KEPT):
            lines.append(_sum(stage, outcome, parts))
        lines.append(_sum(stage, ledger.KEPT, parts))
    placed = [flow.placed for flow in flows if flow.placed is not None]
    share = 1.0 if placed else None
    rates = {flow.chars_per_token for flow in flows}
    return Flow(
        TOTAL,
        tuple(lines),
        rates.pop() if len(rates) == 1 else None,
        sum(placed) if placed else None,
        share,
        share,
        None,
    )


def _as_of(flow: Flow, stage: str) -> list[Line]:
    own = [line for line in flow.lines if line.stage == stage]
    if own or stage != "classify":
        return own
    kept = flow.find("extract", ledger.KEPT)
    if kept is None:
        return []
    return [
        Line(stage, name, kept.documents, kept.chars, kept.tokens, kept.exact)
        for name in (ledger.IN, ledger.KEPT)
    ]


def _sum(stage: str, outcome: str, lines: Sequence[Line]) -> Line:
    some = [line for line in lines if line.outcome == outcome]
    known = [line.tokens for line in some if line.tokens is not None]
    tokens = sum(known) if known else None
    return Line(
        stage,
        outcome,
        sum(x.documents for x in some),
        sum(x.chars for x in some),
        tokens,
        all(x.exact for x in some),
    )


def _mixture(rundir: RunDirectory) -> dict[str, tuple[int, float, float, float]]:
    """Of each mixed dataset: tokens in the training shards, their share, the share planned, epochs."""
    manifest, plan = (
        rundir.path("shards", "manifest.parquet"),
        rundir.path("shards", "shards.json"),
    )
    if "mix" not in rundir.recipe.stages or not (store.exists(manifest) and store.exists(plan)):
        return {}
    rows = [row for row in store.read_table(manifest).to_pylist() if row["split"] == "train"]
    placed = [sum(column) for column in zip(*(row["dataset_tokens"] for row in rows), strict=True)]
    whole = sum(placed) or 1
    out = {}
    for part in store.read_json(plan)["mixture"]:
        tokens = placed[rundir.recipe.place(part["dataset"])]
        out[part["dataset"]] = (tokens, tokens / whole, part["weight"], part["epochs"])
    return out


# ---- the table -------------------------------------------------------------------------------------------------------------------------

Row = tuple[str, str, list[tuple[str, str]]]  # label, style, and (documents, tokens) for each flow


def funnel_table(flows: Sequence[Flow], width: int = WIDTH) -> Table:
    """The funnel for a terminal of `width` columns: stages from top to bottom, datasets side by side.

    Where documents and tokens of every dataset do not fit, only the total has its tokens beside its
    documents. Where that does not fit either, the smallest datasets are counted together.
    """
    flows = flows[:1] if len(flows) == 2 else flows  # the total of one dataset says nothing new
    table, needed = _table(flows, narrow=False)
    names = len(flows) - 1
    while needed > width and names >= 0:
        table, needed = _table(_largest(flows, names), narrow=True)
        names -= 1
    return table


def _largest(flows: Sequence[Flow], names: int) -> Sequence[Flow]:
    """The `names` largest datasets in their order, the others as one flow, and the total."""
    *datasets, total = flows
    by_size = sorted(datasets, key=lambda flow: -max((x.documents for x in flow.lines), default=0))
    largest = [flow for flow in datasets if flow in by_size[:names]]
    others = [flow for flow in datasets if flow not in largest]
    if not others:
        return flows
    together = replace(
        _total(others),
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
        title="Documents and tokens, stage by stage",
        title_style="bold",
        title_justify="left",
        box=None,
        padding=(0, gap, 0, 0),
        pad_edge=False,
        header_style="bold",
        caption=_caption(flows),
        caption_style="dim",
        caption_justify="left",
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
        table.add_row(*(escape(column[i]) for column in columns), style=style)
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
    stages = _stages(flows)
    quiet = "tokenize" in stages and not any(
        x.stage == "tokenize" and x.outcome not in ("in", "kept") for f in flows for x in f.lines
    )
    rows: list[Row] = []
    if "extract" in stages:
        rows.append(
            ("records", "", [_milestone(flow, "extract", ledger.IN, flows) for flow in flows])
        )
    for stage in stages:
        outcomes = dict.fromkeys(x.outcome for f in flows for x in f.lines if x.stage == stage)
        for outcome in outcomes:
            if outcome not in (ledger.IN, ledger.KEPT):
                name = "text cut out" if outcome == ledger.CUT else outcome
                rows.append(
                    (
                        f"{LOSS}{name}",
                        "dim red",
                        [_loss(flow.find(stage, outcome), flows) for flow in flows],
                    )
                )
        last = stage == stages[-1]
        if not (quiet and stage == "decontaminate"):
            name = "documents" if stage == "extract" else "kept" if last else f"after {stage}"
            rows.append(
                (
                    name,
                    "bold green" if last else "bold",
                    [_milestone(flow, stage, ledger.KEPT, flows) for flow in flows],
                )
            )
    if any(flow.placed is not None for flow in flows):
        rows.append((PLACED, "bold cyan", [("", compact(flow.placed)) for flow in flows]))
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


def _milestone(flow: Flow, stage: str, outcome: str, flows: Sequence[Flow]) -> tuple[str, str]:
    line = next((x for x in _as_of(flow, stage) if x.outcome == outcome), None)
    if line is None:
        return "", ""
    return number(line.documents), "" if outcome == ledger.IN else _volume(line, flows)


def _loss(line: Line | None, flows: Sequence[Flow]) -> tuple[str, str]:
    if line is None:
        return "", ""
    return (f"-{number(line.documents)}" if line.documents else ""), _volume(
        line, flows
    ) if line.chars else ""


def _volume(line: Line, flows: Sequence[Flow]) -> str:
    if _unit(flows) == "chars":
        return compact(line.chars)
    return ("" if line.exact else "~") + compact(line.tokens)


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
