"""The engine for a cluster, and for `local[*]`: PySpark. The only library module that imports it.

Rows enter and leave the JVM through `mapInArrow` over files that `store` opens, so Spark needs no
connector of its own and works wherever pyarrow does. Costs 5 to 20 s to start and about a second a
query. Which Java it runs on is decided in `java.py`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import operator
import re
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import orjson
import pyarrow as pa

from curation import store
from curation.engine.attempts import all_failures
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
from curation.engine.local import LocalEngine
from curation.engine.spark_session import end_jvm, session, submitted_by_spark
from curation.engine.tasks import Observe, unobserved
from curation.errors import CurationError, MissingExtra, TaskError

T = TypeVar("T")
R = TypeVar("R")
SLICES = 32  # Spark tasks of a map for each core, at most: each costs the JVM some milliseconds


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
        if any(importlib.util.find_spec(name) is None for name in ("pandas", "pyspark")):
            raise MissingExtra("the Spark engine", "spark")
        self.memory_gb = memory_gb
        self.progress = progress
        self._folder = tempfile.mkdtemp(prefix="curation-spark-")
        self._master, self._asked_workers = master, workers
        self._session: Any = None
        self.observe: Observe = unobserved

    @property
    def _spark(self) -> Any:
        """The session, started by the first verb that needs it: a finished run needs none."""
        if self._session is None:
            self.progress("start Spark", 0, 1)
            self._session = session(self._master, self._asked_workers, self._folder, 8 * RUN_BYTES)
            self.progress("start Spark", 1, 1)
        return self._session

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        with _told("start Spark"):
            return int(self._spark.sparkContext.defaultParallelism)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        if not items:
            return []
        numbered = list(enumerate(items))
        with _told(label):
            context = self._spark.sparkContext
            self._named(label)
        with _told(label), self._watched(label, len(items)):
            shared = self._shared(task)
            terms = store.terms()
            job = context.parallelize(numbered, _slices(len(items), context.defaultParallelism))
            outcomes = job.map(partial(result_or_failure, label, terms, shared)).collect()
            shared.destroy()
        outcomes.sort(key=operator.itemgetter(0))
        self.progress(label, len(items), len(items))
        if failures := [failure for _, failure, _ in outcomes if failure]:
            raise all_failures(label, failures)
        for item, (_, _, (result, cost)) in zip(items, outcomes, strict=True):
            self.observe(label, item, result, cost)
        return [result for _, _, (result, _) in outcomes]

    def map_here(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """As `map`. On this machine, worker processes do it while Spark starts."""
        if submitted_by_spark() or not (self._master or "local").startswith("local"):
            return self.map(label, task, items)
        if not items:
            return []
        local = LocalEngine(self._asked_workers, self.memory_gb, self.progress)
        local.observe = self.observe
        try:
            with ThreadPoolExecutor(1) as thread:
                session = thread.submit(lambda: self._spark)
                results = local.map(label, task, items)
                session.result()
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
        with _told(out):
            self._named(f"query {out.rpartition('/')[2]}")
            for name, table in tables.items():
                self._read(table).createOrReplaceTempView(name)
            columns = list(
                dict.fromkeys([*schema.names, *([partition_by] if partition_by else [])])
            )
            rows = self._spark.sql(query).select(*columns)
            rows = (
                rows.repartition(self.workers, partition_by)
                if partition_by
                else rows.repartition(1)
            )
            ordered = rows.sortWithinPartitions(*([partition_by] if partition_by else []), *sort_by)
            terms = store.terms()
            write = partial(
                store.under_terms, terms, write_tables, out, schema, digest, partition_by
            )
            written = ordered.mapInArrow(write, "value bigint, rows bigint").collect()
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
        with _told(label):
            self._named(f"{label}: shuffle")
            sources = self._numbers(len(items), 16 * self.workers)
            shared = self._shared((emit, list(items)))
            packed = sources.mapInArrow(
                partial(emit_runs, f"{label}: emit", shared, schema),
                "part bigint, run binary",
            )
            spread = packed.repartition(
                min(parts, 4 * self.workers) or 1, "part"
            ).sortWithinPartitions("part")
            memory = max(0.25, self.memory_gb / self.workers)
            reduce = partial(store.under_terms, store.terms(), reduce)
            reduced = spread.mapInArrow(
                partial(reduce_runs, label, reduce, schema, tuple(sort_by), memory),
                "part bigint, result binary",
            )
            results = {row[0]: orjson.loads(bytes(row[1])) for row in reduced.collect()}
            shared.destroy()
        empty = [(f"part {part}", part) for part in range(parts) if part not in results]
        results |= self.map(label, partial(reduce_nothing, reduce), empty)
        self.progress(label, parts, parts)
        return [results[part] for part in range(parts)]

    def close(self, interrupted: bool = False) -> None:
        if self._session is not None:
            with contextlib.suppress(TaskError), _told("stop Spark"):
                self._session.stop()
            if interrupted and not submitted_by_spark():
                end_jvm()
            self._session = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, table: store.Table) -> Any:
        paths = self._shared(table.paths)
        return self._numbers(len(table.paths), 2 * self.workers).mapInArrow(
            partial(read_tables, paths, table.schema), _spark_schema(table.schema)
        )

    def _named(self, label: str) -> None:
        """What Spark's pages call the jobs that follow."""
        self._spark.sparkContext.setJobGroup(label, label)

    def _shared(self, value: Any) -> Any:
        """A value on its way to each machine once, however many tasks use it."""
        from pyspark import cloudpickle

        return self._spark.sparkContext.broadcast(cloudpickle.dumps(value))

    def _numbers(self, n: int, most: int) -> Any:
        """0 ... n - 1, spread over at most `most` tasks: each costs a tenth of a second."""
        return self._spark.range(0, n, 1, max(1, min(n, most)))

    def _watched(self, label: str, total: int) -> _Watch:
        return _Watch(self._spark.sparkContext.statusTracker(), label, total, self.progress)


