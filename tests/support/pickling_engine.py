"""An engine without workers that holds tasks to what workers need: all that travels is pickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from curation.engine.inline import InlineEngine

T = TypeVar("T")
R = TypeVar("R")


class PicklingEngine(InlineEngine):
    """Runs tasks in this process, where kernels and libraries are loaded already; the task, its
    items and their results are copies, as on their way to a worker and back."""

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        stored = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        loaded: list[Callable[[T], R]] = []

        def travelled(item: T) -> R:
            if not loaded:
                loaded.append(pickle.loads(stored))
            return _copied(loaded[0](_copied(item)))

        return super().map(label, travelled, items)

    map_here = map


def _copied(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
