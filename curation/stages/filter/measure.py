"""What is measured of each document: groups of signals in the order of the recipe, then what its
rules and masks name besides.

Trap: a group of numbers that stands after a group of spans reads the text without those spans that
`mask` removes, as the filters after C4 do in FineWeb's pipeline. Spans are of the original text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import InputError, did_you_mean
from curation.recipe.rules import columns_of
from curation.recipe.signals import GROUPS, KINDS, SPAN_GROUPS, group_of
from curation.rundir import schema
from curation.rundir.survivors import char_lengths
from curation.stages.filter import own

if TYPE_CHECKING:
    from curation.recipe.filter import FilterConfig
    from curation.rundir.directory import RunDirectory, Shard

# Columns of documents that no rule reads: the text itself, and what only this run knows.
_NOT_FOR_RULES = ("text", "content", "record_id")


@dataclass(frozen=True, slots=True)
class Step:
    """One group of signals, or one function of the user's: which of its columns are kept (empty:
    all), and the spans that are left out of the text it reads."""

    name: str
    columns: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        return ":" in self.name


def steps(config: FilterConfig) -> tuple[Step, ...]:
    """What is measured, in order. Raises InputError for a name that is no signal.

    >>> from curation.recipe.filter import FilterConfig, Rule
    >>> [step.name for step in steps(FilterConfig(rule=(Rule("few", "words < 5"),)))]
    ['gopher']
    """
    groups: dict[str, tuple[str, ...]] = {}
    named = [name for name in named_signals(config) if group_of(name)]
    listed = {group_of(name) or name for name in config.signals}
    for name in [*(n for n in named if group_of(n) not in listed), *config.signals]:
        if name in GROUPS:
            groups[name] = GROUPS[name]
        elif ":" in name:
            groups[name] = ()
        elif group := group_of(name):
            groups[group] = (*groups.get(group, ()), name)
        else:
            known = [*GROUPS, *KINDS]
            raise InputError(f"filter.signals: no signal {name!r}{did_you_mean(name, known)}")
    removed: list[str] = []
    out = []
    for group, columns in groups.items():
        more = [name for name in named if group_of(name) == group]
        columns = tuple(dict.fromkeys((*columns, *more)))
        is_spans = group in SPAN_GROUPS or ":" in group
        out.append(Step(group, columns, () if is_spans else tuple(removed)))
        removed += [name for name in columns if config.mask.get(name) == ""]
    return tuple(out)


def named_signals(config: FilterConfig) -> list[str]:
    """Every name that a rule reads, and every name that is masked."""
    names: dict[str, None] = {}
    for rule in config.rule:
        names |= dict.fromkeys(sorted(columns_of(rule.name, rule.drop)))
    return list(names | dict.fromkeys(config.mask))


# ---- what there is before anything is read ---------------------------------------------------------


def identity(config: FilterConfig) -> str:
    """The digest of all that evidence depends on, beside the documents: the steps, the lists and the
    user's functions. Raises InputError where a list or function is missing."""
    asked = steps(config)
    functions = [own.load(step.name).identity for step in asked if step.is_own]
    lists = _url_lists(config).digest if any(step.name == "url" for step in asked) else ""
    return config_digest("filter/settings", asked, functions, lists)


def columns_before(config: FilterConfig) -> dict[str, pa.DataType | None]:
    """What rules may read, by name, before documents are: the type is None where only the input
    says it (`extra`)."""
    columns: dict[str, pa.DataType | None] = {
        field.name: field.type for field in schema.DOCUMENTS if field.name not in _NOT_FOR_RULES
    }
    return {**columns, "chars": pa.int64(), **signal_types(), "extra": None}


def signal_types() -> dict[str, pa.DataType]:
    """The type of every signal that ships."""
    from curation.kernels.masks import SPANS

    kinds = {"number": pa.float64(), "count": pa.int64(), "flag": pa.bool_(), "text": pa.string()}
    return {name: kinds.get(kind, SPANS) for name, kind in KINDS.items()}


# ---- measuring -------------------------------------------------------------------------------------


def read_columns(asked: Sequence[Step], documents: pa.Schema) -> list[str]:
    """The columns of documents that the steps read. Raises InputError for a function's that is not
    there."""
    names = {"text": None}
    for step in asked:
        if step.name == "url":
            names["url"] = None
        elif step.is_own:
            names |= dict.fromkeys(own.load(step.name).columns)
    if wrong := [name for name in names if name not in documents.names]:
        hint = did_you_mean(wrong[0], documents.names)
        raise InputError(f"filter.signals: no column {wrong[0]!r} in the documents{hint}")
    return list(names)


def measure_batch(
    config: FilterConfig, asked: Sequence[Step], batch: pa.RecordBatch, where: str
) -> pa.RecordBatch:
    """The evidence of some documents: `chars`, and the columns of every step.

    `where`: the shard and the rows, for errors of the user's functions.
    """
    texts = batch.column("text")
    columns: dict[str, pa.Array] = {"chars": pa.array(char_lengths(texts))}
    for step in asked:
        if step.is_own:
            part = own.load(step.name).measure(batch, where)
        else:
            spans = {name: columns[name] for name in step.without}
            part = _measured(config, step.name, batch, _without(texts, spans))
        columns |= {name: part[name] for name in step.columns or part}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _measured(
    config: FilterConfig, group: str, batch: pa.RecordBatch, texts: pa.Array
) -> dict[str, pa.Array]:
    if group == "url":
        from curation.kernels.urls import url_signals

        return url_signals(batch.column("url"), _url_lists(config))
    if group == "pii":
        from curation.kernels import pii

        return pii.measure(texts, GROUPS["pii"])
    from curation.kernels import quality

    return quality.measure(texts, [group])


def _without(texts: pa.Array, spans: Mapping[str, pa.Array]) -> pa.Array:
    """The texts without some spans."""
    from curation.kernels.masks import masked, merged

    if not spans:
        return texts
    return masked(texts, merged(spans, list(spans)), [""] * len(spans))


# ---- what the decision reads -----------------------------------------------------------------------


def decision_columns(rundir: RunDirectory, shard: Shard) -> dict[str, pa.DataType]:
    """The columns that rules may read of a shard, with their types."""
    documents = store.read_schema(rundir.documents(shard))
    signals = store.read_schema(rundir.table("filter", shard, "evidence"))
    columns = {f.name: f.type for f in documents if f.name not in _NOT_FOR_RULES}
    return columns | {field.name: field.type for field in signals}


def decision_table(rundir: RunDirectory, shard: Shard) -> pa.Table:
    """The columns of a shard that its rules read, a row a document; with `chars` at least."""
    signals = store.read_schema(rundir.table("filter", shard, "evidence")).names
    config = rundir.recipe.filter
    named = {name for rule in config.rule for name in columns_of(rule.name, rule.drop)}
    known = {name.lower(): name for name in decision_columns(rundir, shard)}
    wanted = sorted({known[name.lower()] for name in named} | {"chars"})
    table = store.read_table(
        rundir.table("filter", shard, "evidence"), [name for name in wanted if name in signals]
    )
    others = [name for name in wanted if name not in signals]
    if others:
        for name, column in zip(
            others, store.read_table(rundir.documents(shard), others).columns, strict=True
        ):
            table = table.append_column(name, column)
    return table
