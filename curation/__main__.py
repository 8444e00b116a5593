"""`curation` and `python -m curation`: the command line."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys

# Imports and documents make many objects that live on and few circles: to look for circles after
# every 700 objects, as Python does, takes a tenth of a short command.
GC_OBJECTS = 50_000


def run() -> None:
    """Run the command line, and end the process.

    Until its modules are loaded, and it says what an interrupt keeps, ctrl-C ends the process without
    a word. At the end what is to be done is done, and the streams are flushed; Python would also free
    every object one by one, a tenth of a second.
    """
    gc.set_threshold(GC_OBJECTS, 20, 20)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from curation.cli import main

    try:
        main(prog_name="curation")
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError, ValueError):  # else Python says what is wrong with them
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code or 0)
        raise


if __name__ == "__main__":
    run()
