"""What a user's signal may be given and may return: batches nobody can write to, and their checks.

A number becomes float64 (whole numbers and fractions may alternate between batches), a flag bool, a
text string, spans `list<struct<start, end>>`. Arrays of nulls only take the type that was found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.rundir import schema
from curation.shown import brief

SPANS = pa.list_(schema.SPAN)
MAX_COLUMNS = 100
MAX_TEXT_BYTES = 4096  # of one value
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TEXTS = (
    "The quick brown fox jumps over the lazy dog. It was a bright day in April, and 13 clocks struck.",
    "Line one\nLine two\n\n- a list\n- of 2 items\n",
    "a",
    "1234567890 3.14 2,000",
    "Ünïcödé — 日本語のテキスト、 русский текст. \U0001f600",
    '{"code": [1, 2, 3]}; if (x < 3) { return y; }',
    "word " * 200,
    "Mail me@example.org or see https://example.org/a?b=c ...",
)


def example_documents(columns: Sequence[str], extra: pa.DataType | None) -> pa.RecordBatch:
    """A few documents with some of the columns, on which signals are tried; `extra` is null."""
    rows = len(_TEXTS)
    known: dict[str, pa.Array] = {}
    for field in schema.DOCUMENTS:
        known[field.name] = _example_column(field.name, field.type, rows)
    known["extra"] = pa.nulls(rows, extra or pa.struct([]))
    return pa.record_batch([known[name] for name in columns], names=list(columns))


def _example_column(name: str, kind: pa.DataType, rows: int) -> pa.Array:
    if name == "text":
        return pa.array(_TEXTS, kind)
    if name == "url":
        return pa.array([None, *(f"https://www.example.org/{i}/a-b.html" for i in range(1, rows))])
    if name == "date":
        return pa.array([None, *(f"2024-01-{i + 1:02d}T10:00:00Z" for i in range(1, rows))])
    if name == "language":
        return pa.array(["en"] * rows)
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([bytes([i] * kind.byte_width) for i in range(rows)], kind)
    if pa.types.is_string(kind):
        return pa.array([None, *(f"{name} {i}" for i in range(1, rows))], kind)
    if pa.types.is_boolean(kind):
        return pa.array([None, *(i % 2 == 0 for i in range(1, rows))], kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pa.array([None, *range(1, rows)], pa.int64()).cast(kind)
    return pa.nulls(rows, kind)


def read_only(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy in memory that neither Arrow nor NumPy lets anyone write to."""
    copy = pa.py_buffer(batch.serialize().to_pybytes())
    return pa.ipc.read_record_batch(copy, batch.schema)


def types_of(result: Mapping[str, Any], taken: Collection[str]) -> dict[str, pa.DataType]:
    """The columns of a result, and the type that each is kept as. Raises ValueError."""
    if not 0 < len(result) <= MAX_COLUMNS:
        raise ValueError(f"1 to {MAX_COLUMNS} columns expected, got {len(result)}")
    lower = {name.lower() for name in taken}
    types = {}
    for name, array in result.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"a column's name of letters, digits and _ expected, got {brief(name)}"
            )
        if name.lower() in lower:
            raise ValueError(f"the name {name} is taken by another column; choose another")
        lower.add(name.lower())
        types[name] = _kept_type(name, _array(name, array).type)
    # A dictionary made from a set has another order in every process.
    return dict(sorted(types.items()))


def columns_of(
    result: Mapping[str, Any], documents: pa.RecordBatch, types: Mapping[str, pa.DataType]
) -> dict[str, pa.Array]:
    """The arrays of a result, checked, as the types they are kept as. Raises ValueError."""
    if result.keys() != types.keys():
        raise ValueError(f"the columns {_listed(types)} expected, got {_listed(result)}")
    columns = {}
    for name, kind in types.items():
        array = _array(name, result[name])
        if len(array) != documents.num_rows:
            raise ValueError(f"{name}: {documents.num_rows:,} values expected, got {len(array):,}")
        array.validate(full=True)
        if not pa.types.is_null(array.type) and _kept_type(name, array.type) != kind:
            raise ValueError(f"{name}: {kind} expected, as before, got {array.type}")
        columns[name] = _kept(name, array, kind, documents)
    return columns


def _listed(names: Collection[Any]) -> str:
    return ", ".join(sorted(map(str, names)))[:200]


def _array(name: str, value: Any) -> pa.Array:
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if not isinstance(value, pa.Array):
        raise ValueError(
            f"{name}: a pyarrow array expected, got {type(value).__name__}; return pa.array(...)"
        )
    return value.dictionary_decode() if pa.types.is_dictionary(value.type) else value


def _kept_type(name: str, kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_boolean(kind):
        return pa.bool_()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = kind.value_type
        if pa.types.is_struct(item) and [item.field(i).name for i in range(item.num_fields)] == [
            "start",
            "end",
        ]:
            return SPANS
    if pa.types.is_null(kind):
        raise ValueError(
            f"{name}: only nulls without a type; write pa.array(values, pa.float64()) or another type"
        )
    raise ValueError(
        f"{name}: numbers, flags, texts, or lists of spans (structs of start and end) expected, "
        f"got {str(kind)[:100]}"
    )


def _kept(name: str, array: pa.Array, kind: pa.DataType, documents: pa.RecordBatch) -> pa.Array:
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64(), safe=False)
    try:
        array = array.cast(kind)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{name}: {str(error).splitlines()[0]}") from error
    if kind == pa.float64():
        return pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    if kind == pa.string():
        longest = pc.max(pc.binary_length(array)).as_py() or 0
        if longest > MAX_TEXT_BYTES:
            raise ValueError(f"{name}: at most {MAX_TEXT_BYTES:,} bytes a value, got {longest:,}")
    if kind == SPANS:
        _check_spans(name, array, documents)
    return array


def _check_spans(name: str, array: pa.Array, documents: pa.RecordBatch) -> None:
    """Raise ValueError unless spans are code points of the text, ascending, and do not overlap."""
    if "text" not in documents.schema.names:
        raise ValueError(f"{name}: spans are of the text; put text into the signal's columns")
    flat = array.flatten()
    if flat.null_count or any(flat.field(i).null_count for i in range(2)):
        raise ValueError(f"{name}: spans without nulls expected")
    start, end = (flat.field(i).to_numpy() for i in range(2))
    parent = pc.list_parent_indices(array).to_numpy()
    chars = pc.fill_null(pc.utf8_length(documents.column("text")), 0).to_numpy().astype(np.int64)
    bad = (start < 0) | (end <= start) | (end > chars[parent])
    bad[1:] |= (parent[1:] == parent[:-1]) & (start[1:] < end[:-1])
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{name}: spans in the text, ascending and apart expected, got {start[at]} to {end[at]} "
            f"in a text of {chars[parent[at]]} characters"
        )
