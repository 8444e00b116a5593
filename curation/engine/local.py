"""The engine for one machine: worker processes, DuckDB for `sql`, runs on disk for `shuffle`.

No JVM; it starts at once. Memory: each SQL query stays below `memory_gb` and spills to disk; a
shuffle holds 64 MB per worker while it emits, and DuckDB's sort spills while it reduces.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import os
import pickle
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_any
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import pyarrow as pa

from curation import store
from curation.engine import forkserver
from curation.engine.attempts import ATTEMPTS, Attempts, all_failures
from curation.engine.base import (
    Emit,
    Parts,
    Progress,
    Reduce,
    part_path,
    silent,
    task_error,
    write_parts,
)
from curation.engine.sorting import part_runs, reduce_part
from curation.engine.tasks import TURN_S, Observe, run_stored, unobserved
from curation.errors import RunError, TaskError
from curation.store import process_alive
from curation.store.query import connect, create_view, interrupts_end, sorted_rows

T = TypeVar("T")
R = TypeVar("R")
# Of folders in the system's temporary folder; the owner's process number follows.
SPILL = "curation-spill-"
AHEAD = 3  # packets of tasks sent for each worker: one runs, the others wait in the pool
MOST_TOGETHER = 32  # tasks of a packet


class LocalEngine:
    """`workers` processes that live as long as the engine."""

    def __init__(
        self, workers: int = 0, memory_gb: float = 2.0, progress: Progress = silent
    ) -> None:
        self._set_up(workers or os.cpu_count() or 1, memory_gb, progress)
        forkserver.start()

    def _set_up(self, workers: int, memory_gb: float, progress: Progress) -> None:
        """What needs no worker processes."""
        self.workers = workers
        self.memory_gb = memory_gb
        self.progress = progress
        self.observe: Observe = unobserved
        self._pool: ProcessPoolExecutor | None = None
        # Workers hold the other end, and end when this one is closed.
        self._stop: Connection | None = None
        _clear_spills()
        self._connection: Any = None
        self._is_closed = False
        self._spill = tempfile.mkdtemp(prefix=f"{SPILL}{os.getpid()}-")
        atexit.register(shutil.rmtree, self._spill, ignore_errors=True)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        if not items:
            return []
        with self._stored(task) as path:
            return self._mapped(label, path, items)

    def _mapped(self, label: str, path: str, items: Sequence[Any]) -> list[Any]:
        """The results of the task in a file. What ended is taken from a queue that the pool fills, and
        short tasks travel several at a time: the cost of an item does not depend on how many there
        are."""
        ended: SimpleQueue[tuple[list[int], Future[Any]]] = SimpleQueue()
        attempts, under_way, usual_s = Attempts(len(items)), 0, TURN_S
        results: dict[int, Any] = {}

        def send() -> bool:
            fair = len(attempts.waiting) // (2 * AHEAD * self.workers)
            most = max(1, min(MOST_TOGETHER, fair, int(TURN_S / max(usual_s, TURN_S / 100))))
            numbers = attempts.take(most)
            terms, some = store.terms(), [items[number] for number in numbers]
            try:
                future = self._workers().submit(run_stored, path, terms, some)
            except BrokenProcessPool:
                attempts.worker_died(numbers)
                return False
            future.add_done_callback(lambda future: ended.put((numbers, future)))
            return True

        while True:
            # An interrupt inside the pool's own code could leave one of its locks closed for ever.
            with forkserver.no_interrupt():
                while attempts.may_send(under_way, AHEAD * self.workers):
                    under_way += send()
            if not under_way:
                if not attempts.need_workers(BrokenProcessPool(), again=not self._is_closed):
                    break
                self._end_workers()
                continue
            for numbers, future in _all_of(ended):
                under_way -= 1
                if future.cancelled() or isinstance(future.exception(), BrokenProcessPool):
                    attempts.worker_died(numbers)
                    continue
                cause = future.exception()
                outcomes = [] if cause else future.result()
                for number, (result, cost) in zip(numbers, outcomes, strict=False):
                    results[number] = result
                    usual_s += (cost.seconds - usual_s) / 8
                    self.observe(label, items[number], result, cost)
                attempts.ended(numbers, len(outcomes), cause)
            self.progress(label, len(results), len(items))
        if failed := attempts.failed:
            errors = [task_error(label, items[n], _cause(failed[n])) for n in sorted(failed)]
            raise all_failures(label, list(map(str, errors))) from failed[min(failed)]
        return [results[i] for i in range(len(items))]

    @contextlib.contextmanager
    def _stored(self, task: Callable[[Any], Any]) -> Iterator[str]:
        """The task in a file while the block runs: each worker reads it once, and what it carries
        (a recipe may list many files) does not travel with every item."""
        handle, path = tempfile.mkstemp(prefix="task-", dir=self._spill)
        try:
            with open(handle, "wb") as file:
                pickle.dump(task, file, pickle.HIGHEST_PROTOCOL)
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

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
            with interrupts_end(self._connection):
                for name, table in tables.items():
                    create_view(self._connection, name, table)
                reader = sorted_rows(self._connection, query, columns, order)
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
            numbered = [(item, number) for number, item in enumerate(items)]
            emit_run = partial(_emit_run, emit, folder, schema)
            emitted = self.map(f"{label}: emit", emit_run, numbered)
            sources: list[Sources] = [[] for _ in range(parts)]
            for path, index in emitted:
                for part, batches in index.items():
                    sources[part].append((path, batches))
            memory = max(0.25, self.memory_gb / self.workers)
            task = partial(_reduce_part, reduce, schema, tuple(sort_by), self._spill, memory)
            named = [(f"part {part}", part, runs) for part, runs in enumerate(sources)]
            return self.map(label, task, named)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self, interrupted: bool = False) -> None:
        self._is_closed = True
        if self._pool is not None and self._stop is not None:
            # Workers are idle, or interrupted: what is under way is not worth waiting for. One that
            # is inside a library does not see the closed pipe.
            self._stop.close()
            for process in list((self._pool._processes or {}).values()):
                process.kill()
            self._end_workers()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        shutil.rmtree(self._spill, ignore_errors=True)

    def _end_workers(self) -> None:
        """Let go of workers that end, or of which one died; the next task starts others."""
        if self._pool is not None and self._stop is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._stop.close()
        self._pool = self._stop = None

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            _need_main_guard()
            stopped, self._stop = forkserver.CONTEXT.Pipe(duplex=False)
            arguments = (dict(os.environ), stopped)
            self._pool = ProcessPoolExecutor(
                self.workers, forkserver.CONTEXT, _start_worker, arguments
            )
            # In this block no worker is left without what its parent was about to send it.
            with forkserver.no_interrupt():
                for _ in range(self.workers):
                    # Starts a worker, unless one is idle by now.
                    self._pool.submit(int)
        return self._pool


def _need_main_guard() -> None:
    """Raise RunError where workers could not start: each runs the caller's script up to its main
    guard, and a script without one would run as a whole in each."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if getattr(sys.modules["__main__"], "__spec__", None) is not None or not script:
        return
    with contextlib.suppress(OSError), open(script, "rb") as file:
        if script.endswith(".py") and b"__main__" not in file.read():
            raise RunError(
                f"{script}: this script has no main guard, so worker processes would run all of it "
                'again; put what it does under `if __name__ == "__main__":`'
            )


