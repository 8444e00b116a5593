"""The engine for small things: tasks run in threads of the calling process.

Queries and shuffles are the local engine's, so the bytes are the same. What it saves is the second
that worker processes take to start. Trap: with more threads than one, tasks share what their modules
keep between calls, and Python itself runs in one of them at a time (`pipeline/engines.py` says where
that is well).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from curation.engine.attempts import MOST_FAILED, all_failures
from curation.engine.base import Progress, silent, task_error
from curation.engine.local import LocalEngine
from curation.engine.tasks import measured
from curation.errors import TaskError
from curation.interrupts import TASKS, put_off

T = TypeVar("T")
R = TypeVar("R")
END_S = 3.0  # that an interrupted task has to end by itself


class InlineEngine(LocalEngine):
    """`map` without worker processes: items in their order, those after one that fails too, up to
    `MOST_FAILED` that do.

    Tasks run in `threads` threads, since interrupts reach only the main one: an exception in the
    midst of Numba or DuckDB could be lost there, or end the process.
    """

    def __init__(
        self, memory_gb: float = 2.0, progress: Progress = silent, threads: int = 1
    ) -> None:
        self._set_up(threads, memory_gb, progress)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        ended: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        waiting = deque(range(len(items)))
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                try:
                    number = waiting.popleft()
                except IndexError:
                    return
                try:
                    ended.put((number, measured(task, items[number])))
                except BaseException as error:  # noqa: BLE001  # raised again by who waits
                    ended.put((number, error))
                    if not isinstance(error, Exception):
                        return

        threads = [
            threading.Thread(target=work, name=TASKS, daemon=True)
            for _ in range(min(self.workers, len(items)))
        ]
        results: dict[int, R] = {}
        failed: dict[int, TaskError] = {}
        patience_s: float | None = None
        try:
            with put_off():
                for thread in threads:
                    thread.start()
            while len(results) + len(failed) < len(items) and len(failed) < MOST_FAILED:
                number, outcome = ended.get()
                if isinstance(outcome, Exception):
                    failed[number] = task_error(label, items[number], outcome)
                    failed[number].__cause__ = outcome
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                results[number], cost = outcome
                self.observe(label, items[number], results[number], cost)
                self.progress(label, len(results), len(items))
        except KeyboardInterrupt:
            patience_s = END_S
            raise
        finally:
            stop.set()  # of items after many failures none is begun
            for thread in threads:
                if thread.is_alive():  # what a task writes may be about to be removed
                    thread.join(patience_s)
        if failed:
            errors = [str(failed[number]) for number in sorted(failed)]
            raise all_failures(label, errors) from failed[min(failed)].__cause__
        return [results[number] for number in range(len(items))]

    map_here = map
