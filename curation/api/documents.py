"""Rows in memory -> the tables that `extract` would write of them: documents/ and rejects/.

Text by text it does what `extract` does with a row of a table, without a file in between. Row
numbers stand in `offset`, so the user's own rows are found again.

Trap: ids that are made name a file, as those of `extract` do; here it is called `table.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.api.data import Columns
from curation.digests import text_digest
from curation.errors import InputError
from curation.readers.json_lines import MAX_LINE_BYTES
from curation.readers.tables import id_text
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.survivors import char_lengths

FILE = "table.parquet"
GROUP_ROWS = 4096


def made_id(dataset: str, row: int) -> str:
    """The id of a row that has none, as `extract` makes it.

    >>> made_id("input", 0)
    '904505f64de0dedd76d8e8a9b05e70d7'
    """
    return text_digest(f"{dataset}\x00{FILE}\x00{row}".encode()).hex()


def row_ids(column: Any, dataset: str, start: int, rows: int) -> list[str]:
    """The id of each of some rows as text, those made that the column (or None) has not."""
    given: Sequence[Any] = [None] * rows if column is None else column.to_pylist()
    return [
        (value if isinstance(value, str) else id_text(value)) or made_id(dataset, row)
        for row, value in enumerate(given, start)
    ]


def check_ids(values: Sequence[str], name: str) -> None:
    """Raise InputError where an id is there twice."""
    if len(set(values)) == len(values):
        return
    seen: set[str] = set()
    twice = next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
    raise InputError(
        f"{name}: the id {twice!r} is there {values.count(twice)} times; ids must be unique in a "
        "dataset (remove the column, or name another with id_column=)"
    )


def with_ids(table: pa.Table, column: str, ids: Sequence[str]) -> pa.Table:
    """The table with an id in every row, as a step writes it: its own column where that is whole,
    else one of text, in front where there was none.

    >>> with_ids(pa.table({"n": [5]}), "id", ["a"]).to_pydict()
    {'id': ['a'], 'n': [5]}
    """
    if column not in table.column_names:
        return table.add_column(0, column, pa.array(ids, pa.string()))
    own = table.column(column)
    is_text = pa.types.is_string(own.type) or pa.types.is_large_string(own.type)
    if not own.null_count and not (is_text and pc.any(pc.equal(own, "")).as_py()):
        return table
    return table.set_column(table.column_names.index(column), column, pa.array(ids, pa.string()))


def write_documents(
    rundir: RunDirectory, shard: Shard, table: pa.Table, columns: Columns, start: int = 0
) -> list[str]:
    """Write documents/ and rejects/ of one shard from rows with the columns that mean something.

    `start` is the number of its first row. Returns the ids of all rows.
    """
    counts: ledger.Ledger = {}
    all_ids: list[str] = []
    with (
        store.TableWriter(rundir.documents(shard), schema.DOCUMENTS, "memory") as documents,
        store.TableWriter(rundir.table("rejects", shard), schema.REJECTS, "memory") as rejects,
    ):
        for first in range(0, table.num_rows, GROUP_ROWS):
            part = table.slice(first, GROUP_ROWS)
            kept, refused, ids = _rows(part, shard.dataset, columns, start + first)
            documents.write(kept)
            rejects.write(refused)
            _count(counts, kept, refused)
            all_ids += ids
        ledger.check("extract", str(shard), counts)
        documents.ledger = rejects.ledger = counts
    return all_ids


def _rows(
    table: pa.Table, dataset: str, columns: Columns, start: int
) -> tuple[pa.RecordBatch, pa.RecordBatch, list[str]]:
    """Documents and rejects of some rows, and the ids of all of them."""
    n = table.num_rows
    text = plain_text(table.column(columns.text))
    ids_column = table.column(columns.id) if columns.id in table.column_names else None
    made = row_ids(ids_column, dataset, start, n)
    url = _urls(table, columns.url)
    values = text.to_pylist()
    sizes = pc.fill_null(pc.binary_length(text), 0).to_numpy()
    reasons = [
        "missing_text" if value is None else "empty" if not value.strip() else None
        for value in values
    ]
    for row in np.flatnonzero(sizes > MAX_LINE_BYTES).tolist():
        reasons[row] = "too_large"
    is_kept = np.array([reason is None for reason in reasons], bool)
    rows, others = np.flatnonzero(is_kept), np.flatnonzero(~is_kept)
    kept = {
        "id": pa.array([made[row] for row in rows.tolist()], pa.string()),
        "url": url.take(pa.array(rows)),
        "text": text.take(pa.array(rows)),
        "content": pa.array(
            [text_digest(values[row].encode()) for row in rows.tolist()], pa.binary(16)
        ),
        "offset": pa.array(rows + start, pa.int64()),
        "archive": pa.repeat(pa.scalar(FILE), len(rows)),
    }
    refused = {
        "url": url.take(pa.array(others)),
        "archive": pa.repeat(pa.scalar(FILE), len(others)),
        "offset": pa.array(others + start, pa.int64()),
        "reason": pa.array([reasons[row] for row in others.tolist()], pa.string()),
        "detail": pa.array(
            [_detail(str(reasons[row]), columns.text) for row in others.tolist()], pa.string()
        ),
    }
    return _batch(kept, schema.DOCUMENTS), _batch(refused, schema.REJECTS), made


def _batch(columns: dict[str, pa.Array], fields: pa.Schema) -> pa.RecordBatch:
    """The columns in the order of a schema, nulls where there is none."""
    n = len(next(iter(columns.values())))
    arrays = [columns.get(field.name, pa.nulls(n, field.type)) for field in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=fields)


def plain_text(column: pa.ChunkedArray) -> pa.Array:
    """A column of texts as one array of strings."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    column = column.cast(pa.string()).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks else pa.array([], pa.string())
    return column


def _urls(table: pa.Table, name: str) -> pa.Array:
    """The addresses, null where there is none or it is no text."""
    column = table.column(name) if name in table.column_names else None
    kind = None if column is None else column.type
    if kind is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return pa.nulls(table.num_rows, pa.string())
    url = plain_text(column)
    return pc.if_else(pc.equal(url, ""), None, url)


def _detail(reason: str, column: str) -> str:
    return {
        "missing_text": f"column {column!r} is null or absent",
        "empty": "only white space",
        "too_large": f"a string of more than {MAX_LINE_BYTES} bytes",
    }[reason]


def _count(counts: ledger.Ledger, kept: pa.RecordBatch, refused: pa.RecordBatch) -> None:
    chars = int(char_lengths(kept.column("text")).sum())
    ledger.add(counts, ledger.IN, kept.num_rows + refused.num_rows, chars)
    ledger.add(counts, ledger.KEPT, kept.num_rows, chars)
    for reason in pc.unique(refused.column("reason")).to_pylist():
        same = pc.sum(pc.equal(refused.column("reason"), reason)).as_py()
        ledger.add(counts, reason, same)
