"""A standalone cluster with a packed environment, one that loses executors, a machine, and its
driver: the bytes of the local engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import ROOT, SPECULATION, cluster

from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading
from curation.rundir.manifest import FOLDER

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),
]
pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
COMPARED = (".parquet", ".bin", ".idx", ".npz", ".npy", ".jsonl")


def contents(run: Path) -> dict[str, bytes]:
    """All tables, token shards and manifests of a run."""
    files = [f for f in run.rglob("*") if f.suffix in COMPARED or f.parent.name == FOLDER]
    return {str(f.relative_to(run)): f.read_bytes() for f in files if f.name != "metrics.jsonl"}


def in_stage(out: Path, stage: str, before: str, folder: str) -> Callable[[], bool]:
    """Whether a run is in a stage: that before it has ended, and its first file is there."""

    def reached() -> bool:
        began = not before or (out / FOLDER / f"{before}.json").exists()
        return began and any((out / folder).rglob("*")) and not ended(out, stage)

    return reached


def ended(out: Path, stage: str) -> bool:
    return (out / FOLDER / f"{stage}.json").exists()


def wait_for(reached: Callable[[], bool], driver: subprocess.Popen[bytes], log: Path) -> None:
    while not reached():
        assert driver.poll() is None, log.read_text()[-3000:]
        time.sleep(0.02)


def other_python() -> str:
    """A Python of this version that has packages of its own: the system's where there is one, else
    the one that this environment was made from."""
    name = f"python3.{sys.version_info.minor}"
    ours = {os.path.realpath(sys.executable), os.path.realpath(shutil.which(name) or "")}
    others = [f"{folder}/{name}" for folder in ("/usr/bin", "/usr/local/bin", "/opt/bin")]
    found = [one for one in others if os.path.exists(one) and os.path.realpath(one) not in ours]
    return found[0] if found else os.path.realpath(sys.executable)


RECIPE = """\
stages = ["extract", "dedup", "tokenize", "mix"]
[[dataset]]
name = "wiki"
files = "{folder}/wiki.jsonl"
[[dataset]]
name = "crawl"
role = "crawl"
files = "{folder}/crawl.jsonl"
[mix]
shards = 2
weights = {{ wiki = 40, crawl = 60 }}
"""


def test_make_curate_with_the_packed_environment(
    tiny_run: Path, tmp_path: Path, local: LocalEngine
) -> None:
    """As the README says it: the environment is packed, and the workers' machines have a Python
    that is not ours. `told` is what each process there is started with."""
    recipe, out, told = tmp_path / "recipe.toml", tmp_path / "run", tmp_path / "told"
    recipe.write_text(RECIPE.format(folder=tiny_run.parent))
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(f'#!/bin/sh\necho "$PYTHONPATH" >> {told}\nexec {other_python()} "$@"\n')
    python.chmod(0o755)
    settings = {"spark.executorEnv.CURATION_PYTHON": str(python)}
    with cluster(tmp_path, workers=2) as spark:
        driver = spark.make(recipe, out, log, **settings)
        assert driver.wait(3000) == 0, log.read_text()[-3000:]
    for worker in tmp_path.glob("worker-*/"):
        shutil.rmtree(worker)  # a gigabyte each: the environment
    pipeline.run(reading.load(str(recipe)), str(tmp_path / "here"), local, say=lambda _: None)
    assert contents(out) == contents(tmp_path / "here")
    assert (out / "report.html").exists()
    starts = [line.split(":") for line in told.read_text().splitlines()]
    assert starts
    for paths in starts:
        assert paths[-1].endswith("/environment/lib")
        # Spark's own Python files are there too, and here they are in our environment.
        assert all("/pyspark/" in path for path in paths if path.startswith(f"{ROOT}/.venv"))


def test_executors_killed_in_extract_dedup_and_mix_and_a_machine_lost(
    tiny_run: Path, tmp_path: Path
) -> None:
    """With speculative copies of tasks on; the executors of one machine end the run."""
    out, log, events = tmp_path / "run", tmp_path / "log", tmp_path / "events"
    events.mkdir()
    told = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri()}
    told |= {"spark.eventLog.compress": "false", "spark.eventLog.rolling.enabled": "false"}
    with cluster(tmp_path, workers=2) as spark:
        driver = spark.driver(tiny_run.parent, out, log, **SPECULATION, **told)
        for stage, before, folder in (
            ("extract", "", "documents"),
            ("dedup", "classify", "dedup"),
            ("mix", "tokenize", "tokens"),
        ):
            wait_for(in_stage(out, stage, before, folder), driver, log)
            wait_for(spark.kill_executor, driver, log)
            if stage == "dedup":
                spark.lose_worker()  # the other one
        assert driver.wait(600) == 0, log.read_text()[-3000:]
    assert contents(out) == contents(tiny_run)
    lines = [line for file in events.iterdir() for line in file.read_text().splitlines()]
    tasks = [json.loads(line) for line in lines if '"SparkListenerTaskStart"' in line]
    removed = [line for line in lines if '"SparkListenerExecutorRemoved"' in line]
    assert any(task["Task Info"]["Speculative"] for task in tasks)
    assert len(removed) >= 3


def test_a_killed_driver_resumed_on_another_number_of_machines(
    tiny_run: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    with cluster(tmp_path, workers=1) as spark:
        driver = spark.driver(tiny_run.parent, out, log)
        wait_for(in_stage(out, "dedup", "classify", "dedup"), driver, log)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        assert not ended(out, "dedup")
        spark.add_worker()
        spark.add_worker()
        assert spark.driver(tiny_run.parent, out, log).wait(600) == 0, log.read_text()[-3000:]
    assert contents(out) == contents(tiny_run)
