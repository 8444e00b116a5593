"""One run in a directory at a time, and locks of processes that are gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from curation import store
from curation.engine.local import LocalEngine
from curation.errors import RunError, TaskError
from curation.rundir import lock
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


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"host": "h", "pid": 1, "token": "t"}', "{'"])
def test_a_damaged_lock_is_named_and_taken_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.lock").write_text(text)
    said: list[str] = []
    with Lock(str(tmp_path), said.append):
        assert "damaged lock" in said[0]


def test_a_run_that_was_taken_over_writes_nothing_more(tmp_path: Path, local: LocalEngine) -> None:
    theirs = json.dumps({"host": "h", "pid": 1, "token": "theirs", "beat": 0})
    kept, lost = str(tmp_path / "kept.json"), str(tmp_path / "lost.json")
    write = partial(store.write_json, value=1)
    with Lock(str(tmp_path), print):
        local.map("write", write, [kept])
        (tmp_path / "run.lock").write_text(theirs)
        for change in (write, store.sweep):
            with pytest.raises(RunError, match="no longer the lock of this run"):
                change(lost)
        write(str(tmp_path.parent / "elsewhere.json"))
        with pytest.raises(RunError, match="no longer the lock"):
            store.delete(kept)
        with pytest.raises(TaskError, match=r"write failed on .*lost.json: .*no longer the lock"):
            local.map("write", write, [lost])
    assert sorted(os.listdir(tmp_path)) == ["kept.json", "run.lock"]
    assert (tmp_path / "run.lock").read_text() == theirs
    local.map("write", write, [lost])  # no lock, no look


def test_a_beat_leaves_the_lock_of_another_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.01)
    path = tmp_path / "run.lock"
    with Lock(str(tmp_path), print):
        first = path.read_text()
        while path.read_text() == first:
            time.sleep(0.01)
        path.write_text('{"host": "h", "pid": 1, "token": "theirs", "beat": 0}')
        time.sleep(0.1)
        assert json.loads(path.read_text())["token"] == "theirs"


def test_a_second_start_beside_a_first_is_told_of_it(tmp_path: Path, run_recipe: Any) -> None:
    """What the first has not renamed yet is no sign of a foreign folder."""
    out = tmp_path / "run"
    with Lock(str(out), print):
        (out / "plan.json.tmp-x1").write_text("{")
        with pytest.raises(RunError, match="is at work in this directory"):
            run_recipe({"a": [{"id": "1", "text": "x"}]}, {"stages": ["extract"]})


def test_a_lock_has_one_length_whenever_it_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Object storage tells its size and its bytes in two answers, with a beat between them perhaps."""
    lengths = set()
    with Lock(str(tmp_path), print) as held:
        for moment in (1764409508.0, 1764409508.5, 1764409508.1234567, 9764409508.25):
            monkeypatch.setattr(lock.time, "time", lambda moment=moment: moment)
            store.write_json(str(tmp_path / "run.lock"), held._record())
            lengths.add((tmp_path / "run.lock").stat().st_size)
            assert float(json.loads((tmp_path / "run.lock").read_text())["beat"]) - moment < 1e-5
        monkeypatch.undo()
    assert len(lengths) == 1
