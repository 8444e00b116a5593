"""What a rule of `filter` would remove with other numbers, decided anew from the stored signals.

Nothing is written, and later stages are not redone. Memory: the columns that rules read, of at most
`MOST` documents of a dataset, evenly spread; above that the counts are estimates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.stages.filter.expressions import decide
from curation.stages.filter.measure import decision_table

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

MOST = 200_000  # documents of a dataset that are decided on anew
EXAMPLES = 5
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SIGN = r"\s*(?:<=|>=|<|>)\s*"
_NAME = r"[A-Za-z_]\w*"
# A number after a name and a sign, or before both; no part of a sum or product.
_COMPARED = re.compile(
    rf"(?<![\w.])(?:(?P<left>{_NAME}){_SIGN}(?P<after>{_NUMBER})"
    rf"|(?P<before>{_NUMBER}){_SIGN}(?P<right>{_NAME}))(?![\w.])(?!\s*[-+*/%])"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that an expression compares a column with: `start` and `end` of its text there."""

    column: str
    value: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Decided:
    """Documents of a dataset as `filter` decided on them, each standing for `every`.

    `columns`: what rules read. `fired`: bool[rules, n]. `ordinal`, `row`: int64[n], where each is.
    """

    dataset: str
    columns: pa.Table
    fired: Flags
    ordinal: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    every: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A dataset with a rule changed. `alone`: documents that the rule is true of, in the run and
    changed; `removed`: by all rules together. `leaving` and `entering`: documents that the change
    removes, or leaves in. Of both the first few, as (ordinal, row)."""

    dataset: str
    documents: int
    alone: tuple[int, int]
    removed: tuple[int, int]
    leaving: int
    entering: int
    left: tuple[tuple[int, int], ...]
    entered: tuple[tuple[int, int], ...]
    is_estimate: bool


def thresholds_in(drop: str) -> list[Threshold]:
    """The numbers of an expression that can be moved, in their order.

    >>> [(t.column, t.value) for t in thresholds_in("words < 50 or 1e5 < words")]
    [('words', 50.0), ('words', 100000.0)]
    """
    found = []
    for match in _COMPARED.finditer(drop):
        group = "after" if match["after"] is not None else "before"
        column = match["left"] or match["right"]
        found.append(Threshold(column, float(match[group]), *match.span(group)))
    return found


def with_numbers(drop: str, values: Sequence[float]) -> str:
    """The expression with other numbers in place of those that `thresholds_in` names.

    >>> with_numbers("words < 50 or 1e5 < words", [60, 2000])
    'words < 60 or 2000 < words'
    """
    for threshold, value in reversed(list(zip(thresholds_in(drop), values, strict=True))):
        drop = f"{drop[: threshold.start]}{value:.15g}{drop[threshold.end :]}"
    return drop


def decided(rundir: RunDirectory, plan: Plan, dataset: str) -> Decided | None:
    """What the rules read and decided of a dataset; None where nothing is decided yet."""
    shards = [s for s in plan.of(dataset) if store.exists(rundir.decision("filter", s))]
    if not shards:
        return None
    sizes = [store.need_footer(rundir.decision("filter", shard)).rows for shard in shards]
    every = max(1, -(-sum(sizes) // MOST))
    count = len(rundir.recipe.filter.rule)
    tables, fired, ordinals, rows = [], [], [], []
    for shard, size in zip(shards, sizes, strict=True):
        chosen = np.arange(0, size, every)
        taken = pa.array(chosen)
        tables.append(decision_table(rundir, shard).take(taken))
        lists = store.read_table(rundir.decision("filter", shard), ["fired"]).column(0)
        lists = lists.take(taken).combine_chunks()
        flags = np.zeros((count, len(chosen)), bool)
        flags[pc.list_flatten(lists).to_numpy(), pc.list_parent_indices(lists).to_numpy()] = True
        fired.append(flags)
        ordinals.append(np.full(len(chosen), shard.ordinal))
        rows.append(chosen)
    columns = pa.concat_tables(tables, promote_options="permissive")
    return Decided(
        dataset, columns, np.hstack(fired), np.concatenate(ordinals), np.concatenate(rows), every
    )


def try_rule(documents: Decided, rule: int, drop: str) -> Trial:
    """What all rules remove where the rule of that number (from 0) had the expression `drop`.

    Raises RecipeError where the expression fails on a document.
    """
    fires = decide(documents.columns, [("rule", drop)])["rule"]
    now = np.array(pc.fill_null(fires, False), bool)
    others = np.delete(documents.fired, rule, axis=0).any(axis=0)
    before, after = others | documents.fired[rule], others | now
    leaving, entering = np.flatnonzero(after & ~before), np.flatnonzero(before & ~after)

    def count(flags: Flags) -> int:
        return int(flags.sum()) * documents.every

    def places(found: npt.NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
        return tuple((int(documents.ordinal[k]), int(documents.row[k])) for k in found[:EXAMPLES])

    return Trial(
        documents.dataset,
        len(now) * documents.every,
        (count(documents.fired[rule]), count(now)),
        (count(before), count(after)),
        len(leaving) * documents.every,
        len(entering) * documents.every,
        places(leaving),
        places(entering),
        documents.every > 1,
    )


def spread(documents: Decided, column: str, edges: Floats) -> list[int]:
    """Documents by what a column holds, between the edges; what is beyond them is in the outer bins."""
    values = np.clip(_values(documents, column), edges[0], edges[-1])
    counts: list[int] = (np.histogram(values, edges)[0] * documents.every).tolist()
    return counts


def _values(documents: Decided, column: str) -> Floats:
    """The finite values of a column, none where it is not there."""
    names = {name.lower(): name for name in documents.columns.column_names}
    if column.lower() not in names:
        return np.zeros(0)
    found = documents.columns.column(names[column.lower()]).drop_null().cast(pa.float64())
    values: Floats = found.to_numpy()
    return values[np.isfinite(values)]


def bounds(documents: Sequence[Decided], threshold: Threshold) -> tuple[float, float]:
    """Between what a threshold is worth moving: nearly all values of its column, and itself."""
    parts = [_values(table, threshold.column) for table in documents]
    values = np.concatenate([np.array([threshold.value]), *parts])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.005, 0.98])
    low, high = min(low, threshold.value), max(high, threshold.value)
    return (float(low), float(high)) if low < high else (float(low), float(low) + 1.0)
