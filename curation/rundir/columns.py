"""A column of documents by its name, wherever in a run directory it is, row by row beside the
survivors.

Cost: the column is read whole for one shard; of `extra`, all of the user's columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.errors import InputError
from curation.recipe.own import is_own
from curation.recipe.signals import KINDS
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard

EXTRA = "extra."
# Columns that other stages measure; `extra.NAME` is a column of the user.
SIGNALS = tuple(name for name, kind in KINDS.items() if kind != "spans" and name != "host")
MEASURED = ("host", "quality", "cluster_size", *SIGNALS)
NAMES = (*(name for name in schema.DOCUMENTS.names if name not in ("text", "content")), *MEASURED)
VALUE_CHARS = 100  # of a value that stands for its group


@dataclass(frozen=True, slots=True)
class Source:
    """Where a column is: the table, its column there, and the table that its rows follow."""

    path: str
    column: str
    rows: str  # documents or survivors


def source_of(rundir: RunDirectory, shard: Shard, name: str) -> Source:
    """Where the column `name` of a shard's documents is."""
    documents = rundir.documents(shard)
    if name == "quality":
        return Source(rundir.table("classify", shard, "evidence"), "score", documents)
    if name == "cluster_size":
        return Source(rundir.decision("dedup", shard), name, rundir.survivors(shard))
    if name in SIGNALS or is_own_signal(rundir, name):
        return Source(rundir.table("filter", shard, "evidence"), name, documents)
    column = {"host": "url"}.get(name, "extra" if name.startswith(EXTRA) else name)
    return Source(documents, column, documents)


def is_own_signal(rundir: RunDirectory, name: str) -> bool:
    """Whether a column can only be that of one of the user's functions."""
    asked = "filter" in rundir.recipe.stages and any(map(is_own, rundir.recipe.filter.signals))
    return asked and name not in NAMES and not name.startswith(EXTRA)


def column_identity(rundir: RunDirectory, shard: Shard, name: str) -> str:
    """The identity of the table that a column is in; empty where there is none."""
    footer = store.footer(source_of(rundir, shard, name).path)
    return footer.identity if footer else ""


def document_column(rundir: RunDirectory, shard: Shard, name: str) -> pa.Array:
    """A column as its table has it: row by row beside the documents, `cluster_size` beside the
    survivors. Null where the documents have no such value, or were not measured."""
    source = source_of(rundir, shard, name)
    measured = name in ("quality", *SIGNALS) or is_own_signal(rundir, name)
    if measured and store.footer(source.path) is None:  # not measured
        return pa.nulls(store.need_footer(source.rows).rows, pa.float64())
    kind, parts = pa.null(), []
    for part in _parts(source, name):
        kind = part.type
        parts.append(part)
    return pa.chunked_array(parts, kind).combine_chunks()


def column_of(rundir: RunDirectory, shard: Shard, name: str) -> pa.Array:
    """A column of the survivors of a shard, row by row."""
    values = document_column(rundir, shard, name)
    survivors = rundir.survivors(shard)
    if source_of(rundir, shard, name).rows == survivors:
        return values
    return values.take(store.read_table(survivors, ["row"]).column(0).combine_chunks())


def _parts(source: Source, name: str) -> Iterator[pa.Array]:
    own = name.removeprefix(EXTRA)
    columns = store.read_schema(source.path)
    if source.column not in (*columns.names, "extra"):
        raise InputError(f"mix.by: {name} was not measured; name it in filter.signals")
    if source.column == "extra":
        known = columns.field("extra").type if "extra" in columns.names else pa.struct([])
        if known.get_field_index(own) < 0:
            yield pa.nulls(store.need_footer(source.path).rows)
            return
    for batch in store.read_groups(source.path, [source.column]):
        column = batch.column(0)
        if source.column == "extra":
            column = pc.struct_field(column, own)
        yield pa.array(map(_host, column.to_pylist()), pa.string()) if name == "host" else column


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url or "").hostname
    except ValueError:  # "http://[" and the like: real crawls have them
        return None


def as_text(column: pa.Array) -> pa.Array:
    """Values as text of at most 100 characters: numbers as they are written, true and false; empty
    for null and NaN. Raises TypeError for lists and structs.

    >>> as_text(pa.array([3, None])).to_pylist(), as_text(pa.array([0.5, float("nan")])).to_pylist()
    (['3', ''], ['0.5', ''])
    """
    kind: Any = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        raise TypeError(f"text, numbers or flags expected, got {kind}")
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    text = pc.fill_null(column.cast(pa.string()), "")
    return pc.utf8_slice_codeunits(text, 0, VALUE_CHARS)
