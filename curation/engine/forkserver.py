"""The process that the local engine's workers are forked from.

It loads what they need once, while the parent plans; that takes a second. Trap: it keeps the
environment and the signal mask of the moment it starts, so workers are given their parent's
environment anew.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ["pyarrow.parquet", "curation.store", "curation.engine.preload"]


def start() -> None:
    """Start that process, if there is none, and go on without waiting for it."""
    # Before the block: it lets SIGINT through again when it has started.
    resource_tracker.ensure_running()
    with no_interrupt():
        CONTEXT.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Processes started in this block never see a ctrl-C: their parent ends them.

    A ctrl-C that arrives meanwhile counts at the block's end. The mask is for the children: the
    parent may have other threads that take the signal.
    """
    interrupts: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    handler = (
        signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number)) if main else None
    )
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, handler)
            if interrupts:
                signal.raise_signal(signal.SIGINT)
