"""The process that the local engine's workers are forked from.

It loads what they need once, while the parent plans; that takes a second. Trap: it keeps the
environment and the signal mask of the moment it starts, so workers are given their parent's
environment anew.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker

from curation.errors import CurationError
from curation.interrupts import put_off

CONTEXT = multiprocessing.get_context("forkserver")
INLINE_BYTES = 20_000_000  # of text, below which workers take longer to start than they save
THREADED_BYTES = (
    200_000_000  # of text, below which threads do where they may (`pipeline/engines.py`)
)
PRELOADED = ["pyarrow.parquet", "curation.store", "curation.engine.preload"]


def start() -> None:
    """Start that process, if there is none, and go on without waiting for it."""
    # Before the block: it lets SIGINT through again when it has started.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with no_interrupt():
        CONTEXT.set_forkserver_preload(PRELOADED)
        try:
            forkserver.ensure_running()
        except OSError as error:
            if "too long" not in str(error):
                raise
            raise CurationError(
                f"{tempfile.gettempdir()}: the name of this folder for temporary files is too long for "
                "the sockets in it; set TMPDIR to a shorter one, such as /tmp"
            ) from error


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Processes started in this block never see a ctrl-C or a closed terminal: their parent ends
    them.

    What interrupts the parent meanwhile counts at the block's end. The mask is for the children:
    the parent may have other threads that take the signal.
    """
    with put_off():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
