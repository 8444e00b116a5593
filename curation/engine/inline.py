"""The engine for small things: tasks run one after another in the calling process.

Queries and shuffles are the local engine's, so the bytes are the same. What it saves is the second
that worker processes take to start.
"""

from __future__ import annotations

import threading
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
    """`map` without worker processes: in the order of the items, those after one that fails too, up
    to `MOST_FAILED` that do.

    Tasks run in a thread, since interrupts reach only the main one: an exception in the midst of
    Numba or DuckDB could be lost there, or end the process.
    """

    def __init__(self, memory_gb: float = 2.0, progress: Progress = silent) -> None:
        self._set_up(1, memory_gb, progress)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        ended: SimpleQueue[Any] = SimpleQueue()
        stop = threading.Event()

        def work() -> None:
            for item in items:
                if stop.is_set():
                    return
                try:
                    ended.put(measured(task, item))
                except BaseException as error:  # noqa: BLE001  # raised again by who waits
                    ended.put(error)
                    if not isinstance(error, Exception):
                        return

        thread = threading.Thread(target=work, name=TASKS, daemon=True)
        results: list[R] = []
        failed: list[TaskError] = []
        patience_s: float | None = None
        try:
            with put_off():
                thread.start()
            for item in items:
                outcome = ended.get()
                if isinstance(outcome, Exception):
                    failed.append(task_error(label, item, outcome))
                    failed[-1].__cause__ = outcome
                    if len(failed) == MOST_FAILED:
                        break
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                result, cost = outcome
                results.append(result)
                self.observe(label, item, result, cost)
                self.progress(label, len(results), len(items))
        except KeyboardInterrupt:
            patience_s = END_S
            raise
        finally:
            stop.set()  # of items after many failures none is begun
            if thread.is_alive():  # what a task writes may be about to be removed
                thread.join(patience_s)
        if failed:
            raise all_failures(label, list(map(str, failed))) from failed[0].__cause__
        return results

    map_here = map
