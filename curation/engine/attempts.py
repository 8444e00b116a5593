"""Which items of a map are sent next, and what becomes of those that fail.

An item whose task raises has failed; the others go on. An item that was under way when a worker died
is sent again alone, since any of those under way may have been the cause, and has failed after
`ATTEMPTS` deaths. After `MOST_FAILED` items that failed no further one is begun: then it is no
matter of one shard.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from curation.errors import TaskError

ATTEMPTS = 3
MOST_FAILED = 8


class Attempts:
    """The numbers of a map's items: `waiting`, and `failed` with why."""

    def __init__(self, count: int) -> None:
        self.waiting = deque(range(count))
        self.failed: dict[int, BaseException] = {}
        self._alone: deque[int] = deque()
        self._deaths: Counter[int] = Counter()
        self._is_alone = False  # whether what is under way was sent alone
        self._lost: list[int] = []  # under way when a worker died

    def may_send(self, under_way: int, most: int) -> bool:
        """Whether another packet may be sent while some are under way."""
        if self._lost or len(self.failed) >= MOST_FAILED:
            return False
        if self._alone or (self._is_alone and under_way):
            return under_way == 0 and bool(self._alone)
        return bool(self.waiting) and under_way < most

    def take(self, most: int) -> list[int]:
        """The numbers of the next packet, at most `most`; one that is sent again is alone."""
        self._is_alone = bool(self._alone)
        if self._is_alone:
            return [self._alone.popleft()]
        return [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]

    def ended(self, numbers: Sequence[int], done: int, error: BaseException | None = None) -> None:
        """The first `done` items of a packet have results; the next of them failed with `error`, where
        there is one; the rest waits again, first."""
        if error is not None:
            self.failed[numbers[done]] = error
            done += 1
        self.waiting.extendleft(reversed(numbers[done:]))

    def worker_died(self, numbers: Sequence[int]) -> None:
        """A packet was under way when a worker died."""
        self._lost += numbers

    def need_workers(self, error: BaseException, again: bool) -> bool:
        """Whether workers died, and new ones are to be started now that nothing is under way; without
        `again` what was lost has failed."""
        lost, self._lost = sorted(self._lost), []
        for number in lost:
            self._deaths[number] += 1
            if not again or self._deaths[number] >= ATTEMPTS:
                self.failed[number] = error
            else:
                self._alone.append(number)
        return again and bool(lost)


def all_failures(label: str, sentences: Sequence[str]) -> TaskError:
    """One error about all items of a map that failed.

    >>> print(all_failures("cut", ["cut failed on a/00001: no", "cut failed on a/00002: no"]))
    cut failed on a/00001: no; it failed on 1 more: a/00002: no
    """
    first, *others = sentences
    if not others:
        return TaskError(first)
    names = [sentence.removeprefix(f"{label} failed on ") for sentence in others[: MOST_FAILED - 1]]
    rest = "" if len(others) == len(names) else "; ..."
    return TaskError(f"{first}; it failed on {len(others)} more: {'; '.join(names)}{rest}")
