"""The user's columns: their order and one type for a whole dataset, found before its tables are
read.

Parquet files say their types. JSON lines are read once to find them; objects are structs and arrays
lists. A column of mixed types is kept as JSON text, so is a struct of very many fields, and text is
what a Parquet column cannot give back (times, decimals, maps).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation import store
from curation.digests import config_digest
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.survivors import decided_table
from curation.stages.extract.inputs import input_format, open_stream, run_columns

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Dataset
    from curation.rundir.plan import Plan

VERSION = 3
MAX_FIELDS = 200  # of a struct; objects with more keys are maps rather, and kept as JSON text
ADDRESS = pa.large_string()  # of a url column that `documents` holds as `url`
# Integers that a float may not hold exactly, until the types of all files are known.
_LARGE = pa.decimal128(19)
_EXACT = 1 << 53
Types = dict[str, pa.DataType]


def is_table(dataset: Dataset, file: store.File) -> bool:
    """Whether a file's rows are documents; with `urls` or `select` they say where records are."""
    return not dataset.by_record and input_format(dataset, file) == "table"


def is_lines(dataset: Dataset, file: store.File) -> bool:
    """Whether a file's lines are JSON objects, a document each."""
    name = file.name.lower()
    return is_table(dataset, file) and not name.endswith((".parquet", ".arrow"))


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
        files = [(f.name, f.size, f.tag) for shard in tables for f in shard.files]
        inputs = list(dict.fromkeys(files))  # a file once, in however many parts it is
        known = (dataset.text_column, dataset.id_column, dataset.url_column)
        reading = (dataset.format, dataset.first_mb)
        digest = config_digest("extract/columns", VERSION, inputs, known, reading)
        path = columns_path(rundir, dataset)
        if not store.done(path, digest):
            types: Types = {}
            for part in engine.map("extract: columns", partial(columns_of, dataset), tables):
                types = _merged(types, part)
            if types.get(dataset.url_column) == pa.null():
                types[dataset.url_column] = ADDRESS
            final = pa.schema([(name, _final(kind)) for name, kind in types.items()])
            with store.TableWriter(path, final, digest):
                pass
        types_by_dataset[dataset.name] = _extra_type(dataset, store.read_schema(path))
    return types_by_dataset


def columns_path(rundir: RunDirectory, dataset: Dataset) -> str:
    """The table without rows whose schema is the columns of a dataset, in the input's order."""
    return rundir.path("documents", "_columns", dataset.name + ".parquet")


def _extra_type(dataset: Dataset, columns: pa.Schema) -> pa.DataType | None:
    """The struct of the columns that `documents` has no column for, by name."""
    columns_of_documents = {dataset.text_column, dataset.id_column}
    if dataset.url_column in columns.names and columns.field(dataset.url_column).type == ADDRESS:
        columns_of_documents.add(dataset.url_column)
    fields = [
        (field.name, field.type) for field in columns if field.name not in columns_of_documents
    ]
    return pa.struct(sorted(fields, key=lambda field: field[0])) if fields else None


def columns_of(dataset: Dataset, shard: Shard) -> Types:
    """The columns of a shard's tables and their types, before `_final`."""
    types: Types = {}
    for file in shard.files:
        if not is_table(dataset, file):
            continue
        kind = posixpath.splitext(file.name.lower())[1]
        by_kind = {".parquet": _parquet_columns, ".arrow": _arrow_columns}
        types = _merged(types, by_kind.get(kind, _json_columns)(dataset, file))
    return types


def _json_columns(dataset: Dataset, file: store.File) -> Types:
    from curation.readers.json_lines import json_rows

    types: Types = {}
    with open_stream(dataset, file, store.Patience()) as stream:
        for _, row in json_rows(stream, file.name, dataset.text_column, *file.part):
            if not isinstance(row, dict) or not isinstance(row.get(dataset.text_column), str):
                continue  # a reject
            for name, value in row.items():
                kind = _json_type(value)
                if name == dataset.url_column and isinstance(value, str):
                    kind = ADDRESS
                types[name] = _common(types.get(name, pa.null()), kind)
            if row.get(dataset.id_column) is None:
                types = _with_made_ids(dataset, types)
    return types


def _with_made_ids(dataset: Dataset, types: Types) -> Types:
    """The types where documents without an id are given one, which is no number; an id column that
    the input has not comes first."""
    name = dataset.id_column
    return {**types, name: pa.string()} if name in types else {name: pa.string(), **types}


