"""DuckDB: a connection that spills to disk, tables as views, the sorted rows of a query, and the
values of expressions that a person wrote.

The only module that imports DuckDB. Tables on a disk are read by DuckDB itself, others through the
file systems of `store`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa

from curation.interrupts import put_off
from curation.store.paths import is_remote
from curation.store.tables import Table, dataset

BATCH_ROWS = 8192
# Of expressions: no file, no network, no extension, no clock of the machine's zone, nothing on disk.
_CLOSED = {
    "enable_external_access": False,
    "threads": 1,
    "memory_limit": "256MB",
    "temp_directory": "",
    "enable_external_file_cache": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "preserve_insertion_order": True,
    "error_on_division_by_zero": False,
    "ieee_floating_point_ops": False,
    # Else `a * b > 0` is rewritten, and an overflow fails or not by what the optimizer knows.
    "enable_optimizer": False,
}
MAX_REASON = 200  # characters of DuckDB's reason
_PLACE = "row of the table"  # the column that shows that rows keep their order


def connect(spill: str, memory_gb: float, threads: int) -> Any:
    """A DuckDB connection that writes to the folder `spill` what `memory_gb` does not hold."""
    import duckdb

    settings = {
        "threads": threads,
        "memory_limit": f"{max(256, int(memory_gb * 1000))}MB",
        "temp_directory": os.path.join(spill, "duckdb"),
        # A table may be written anew under its name.
        "enable_external_file_cache": False,
    }
    return duckdb.connect(config=settings)


@contextlib.contextmanager
def interrupts_end(connection: Any) -> Iterator[None]:
    """In this block ctrl-C ends the query that runs, and is raised where the block ends.

    Trap: raised inside DuckDB it reaches the caller as a RuntimeError, and while DuckDB reads rows
    that Python yields it can end the process.
    """
    with put_off(connection.interrupt):
        yield


def create_view(connection: Any, name: str, table: Table) -> None:
    """Let queries call a table's files `name`."""
    if table.paths and not is_remote(table.paths[0]):
        # DuckDB takes paths for patterns, and a folder called dataset=x for a column.
        literal = [re.sub(r"[*?\[]", r"[\g<0>]", path).replace("'", "''") for path in table.paths]
        files = ", ".join(f"'{path}'" for path in literal)
        columns = ", ".join(f'"{column}"' for column in table.schema.names)
        connection.execute(
            f'CREATE OR REPLACE VIEW "{name}" AS SELECT {columns} '
            f"FROM read_parquet([{files}], hive_partitioning = false)"
        )
    else:
        connection.register(name, dataset(table))


def sorted_rows(connection: Any, query: str, columns: Sequence[str], order: Sequence[str]) -> Any:
    """A query's rows sorted by the columns `order`, as a pyarrow RecordBatchReader."""
    ordered = ", ".join(f'"{name}" ASC NULLS LAST' for name in order)
    names = ", ".join(f'"{name}"' for name in columns)
    text = f"SELECT {names} FROM ({query}) AS q ORDER BY {ordered}"
    return connection.sql(text).to_arrow_reader(BATCH_ROWS)


def parsed_select(text: str) -> list[Any]:
    """The syntax tree of each statement of a query of SELECTs, as DuckDB writes it in JSON.

    Nothing is run. Raises ValueError where it is no such query, or nested too deep.
    """
    with _closed() as connection:
        rows = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    try:
        tree = orjson.loads(rows[0][0])
    except orjson.JSONDecodeError as error:
        raise ValueError("nested too deep") from error
    if tree["error"]:
        raise ValueError(_sentence(tree["error_message"]))
    return list(tree["statements"])


def expression_type(expression: str, columns: pa.Schema) -> str:
    """DuckDB's name of the type of an expression over these columns. Nothing is run.

    Raises ValueError where a name, a type or a function does not fit.
    """
    import duckdb

    with _closed() as connection:
        try:
            connection.register("t", columns.empty_table())
            return str(connection.sql(f"SELECT (\n{expression}\n) FROM t").types[0])
        except duckdb.Error as error:
            raise ValueError(_sentence(str(error))) from error


def expression_values(expressions: Sequence[str], rows: pa.Table) -> pa.Table:
    """The value of each expression for each row, in the order of the rows.

    Division by zero is null. Raises ValueError where an expression fails on a row.
    """
    import duckdb

    place = pa.array(range(rows.num_rows), pa.int64())
    values = ", ".join(f"(\n{text}\n) AS v{number}" for number, text in enumerate(expressions))
    with _closed() as connection:
        try:
            connection.register("t", rows.append_column(_PLACE, place))
            result = connection.sql(f'SELECT "{_PLACE}", {values} FROM t').to_arrow_table()
        except duckdb.Error as error:
            raise ValueError(_sentence(str(error))) from error
    if not result.column(0).combine_chunks().equals(place):
        raise AssertionError("DuckDB changed the order of the rows")
    return result.drop_columns([_PLACE])


@contextlib.contextmanager
def _closed() -> Iterator[Any]:
    """A connection for expressions: it reaches nothing outside, and its settings are locked."""
    with put_off():
        connection = _closed_database().cursor()
    with interrupts_end(connection):
        yield connection


@functools.cache
def _closed_database() -> Any:
    import duckdb

    connection = duckdb.connect(config=_CLOSED)
    for setting in ("TimeZone = 'UTC'", "lock_configuration = true"):
        connection.execute(f"SET {setting}").fetchall()
    return connection


def _sentence(text: str) -> str:
    """The first line of an error of DuckDB, without its kind.

    >>> _sentence("Out of Range Error: Overflow in addition!\\n\\nLINE 1: SELECT 1")
    'Overflow in addition!'
    """
    line = text.strip().partition("\n")[0]
    if line.startswith("Max expression depth"):
        return "nested too deep"
    return re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", line)[:MAX_REASON]
