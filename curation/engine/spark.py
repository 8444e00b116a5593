"""The engine for a cluster, and for `local[*]`: PySpark. The only library module that imports it.

Rows enter and leave the JVM through `mapInArrow` over files that `store` opens, so Spark needs no connector of its own and works wherever
pyarrow does. Costs 5 to 20 s to start and about a second a query.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import orjson
import pyarrow as pa

from curation import store
from curation.engine.base import Emit, Parts, Progress, Reduce, part_path, runs, silent, write_parts
from curation.engine.local import LocalEngine
from curation.engine.sorting import part_runs, reduce_part
from curation.engine.spark_session import RUN_BYTES, session, submitted
from curation.errors import CurationError, MissingExtra, TaskError, system_sentence

T = TypeVar("T")
R = TypeVar("R")


class SparkEngine:
    """A Spark session. `master` is a Spark master URL; None takes what spark-submit gave, or `local[workers]`."""

    def __init__(
        self,
        master: str | None = None,
        workers: int = 0,
        memory_gb: float = 2.0,
        progress: Progress = silent,
    ) -> None:
        if any(importlib.util.find_spec(name) is None for name in ("pandas", "pyspark")):
            raise MissingExtra("the Spark engine", "spark")
        self.memory_gb = memory_gb
        self.progress = progress
        self._folder = tempfile.mkdtemp(prefix="curation-spark-")
        self._master, self._asked_workers = master, workers
        self._session: Any = None

    @property
    def _spark(self) -> Any:
        """The session, started by the first verb that needs it: a finished run needs none."""
        if self._session is None:
            self.progress("start Spark", 0, 1)
            self._session = session(self._master, self._asked_workers, self._folder)
            self.progress("start Spark", 1, 1)
        return self._session

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return int(self._spark.sparkContext.defaultParallelism)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        if not items:
            return []
        context = self._spark.sparkContext
        context.setJobGroup(label, label)
        numbered = list(enumerate(items))
        with self._watched(label, len(items)):
            job = context.parallelize(numbered, len(items)).map(partial(_guarded, task))
            outcomes = sorted(self._collect(label, job.collect))
        self.progress(label, len(items), len(items))
        for number, failure, _ in outcomes:
            if failure:
                raise TaskError(f"{label} failed on {_name(items[number])}: {failure}")
        return [result for _, _, result in outcomes]

    def map_here(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """As `map`. On this machine, worker processes do it while Spark starts."""
        if submitted() or not (self._master or "local").startswith("local"):
            return self.map(label, task, items)
        if not items:
            return []
        local = LocalEngine(self._asked_workers, self.memory_gb, self.progress)
        try:
            with ThreadPoolExecutor(1) as thread:
                started = thread.submit(lambda: self._spark)
                results = local.map(label, task, items)
                started.result()
        finally:
            local.close()
        return results

    def sql(
        self,
        query: str,
        tables: Mapping[str, store.Table],
        out: str,
        schema: pa.Schema,
        digest: str,
        *,
        partition_by: str | None = None,
        sort_by: Sequence[str],
    ) -> Parts:
        for name, table in tables.items():
            self._read(table).createOrReplaceTempView(name)
        columns = list(dict.fromkeys([*schema.names, *([partition_by] if partition_by else [])]))
        rows = self._spark.sql(query).select(*columns)
        rows = rows.repartition(self.workers, partition_by) if partition_by else rows.repartition(1)
        ordered = rows.sortWithinPartitions(*([partition_by] if partition_by else []), *sort_by)
        write = partial(_write, out, schema, digest, partition_by)
        written = self._collect(out, ordered.mapInArrow(write, "value bigint, rows bigint").collect)
        parts = sorted((row[0], row[1]) for row in written)
        if not parts and partition_by is None:
            with store.TableWriter(part_path(out, 0), schema, digest):
                pass
        return parts

    def shuffle(
        self,
        label: str,
        emit: Emit,
        items: Sequence[Any],
        parts: int,
        reduce: Reduce,
        schema: pa.Schema,
        sort_by: Sequence[str],
    ) -> list[Any]:
        self.progress(label, 0, parts)
        sources = self._numbers(len(items), 16 * self.workers)
        packed = sources.mapInArrow(
            partial(_emit, emit, list(items), schema), "part bigint, run binary"
        )
        spread = packed.repartition(min(parts, 4 * self.workers) or 1, "part").sortWithinPartitions(
            "part"
        )
        memory = max(0.25, self.memory_gb / self.workers)
        reduced = spread.mapInArrow(
            partial(_reduce, reduce, schema, tuple(sort_by), memory), "part bigint, result binary"
        )
        results = {
            row[0]: orjson.loads(bytes(row[1])) for row in self._collect(label, reduced.collect)
        }
        empty = [part for part in range(parts) if part not in results]
        results.update(
            zip(empty, self.map(label, partial(_reduce_nothing, reduce), empty), strict=True)
        )
        self.progress(label, parts, parts)
        return [results[part] for part in range(parts)]

    def close(self) -> None:
        if self._session is not None:
            self._session.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, table: store.Table) -> Any:
        return self._numbers(len(table.paths), 2 * self.workers).mapInArrow(
            partial(_read, table.paths, table.schema), _spark_schema(table.schema)
        )

    def _numbers(self, n: int, most: int) -> Any:
        """0 ... n - 1, spread over at most `most` tasks: each costs a tenth of a second."""
        return self._spark.range(0, n, 1, max(1, min(n, most)))

    def _collect(self, label: str, action: Callable[[], Any]) -> Any:
        from pyspark.errors import PySparkException

        try:
            return action()
        except PySparkException as error:
            raise TaskError(f"{label} failed: {_cause(str(error))}") from error
        except Exception as error:  # py4j's own class, which pyspark does not re-export
            if type(error).__name__ != "Py4JJavaError":
                raise
            raise TaskError(f"{label} failed: {_cause(str(error))}") from error

    def _watched(self, label: str, total: int) -> _Watch:
        return _Watch(self._spark.sparkContext.statusTracker(), label, total, self.progress)


class _Watch:
    """Reports a job group's finished tasks twice a second while the block runs."""

    def __init__(self, tracker: Any, label: str, total: int, progress: Progress) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(tracker, label, total, progress), daemon=True
        )

    def _run(self, tracker: Any, label: str, total: int, progress: Progress) -> None:
        while not self._stop.wait(0.5):
            jobs = tracker.getJobIdsForGroup(label)
            infos = [tracker.getJobInfo(job) for job in jobs[:1]]
            stages = [tracker.getStageInfo(s) for info in infos if info for s in info.stageIds]
            progress(
                label, min(total, sum(stage.numCompletedTasks for stage in stages if stage)), total
            )

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _name(item: Any) -> str:
    return f"part {item[0]}" if isinstance(item, tuple) else str(item)


