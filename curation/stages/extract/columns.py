"""The user's other columns: one struct type for a whole dataset, found before its tables are read.

Parquet files say their types. JSON lines are read once to find them; a column of mixed types is
kept as JSON text, and so is what a column of a Parquet file cannot give back (times, decimals,
maps).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.rundir.directory import RunDirectory, Shard
from curation.stages.extract.inputs import input_format, open_stream, read_table_rows

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Dataset
    from curation.rundir.plan import Plan

VERSION = 1
Types = dict[str, pa.DataType]


def is_table(dataset: Dataset, file: store.File) -> bool:
    """Whether a file's rows are documents; with `urls` they say where records are."""
    return not dataset.urls and input_format(dataset, file) == "table"


def extra_types(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[str, pa.DataType | None]:
    """The struct of every dataset's other columns, None where it has none.

    Found once, and kept in documents/_columns/.
    """
    types_by_dataset: dict[str, pa.DataType | None] = {}
    for dataset in rundir.recipe.dataset:
        tables = [
            shard
            for shard in plan.of(dataset.name)
            if any(is_table(dataset, file) for file in shard.files)
        ]
        if not tables:
            types_by_dataset[dataset.name] = None
            continue
        inputs = [(f.name, f.size, f.tag) for shard in tables for f in shard.files]
        known = (dataset.text_column, dataset.id_column, dataset.url_column)
        reading = (dataset.format, dataset.first_mb)
        digest = config_digest("extract/columns", VERSION, inputs, known, reading)
        path = rundir.path("documents", "_columns", dataset.name + ".parquet")
        if not store.done(path, digest):
            types: Types = {}
            for part in engine.map("extract: columns", partial(columns_of, dataset), tables):
                types = _merged(types, part)
            plain = {
                n: pa.string() if k == pa.null() else k for n, k in types.items() if n not in known
            }
            with store.TableWriter(path, pa.schema(sorted(plain.items())), digest):
                pass
        fields = list(store.read_schema(path))
        types_by_dataset[dataset.name] = pa.struct(fields) if fields else None
    return types_by_dataset


def columns_of(dataset: Dataset, shard: Shard) -> Types:
    """The columns of a shard's tables and their types."""
    types: Types = {}
    for file in shard.files:
        if not is_table(dataset, file):
            continue
        if file.name.endswith(".parquet"):
            types = _merged(
                types, {field.name: _kept(field.type) for field in store.read_schema(file.path)}
            )
        else:
            types = _merged(types, _json_columns(dataset, file))
    return types


def _json_columns(dataset: Dataset, file: store.File) -> Types:
    types: Types = {}
    with open_stream(dataset, file, store.Patience()) as stream:
        for outcome in read_table_rows(dataset, stream, file):
            for name, value in (getattr(outcome, "extra", None) or {}).items():
                types[name] = _common(types.get(name, pa.null()), _json_type(value))
    return types


def _json_type(value: Any) -> pa.DataType:
    if value is None:
        return pa.null()
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        return pa.string()
    return {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}.get(type(value), pa.string())


def _kept(kind: pa.DataType) -> pa.DataType:
    """The type that holds what the reader gives of a Parquet column: its own, or text."""
    if pa.types.is_dictionary(kind):
        return _kept(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _kept(kind.value_type)
        return pa.list_(inner) if inner == kind.value_type else pa.string()
    if pa.types.is_struct(kind):
        return kind if all(_kept(field.type) == field.type for field in kind) else pa.string()
    same = (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_null(kind)
    )
    return kind if same else pa.string()


def _merged(a: Types, b: Types) -> Types:
    return {name: _common(a.get(name, pa.null()), b.get(name, pa.null())) for name in {**a, **b}}


def _common(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """One type for the values of both: text (JSON) where they do not go together."""
    if a == b or b == pa.null():
        return a
    if a == pa.null():
        return b
    if pa.types.is_integer(a) and pa.types.is_integer(b) and pa.uint64() not in (a, b):
        return pa.int64()
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (a, b))
    return pa.float64() if numbers else pa.string()


def fitted_to(extra: dict[str, Any] | None, kind: pa.DataType | None) -> dict[str, Any] | None:
    """The values of one document as the struct holds them."""
    if extra is None or kind is None:
        return None
    out: dict[str, Any] = {}
    for part in kind:
        value = extra.get(part.name)
        if pa.types.is_string(part.type) and value is not None and not isinstance(value, str):
            # orjson stops at 64 bits
            value = str(value) if type(value) is int else orjson.dumps(value).decode()
        out[part.name] = value
    return out


def repeated_ids(
    rundir: RunDirectory, plan: Plan, engine: Engine, identities: Sequence[str]
) -> tuple[str, str, int] | None:
    """The first id that a dataset of tables holds more than once: dataset, id, times."""
    from curation.rundir import schema
    from curation.rundir.queries import run_query

    given = [
        d
        for d in rundir.recipe.dataset
        if any(is_table(d, file) for shard in plan.of(d.name) for file in shard.files)
    ]
    if not given:
        return None
    narrow = pa.schema([schema.DOCUMENTS.field("id")])
    tables = {
        f"documents{i}": store.Table(tuple(map(rundir.documents, plan.of(d.name))), narrow)
        for i, d in enumerate(given)
    }
    rows = " UNION ALL ".join(
        f"SELECT {i} AS dataset, id FROM documents{i}" for i in range(len(given))
    )
    repeated = run_query(
        engine,
        f"""SELECT CAST(dataset AS BIGINT) AS dataset, id, count(*) AS times FROM ({rows}) AS d
            GROUP BY dataset, id HAVING count(*) > 1""",
        tables,
        rundir.path("documents", "_repeated"),
        pa.schema([("dataset", pa.int64()), ("id", pa.string()), ("times", pa.int64())]),
        identities,
        sort_by=["dataset", "id"],
    )
    for row in store.read_table(repeated.paths[0]).slice(0, 1).to_pylist():
        return given[row["dataset"]].name, row["id"], row["times"]
    return None
