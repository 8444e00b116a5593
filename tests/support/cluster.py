"""A standalone Spark cluster on this machine: a master and workers, each a process of its own.

python tests/support/cluster.py FOLDER OUT MASTER     # the tiny corpus's line on it
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 60.0
# Copies of tasks that take longer than others, begun at once and often.
SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "20ms",
    "spark.speculation.multiplier": "1.01",
    "spark.speculation.quantile": "0.1",
    "spark.speculation.minTaskRuntime": "0ms",
    "spark.speculation.efficiency.enabled": "false",
    "spark.speculation.task.duration.threshold": "10ms",  # of stages of one task
}


def executors(process: int) -> list[int]:
    """The process numbers of the executors' JVMs below a process."""
    out, waiting = [], [process]
    while waiting:
        tasks = Path("/proc", str(waiting.pop()), "task").glob("*/children")
        with contextlib.suppress(OSError):
            children = [int(child) for task in tasks for child in task.read_text().split()]
            waiting += children
            for child in children:
                if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{child}/cmdline").read_bytes():
                    out.append(child)
    return out


class Cluster:
    """`url` is the master's address; `workers` are their processes."""

    def __init__(self, folder: Path) -> None:
        from pyspark.find_spark_home import _find_spark_home

        from curation.engine.java import java_home

        self._folder = folder
        self._class = Path(_find_spark_home()) / "bin" / "spark-class"
        self._environment = {**os.environ, "JAVA_HOME": java_home(str(folder))}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"spark://127.0.0.1:{port}"
        place = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
        self.workers: list[subprocess.Popen[bytes]] = []
        self._added = 0
        self._master = self._start("master", "org.apache.spark.deploy.master.Master", *place)
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            assert time.monotonic() < deadline, (folder / "master.log").read_text()[-2000:]
            time.sleep(0.1)

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with open(self._folder / f"{name}.log", "wb") as log:
            return subprocess.Popen(
                [str(self._class), *command], stdout=log, stderr=log, env=self._environment
            )

    def add_worker(self) -> None:
        """One machine more, of one core."""
        self._added += 1
        name = f"worker-{self._added}"
        # A machine has a name of its own: a task is not copied to where it runs.
        options = ["-c", "1", "-m", "1g", "--host", f"127.0.0.{self._added}", "--webui-port", "0"]
        command = [
            "org.apache.spark.deploy.worker.Worker",
            *options,
            "-d",
            str(self._folder / name),
        ]
        self.workers.append(self._start(name, *command, self.url))

    def kill_executor(self) -> bool:
        """kill -9 of one executor; its worker starts another. False where none is there."""
        for worker in reversed(self.workers):
            for executor in executors(worker.pid)[:1]:
                os.kill(executor, signal.SIGKILL)
                return True
        return False

    def lose_worker(self) -> None:
        """kill -9 of a worker and of its executors, as a machine that is lost."""
        worker = self.workers.pop(0)
        for process in [worker.pid, *executors(worker.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        worker.wait()

    def driver(
        self, corpus: Path, out: Path, log: Path, **settings: str
    ) -> subprocess.Popen[bytes]:
        """The line over the tiny corpus on this cluster, with settings of Spark."""
        return self._driver(
            [sys.executable, __file__, str(corpus), str(out), self.url], log, settings
        )

    def make(self, recipe: Path, out: Path, log: Path, **settings: str) -> subprocess.Popen[bytes]:
        """`make curate` on this cluster, as the README has it. The environment that runs the tests
        is not made anew."""
        command = ["make", "-o", ".venv/.curate", "curate", f"MASTER={self.url}"]
        return self._driver([*command, f"RECIPE={recipe}", f"OUT={out}"], log, settings)

    def _driver(
        self, command: list[str], log: Path, settings: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        conf = self._folder / "conf"
        conf.mkdir(exist_ok=True)
        here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        here["spark.local.dir"] = str(self._folder)
        lines = [f"{name} {value}" for name, value in {**here, **settings}.items()]
        (conf / "spark-defaults.conf").write_text("\n".join(lines) + "\n")
        with open(log, "wb") as file:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=file,
                stderr=file,
                env={**os.environ, "SPARK_CONF_DIR": str(conf)},
                start_new_session=True,
            )

    def close(self) -> None:
        """End all of it."""
        while self.workers:
            self.lose_worker()
        self._master.kill()
        self._master.wait()


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A master and workers, gone after the block."""
    made = Cluster(folder)
    try:
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        made.close()


def main(corpus: str, out: str, master: str) -> None:
    """Run the line over the tiny corpus."""
    from tiny_corpus import tiny_recipe

    from curation.engine.spark import SparkEngine
    from curation.pipeline import line as pipeline

    engine = SparkEngine(master)
    try:
        pipeline.run(tiny_recipe(Path(corpus)), out, engine, say=print)
    finally:
        engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
