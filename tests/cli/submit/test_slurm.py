"""`curation submit slurm` against a stand-in for sbatch that runs each job at once."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from curation import store
from curation.cli import main
from curation.rundir import plan as plans

SBATCH = f"""#!{sys.executable}
import json, os, re, subprocess, sys
from pathlib import Path
folder = Path(__file__).parent
calls = json.loads((folder / "calls.json").read_text()) if (folder / "calls.json").exists() else []
number = 100 + len(calls)
calls.append(sys.argv[1:])
(folder / "calls.json").write_text(json.dumps(calls))
options = dict(part.removeprefix("--").partition("=")[::2] for part in sys.argv[1:-1])
if number == int(os.environ.get("REFUSED", "0")):
    sys.exit("sbatch: error: invalid partition specified")
after = options.get("dependency", "afterok:").removeprefix("afterok:")
if after and not (folder / after).exists():
    sys.exit(f"job {{after}} has not ended well")
last = int(options.get("array", "0-0").partition("%")[0].partition("-")[2])
for task in range(last + 1):
    env = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": "1"}}
    done = subprocess.run(["sh", sys.argv[-1]], env=env, capture_output=True, text=True)
    with open(folder / "log", "a") as log:
        log.write(done.stdout + done.stderr)
    if done.returncode:
        sys.exit(done.returncode)
(folder / str(number)).touch()
print(f"{{number}};cluster")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small files, a recipe of one stage, and sbatch on the PATH."""
    rows = [{"id": str(n), "text": f"The keeper lit lamp {n} of the harbour."} for n in range(6)]
    for part in range(2):
        text = "".join(json.dumps(row) + "\n" for row in rows[part::2])
        (tmp_path / f"my file {part}.jsonl").write_text(text)
    (tmp_path / "r.toml").write_text(
        'stages = ["extract"]\n[[dataset]]\nname = "a"\nfiles = "my file *.jsonl"\n'
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(SBATCH)
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def submit(*more: str) -> Result:
    arguments = ["submit", "slurm", "r.toml", "--out", "the run", "--tasks", "2", *more]
    return CliRunner().invoke(main, arguments, prog_name="curation")


@pytest.mark.slow  # nine processes; pipeline/test_sharded.py has the shares within one
def test_the_jobs_of_a_run_make_what_one_run_makes(folder: Path) -> None:
    done = submit("--partition", "cpu", "--sbatch-option", "--account=corpora", "--at-once", "1")
    assert done.exit_code == 0, done.output + (folder / "bin" / "log").read_text()
    assert "Submitted 6 jobs, 100 to 105" in done.output
    calls = json.loads((folder / "bin" / "calls.json").read_text())
    assert [Path(call[-1]).stem for call in calls] == [
        "first",
        "array",
        "main",
        "array",
        "main",
        "last",
    ]
    assert all(
        {"--partition=cpu", "--account=corpora", "--parsable"} <= set(call) for call in calls
    )
    assert ["--array=0-1%1" in call for call in calls] == [False, True, False, True, False, False]
    assert "--dependency=afterok:103" in calls[4]
    log = (folder / "bin" / "log").read_text()
    assert "Next: array tasks 0 to 1 of 2, for extract." in log
    assert "Array task 1 of 2 did its shards for extract: manifest." in log
    rundir, plan = plans.read(str(folder / "the run"))
    plans.need_finished(rundir, "extract")
    ids = [store.read_table(rundir.documents(s), ["id"]).column(0).to_pylist() for s in plan.shards]
    assert ids == [["0", "2", "4"], ["1", "3", "5"]]


def test_what_sbatch_refuses_is_said_with_what_is_submitted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSED", "101")
    done = submit()
    assert done.exit_code == 1
    assert "sbatch refused a job: sbatch: error: invalid partition specified" in done.output
    assert "jobs 100 to 100 are submitted: scancel them" in done.output


def test_without_sbatch_the_scripts_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = submit()
    assert done.exit_code == 1
    assert "sbatch: no such program" in done.output
    shown = submit("--dry-run", "--set", "seed=3", "--update")
    assert shown.exit_code == 0, shown.output
    assert len(shown.output.splitlines()) == 6
    assert "--dependency=afterok:JOB2" in shown.output
    script = (folder / "slurm" / "array.sh").read_text()
    assert script.startswith("#!/bin/sh\nexec ")
    assert '--set seed=3 --shards "$SLURM_ARRAY_TASK_ID"/2 --workers' in script
    assert "'" + str(folder / "the run") + "'" in script
    assert "--update" in (folder / "slurm" / "first.sh").read_text()
    assert "--update" not in (folder / "slurm" / "main.sh").read_text()
