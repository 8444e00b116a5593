"""A task as a worker runs it: under the locks of the process that sent it, and what it cost.

The cost is measured around each task: a tenth of a millisecond where the system has /proc, less
where it has not. It never reaches a table.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from curation import store

T = TypeVar("T")
TURN_S = 0.05  # that a worker stays with items that were sent together
_PEAK = "5"  # what /proc/self/clear_refs takes to forget the peak


@dataclass(frozen=True, slots=True)
class Cost:
    """What a task took: seconds by the clock, bytes read and written (None where the system does not
    say; what comes by network is not among those read), and the peak memory of its process; and
    which tables it wrote."""

    seconds: float
    read: int | None
    written: int | None
    peak_mb: int
    files: store.Written = field(default_factory=dict)


# label, item, result, cost
Observe = Callable[[str, Any, Any, Cost], None]


def unobserved(label: str, item: Any, result: Any, cost: Cost) -> None:
    """Takes no notice of a task that ended."""


def measured(task: Callable[[Any], T], item: Any) -> tuple[T, Cost]:
    """What a task returns, and its cost."""
    _forget_peak()
    before, began = _bytes_moved(), time.perf_counter()
    with store.one_task() as files:
        result = task(item)
    seconds, after = time.perf_counter() - began, _bytes_moved()
    read, written = (
        None if a is None or b is None else b - a for a, b in zip(before, after, strict=True)
    )
    return result, Cost(seconds, read, written, _peak_mb(), files)


def run_stored(path: str, terms: Any, items: Sequence[Any]) -> list[tuple[Any, Cost]]:
    """Run the task in a file on some items, in a worker process, as many as fit into a turn, and one
    at least: what each returns, in their order.

    Raises what the first of them raises. A later one that fails ends the turn, and raises where it
    comes first.
    """
    task, began, out = _stored_task(path), time.perf_counter(), list[tuple[Any, Cost]]()
    for item in items:
        try:
            out.append(store.under_terms(terms, measured, task, item))
        except Exception:  # a task may raise anything; the sender sends this one again, first
            if not out:
                raise
            break
        if time.perf_counter() - began >= TURN_S:
            break
    return out


@functools.lru_cache(maxsize=1)
def _stored_task(path: str) -> Callable[[Any], Any]:
    """The task in a file that the driver wrote, unpickled once a process."""
    with open(path, "rb") as file:
        task: Callable[[Any], Any] = pickle.load(file)
    return task


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write(_PEAK)


def _peak_mb() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) >> 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def _bytes_moved() -> tuple[int | None, int | None]:
    """Bytes that this process has read and written so far."""
    with contextlib.suppress(OSError), open("/proc/self/io", "rb") as file:
        counts = dict(line.split(b": ") for line in file.read().splitlines())
        return int(counts[b"rchar"]), int(counts[b"wchar"])
    return None, None
