"""`curation status`: how far a run is, from its manifests, lock and metrics."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.errors import RunError
from curation.inspect.evidence.status import run_status, slowest_shards
from curation.rundir import metrics, parts
from curation.rundir.lock import member_lock


def task(label: str, shard: str, seconds: float, **more: Any) -> dict[str, Any]:
    row = {"stage": "decontaminate", "label": label, "shard": shard, "seconds": seconds}
    return {**row, "peak_mb": 300, "read": 10, "written": 5, **more}


def write(run: Path, *rows: Any, name: str = metrics.NAME) -> None:
    (run / name).parent.mkdir(exist_ok=True)
    with open(run / name, "a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def hold(run: Path, beat: float, name: str = "run.lock") -> None:
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": "t", "beat": beat}
    (run / name).write_text(json.dumps(owner))


def test_a_finished_run(tiny_run: Path) -> None:
    status = run_status(str(tiny_run))
    assert status.state == "finished"
    assert not status.holder
    assert {row.state for row in status.stages} == {"ended"}
    assert status.shards == 3
    extract = status.stages[0]
    assert (extract.documents, extract.label) == (46, "extract")
    assert extract.task_seconds > 0
    assert extract.seconds
    assert len(status.slowest) == 3
    assert status.slowest == slowest_shards(str(tiny_run))


def test_a_run_at_work_and_an_interrupted_one(half_run: Path) -> None:
    (half_run / metrics.NAME).unlink()
    began = time.time() - 50
    write(
        half_run,
        {"stage": "decontaminate", "began": began, "number": 6, "of": 8, "shards": 9},
        {"stage": "decontaminate", "label": "decontaminate: scan", "items": 3, "at": began},
        *(task("decontaminate: scan", f"wiki/{n:05d}", 1) for n in range(3)),
        {"stage": "decontaminate", "label": "decontaminate: cut", "items": 9, "at": began},
        task("decontaminate: cut", "wiki/00001", 9.5, documents=100),
        task("decontaminate: cut", "wiki/00002", 2.0, documents=400),
    )
    hold(half_run, time.time())
    status = run_status(str(half_run))
    assert status.state == "at work"
    (row,) = (row for row in status.stages if row.state == "at work")
    assert (row.stage, row.label, row.done, row.items) == (
        "decontaminate",
        "decontaminate: cut",
        2,
        9,
    )
    assert (row.documents, row.tasks, row.task_seconds, row.peak_mb) == (500, 5, 14.5, 300)
    assert status.documents_per_s == pytest.approx(10, rel=0.1)
    assert status.seconds_left == pytest.approx(175, rel=0.1)
    assert [shard.shard for shard in status.slowest] == ["wiki/00001", "wiki/00002", "wiki/00000"]
    assert [row.state for row in status.stages[-2:]] == ["waiting", "waiting"]
    hold(half_run, time.time() - 1000)
    status = run_status(str(half_run))
    assert (status.state, status.holder, status.seconds_left) == ("interrupted", "", None)


def test_array_tasks_write_files_of_their_own(half_run: Path) -> None:
    (half_run / metrics.NAME).unlink()
    for part in range(2):
        label = {"stage": "decontaminate", "label": "decontaminate: cut", "items": 4, "at": 0}
        done = task("decontaminate: cut", f"wiki/{part:05d}", 1, documents=7)
        write(half_run, label, done, name=f"{metrics.FOLDER}/{part}-of-2.jsonl")
    shared = {"stage": "decontaminate", "label": "decontaminate: cut", "key": "k", "of": 2}
    write(half_run, shared, name=parts.NEXT)
    status = run_status(str(half_run))
    assert (status.state, status.holder) == ("waiting for array tasks of decontaminate: cut", "")
    hold(half_run, time.time(), member_lock(1, 2))
    status = run_status(str(half_run))
    assert (status.state, status.holder) == ("at work", "1 array task")
    row = status.stages[3]
    assert (row.stage, row.done, row.items, row.documents) == ("decontaminate", 2, 8, 14)


def test_damaged_lines_are_passed_over(copied: Path) -> None:
    before = run_status(str(copied))
    with open(copied / metrics.NAME, "ab") as file:
        file.write(b'{"stage": 3}\n\xff\n{"stage": "mix", "shard": 1}\n[]\n' + b"x" * 200_000)
    assert run_status(str(copied)) == before


def test_the_command_shows_it_and_is_refused_where_there_is_no_run(
    tiny_run: Path, tmp_path: Path
) -> None:
    shown = CliRunner().invoke(main, ["status", str(tiny_run)])
    assert shown.exit_code == 0, shown.output
    assert "finished, 6 of 6 stages ended" in shown.output.replace("\n", " ")
    assert "Slowest shards" in shown.output
    found = json.loads(CliRunner().invoke(main, ["status", str(tiny_run), "--json"]).output)
    assert found["state"] == "finished"
    with pytest.raises(RunError, match="not a run directory"):
        run_status(str(tmp_path))