def _cause(text: str) -> str:
    """The last line of the Python traceback inside a Spark error, or its first line."""
    lines = [line.strip() for line in text.splitlines()]
    named = [
        line for line in lines if re.match(r"^[A-Za-z_.]*(Error|Exception|Interrupt)\b.*:", line)
    ]
    inner = [
        line for line in named if not line.startswith(("org.apache", "java.", "py4j", "pyspark."))
    ]
    chosen = (inner or named or lines or ["unknown"])[-1 if inner else 0]
    return re.sub(r"^curation\.errors\.\w+: ", "", chosen)


# ---- what runs on the executors --------------------------------------------------------------------------------------------------------


def _guarded(task: Callable[[Any], Any], numbered: tuple[int, Any]) -> tuple[int, str, Any]:
    """Failures come back as values: Spark would otherwise run a failing task four times and abandon its siblings."""
    number, item = numbered
    try:
        return number, "", task(item)
    except CurationError as error:
        return number, str(error), None
    except OSError as error:
        return number, system_sentence(error), None
    except (
        Exception
    ) as error:  # whatever a task raises is reported with its shard; the driver raises
        return number, f"{type(error).__name__}: {error}".splitlines()[0], None


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema as Spark can hold it: fixed-size binary becomes binary."""
    return pa.schema(
        [
            pa.field(f.name, pa.binary() if pa.types.is_fixed_size_binary(f.type) else f.type)
            for f in schema
        ]
    )


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(_plain(schema))


def _read(
    paths: Sequence[str], schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    plain = _plain(schema)
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for group in store.read_groups(paths[number], schema.names):
                yield group.cast(plain)


def _write(
    out: str,
    schema: pa.Schema,
    digest: str,
    partition_by: str | None,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    for value, rows in write_parts(batches, out, schema, digest, partition_by):
        yield pa.record_batch(
            {"value": pa.array([value], pa.int64()), "rows": pa.array([rows], pa.int64())}
        )


def _emit(
    emit: Emit, items: Sequence[Any], schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Runs of rows of one part, each as the bytes of an Arrow batch: one row to Spark, to which rows are dear."""
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for part, rows in part_runs(emit(items[number]), schema):
                step = max(1, RUN_BYTES * rows.num_rows // max(1, rows.nbytes))
                for start in range(0, rows.num_rows, step):
                    run = rows.slice(start, step).serialize().to_pybytes()
                    yield pa.record_batch(
                        {"part": pa.array([part], pa.int64()), "run": pa.array([run], pa.binary())}
                    )


def _reduce(
    reduce: Reduce,
    schema: pa.Schema,
    sort_by: Sequence[str],
    memory_gb: float,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    from itertools import groupby

    with tempfile.TemporaryDirectory(
        dir=os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
    ) as spill:
        for number, slices in groupby(runs(batches, "part"), key=lambda pair: pair[0]):
            rows = (
                pa.ipc.read_record_batch(run.as_buffer(), schema)
                for _, held in slices
                for run in held.column("run")
            )
            result = reduce_part(reduce, number, rows, schema, sort_by, spill, memory_gb)
            yield pa.record_batch(
                {
                    "part": pa.array([number], pa.int64()),
                    "result": pa.array([orjson.dumps(result)], pa.binary()),
                }
            )


def _reduce_nothing(reduce: Reduce, part: int) -> Any:
    return orjson.loads(orjson.dumps(reduce(part, iter(()))))
