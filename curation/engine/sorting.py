"""Sorting that spills: DuckDB below a memory limit, and the two ends of a shuffle, which both engines share.

The engine between the two ends only has to bring the runs of a part to one place; rows are sorted where they are reduced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from curation import store
from curation.engine.base import Reduce, runs

EMIT_BYTES = 64 << 20
BATCH_ROWS = 8192


def connect(spill: str, memory_gb: float, threads: int) -> Any:
    """A DuckDB connection that writes to the folder `spill` what `memory_gb` does not hold."""
    import duckdb

    settings = {
        "threads": threads,
        "memory_limit": f"{max(256, int(memory_gb * 1000))}MB",
        "temp_directory": os.path.join(spill, "duckdb"),
        "enable_external_file_cache": False,  # a table may be written anew under its name
    }
    return duckdb.connect(config=settings)


def view(connection: Any, name: str, table: store.Table) -> None:
    """Let queries call a table's files `name`. DuckDB reads those on a disk itself; others come through `store`."""
    if table.paths and not store.is_remote(table.paths[0]):
        literal = [
            re.sub(r"[*?\[]", r"[\g<0>]", path) for path in table.paths
        ]  # DuckDB takes paths for patterns
        columns = ", ".join(f'"{column}"' for column in table.schema.names)
        files = connection.read_parquet(
            literal, hive_partitioning=False
        )  # nor is a folder called dataset=x a column
        files.project(columns).create_view(name)
    else:
        connection.register(name, store.dataset(table))


def in_order(connection: Any, query: str, columns: Sequence[str], order: Sequence[str]) -> Any:
    """A query's rows in the order of the columns `order`, as a pyarrow RecordBatchReader."""
    ordered = ", ".join(f'"{name}" ASC NULLS LAST' for name in order)
    names = ", ".join(f'"{name}"' for name in columns)
    return connection.sql(f"SELECT {names} FROM ({query}) AS q ORDER BY {ordered}").to_arrow_reader(
        BATCH_ROWS
    )


def part_runs(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """What a task emits as (part, rows of that part): at most EMIT_BYTES are held, so that runs are long where parts are few."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
            size += batch.nbytes
        if size >= EMIT_BYTES:
            yield from _by_part(held, schema)
            held, size = [], 0
    if held:
        yield from _by_part(held, schema)


def _by_part(
    held: Sequence[pa.RecordBatch], schema: pa.Schema
) -> Iterator[tuple[int, pa.RecordBatch]]:
    table = pa.Table.from_batches(held, schema).sort_by("part").combine_chunks()
    return runs(table.to_batches(), "part")


def reduce_part(
    reduce: Reduce,
    part: int,
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    sort_by: Sequence[str],
    spill: str,
    memory_gb: float,
) -> Any:
    """`reduce(part, rows)`, the rows of all runs of a part streamed in the order of `sort_by`."""
    connection = connect(spill, memory_gb, 1)
    try:
        connection.register("rows", pa.RecordBatchReader.from_batches(schema, batches))
        reader = in_order(connection, "SELECT * FROM rows", schema.names, sort_by)
        return reduce(part, (batch.cast(schema) for batch in reader))
    finally:
        connection.close()
