"""The process that the local engine's workers are forked from. It has loaded what they need, a second's work,
once and while the parent plans.

Trap: it keeps the environment and the signal mask of the moment it starts; workers are given their parent's environment anew.
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
    resource_tracker.ensure_running()  # before the block: it lets SIGINT through again when it has started
    with no_interrupt():
        CONTEXT.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Processes born in this block never see a ctrl-C: their parent ends them. One that comes meanwhile counts at the block's end.

    The mask is for the children. It does not keep a ctrl-C from the parent, which may have other threads to take it.
    """
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if main else None
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        if main:
            signal.signal(signal.SIGINT, before)
            if came:
                signal.raise_signal(signal.SIGINT)
