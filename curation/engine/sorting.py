"""The two ends of a shuffle, which both engines share: rows cut into runs of one part, and the runs
of a part sorted and reduced.

An engine only has to bring the runs of a part to one place. Rows are sorted where they are reduced,
by DuckDB below a memory limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from curation.engine.base import Reduce, runs
from curation.store.query import connect, interrupts_end, sorted_rows

EMIT_BYTES = 64 << 20


def part_runs(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows that a task emits as (part, rows of that part).

    At most EMIT_BYTES are gathered before they are cut, so that runs are long where parts are few.
    """
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
            size += batch.nbytes
        if size >= EMIT_BYTES:
            yield from _runs_by_part(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield from _runs_by_part(waiting, schema)


def _runs_by_part(
    batches: Sequence[pa.RecordBatch], schema: pa.Schema
) -> Iterator[tuple[int, pa.RecordBatch]]:
    table = pa.Table.from_batches(batches, schema).sort_by("part").combine_chunks()
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
        with interrupts_end(connection):
            connection.register("rows", pa.RecordBatchReader.from_batches(schema, batches))
            reader = sorted_rows(connection, "SELECT * FROM rows", schema.names, sort_by)
            return reduce(part, (batch.cast(schema) for batch in reader))
    finally:
        connection.close()
