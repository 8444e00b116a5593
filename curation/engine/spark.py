"""The engine for a cluster, and for `local[*]`: PySpark. The only library module that imports it.

Rows enter and leave the JVM through `mapInArrow` over files that `store` opens, so Spark needs no
connector of its own and works wherever pyarrow does. Costs 5 to 20 s to start and about a second a
query. Which Java it runs on is decided in `java.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson
import pyarrow as pa

from curation import store
from curation.engine.base import Emit, Parts, Progress, Reduce, part_path, silent
from curation.engine.executors import (
    RUN_BYTES,
    emit_runs,
    plain_schema,
    read_tables,
    reduce_nothing,
    reduce_runs,
    result_or_failure,
    write_tables,
)
from curation.engine.java import java_home
from curation.errors import MissingExtra, RunError, TaskError

T = TypeVar("T")
R = TypeVar("R")


class SparkEngine:
    """A Spark session. `master` is a Spark master URL; None takes what spark-submit gave, or
    `local[workers]`."""

    def __init__(
        self,
        master: str | None = None,
        workers: int = 0,
        memory_gb: float = 2.0,
        progress: Progress = silent,
    ) -> None:
        try:
            import pandas  # noqa: F401  mapInArrow needs it
            import pyspark  # noqa: F401
        except ImportError as error:
            raise MissingExtra("the Spark engine", "spark") from error
        self.memory_gb = memory_gb
        self.progress = progress
        self._folder = tempfile.mkdtemp(prefix="curation-spark-")
        self._spark = _session(master, workers, self._folder)
        self.workers = int(self._spark.sparkContext.defaultParallelism)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        if not items:
            return []
        context = self._spark.sparkContext
        context.setJobGroup(label, label)
        numbered = list(enumerate(items))
        with self._watched(label, len(items)):
            job = context.parallelize(numbered, len(items)).map(
                partial(result_or_failure, label, task)
            )
            outcomes = sorted(self._collect(label, job.collect))
        self.progress(label, len(items), len(items))
        for _, failure, _ in outcomes:
            if failure:
                raise TaskError(failure)
        return [result for _, _, result in outcomes]

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
        write = partial(write_tables, out, schema, digest, partition_by)
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
            partial(emit_runs, f"{label}: emit", emit, list(items), schema),
            "part bigint, run binary",
        )
        spread = packed.repartition(min(parts, 4 * self.workers) or 1, "part").sortWithinPartitions(
            "part"
        )
        memory = max(0.25, self.memory_gb / self.workers)
        reduced = spread.mapInArrow(
            partial(reduce_runs, label, reduce, schema, tuple(sort_by), memory),
            "part bigint, result binary",
        )
        results = {
            row[0]: orjson.loads(bytes(row[1])) for row in self._collect(label, reduced.collect)
        }
        empty = [(f"part {part}", part) for part in range(parts) if part not in results]
        results |= self.map(label, partial(reduce_nothing, reduce), empty)
        self.progress(label, parts, parts)
        return [results[part] for part in range(parts)]

    def close(self) -> None:
        self._spark.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, table: store.Table) -> Any:
        return self._numbers(len(table.paths), 2 * self.workers).mapInArrow(
            partial(read_tables, table.paths, table.schema), _spark_schema(table.schema)
        )

    def _numbers(self, n: int, most: int) -> Any:
        """0 ... n - 1, spread over at most `most` tasks: each costs a tenth of a second."""
        return self._spark.range(0, n, 1, max(1, min(n, most)))

    def _collect(self, label: str, action: Callable[[], Any]) -> Any:
        from pyspark.errors import PySparkException

        try:
            return action()
        except PySparkException as error:
            raise _failure(label, error) from error
        # py4j's own class, which pyspark does not re-export
        except Exception as error:
            if type(error).__name__ != "Py4JJavaError":
                raise
            raise _failure(label, error) from error

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


def _failure(label: str, error: Exception) -> TaskError:
    """A Spark error as one line: what the task said that raised it, or the label and the cause."""
    cause = _cause(str(error))
    named = cause.removeprefix(f"{TaskError.__module__}.TaskError: ")
    return TaskError(named if named != cause else f"{label} failed: {_without_class(cause)}")


def _cause(text: str) -> str:
    """The last line of the Python traceback inside a Spark error, or its first line."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [
        line for line in lines if re.match(r"^[A-Za-z_.]*(Error|Exception|Interrupt)\b.*:", line)
    ]
    foreign = ("org.apache", "java.", "py4j", "pyspark.")
    in_python = [line for line in raised if not line.startswith(foreign)]
    return in_python[-1] if in_python else (raised or lines or ["unknown"])[0]


def _without_class(cause: str) -> str:
    return re.sub(r"^curation\.errors\.\w+: ", "", cause)


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(plain_schema(schema))


# ---- starting Spark ------------------------------------------------------------------------------


def _session(master: str | None, workers: int, folder: str) -> Any:
    import pyspark
    from pyspark.sql import SparkSession

    # spark-submit already runs a JVM and knows the master.
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    builder = SparkSession.builder.appName("curation")
    if not submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_HOME", os.path.dirname(pyspark.__file__))
        os.environ.setdefault("SPARK_WORKER_DIR", os.path.join(folder, "work"))
        os.environ["JAVA_HOME"] = java_home(folder)
        master = master or f"local[{workers or '*'}]"
        builder = builder.master(master)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",
        "spark.sql.shuffle.partitions": str(max(2, 2 * (workers or os.cpu_count() or 1))),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(8 * RUN_BYTES),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.warehouse.dir": os.path.join(folder, "warehouse"),
        "spark.local.dir": folder,
    }
    if not submitted and (master or "").startswith("local"):
        settings |= {
            "spark.driver.memory": "2g",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": _quiet_logging(folder),
        }
    for key, value in settings.items():
        builder = builder.config(key, value)
    if submitted:
        return builder.getOrCreate()
    return _session_started(builder, os.path.join(folder, "jvm.log"))


def _session_started(builder: Any, log: str) -> Any:
    """The session, its JVM's output sent to a file: what goes wrong later comes as exceptions.

    Raises RunError where it cannot start.
    """
    ours = os.dup(2)
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        return builder.getOrCreate()
    # pyspark raises its own, py4j's and RuntimeError here.
    except Exception as error:
        with open(log, encoding="utf-8", errors="replace") as said:
            lines = [line.strip() for line in said if "rror" in line or "xception" in line]
        thrown = [
            line.strip(": ")
            for line in str(error).splitlines()
            if line.startswith((": ", "Caused by"))
        ]
        cause = (
            thrown[-1:] or lines[:1] or str(error).splitlines()[:1] or ["no word from the JVM"]
        )[0]
        raise RunError(
            f"Spark could not start: {cause}; "
            f"look at JAVA_HOME ({os.environ['JAVA_HOME']}) and --master"
        ) from error
    finally:
        os.dup2(ours, 2)
        os.close(ours)


def _quiet_logging(folder: str) -> str:
    """The Java option for logging only what kills the JVM: errors reach the user as exceptions."""
    path = os.path.join(folder, "log4j2.properties")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            "rootLogger.level = fatal\n"
            "rootLogger.appenderRef.stderr.ref = console\n"
            "appender.console.type = Console\n"
            "appender.console.name = console\n"
            "appender.console.target = SYSTEM_ERR\n"
            "appender.console.layout.type = PatternLayout\n"
            "appender.console.layout.pattern = %p %c{1}: %m%n\n"
        )
    return f"-Dlog4j2.configurationFile=file:{path}"
