"""Seconds of each part of a stage, by the clock and of the processor: on a machine that others use, only the latter compare."""

from __future__ import annotations

import time

import psutil


class Parts:
    """An engine's `progress`: notes clock and processor seconds (this process and its workers) between first and last call of a label."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._began: dict[str, tuple[float, float]] = {}
        self._ended: dict[str, tuple[float, float]] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        now = time.perf_counter(), self.used()
        self._began.setdefault(label, now)
        self._ended[label] = now

    def used(self) -> float:
        """Processor seconds of this process and its workers until now."""
        times = [p.cpu_times() for p in (self._own, *self._own.children(recursive=True))]
        return float(sum(t.user + t.system for t in times))

    def seconds(self) -> dict[str, tuple[float, float]]:
        """(clock, processor) of each label, in order."""
        return {
            k: (self._ended[k][0] - b[0], self._ended[k][1] - b[1]) for k, b in self._began.items()
        }

    def lines(self, amount: float, unit: str, prefix: str) -> list[str]:
        """A line for each label that starts with `prefix`, and their sum: seconds and `amount` (in millions of `unit`) a second."""
        chosen = {label: both for label, both in self.seconds().items() if label.startswith(prefix)}
        chosen["all"] = (sum(c for c, _ in chosen.values()), sum(p for _, p in chosen.values()))
        rows = [
            (label, (clock, amount / clock), (used, amount / max(used, 1e-3)))
            for label, (clock, used) in chosen.items()
        ]
        form = "{:22} {:7.2f} s {:8.1f} {unit}/s    processor {:7.2f} s {:8.1f} {unit}/s"
        return [form.format(label, *wall, *own, unit=unit) for label, wall, own in rows]
