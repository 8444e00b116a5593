"""What the tasks of a run cost: `metrics.jsonl` in the run directory, written by the driver from what
tasks return, and the line that says how far the whole run is.

A line for each task that ended: stage, label, shard, seconds, bytes read and written, documents, peak
memory. Further lines say when a stage or a map began. They are no result: no digest, manifest or
comparison has them, and they may be deleted. Cost: 30 microseconds and 150 bytes a task.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import orjson

from curation import store
from curation.shown import masked

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.engine.tasks import Cost

NAME = "metrics.jsonl"
FOLDER = "metrics"  # of the tasks of `--shards i/n`, a file each
SHOW_S = 0.5  # between two lines that are shown
FLUSH_S = 2.0  # between two writings to the disk
# Seconds of each stage in the run that docs/results/performance.md shows: how much is left later.
WEIGHTS = {"extract": 14.0, "filter": 2.0, "classify": 5.6, "dedup": 3.0, "decontaminate": 4.0,
           "tokenize": 2.0, "mix": 1.0}  # fmt: skip
# A line about the run, and whether it is one to keep: a stage has ended.
Show = Callable[[str, bool], None]


def unseen(line: str, keep: bool) -> None:
    """Shows no progress."""


class Metrics:
    """What is known of a run while it is at work. One object a run; it follows the engine's verbs."""

    def __init__(self, out: str, name: str = NAME, show: Show = unseen) -> None:
        self.path = store.join(out, name)
        self._show = show
        self._stage, self._label, self._place = "", "", (0, 0)
        self._later: list[str] = []
        self._done, self._total, self._documents = 0, 0, 0
        self._stage_documents, self._tasks = 0, 0
        self._began = self._stage_began = time.monotonic()
        self._spent: dict[str, float] = {}  # stages that ended here: seconds
        self._file: IO[bytes] | None = None
        self._flushed = self._shown = 0.0

    # ---- what happens ----

    @contextlib.contextmanager
    def following(self, engine: Engine) -> Iterator[Metrics]:
        """Hear of an engine's tasks while the block runs."""
        progress, observe = engine.progress, engine.observe

        def both(label: str, done: int, total: int) -> None:
            progress(label, done, total)
            self.progress(label, done, total)

        engine.progress, engine.observe = both, self.task
        try:
            yield self
        finally:
            engine.progress, engine.observe = progress, observe
            self.close()

    def stage(self, name: str, number: int, stages: Sequence[str], shards: int) -> None:
        """A stage begins: the `number`-th, from 1, of some."""
        self._stage, self._place = name, (number, len(stages))
        self._later = list(stages[number:])
        self._stage_began, self._stage_documents, self._tasks = time.monotonic(), 0, 0
        self._write({"stage": name, "began": _now(), "number": number, "of": len(stages),
                     "shards": shards})  # fmt: skip

    def progress(self, label: str, done: int, total: int) -> None:
        """A verb is so far: what an engine reports."""
        if label != self._label or not done:
            self._label, self._began, self._documents = label, time.monotonic(), 0
            if self._stage and total:
                self._write({"stage": self._stage, "label": label, "items": total, "at": _now()})
        self._done, self._total = done, total
        if total:
            self._tell()

    def task(self, label: str, item: Any, result: Any, cost: Cost) -> None:
        """A task ended: what an engine observes."""
        from curation.engine.base import item_name

        self._tasks += 1
        row = {"stage": self._stage, "label": label, "shard": masked(item_name(item)),
               "seconds": round(cost.seconds, 4), "peak_mb": cost.peak_mb}  # fmt: skip
        if cost.read is not None and cost.written is not None:
            row |= {"read": cost.read, "written": cost.written}
        if counts := getattr(result, "ledger", {}).get("in"):
            row["documents"] = counts[0]
            self._documents += counts[0]
            self._stage_documents = max(self._stage_documents, self._documents)
        if self._stage:
            self._write(row)

    def ended(self) -> None:
        """The stage that began last has ended."""
        seconds = time.monotonic() - self._stage_began
        self._spent[self._stage] = seconds
        self._write({"stage": self._stage, "ended": _now(), "seconds": round(seconds, 3)})
        # Not each record that is read becomes a document.
        what = "records" if self._stage == "extract" else "documents"
        came = f", {self._stage_documents:,} {what}" if self._stage_documents else ""
        number, of = self._place
        self._show(f"stage {number} of {of}, {self._stage}: done in {span(seconds)}{came}", True)
        self._flush()

    def close(self) -> None:
        """Write what is left."""
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None

    # ---- the line ----

    def line(self) -> str:
        """How far the whole run is, in one line."""
        number, of = self._place
        parts = [f"stage {number} of {of}, {self._label}" if number else self._label]
        parts.append(f"{self._done:,} of {self._total:,}")
        seconds = time.monotonic() - self._began
        if self._documents:
            parts.append(f"{self._documents:,} documents, {_rate(self._documents, seconds)}/s")
        elif self._done > 1:
            parts.append(f"{_rate(self._done, seconds)}/s")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {span(left)} left")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """Of the map under way, and, by the usual proportions, of the stages after this one; None
        where nothing is known yet."""
        seconds = time.monotonic() - self._began
        if not self._done or seconds < 1:
            return None
        left = seconds / self._done * (self._total - self._done)
        weight = sum(WEIGHTS.get(stage, 0.0) for stage in (*self._spent, self._stage))
        spent = sum(self._spent.values()) + time.monotonic() - self._stage_began + left
        later = sum(WEIGHTS.get(stage, 0.0) for stage in self._later)
        return left + (spent / weight * later if weight else 0.0)

    def _tell(self) -> None:
        if time.monotonic() - self._shown >= SHOW_S:
            self._shown = time.monotonic()
            self._show(self.line(), False)

    # ---- the file ----

    def _write(self, row: dict[str, Any]) -> None:
        if self._file is None:
            self._file = self._opened()
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        if time.monotonic() - self._flushed >= FLUSH_S:
            self._flushed = time.monotonic()
            self._file.flush()

    def _opened(self) -> IO[bytes]:
        if not store.is_remote(self.path):
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            return open(self.path, "ab")
        file = tempfile.TemporaryFile()  # noqa: SIM115
        if store.exists(self.path):
            file.write(store.read_bytes(self.path))
        return file

    def _flush(self) -> None:
        """To the disk; to object storage the whole file, since nothing can be appended there."""
        if self._file is None:
            return
        self._file.flush()
        if store.is_remote(self.path):
            self._file.seek(0)
            store.write_bytes(self.path, self._file.read())


def _now() -> int:
    return int(time.time())


def _rate(count: int, seconds: float) -> str:
    rate = count / max(seconds, 0.001)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def span(seconds: float) -> str:
    """A span of time as people say it.

    >>> span(7.04), span(100), span(5000), span(200_000)
    ('7.0 s', '100 s', '83 min', '56 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
