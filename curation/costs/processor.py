"""Processor time and memory of this process and all that it started.

Where there is no /proc (macOS), the time of this process and of children that have ended.
Trap: /proc counts the time of other processes in hundredths of a second.
"""

from __future__ import annotations

import os
import resource
import time


def tree() -> list[int]:
    """This process and its descendants, those of its forkserver among them."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    out, waiting = [], [os.getpid()]
    while waiting:
        out.append(waiting.pop())
        waiting += children.get(out[-1], [])
    return out


def core_s() -> float:
    """Processor seconds until now, those of children that have ended among them."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time() + ended.ru_utime + ended.ru_stime
    if not os.path.isdir("/proc/self"):
        return own
    ticks = sum(sum(map(int, fields[11:15])) for pid in tree()[1:] if (fields := _stat(pid)))
    return own + ticks / os.sysconf("SC_CLK_TCK")


def peak_mb() -> float:
    """The largest resident memory that one of these processes ever had."""
    if not os.path.isdir("/proc/self"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return max((_peak_kb(pid) for pid in tree()), default=0) / 1000


def _stat(pid: int) -> list[str]:
    """The fields of a process behind its name; none where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _peak_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.startswith("VmHWM:")]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(lines[0].split()[1]) if lines else 0
