"""One run in a directory at a time, and locks of processes that are gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from curation.errors import RunError
from curation.rundir.lock import Lock


def test_two_runs_cannot_hold_one_directory(tmp_path: Path) -> None:
    with (
        Lock(str(tmp_path), print),
        pytest.raises(RunError, match=str(os.getpid())),
        Lock(str(tmp_path), print),
    ):
        pass
    assert not (tmp_path / "run.lock").exists()


def test_the_lock_of_a_dead_process_is_named_and_taken_over(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    owner = {"host": socket.gethostname(), "pid": int(dead.stdout), "token": "t", "beat": 0}
    (tmp_path / "run.lock").write_text(json.dumps(owner))
    said: list[str] = []
    with Lock(str(tmp_path), said.append):
        assert str(owner["pid"]) in said[0]


def test_a_beating_lock_of_another_process_number_is_not_believed_for_ever(tmp_path: Path) -> None:
    owner = {"host": socket.gethostname(), "pid": os.getppid(), "token": "t", "beat": 0}
    (tmp_path / "run.lock").write_text(json.dumps(owner))
    with Lock(str(tmp_path), print):
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()


def test_a_lock_that_was_taken_over_is_left_to_its_new_owner(tmp_path: Path) -> None:
    with Lock(str(tmp_path), print):
        (tmp_path / "run.lock").write_text(
            json.dumps({"host": "h", "pid": 1, "token": "theirs", "beat": 0})
        )
    assert (tmp_path / "run.lock").exists()
