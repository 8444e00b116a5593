"""ctrl-C, SIGTERM and a closed terminal, where raising KeyboardInterrupt at once does harm."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

TASKS = "curation tasks"  # name of the thread that a process without workers runs its tasks in


def _nothing() -> None:
    pass


@contextlib.contextmanager
def put_off(at_once: Callable[[], None] = _nothing) -> Iterator[None]:
    """An interrupt of this block counts at its end. `at_once` is called when it comes: what ends the
    block soon.

    For libraries that do not bear an exception in their midst. Only the main thread is interrupted;
    in another one the block changes nothing.
    """
    came: list[int] = []

    def take(number: int, _: object) -> None:
        came.append(number)
        at_once()

    main = threading.current_thread() is threading.main_thread()
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if main and callable(handler := signal.getsignal(number))
    }
    for number in before:
        signal.signal(number, take)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for interrupt in came:
            signal.raise_signal(interrupt)


def task_runs() -> bool:
    """Whether an interrupted task still runs. Nothing ends its thread, and Python does not end well
    with it."""
    return any(thread.name == TASKS for thread in threading.enumerate())
