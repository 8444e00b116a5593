"""What a process knows while it runs one task: small tables in object storage that it has read
already, and what it has written.

A task reads tables that nobody changes while it runs, many of them more than once (the footer, then
some columns): each is asked for once. What it wrote it tells the driver, which then need not read it
again for the manifest.

Trap: memory that outlived a task would be of tables that another run, or another stage, has
replaced.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SMALL_BYTES = 4 << 20  # an object up to this size is read whole, at once
MOST_BYTES = 64 << 20  # of remembered objects
# Path -> row of the manifest, of tables that a process wrote.
Written = dict[str, dict[str, Any]]


@dataclass
class _Known:
    """What is known in a task: bytes of objects by address, and what was written."""

    read: dict[str, bytes] = field(default_factory=dict)
    written: Written = field(default_factory=dict)


class _Tasks(threading.local):
    """The tasks of a thread, one inside the other: a process may run several in threads."""

    def __init__(self) -> None:
        self.open: list[_Known] = []


_tasks = _Tasks()
_of_driver: list[Written] = []


@contextlib.contextmanager
def one_task() -> Iterator[Written]:
    """A task begins and ends; what it wrote until now."""
    known = _Known()
    _tasks.open.append(known)
    try:
        yield known.written
    finally:
        _tasks.open.pop()


@contextlib.contextmanager
def noting() -> Iterator[Written]:
    """In the block, what this process writes outside of tasks; it remembers nothing that it reads."""
    _of_driver.append({})
    try:
        yield _of_driver[-1]
    finally:
        _of_driver.pop()


def remembered(path: str) -> bytes | None:
    """The bytes of an object that this task has read."""
    return _tasks.open[-1].read.get(path) if _tasks.open else None


def remember(path: str, data: bytes) -> None:
    """Keep the bytes of a table until the task ends."""
    if not _tasks.open or not path.endswith(".parquet"):
        return
    read = _tasks.open[-1].read
    if len(data) + sum(map(len, read.values())) > MOST_BYTES:
        read.clear()
    read[path] = data


def note_written(path: str, row: dict[str, Any]) -> None:
    """A table was written: its row of the manifest."""
    for written in [known.written for known in _tasks.open[-1:]] or _of_driver[-1:]:
        written[path] = row


def forget(path: str) -> None:
    """A file or folder was written or removed."""
    known_rows = [rows for known in _tasks.open for rows in (known.read, known.written)]
    for rows in [*known_rows, *_of_driver]:
        for name in [name for name in rows if f"{name}/".startswith(path.rstrip("/") + "/")]:
            rows.pop(name, None)
