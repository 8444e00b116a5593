"""`python -m curation` is the `curation` command."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

from curation.cli import main

# Imports and documents make many objects that live on and few circles: to look for circles after
# every 700 objects, as Python does, takes a tenth of a short command.
GC_OBJECTS = 50_000


def start() -> None:
    """Run the command, and end the process.

    What is to be done at the end is done, and the streams are flushed. Python would also free every
    object one by one, a tenth of a second.
    """
    gc.set_threshold(GC_OBJECTS, 20, 20)
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
    start()