def _json_type(value: Any) -> pa.DataType:
    if isinstance(value, dict):
        return pa.struct([(name, _json_type(item)) for name, item in value.items()])
    if isinstance(value, list):
        return pa.list_(reduce(_common, map(_json_type, value), pa.null()))
    if type(value) is int and abs(value) > _EXACT:
        return _LARGE if -(1 << 63) <= value < 1 << 63 else pa.string()
    kinds = {type(None): pa.null(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    return kinds.get(type(value), pa.string())


def _arrow_columns(dataset: Dataset, file: store.File) -> Types:
    """Of an Arrow file, which has no statistics: ids are text, and large integers may be there."""
    from curation.readers.tables import arrow_batches

    with store.open_input(file.path) as stream:
        types = {field.name: _kept(field.type) for field in arrow_batches(stream)[0]}
    if types.get(dataset.url_column) == pa.string():
        types[dataset.url_column] = ADDRESS
    return _with_made_ids(dataset, types)


def _parquet_columns(dataset: Dataset, file: store.File) -> Types:
    if (survivors := decided_table(file.path)) is not None:
        schema, path = run_columns(file.path, survivors), survivors
    else:
        schema, path = store.read_schema(file.path), file.path
    with store.open_input(path) as stream:
        metadata = pq.read_metadata(stream)
    numbers = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    types: Types = {}
    is_whole = False
    for field in schema:
        kind = types[field.name] = _kept(field.type)
        statistics = [
            metadata.row_group(group).column(numbers[field.name]).statistics
            for group in range(metadata.num_row_groups)
            if field.name in numbers
        ]
        if kind == _LARGE and all(
            s is not None and s.has_min_max and max(abs(s.min), abs(s.max)) <= _EXACT
            for s in statistics
        ):
            types[field.name] = pa.int64()
        if field.name == dataset.id_column:
            is_whole = all(s is not None and s.null_count == 0 for s in statistics)
        if field.name == dataset.url_column and kind == pa.string():
            types[field.name] = pa.string() if pa.types.is_map(field.type) else ADDRESS
    # Pieces of a document have its id, and the number of the piece is added to it.
    return types if is_whole and "piece" not in types else _with_made_ids(dataset, types)


def _kept(kind: pa.DataType) -> pa.DataType:
    """The type that holds what the reader gives of a Parquet column: its own, or text."""
    if pa.types.is_dictionary(kind):
        return _kept(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) and kind != pa.uuid():
        return _kept(kind.storage_type)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_kept(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_kept(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _kept(field.type)) for field in kind])
    if pa.types.is_float16(kind):
        return pa.float32()
    same = (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_null(kind)
    )
    return _LARGE if kind == pa.int64() else kind if same else pa.string()


def _final(kind: pa.DataType) -> pa.DataType:
    """The type of the table's column, the types of all files known."""
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_final(kind.value_type), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_final(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [(field.name, _final(field.type)) for field in kind]
        return pa.struct(fields) if 0 < _leaves(kind) <= MAX_FIELDS else pa.string()
    return {pa.null(): pa.string(), _LARGE: pa.int64()}.get(kind, kind)


def _leaves(kind: pa.DataType) -> int:
    if pa.types.is_struct(kind):
        return sum(_leaves(field.type) for field in kind)
    return _leaves(kind.value_type) if _is_list(kind) else 1


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))


def _merged(a: Types, b: Types) -> Types:
    return {name: _common(a.get(name, pa.null()), b.get(name, pa.null())) for name in {**a, **b}}


def _common(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """One type for the values of both: text (JSON) where they do not go together, or where a number
    would become another."""
    if a == b or b == pa.null():
        return a
    if a == pa.null():
        return b
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        types = _merged({f.name: f.type for f in a}, {f.name: f.type for f in b})
        return pa.struct(list(types.items())) if len(types) <= MAX_FIELDS else pa.string()
    if _is_list(a) and _is_list(b):
        return pa.list_(_common(a.value_type, b.value_type))
    kinds = {a, b}
    whole = all(pa.types.is_integer(kind) or kind == _LARGE for kind in kinds)
    if whole and pa.uint64() not in kinds:
        return _LARGE if _LARGE in kinds else pa.int64()
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)
    return pa.float64() if numbers and pa.uint64() not in kinds else pa.string()


def fitted_to(value: Any, kind: pa.DataType | None) -> Any:
    """A value (the other columns of a document, all in all) as the type found for it holds it."""
    from curation.readers.tables import json_text

    if value is None or kind is None:
        return None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json_text(value)
    if pa.types.is_struct(kind):
        return {part.name: fitted_to(value.get(part.name), part.type) for part in kind}
    if _is_list(kind) and not _is_number(kind.value_type):
        return [fitted_to(item, kind.value_type) for item in value]
    return value


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def with_address(dataset: Dataset, row: dict[str, Any], kind: pa.DataType | None) -> Any:
    """The other columns of a document, its address among them where the struct holds all of those
    (some are no strings)."""
    is_mixed = kind is not None and kind.get_field_index(dataset.url_column) >= 0
    if not is_mixed or row["url"] is None:
        return row["extra"]
    return {dataset.url_column: row["url"], **(row["extra"] or {})}


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
