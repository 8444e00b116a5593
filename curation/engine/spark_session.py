"""Starting a Spark session: its settings, its JVM, and what is said where it cannot start."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from curation.engine.java import java_home
from curation.errors import RunError

MASTER_S = 10.0
EXECUTORS_S = 120.0
JVM_END_S = 20.0
WORKERS_END_S = 0.2


def session(master: str | None, workers: int, folder: str, arrow_bytes: int) -> Any:
    """A Spark session: that of spark-submit, or one of its own with its JVM's files in `folder`.

    `arrow_bytes`: the largest Arrow batch that Python and the JVM exchange. Raises RunError where it
    cannot start.
    """
    import pyspark
    from pyspark.sql import SparkSession

    submitted = submitted_by_spark()
    if not submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_HOME", os.path.dirname(pyspark.__file__))
        os.environ.setdefault("SPARK_WORKER_DIR", os.path.join(folder, "work"))
        os.environ["JAVA_HOME"] = java_home(folder)
        master = master or f"local[{workers or '*'}]"
    settings = {
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",
        "spark.sql.shuffle.partitions": str(max(2, 2 * (workers or os.cpu_count() or 1))),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(arrow_bytes),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.warehouse.dir": os.path.join(folder, "warehouse"),
        "spark.local.dir": folder,
    }
    if not submitted and (master or "").startswith("local"):
        settings |= {
            "spark.driver.memory": "2g",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": _quiet_logging(folder),
        }
    if submitted:
        builder = SparkSession.builder.appName("curation")
        for key, value in settings.items():
            builder = builder.config(key, value)
        return builder.getOrCreate()
    settings |= {
        "spark.app.name": "curation",
        "spark.master": str(master),
        "spark.ui.enabled": "false",  # with spark-submit it is as the user says
    }
    need_master(str(master))
    spark = _started(settings, os.path.join(folder, "jvm.log"))
    if str(master).startswith(("spark://", "local-cluster")):
        try:
            need_executors(str(master), spark.sparkContext._jsc.sc().getExecutorMemoryStatus)
        except BaseException:
            spark.stop()
            raise
    return spark


def need_master(master: str) -> None:
    """Raise RunError where no master of a spark:// address answers; Spark itself would try for two
    minutes and say something else."""
    refused = []
    for place in master.removeprefix("spark://").split(",") if "spark://" in master else ():
        host, _, port = place.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=MASTER_S).close()
            return
        except (OSError, ValueError, OverflowError) as error:
            refused.append(f"{place}: {error}")
    if refused:
        raise RunError(
            f"--master {master}: no master answers there ({'; '.join(refused)}); start it "
            "(sbin/start-master.sh), or give the address spark://HOST:PORT that its page shows"
        )


def need_executors(master: str, executors: Callable[[], Any]) -> None:
    """Wait until an executor is there (the driver counts as one); raise RunError where none comes:
    Spark itself would wait for ever."""
    deadline = time.monotonic() + EXECUTORS_S
    while executors().size() < 2:
        if time.monotonic() > deadline:
            raise RunError(
                f"--master {master}: no worker took this application in {EXECUTORS_S:.0f} s; look "
                "at the master's page (port 8080, mostly): are workers alive (sbin/start-worker.sh "
                "MASTER), with free cores and 1 GB of memory, and do their executors start?"
            )
        time.sleep(0.2)


def submitted_by_spark() -> bool:
    """Whether spark-submit runs a JVM already, and knows the master."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _started(settings: Mapping[str, str], log: str) -> Any:
    """The session, what its JVM prints sent to a file: what goes wrong later comes as exceptions.

    Raises RunError where it cannot start.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    try:
        with open(log, "wb") as file:
            gateway = launch_gateway(conf, {"stderr": file})
        _quiet_client()
        with _own_interrupts():
            return SparkSession(SparkContext(conf=conf, gateway=gateway))
    except Exception as error:  # pyspark raises its own, py4j's and RuntimeError here
        with open(log, encoding="utf-8", errors="replace") as printed:
            lines = [line.strip() for line in printed if "rror" in line or "xception" in line]
        thrown = [
            line.strip(": ")
            for line in str(error).splitlines()
            if line.startswith((": ", "Caused by"))
        ]
        causes = thrown[-1:] or lines[:1] or str(error).splitlines()[:1]
        raise RunError(
            f"Spark could not start: {causes[0] if causes else 'the JVM gave no reason'}; "
            f"look at JAVA_HOME ({os.environ['JAVA_HOME']}) and --master"
        ) from error


@contextlib.contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep what ctrl-C does: PySpark's handler asks the JVM on the connection that it interrupts."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _quiet_client() -> None:
    """Print nothing where a connection to the JVM breaks: it is raised as well."""
    from pyspark.accumulators import AccumulatorTCPServer

    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(lambda record: "py4j" not in record.pathname)
    AccumulatorTCPServer.handle_error = lambda *_: None


def end_jvm() -> None:
    """End this process's JVM, which ends the Python workers: only then do they write no more."""
    from pyspark import SparkContext

    gateway, SparkContext._gateway, SparkContext._jvm = SparkContext._gateway, None, None
    process = getattr(gateway, "proc", None)
    if process is not None:
        process.stdin.close()  # it ends when this pipe breaks
        try:
            process.wait(JVM_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
        time.sleep(WORKERS_END_S)


def _quiet_logging(folder: str) -> str:
    """The Java option for logging only what kills the JVM: errors reach the user as exceptions."""
    path = os.path.join(folder, "log4j2.properties")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            "rootLogger.level = fatal\n"
            "rootLogger.appenderRef.stderr.ref = console\n"
            "appender.console.type = Console\n"
            "appender.console.name = console\n"
            "appender.console.target = SYSTEM_ERR\n"
            "appender.console.layout.type = PatternLayout\n"
            "appender.console.layout.pattern = %p %c{1}: %m%n\n"
        )
    return f"-Dlog4j2.configurationFile=file:{path}"
