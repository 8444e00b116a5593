"""What the files in `jobs/` run under spark-submit.

Python puts the folder of a script first on its path, and `jobs/tokenize.py` would then hide the
standard library's `tokenize`. So this module takes the folder away before it imports anything else.
"""

import sys


def job(stage: str | None) -> None:
    """The line up to `stage`, all of it for None, with RECIPE and --out from the command line."""
    sys.path.pop(0)
    from curation.cli.run import run_job

    run_job(stage, sys.argv[1:])
