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
from curation.errors import InputError, RecipeError, did_you_mean
from curation.recipe.filter import LISTED, LISTS
from curation.recipe.own import is_own
from curation.recipe.rules import columns_of
from curation.recipe.signals import GROUPS, KINDS, group_of, has_spans
from curation.rundir import schema
from curation.rundir.survivors import char_lengths
from curation.stages.filter.own import OwnSignal, find_signal, measure_own, signal_types

if TYPE_CHECKING:
    from curation.recipe.filter import FilterConfig
    from curation.rundir.directory import RunDirectory, Shard

# The groups that one kernel measures together.
QUALITY = ("gopher", "gopher_repetition", "c4", "c4_any_ending", "fineweb")
_OF_DECISIONS = ("keep", "reason", "fired", "undecided", "masks")  # no signal is called so
# Columns of documents that no rule reads: the text itself, and what only this run knows.
NOT_FOR_RULES = ("text", "content", "record_id")


@dataclass(frozen=True, slots=True)
class Step:
    """One group of signals, or one function of the user's: which of its columns are kept (empty:
    all), and the spans that are left out of the text it reads."""

    name: str
    columns: tuple[str, ...]
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """All that is measured of a document, as it goes with tasks: the steps in order, the user's
    functions by name, and the paths of the block lists with the digest of what is in them."""

    steps: tuple[Step, ...]
    own: Mapping[str, OwnSignal]
    lists: tuple[tuple[str, ...], ...]
    lists_digest: str
    identity: str


def measurement(config: FilterConfig) -> Measurement:
    """What a recipe asks for. Raises InputError or RecipeError where a list or function is missing."""
    asked = steps(config)
    own = {step.name: find_signal(step.name) for step in asked if is_own(step.name)}
    lists = tuple(getattr(config, name) for name in LISTS)
    digest = ""
    if any(step.name == "url" for step in asked):
        from curation.readers.blocklists import url_lists

        digest = url_lists(*lists).digest
    parts = [function.identity for function in own.values()] + [digest]
    return Measurement(asked, own, lists, digest, config_digest("filter/measure", asked, parts))


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
            groups[name] = tuple(GROUPS[name])
        elif is_own(name):
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
        is_spans = is_own(group) or has_spans(group)
        out.append(Step(group, columns, () if is_spans else tuple(removed)))
        removed += [name for name in columns if config.mask.get(name) == ""]
    return tuple(out)


def named_signals(config: FilterConfig) -> list[str]:
    """Every name that a rule reads, and every name that is masked.

    Raises RecipeError for an expression that is refused whatever columns there are.
    """
    names: dict[str, None] = {}
    try:
        for rule in config.rule:
            names |= dict.fromkeys(sorted(columns_of(rule.name, rule.drop)))
    except ValueError as error:
        raise RecipeError(f"filter: {error}") from error
    return list(names | dict.fromkeys(config.mask))


# ---- what there is before anything is read ---------------------------------------------------------


def columns_before(config: FilterConfig, asked: Measurement) -> dict[str, pa.DataType | None]:
    """What rules may read, by name, before documents are: the type is None where only the input
    says it (`extra`)."""
    columns: dict[str, pa.DataType | None] = {
        field.name: field.type for field in schema.DOCUMENTS if field.name not in NOT_FOR_RULES
    }
    columns |= {"chars": pa.int64(), **shipped_types(), "extra": None}
    for function in asked.own.values():
        if "extra" not in function.columns:
            columns |= signal_types(function, {*columns, *_OF_DECISIONS})
    return columns


def shipped_types() -> dict[str, pa.DataType]:
    """The type of every signal that ships."""
    from curation.kernels.masks import SPANS

    kinds = {"number": pa.float64(), "count": pa.int64(), "flag": pa.bool_(), "text": pa.string()}
    return {name: kinds.get(kind, SPANS) for name, kind in KINDS.items()}


# ---- measuring -------------------------------------------------------------------------------------


def read_columns(asked: Measurement, documents: pa.Schema) -> list[str]:
    """The columns of documents that the steps read. Raises InputError for a function's that is not
    there."""
    reads_url = any(step.name == "url" for step in asked.steps)
    names = dict.fromkeys(["text", *["url"] * reads_url])
    for function in asked.own.values():
        names |= dict.fromkeys(function.columns)
    if wrong := [name for name in names if name not in documents.names]:
        hint = did_you_mean(wrong[0], documents.names)
        raise InputError(f"filter.signals: no column {wrong[0]!r} in the documents{hint}")
    return list(names)


def own_types(asked: Measurement, documents: pa.Schema) -> dict[str, dict[str, pa.DataType]]:
    """The columns of each of the user's functions, with their types."""
    extra = documents.field("extra").type if "extra" in documents.names else None
    taken = {*documents.names, *shipped_types(), "chars", *_OF_DECISIONS}
    types: dict[str, dict[str, pa.DataType]] = {}
    for name, function in asked.own.items():
        types[name] = signal_types(function, taken, extra)
        taken |= types[name].keys()
    return types


def measure_batch(
    asked: Measurement,
    types: Mapping[str, Mapping[str, pa.DataType]],
    batch: pa.RecordBatch,
    first_row: int,
) -> pa.RecordBatch:
    """The evidence of some documents: `chars`, and the columns of every step.

    `types`: what `own_types` gave. `first_row`: of the batch in its shard, for errors.
    """
    texts = batch.column("text")
    columns: dict[str, pa.Array] = {"chars": pa.array(char_lengths(texts))}
    shared: dict[tuple[str, ...], dict[str, pa.Array]] = {}
    for step in asked.steps:
        if step.name in asked.own:
            part = measure_own(asked.own[step.name], batch, types[step.name], first_row)
        elif step.name in QUALITY:  # the words of a text are found once for all groups that read it
            if step.without not in shared:
                from curation.kernels import quality

                spans = {name: columns[name] for name in step.without}
                alike = [
                    s.name for s in asked.steps if s.name in QUALITY and s.without == step.without
                ]
                shared[step.without] = quality.measure(_without(texts, spans), alike)
            part = shared[step.without]
        else:
            spans = {name: columns[name] for name in step.without}
            part = _measured(asked, step, batch, _without(texts, spans))
        columns |= {name: part[name] for name in step.columns or part}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _measured(
    asked: Measurement, step: Step, batch: pa.RecordBatch, texts: pa.Array
) -> dict[str, pa.Array]:
    if step.name == "url":
        from curation.kernels.urls import url_signals
        from curation.readers.blocklists import loaded_lists

        measured = url_signals(batch.column("url"), loaded_lists(*asked.lists, asked.lists_digest))
        return {name: _looked_for(name, column, asked.lists) for name, column in measured.items()}
    if step.name in ("pii", "phone", "card"):
        from curation.kernels import pii

        return pii.measure(texts, step.columns)
    from curation.kernels.buffers import text_buffers
    from curation.kernels.signals import signals

    values = signals(*text_buffers(texts), step.columns)
    return {name: pa.array(values[:, i]) for i, name in enumerate(step.columns)}


def _looked_for(name: str, column: pa.Array, lists: Sequence[Sequence[str]]) -> pa.Array:
    """The column; null where no list says what to look for."""
    missing = name in LISTED and not lists[LISTS.index(LISTED[name])]
    return pa.nulls(len(column), column.type) if missing else column


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
    columns = {f.name: f.type for f in documents if f.name not in NOT_FOR_RULES}
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
