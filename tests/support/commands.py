"""Runs a command of a document as its reader would, and fails with what it said."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner


def run_shell(command: list[str], folder: Path) -> str:
    """Run a command in a process of its own; returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done.stdout


def run_command(command: str, folder: Path) -> None:
    """Run one line of a document in `folder`.

    `curation run` and all that is not ours run in a shell, with workers for pages. The other
    commands run in this process, and so do their tasks: starting Python, its imports and loading
    the kernels is most of what they cost.
    """
    words = shlex.split(command, comments=True)
    if words[0] != "curation" or words[1] == "run" or set("|>;&") & set(command):
        run_shell(["sh", "-c", command], folder)
        return
    from curation.cli import main
    from curation.pipeline import engines

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(engines, "THREADED_BYTES", 0)  # what an archive counts as: no workers for it
        result = CliRunner().invoke(main, words[1:], prog_name="curation")
    assert result.exit_code == 0, result.output[-2000:]
