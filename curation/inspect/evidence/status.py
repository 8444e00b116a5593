"""How far a run is, and what it has cost so far: from its manifests, its lock and `metrics.jsonl`.

Cost: one reading of the metrics, a microsecond a finished task. No table is opened.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from curation import store
from curation.errors import InputError, RunError
from curation.inspect.evidence.listing import Listing, listing
from curation.rundir import manifest as manifests
from curation.rundir import metrics, parts
from curation.rundir.lock import STALE_S
from curation.rundir.plan import read

SLOWEST = 5
MOST_LINE = 1 << 16  # bytes of a line of metrics: longer ones are none of ours


@dataclass(slots=True)
class StageStatus:
    """One stage. `state`: ended, at work, interrupted or waiting. `documents`: of the map that
    counted most. `task_seconds`: of all its tasks, by the clock; `label`, `done`, `items`: the map
    that began last."""

    stage: str
    state: str = "waiting"
    seconds: float | None = None
    documents: int = 0
    tasks: int = 0
    task_seconds: float = 0.0
    read: int = 0
    written: int = 0
    peak_mb: int = 0
    label: str = ""
    done: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class SlowShard:
    """The map of a shard that took longest."""

    shard: str
    label: str
    seconds: float
    documents: int | None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run: `state` is finished, at work, interrupted or waiting for array tasks; `holder` who is at work; `shards` planned;
    what is left in seconds, of the map under way, where that can be said."""

    state: str
    holder: str
    shards: int
    stages: list[StageStatus]
    documents_per_s: float | None
    seconds_left: float | None
    slowest: list[SlowShard]


@dataclass(slots=True)
class _Read:
    """What the metrics say: by stage, of each map its documents and when it began, and the slowest
    map of each shard."""

    stages: dict[str, StageStatus] = field(default_factory=dict)
    documents: dict[tuple[str, str], int] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    slow: dict[str, SlowShard] = field(default_factory=dict)


def run_status(out: str) -> RunStatus:
    """How far the run in a directory is. Raises RunError where there is none."""
    rundir, plan = read(out)
    told = _read(_rows(out))
    holder = _holder(out)
    stages = [stage for stage in rundir.recipe.stages if stage != "download"]
    rows = [told.stages.get(stage) or StageStatus(stage) for stage in stages]
    for row in rows:
        there = store.exists(manifests.path(out, row.stage))
        row.state = "ended" if there else "waiting"
    under_way = next((row for row in rows if row.state != "ended"), None)
    if under_way is not None and (under_way.tasks or holder):
        under_way.state = "at work" if holder else "interrupted"
    speed = left = None
    if under_way is not None and holder and under_way.done:
        seconds = max(1.0, time.time() - told.began.get(under_way.stage, time.time()))
        speed = told.documents.get((under_way.stage, under_way.label), 0) / seconds or None
        left = seconds / under_way.done * (under_way.items - under_way.done)
    state = "finished" if under_way is None else "at work" if holder else _at_rest(out)
    return RunStatus(state, holder, len(plan.shards), rows, speed, left, _slowest(told))


def slowest_shards(out: str, most: int = SLOWEST) -> list[SlowShard]:
    """The shards whose longest task took longest, the longest first; none without metrics."""
    return _slowest(_read(_rows(out)), most)


def _slowest(told: _Read, most: int = SLOWEST) -> list[SlowShard]:
    return sorted(told.slow.values(), key=lambda shard: (-shard.seconds, shard.shard))[:most]


