"""The engine for small things: tasks run one after another in the calling process.

Queries and shuffles are the local engine's, so the bytes are the same. What it saves is the second
that worker processes take to start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from curation.engine.base import Progress, silent, task_error
from curation.engine.local import LocalEngine
from curation.engine.tasks import measured

T = TypeVar("T")
R = TypeVar("R")


class InlineEngine(LocalEngine):
    """`map` without worker processes: in the order of the items, up to the first that fails."""

    def __init__(self, memory_gb: float = 2.0, progress: Progress = silent) -> None:
        self._set_up(1, memory_gb, progress)

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        self.progress(label, 0, len(items))
        results = []
        for item in items:
            with _Item(label, item):
                result, cost = measured(task, item)
            results.append(result)
            self.observe(label, item, result, cost)
            self.progress(label, len(results), len(items))
        return results

    map_here = map


class _Item:
    """A block whose error, whatever a task raises, becomes the one sentence about its item."""

    def __init__(self, label: str, item: Any) -> None:
        self._label, self._item = label, item

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            raise task_error(self._label, self._item, error) from error
