"""The funnel: what came in, what each stage removed and why, and the tokens in the training shards.

Cost: the footers of every shard and two small files. Trap: tokens before `tokenize` are an
estimate, characters divided by the characters per token of what was tokenized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from curation.errors import RunError
from curation.inspect.evidence.mixture import placed_mixture
from curation.inspect.numbers import counted
from curation.recipe.line import STAGES, stage_named
from curation.rundir import ledger

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Line:
    """One number of a ledger. `outcome` is `in`, `kept`, `cut`, `masked` or a reason.

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
    """One dataset's way through the stages (or the total's).

    The last four are None where no shards are written: `placed`: tokens in the training shards,
    repetitions included; `share`: of all training tokens; `planned`: the normalised weight.
    """

    dataset: str
    lines: tuple[Line, ...]
    chars_per_token: float | None
    placed: int | None
    share: float | None
    planned: float | None
    epochs: float | None

    def find(self, stage: str, outcome: str) -> Line | None:
        return next(
            (line for line in self.lines if (line.stage, line.outcome) == (stage, outcome)), None
        )

    def kept(self) -> Line | None:
        """What it keeps so far: the last stage's line, its characters without those that are
        masked."""
        kept = next((x for x in reversed(self.lines) if x.outcome == ledger.KEPT), None)
        return self.without_masked(kept) if kept else None

    def without_masked(self, kept: Line) -> Line:
        """What a stage keeps, its characters without those that are masked."""
        masked = self.find(kept.stage, ledger.MASKED)
        return replace(kept, chars=max(0, kept.chars - masked.chars)) if masked else kept


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One row of the funnel: a stage, an outcome, and the line of every flow (None: has none).

    `last`: it is what the run keeps.
    """

    stage: str
    outcome: str
    lines: tuple[Line | None, ...]
    last: bool

    @property
    def removes(self) -> bool:
        return self.outcome not in (ledger.IN, ledger.KEPT)

    @property
    def name(self) -> str:
        """What to call the row."""
        if self.outcome == ledger.CUT:
            return "- text cut out"
        if self.outcome == ledger.MASKED:
            return "- text masked"
        if self.removes:
            return f"- {self.outcome}"
        if self.outcome == ledger.IN:
            return "records"
        if self.stage == "extract":
            return "documents"
        return "kept" if self.last else f"after {self.stage}"


def funnel(rundir: RunDirectory, plan: Plan) -> list[Flow]:
    """The flow of every dataset, and last their total (without `reference` datasets).

    Raises RunError where no dataset has been extracted.
    """
    from curation.pipeline.line import ledgers

    by_stage = ledgers(rundir, plan)
    mixture = placed_mixture(rundir)
    placed = {row.dataset: row for row in mixture.datasets} if mixture else {}
    extracted = "extract" in by_stage or "extract" not in rundir.recipe.stages
    if not extracted or not (by_stage or placed):
        raise RunError(f"{rundir.out}: nothing has been extracted yet; run the recipe first")
    everything = ledger.total(by_stage.get("tokenize", {}).values())
    flows = []
    for name in rundir.recipe.names():
        ledgers_of_dataset = {
            stage: datasets[name] for stage, datasets in by_stage.items() if name in datasets
        }
        if ledgers_of_dataset or name in placed:
            rate = _rate(ledgers_of_dataset.get("tokenize", {})) or _rate(everything)
            lines = tuple(
                line
                for stage in ledgers_of_dataset
                for line in _lines(stage, ledgers_of_dataset[stage], rate)
            )
            row = placed.get(name)
            shares = (row.placed, row.share, row.weight, row.epochs) if row else (None,) * 4
            flows.append(Flow(name, lines, rate, *shares))
    roles = {dataset.name: dataset.role for dataset in rundir.recipe.dataset}
    return [
        *flows,
        total_of([flow for flow in flows if roles[flow.dataset] != "reference"] or flows),
    ]


def nothing_kept(flows: Sequence[Flow]) -> list[str]:
    """The datasets of which a stage keeps no document, a line each."""
    lines = []
    for flow in flows[:-1]:
        for kept in (line for line in flow.lines if line.outcome == ledger.KEPT):
            entered = flow.find(kept.stage, ledger.IN)
            if kept.stage == "extract" or kept.documents or not (entered and entered.documents):
                continue
            removed = [x for x in flow.lines if x.stage == kept.stage and x.documents
                       and x.outcome not in ledger.NO_REASONS]  # fmt: skip
            reason = max(removed, key=lambda line: line.documents).outcome
            came = counted(entered.documents, "document")
            lines.append(
                f"{kept.stage}: nothing of {flow.dataset} is kept, all of its {came} are removed "
                f"(most as {reason})"
            )
            break
    return lines


def funnel_rows(flows: Sequence[Flow]) -> list[FunnelRow]:
    """The rows from top to bottom: records, and of every stage what it removed and what it kept.

    Where tokenize removed nothing, what decontaminate kept is left out: tokenize repeats it.
    """
    stages = _stages(flows)
    rows = []
    for stage in stages:
        outcomes = dict.fromkeys(x.outcome for f in flows for x in f.lines if x.stage == stage)
        removing = [outcome for outcome in outcomes if outcome not in (ledger.IN, ledger.KEPT)]
        for outcome in (*([ledger.IN] if stage == "extract" else []), *removing, ledger.KEPT):
            lines = [_line_of(flow, stage, outcome) for flow in flows]
            last = stage == stages[-1]
            if last and outcome == ledger.KEPT:
                lines = [
                    line and flow.without_masked(line)
                    for flow, line in zip(flows, lines, strict=True)
                ]
            rows.append(FunnelRow(stage, outcome, tuple(lines), last))
    if "tokenize" in stages and not any(row.stage == "tokenize" and row.removes for row in rows):
        rows = [row for row in rows if (row.stage, row.outcome) != ("decontaminate", ledger.KEPT)]
    return rows


def _line_of(flow: Flow, stage: str, outcome: str) -> Line | None:
    return next((line for line in _as_of(flow, stage) if line.outcome == outcome), None)


def _rate(counts: ledger.Ledger) -> float | None:
    """Characters per token of what was tokenized. Masked ones are no part of it, though kept."""
    _, chars, tokens = counts.get(ledger.KEPT, [0, 0, 0])
    chars -= counts.get(ledger.MASKED, [0, 0, 0])[1]
    return chars / tokens if tokens and chars else None


def _lines(stage: str, counts: ledger.Ledger, rate: float | None) -> list[Line]:
    order = [
        ledger.IN,
        *sorted(ledger.removed(counts), key=lambda r: (-counts[r][0], r)),
        ledger.CUT,
        ledger.MASKED,
        ledger.KEPT,
    ]
    lines = []
    for outcome in order:
        if outcome not in counts and outcome != ledger.KEPT:
            continue
        documents, chars, tokens = counts.get(outcome, [0, 0, 0])
        documents = 0 if outcome == ledger.MASKED else documents  # they stay
        exact = bool(tokens) or not chars
        lines.append(Line(stage, outcome, documents, chars, _tokens(chars, tokens, rate), exact))
    return lines


def _tokens(chars: int, tokens: int, rate: float | None) -> int | None:
    if tokens or rate is None:
        return tokens or None
    return round(chars / rate)


def _stages(flows: Sequence[Flow]) -> list[str]:
    """The stages that have a ledger, in their order."""
    seen = {line.stage for flow in flows for line in flow.lines}
    return [stage for stage in STAGES if stage in seen]


def total_of(flows: Sequence[Flow]) -> Flow:
    """The sum. Of a dataset that a stage does not decide on, it keeps everything."""
    stages = _stages(flows)
    lines = []
    for stage in stages:
        parts = [line for flow in flows for line in _as_of(flow, stage)]
        outcomes = dict.fromkeys(line.outcome for line in parts if line.outcome != ledger.KEPT)
        lines += [_sum(stage, outcome, parts) for outcome in (*outcomes, ledger.KEPT)]
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
    """A stage's lines; of a stage that does not decide on this dataset, that it kept everything."""
    lines = [line for line in flow.lines if line.stage == stage]
    before = STAGES[: STAGES.index(stage)]
    kept = [x for x in flow.lines if x.outcome == ledger.KEPT and x.stage in before]
    if lines or not kept or not stage_named(stage).some:
        return lines
    return [replace(kept[-1], stage=stage, outcome=name) for name in (ledger.IN, ledger.KEPT)]


def _sum(stage: str, outcome: str, lines: Sequence[Line]) -> Line:
    summed = [line for line in lines if line.outcome == outcome]
    known = [line.tokens for line in summed if line.tokens is not None]
    return Line(
        stage,
        outcome,
        sum(line.documents for line in summed),
        sum(line.chars for line in summed),
        sum(known) if known else None,
        all(line.exact for line in summed),
    )
