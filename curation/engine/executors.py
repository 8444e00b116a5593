"""What runs on Spark's executors: tasks, tables read and written, and the two ends of a shuffle.

Rows travel as Arrow batches. A task that fails says which item it failed on. Nothing here imports
pyspark.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import orjson
import pyarrow as pa

from curation import store
from curation.engine.base import Reduce, runs, task_error, write_parts
from curation.engine.sorting import part_runs, reduce_part
from curation.engine.tasks import Cost, measured
from curation.errors import TaskError

RUN_BYTES = 8 << 20  # of a run that Spark moves as one row


class Shared(Protocol):
    """A pickled value that is sent to each machine once, not with each task: one of Spark's
    broadcasts."""

    value: bytes


@functools.lru_cache(maxsize=2)
def _loaded(pickled: bytes) -> Any:
    """What was shared, unpickled once a process."""
    return pickle.loads(pickled)


def result_or_failure(
    label: str,
    terms: Any,
    task: Shared,
    numbered: tuple[int, Any],
) -> tuple[int, str, tuple[Any, Cost] | None]:
    """The item's number, one line if the task failed, and its result with what it cost.

    A failure comes back as a value: Spark would otherwise run a failing task four times and abandon
    the others.
    """
    number, item = numbered
    try:
        with _failures_named(label, item):
            return number, "", store.under_terms(terms, measured, _loaded(task.value), item)
    except TaskError as error:
        return number, str(error), None


@contextlib.contextmanager
def _failures_named(label: str, item: Any) -> Iterator[None]:
    """Whatever the block raises becomes a TaskError that names the label and the item."""
    try:
        yield
    # A task may raise anything, and all of it is reported with the item.
    except Exception as error:
        raise task_error(label, item, error) from error


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema as Spark can hold it: fixed-size binary becomes binary."""
    return pa.schema(
        [
            pa.field(f.name, pa.binary() if pa.types.is_fixed_size_binary(f.type) else f.type)
            for f in schema
        ]
    )


def read_tables(
    paths: Shared, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The rows of the tables whose numbers arrive, as plain Arrow types."""
    plain = plain_schema(schema)
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for group in store.read_groups(_loaded(paths.value)[number], schema.names):
                yield group.cast(plain)


def write_tables(
    out: str,
    schema: pa.Schema,
    digest: str,
    partition_by: str | None,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Write the rows that arrive as parts of a result; yield what was written."""
    for value, rows in write_parts(batches, out, schema, digest, partition_by):
        yield pa.record_batch(
            {"value": pa.array([value], pa.int64()), "rows": pa.array([rows], pa.int64())}
        )


def emit_runs(
    label: str,
    shared: Shared,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Runs of rows of one part, each as the bytes of an Arrow batch: one row to Spark, where each
    row costs. `shared`: `emit`, and the items whose numbers arrive."""
    emit, items = _loaded(shared.value)
    for batch in batches:
        for number in batch.column(0).to_pylist():
            with _failures_named(label, items[number]):
                yield from _packed_runs(part_runs(emit(items[number]), schema))


def _packed_runs(parts: Iterator[tuple[int, pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    for part, rows in parts:
        step = max(1, RUN_BYTES * rows.num_rows // max(1, rows.nbytes))
        for start in range(0, rows.num_rows, step):
            run = rows.slice(start, step).serialize().to_pybytes()
            yield pa.record_batch(
                {"part": pa.array([part], pa.int64()), "run": pa.array([run], pa.binary())}
            )


def reduce_runs(
    label: str,
    reduce: Reduce,
    schema: pa.Schema,
    sort_by: Sequence[str],
    memory_gb: float,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Sort the rows of each part that arrives, reduce it, and yield what the reducer returns."""
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
    with tempfile.TemporaryDirectory(dir=folder) as spill:
        by_part = itertools.groupby(runs(batches, "part"), key=lambda pair: pair[0])
        for number, slices in by_part:
            rows = (
                pa.ipc.read_record_batch(run.as_buffer(), schema)
                for _, packed in slices
                for run in packed.column("run")
            )
            with _failures_named(label, f"part {number}"):
                result = reduce_part(reduce, number, rows, schema, sort_by, spill, memory_gb)
            yield pa.record_batch(
                {
                    "part": pa.array([number], pa.int64()),
                    "result": pa.array([orjson.dumps(result)], pa.binary()),
                }
            )


def reduce_nothing(reduce: Reduce, item: tuple[str, int]) -> tuple[int, Any]:
    """A part without rows and its result, as the other parts' results come back: through JSON."""
    _, part = item
    return part, orjson.loads(orjson.dumps(reduce(part, iter(()))))
