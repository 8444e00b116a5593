"""The engine for one machine: worker processes, DuckDB for `sql`, runs on disk for `shuffle`. No JVM; starts at once.

Memory: each SQL query stays below `memory_gb` and spills to `spill`; a shuffle holds 64 MB per worker while it emits, and DuckDB's sort
spills while it reduces.
"""

from __future__ import annotations

import glob
import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from curation import store
from curation.engine import forkserver
from curation.engine.base import Emit, Parts, Progress, Reduce, part_path, silent, write_parts
from curation.engine.sorting import connect, in_order, part_runs, reduce_part, view
from curation.errors import CurationError, TaskError, system_sentence
from curation.store import process_alive

T = TypeVar("T")
R = TypeVar("R")
SPILL = (
    "curation-spill-"  # in the system's temporary folder, followed by the owner's process number
)


class LocalEngine:
    """`workers` processes that live as long as the engine."""

    def __init__(
        self, workers: int = 0, memory_gb: float = 2.0, progress: Progress = silent
    ) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.memory_gb = memory_gb
        self.progress = progress
        self._pool: ProcessPoolExecutor | None = None
        forkserver.start()
        _clear_spills()
        self._connection: Any = None
        self._spill = tempfile.mkdtemp(prefix=f"{SPILL}{os.getpid()}-")

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        if not items:
            return []
        futures: dict[Future[R], int] = {
            self._workers().submit(task, item): i for i, item in enumerate(items)
        }
        results: dict[int, R] = {}
        failed: dict[int, BaseException] = {}
        open_ = set(futures)
        while open_:
            ended, open_ = wait(open_, return_when=FIRST_COMPLETED)
            for future in ended:
                if future.cancelled():
                    continue
                if error := future.exception():
                    failed[futures[future]] = error
                    for other in open_:
                        other.cancel()
                else:
                    results[futures[future]] = future.result()
            self.progress(label, len(results), len(items))
        if failed:
            first = min(failed)
            raise task_error(label, items[first], failed[first])
        return [results[i] for i in range(len(items))]

    map_here = map

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
        columns = list(dict.fromkeys([*schema.names, *([partition_by] if partition_by else [])]))
        order = [*([partition_by] if partition_by else []), *sort_by]
        self._connection = self._connection or connect(self._spill, self.memory_gb, self.workers)
        try:
            for name, table in tables.items():
                view(self._connection, name, table)
            reader = in_order(self._connection, query, columns, order)
            parts = list(write_parts(reader, out, schema, digest, partition_by))
        finally:
            for name in tables:
                self._connection.execute(f'DROP VIEW IF EXISTS "{name}"')
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
        folder = tempfile.mkdtemp(dir=self._spill)
        try:
            emitted = self.map(
                f"{label}: emit", partial(_emit_run, emit, folder, schema), list(enumerate(items))
            )
            sources: list[list[tuple[str, list[int]]]] = [[] for _ in range(parts)]
            for path, index in emitted:
                for part, batches in index.items():
                    sources[part].append((path, batches))
            memory = max(0.25, self.memory_gb / self.workers)
            task = partial(_reduce_part, reduce, schema, tuple(sort_by), self._spill, memory)
            return self.map(label, task, list(enumerate(sources)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        if self._pool is not None:
            for worker in list((self._pool._processes or {}).values()):
                worker.terminate()  # idle, or interrupted: what is under way is not worth waiting for
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        shutil.rmtree(self._spill, ignore_errors=True)

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, forkserver.CONTEXT, _start_worker, (dict(os.environ),)
            )
            with (
                forkserver.no_interrupt()
            ):  # none is left without what its parent was about to send it
                for _ in range(self.workers):
                    self._pool.submit(int)  # starts one, unless another is idle by now
        return self._pool


def _clear_spills() -> None:
    """Remove what killed runs spilled: a temporary folder may be small."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), SPILL + "*")):
        owner = os.path.basename(folder).removeprefix(SPILL).partition("-")[0]
        if owner.isdigit() and not process_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def task_error(label: str, item: Any, error: BaseException) -> CurationError:
    """One line: the stage, the shard and the cause."""
    if isinstance(error, CurationError):
        cause = str(error)
    elif isinstance(error, BrokenProcessPool):
        cause = "its worker process died (killed, or out of memory?); run again, with fewer --workers if memory is short"
    elif isinstance(error, OSError):
        cause = system_sentence(error)
    else:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
    result = TaskError(f"{label} failed on {_name(item)}: {cause}")
    result.__cause__ = error
    return result


def _name(item: Any) -> str:
    return f"part {item[0]}" if isinstance(item, tuple) else str(item)


def _start_worker(environment: dict[str, str]) -> None:
    """When the parent dies, by whatever signal, so does its worker. Its environment is that of the parent now."""
    os.environ.clear()
    os.environ.update(environment)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    pa.set_cpu_count(1)


def _emit_run(
    emit: Emit, folder: str, schema: pa.Schema, item: tuple[int, Any]
) -> tuple[str, dict[int, list[int]]]:
    """Write what `emit` yields as one Arrow file whose batches hold one part each; returns which batches are whose."""
    number, shard = item
    path = os.path.join(folder, f"{number}.arrow")
    index: dict[int, list[int]] = {}
    written = 0
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for part, batch in part_runs(emit(shard), schema):
            writer.write_batch(batch)
            index.setdefault(part, []).append(written)
            written += 1
    return path, index


def _reduce_part(
    reduce: Reduce,
    schema: pa.Schema,
    sort_by: Sequence[str],
    spill: str,
    memory_gb: float,
    item: tuple[int, list[tuple[str, list[int]]]],
) -> Any:
    part, sources = item

    def batches() -> Iterator[pa.RecordBatch]:
        for path, numbers in sources:
            with pa.memory_map(path) as source:
                file = pa.ipc.open_file(source)
                for number in numbers:
                    yield file.get_batch(number)

    if not sources:
        return reduce(part, iter(()))
    return reduce_part(reduce, part, batches(), schema, sort_by, spill, memory_gb)
