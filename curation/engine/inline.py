"""The engine for small things: tasks run one after another in the calling process.

Queries and shuffles are the local engine's, so the bytes are the same. What it saves is the second
that worker processes take to start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from curation.engine.attempts import MOST_FAILED, all_failures
from curation.engine.base import Progress, silent, task_error
from curation.engine.local import LocalEngine
from curation.engine.tasks import measured

T = TypeVar("T")
R = TypeVar("R")


class InlineEngine(LocalEngine):
    """`map` without worker processes: in the order of the items, those after one that fails too, up to
    `MOST_FAILED` that do."""

    def __init__(self, memory_gb: float = 2.0, progress: Progress = silent) -> None:
        self._set_up(1, memory_gb, progress)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        results: list[R] = []
        failures = _Failures(label)
        for item in items:
            failures.item, outcome = item, None
            with failures:
                outcome = measured(task, item)
            if outcome is not None:
                results.append(outcome[0])
                self.observe(label, item, *outcome)
            elif len(failures.found) == MOST_FAILED:
                break
            self.progress(label, len(results), len(items))
        if failures.found:
            raise all_failures(label, list(failures.found)) from next(iter(failures.found.values()))
        return results

    map_here = map


class _Failures:
    """A block whose error, whatever a task raises, is `found` under the one sentence about its item."""

    def __init__(self, label: str) -> None:
        self._label = label
        self.item: Any = None
        self.found: dict[str, Exception] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self.found[str(task_error(self._label, self.item, error))] = error
        return isinstance(error, Exception)
