"""A reader that tells how far it is: `evaluate` shows a bar while a task is scored.

Long calls are made in parts of texts of like length, so that batches stay full. Scores are those of
the whole call but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

PAIRS = 64  # scored in one part
CONTEXTS = 16  # answered in one part

Told = Callable[[str, int, int], None]  # what is done, how many of them, of how many


class Watched:
    """Stands for a Reader: `told` hears of each part that is done. Other attributes are the
    reader's own."""

    def __init__(self, reader: Any, told: Told) -> None:
        self._reader, self._told = reader, told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def score(self, pairs: Sequence[tuple[str, str]], **options: Any) -> list[Any]:
        """As the reader's."""
        return self._parts(
            "scoring", pairs, PAIRS, lambda some: self._reader.score(some, **options)
        )

    def answer(self, contexts: Sequence[str], *args: Any, **options: Any) -> list[Any]:
        """As the reader's."""
        return self._parts(
            "answering",
            contexts,
            CONTEXTS,
            lambda some: self._reader.answer(some, *args, **options),
        )

    def _parts(
        self, what: str, items: Sequence[Any], size: int, done: Callable[[list[Any]], Sequence[Any]]
    ) -> list[Any]:
        """The result for each item, in their order; the longest are done first."""
        order = sorted(range(len(items)), key=lambda i: -len("".join(items[i])))
        results: list[Any] = [None] * len(items)
        self._told(what, 0, len(items))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            for place, result in zip(places, done([items[i] for i in places]), strict=True):
                results[place] = result
            self._told(what, start + len(places), len(items))
        return results