def _rows(out: str) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics; what is no such line is passed over."""
    parts = sorted(file.path for file in store.listing(store.join(out, metrics.FOLDER)))
    for path in (store.join(out, metrics.NAME), *parts):
        try:
            stream = store.open_input(path)
        except InputError:
            continue
        with stream:
            yield from filter(None, map(_row, _lines(stream)))


def _lines(stream: Any) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        rest = rest[:MOST_LINE]
        yield from lines


def _row(line: bytes) -> dict[str, Any] | None:
    if len(line) > MOST_LINE:
        return None
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("stage"), str) else None


def _read(rows: Iterable[dict[str, Any]]) -> _Read:
    told = _Read()
    for row in rows:
        try:
            _take(told, row)
        except (KeyError, TypeError, ValueError):
            continue
    return told


def _take(told: _Read, row: dict[str, Any]) -> None:
    """One line: a task that ended, or that a map or a stage began or ended."""
    stage = told.stages.setdefault(row["stage"], StageStatus(row["stage"]))
    if "shard" in row:
        label, seconds = str(row["label"]), float(row["seconds"])
        stage.tasks, stage.task_seconds = stage.tasks + 1, stage.task_seconds + seconds
        stage.read, stage.written = (
            stage.read + int(row.get("read", 0)),
            stage.written + int(row.get("written", 0)),
        )
        stage.peak_mb = max(stage.peak_mb, int(row["peak_mb"]))
        stage.done += label == stage.label
        documents = row.get("documents")
        if documents is not None:
            key = row["stage"], label
            told.documents[key] = told.documents.get(key, 0) + int(documents)
            stage.documents = max(stage.documents, told.documents[key])
        shard = str(row["shard"])
        if "/" in shard and not label.endswith(": manifest"):
            known = told.slow.get(shard)
            if known is None or seconds > known.seconds:
                told.slow[shard] = SlowShard(shard, label, seconds, documents)
    elif "items" in row:
        if row["label"] != stage.label or stage.done >= stage.items:
            stage.label, stage.done, stage.items = str(row["label"]), 0, 0
            told.began[row["stage"]] = float(row["at"])
            told.documents[row["stage"], stage.label] = 0
        stage.items += int(row["items"])
    elif "ended" in row:
        stage.seconds = (stage.seconds or 0.0) + float(row["seconds"])


def _holder(out: str) -> str:
    """Who holds the lock of a run and gave a sign of late, or how many array tasks hold theirs; empty
    where nobody."""
    if alone := _owner(store.join(out, "run.lock")):
        return alone
    tasks = sum(bool(_owner(store.join(out, name))) for name in parts.members(out))
    return f"{tasks} array task{'s' * (tasks != 1)}" if tasks else ""


def _owner(path: str) -> str:
    try:
        found = store.read_json(path)
        fresh = time.time() - float(found["beat"]) <= STALE_S
        return f"process {int(found['pid'])} on {found['host']}" if fresh else ""
    except (InputError, RunError, KeyError, TypeError, ValueError):
        return ""


def _at_rest(out: str) -> str:
    """The state of a run that has not ended and that nobody is at work on."""
    shared = parts.next_map(out)
    return f"waiting for array tasks of {shared.label}" if shared else "interrupted"


# ---- for people ----------------------------------------------------------------------------------


def status_listing(status: RunStatus) -> Listing:
    """A row a stage."""
    head = ("stage", "state", "took", "documents", "task time", "read", "written", "peak memory")
    rows = []
    for row in status.stages:
        state = row.state
        if state in ("at work", "interrupted") and row.label:
            state = f"{state}: {row.label}, {row.done:,} of {row.items:,}"
        took = metrics.span(row.seconds) if row.seconds is not None else ""
        cells = [row.stage, state, took, f"{row.documents:,}" if row.documents else ""]
        if row.tasks:
            cells += [metrics.span(row.task_seconds), _size(row.read), _size(row.written)]
            cells.append(f"{row.peak_mb:,} MB")
        rows.append([*cells, *[""] * (len(head) - len(cells))])
    return listing("", head, rows, left=(0, 1))


def slowest_listing(shards: list[SlowShard], title: str = "Slowest shards") -> Listing:
    """A row a shard: the task that took longest."""
    rows = [
        (
            shard.shard,
            shard.label,
            metrics.span(shard.seconds),
            f"{shard.documents:,}" if shard.documents is not None else "",
        )
        for shard in shards
    ]
    return listing(title, ("shard", "task", "took", "documents"), rows, left=(0, 1))


def status_line(status: RunStatus) -> str:
    """The run in one line."""
    ended = sum(row.state == "ended" for row in status.stages)
    parts = [f"{status.state}{f' ({status.holder})' if status.holder else ''}"]
    parts += [f"{ended} of {len(status.stages)} stages ended", f"{status.shards:,} shards"]
    if status.documents_per_s:
        parts.append(f"{status.documents_per_s:,.0f} documents/s")
    if status.seconds_left is not None:
        parts.append(f"about {metrics.span(status.seconds_left)} left of this map")
    return ", ".join(parts)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