def _slices(items: int, workers: int) -> int:
    """Spark tasks of a map: one an item, or as many items each as keep the JVM from being what takes
    the time.

    >>> _slices(100, 64), _slices(90_000, 64)
    (100, 2048)
    """
    return min(items, SLICES * max(1, workers))


class _Watch:
    """Reports a job group's finished tasks twice a second while the block runs."""

    def __init__(self, tracker: Any, label: str, total: int, progress: Progress) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(tracker, label, total, progress), daemon=True
        )

    def _run(self, tracker: Any, label: str, total: int, progress: Progress) -> None:
        with contextlib.suppress(TaskError), _told(label):
            while not self._stop.wait(0.5):
                jobs = tracker.getJobIdsForGroup(label)
                infos = [tracker.getJobInfo(job) for job in jobs[:1]]
                stages = [tracker.getStageInfo(s) for info in infos if info for s in info.stageIds]
                tasks = sum(stage.numTasks for stage in stages if stage)
                done = sum(stage.numCompletedTasks for stage in stages if stage)
                progress(label, total * min(done, tasks) // max(1, tasks), total)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def _told(label: str) -> Iterator[None]:
    """What Spark raises, and what py4j does where the JVM is gone, as one TaskError."""
    try:
        yield
    except CurationError:
        raise
    # Of many classes, some of them Python's own (KeyError), so where it was raised decides.
    except Exception as error:
        before = error.__context__
        while before is not None:
            # PySpark, leaving a block that ctrl-C ended, found the connection closed.
            if isinstance(before, KeyboardInterrupt):
                raise before from None
            before = before.__context__
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        if not any(re.search(r"[/\\](py4j|pyspark)[/\\]", file) for file in files):
            raise
        raise TaskError(spark_sentence(label, f"{type(error).__name__}: {error}")) from error


def spark_sentence(label: str, text: str) -> str:
    """A Spark error as one line: what the task said that raised it, or the label, the cause, and
    what to look at."""
    lines = [line.strip() for line in text.splitlines()]
    raised = re.compile(r"^[A-Za-z_.]*(Error|Exception|Interrupt)\b.*:")
    foreign = ("org.apache", "java.", "py4j", "pyspark.")
    in_python = [x for x in lines[1:] if raised.match(x) and not x.startswith(foreign)]
    task = f"{TaskError.__module__}.TaskError: "
    if in_python and in_python[-1].startswith(task):
        return in_python[-1].removeprefix(task)
    for pattern, sentence in _KNOWN.items():
        if match := re.search(pattern, text):
            cause = (
                " ".join(" ".join(filter(None, match.groups())).split())[:200] or "no reason told"
            )
            return f"{label} failed: {sentence.format(cause)}"
    if in_python:
        return f"{label} failed: {re.sub(r'^curation[.]errors[.][A-Za-z]+: ', '', in_python[-1])}"
    thrown = re.search(r"most recent failure: [^\n]*?\): ([^\n]+)", text)
    thrown = thrown or re.search(r"^: ([^\n]+)", text, re.MULTILINE)
    return f"{label} failed: {thrown[1] if thrown else lines[0]}"


# What an error of Spark has in it -> what that means, and what to look at.
_KNOWN = {
    r'Cannot run program ("[^"]*"): ([^\n]*)': "a worker has no Python at {}; install the same Python "
    "and packages on every worker, or set PYSPARK_PYTHON to where they are there",
    r"Error from python worker:((?:(?!PYTHONPATH was)[^\n]*\n){0,20})": "the Python of a worker did "
    "not start ({}); install the same Python, pyspark and curation on every worker, or set "
    "PYSPARK_PYTHON to where they are there",
    r"(ExecutorLostFailure[^\n]*)": "executors were lost again and again ({}); look at the logs of the "
    "workers, and whether they have enough memory",
    r"\A(?:Py4JNetworkError|Py4JError|ConnectionRefusedError|ConnectionResetError|EOFError|KeyError)"
    r"(: [^\n]*)": "Spark's JVM no longer answers{}; look at its log, and whether this machine has "
    "enough memory",
    r"([^\n]*stopped SparkContext)": "Spark has stopped ({}); look at the master's page, which says "
    "why it ended this application",
}


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(plain_schema(schema))
