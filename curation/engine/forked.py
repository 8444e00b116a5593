"""The process that the local engine's workers are forked from. It has loaded what they need, a second's work,
once and while the parent plans.

Trap: it keeps the environment and the signal mask of the moment it starts; workers are given their parent's environment anew.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing import forkserver

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ["pyarrow.parquet", "curation.store", "curation.kernels.loaded"]


def start() -> None:
    """Start that process, if there is none, and go on without waiting for it."""
    with no_interrupt():
        CONTEXT.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Processes born in this block never see a ctrl-C: their parent ends them."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
