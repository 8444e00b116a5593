"""What the rules of `filter` removed, each alone and together, and how each signal is distributed.

Cost: the decisions whole; of the signals at most `MOST_VALUES` documents of a dataset, evenly spread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.inspect.numbers import counted, percent

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

MOST_VALUES = 200_000  # documents of a dataset whose signals are looked at
FEW_VALUES = 500  # below which no value is put into the outer bins
BINS = 40
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """Documents of a dataset that a rule is true of.

    `first`: those it is the reason of, being the first; `alone`: all; `only`: those no other rule is
    true of; `undecided`: those it is null of.
    """

    name: str
    drop: str
    first: int
    alone: int
    only: int
    undecided: int


@dataclass(frozen=True, slots=True)
class SignalShape:
    """How a signal is distributed in a dataset.

    A number or count has `edges` (BINS + 1), `counts` and of those `kept` (BINS each; what is beyond
    the edges is in the outer bins), and `thresholds`: numbers that rules compare it with. Of a flag,
    and of spans, only `share` is known: documents where it is true, or that have any.
    """

    name: str
    missing: int
    share: float
    edges: list[float]
    counts: list[int]
    kept: list[int]
    thresholds: list[float]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """The rules of one dataset, in their order, and its signals, of `looked_at` documents."""

    dataset: str
    documents: int
    removed: int
    rules: list[RuleCounts]
    looked_at: int
    signals: list[SignalShape]


def rule_reports(rundir: RunDirectory, plan: Plan) -> list[RuleReport] | None:
    """A report of each dataset that `filter` decided on; None where there is none."""
    reports = []
    for name in filter(rundir.recipe.ruled, rundir.recipe.names()):
        shards = [s for s in plan.of(name) if store.exists(rundir.decision("filter", s))]
        if shards:
            reports.append(_report(rundir, name, shards))
    return reports or None


def _report(rundir: RunDirectory, dataset: str, shards: Sequence[Shard]) -> RuleReport:
    rules = rundir.recipe.filter.rule
    counts = np.zeros((4, len(rules)), np.int64)
    documents = removed = 0
    keeps = []
    for shard in shards:
        decision = store.read_table(rundir.decision("filter", shard)).combine_chunks()
        keep = np.asarray(decision.column("keep").to_numpy(), bool)
        counts += _counts(decision, len(rules))
        documents, removed = documents + len(keep), removed + int((~keep).sum())
        keeps.append(keep)
    step = max(1, -(-documents // MOST_VALUES))
    rows = [
        RuleCounts(rule.name, rule.drop, *counts[:, place].tolist())
        for place, rule in enumerate(rules)
    ]
    table = pa.concat_tables(_evidence(rundir, shards, keeps, step))
    keep = table.column("keep").to_numpy()
    thresholds = thresholds_of([rule.drop for rule in rules])
    signals = [
        shape(name, table.column(name), keep, thresholds.get(name, []))
        for name in table.column_names
        if name not in ("keep", "host", "domain")
    ]
    return RuleReport(dataset, documents, removed, rows, table.num_rows, signals)


def _counts(decision: pa.Table, rules: int) -> npt.NDArray[np.int64]:
    """int64[4, rules]: first, alone, only, undecided."""
    fired = decision.column("fired").combine_chunks()
    sizes = fired.value_lengths().to_numpy()
    values = fired.flatten().to_numpy()
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    unsure = decision.column("undecided").combine_chunks().flatten().to_numpy()
    parts = (values[starts[sizes > 0]], values, values[starts[sizes == 1]], unsure)
    return np.array([np.bincount(part, minlength=rules) for part in parts]).reshape(4, rules)


def _evidence(
    rundir: RunDirectory, shards: Sequence[Shard], keeps: Sequence[Any], step: int
) -> Iterator[pa.Table]:
    """Every `step`-th row of the evidence, with what was decided on it; spans as their number."""
    for shard, keep in zip(shards, keeps, strict=True):
        table = store.read_table(rundir.table("filter", shard, "evidence"))
        rows = np.arange(0, table.num_rows, step)
        table = table.append_column("keep", pa.array(keep)).take(pa.array(rows))
        columns = {
            name: pc.list_value_length(column) if pa.types.is_list(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
        yield pa.table(columns)


def thresholds_of(expressions: Sequence[str]) -> dict[str, list[float]]:
    """The numbers that expressions compare a name with, by name.

    >>> thresholds_of(["words < 50 or words > 100000", "1 <= lines and letters between .2 and .5"])
    {'words': [50.0, 100000.0], 'lines': [1.0], 'letters': [0.2, 0.5]}
    """
    found: dict[str, set[float]] = {}
    for text in expressions:
        name, sign = r"([A-Za-z_]\w*)", r"\s*(?:<=|>=|<|>|=)\s*"
        for match in re.finditer(rf"{name}{sign}({_NUMBER})", text):
            found.setdefault(match[1], set()).add(float(match[2]))
        for match in re.finditer(rf"(?<![\w.])({_NUMBER}){sign}{name}", text):
            found.setdefault(match[2], set()).add(float(match[1]))
        for match in re.finditer(rf"{name}\s+between\s+({_NUMBER})\s+and\s+({_NUMBER})", text):
            found.setdefault(match[1], set()).update({float(match[2]), float(match[3])})
    return {name: sorted(numbers) for name, numbers in found.items()}


def shape(
    name: str, column: pa.ChunkedArray, keep: npt.NDArray[np.bool_], thresholds: Sequence[float]
) -> SignalShape:
    """The distribution of one signal.

    >>> shape("flag", pa.chunked_array([[True, False, None]]), np.ones(3, bool), []).share
    0.5
    """
    valid = column.is_valid().to_numpy()
    missing = int((~valid).sum())
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not (numeric or pa.types.is_boolean(column.type)) or not valid.any():
        return SignalShape(name, missing, 0.0, [], [], [], [])
    values = column.drop_null().cast(pa.float64()).to_numpy()
    share = float((values != 0).mean())
    if not numeric:
        return SignalShape(name, missing, share, [], [], [], [])
    edges = _edges(values, thresholds)
    inside = np.clip(values, edges[0], edges[-1])
    counts, kept = (np.histogram(inside[rows], edges)[0] for rows in (slice(None), keep[valid]))
    return SignalShape(
        name,
        missing,
        share,
        edges.tolist(),
        counts.tolist(),
        kept.tolist(),
        [number for number in thresholds if edges[0] <= number <= edges[-1]],
    )


def _edges(values: npt.NDArray[np.float64], thresholds: Sequence[float]) -> npt.NDArray[np.float64]:
    """Equal bins over nearly all values, and over thresholds that are not far from them."""
    few = len(values) < FEW_VALUES
    low, high = np.quantile(values, [0, 1] if few else [0.005, 0.98])
    near = [number for number in thresholds if low - (high - low) <= number <= high + (high - low)]
    low, high = min([low, *near]), max([high, *near])
    if low == high:
        high = low + 1
    return np.linspace(low, high, BINS + 1)


def rules_sentence(report: RuleReport) -> str:
    """What all rules together removed, and how much more than one removes."""
    share = report.removed / max(1, report.documents)
    return (
        f"{counted(len(report.rules), 'rule')} removed {report.removed:,} of {report.documents:,} "
        f"documents ({percent(share)})."
    )