def _clear_spills() -> None:
    """Remove what killed runs spilled: a temporary folder may be small."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), SPILL + "*")):
        owner = os.path.basename(folder).removeprefix(SPILL).partition("-")[0]
        if owner.isdigit() and not process_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _cause(error: BaseException) -> BaseException:
    """The error, a dead worker explained."""
    if isinstance(error, BrokenProcessPool):
        return TaskError(
            f"its worker process died, after {ATTEMPTS} attempts (killed, or out of memory?); "
            "run again, with fewer --workers if memory is short"
        )
    return error


def _start_worker(environment: dict[str, str], stopped: Connection) -> None:
    """Give a worker its parent's environment of now; end it when the parent ends or says so."""
    os.environ.clear()
    os.environ.update(environment)
    parent = parent_process()

    def follow() -> None:
        wait_for_any([stopped, *([parent.sentinel] if parent else [])])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    pa.set_cpu_count(1)


def _all_of(ended: SimpleQueue[Any]) -> list[Any]:
    """What is in a queue, at least one thing: it is waited for."""
    out = [ended.get()]
    with contextlib.suppress(Empty):
        while True:
            out.append(ended.get_nowait())
    return out


# Of each Arrow file: its path, and the numbers of the batches of one part.
Sources = list[tuple[str, list[int]]]


def _emit_run(
    emit: Emit, folder: str, schema: pa.Schema, numbered: tuple[Any, int]
) -> tuple[str, dict[int, list[int]]]:
    """Write what `emit` yields as one Arrow file whose batches hold one part each.

    Returns its path, and the numbers of the batches of each part.
    """
    item, number = numbered
    path = os.path.join(folder, f"{number}.arrow")
    index: dict[int, list[int]] = {}
    written = 0
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for part, batch in part_runs(emit(item), schema):
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
    item: tuple[str, int, Sources],
) -> Any:
    _, part, sources = item

    def batches() -> Iterator[pa.RecordBatch]:
        for path, numbers in sources:
            with pa.memory_map(path) as source:
                file = pa.ipc.open_file(source)
                for number in numbers:
                    yield file.get_batch(number)

    if not sources:
        return reduce(part, iter(()))
    return reduce_part(reduce, part, batches(), schema, sort_by, spill, memory_gb)
