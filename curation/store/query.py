"""DuckDB: a connection that spills to disk, tables as views, and the sorted rows of a query.

The only module that imports DuckDB. Tables on a disk are read by DuckDB itself, others through the
file systems of `store`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from curation.store.paths import is_remote
from curation.store.tables import Table, dataset

BATCH_ROWS = 8192


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


def create_view(connection: Any, name: str, table: Table) -> None:
    """Let queries call a table's files `name`."""
    if table.paths and not is_remote(table.paths[0]):
        # DuckDB takes paths for patterns, and a folder called dataset=x for a column.
        literal = [re.sub(r"[*?\[]", r"[\g<0>]", path) for path in table.paths]
        files = connection.read_parquet(literal, hive_partitioning=False)
        files.project(", ".join(f'"{column}"' for column in table.schema.names)).create_view(name)
    else:
        connection.register(name, dataset(table))


def sorted_rows(connection: Any, query: str, columns: Sequence[str], order: Sequence[str]) -> Any:
    """A query's rows sorted by the columns `order`, as a pyarrow RecordBatchReader."""
    ordered = ", ".join(f'"{name}" ASC NULLS LAST' for name in order)
    names = ", ".join(f'"{name}"' for name in columns)
    text = f"SELECT {names} FROM ({query}) AS q ORDER BY {ordered}"
    return connection.sql(text).to_arrow_reader(BATCH_ROWS)
