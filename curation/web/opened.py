"""A run that is being looked at: opened once, its numbers kept as long as nothing was written.

What was read is kept under the state of the run's manifests; of a run that is at work it is also
forgotten after a few seconds.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from curation import store
from curation.inspect.evidence.listed import shard_sizes
from curation.rundir import manifest, plan

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

T = TypeVar("T")
KEPT_S = 3.0  # what is read of a run at work is kept so long
MOST_KEPT = 64  # values
SMALL = 20_000  # documents: below, a page has all of its parts at once
DEAD_S = 120.0  # a lock that has not beaten for so long is of a run that ended


@dataclass
class OpenRun:
    """`out`: the run directory. `prefix`: what its addresses begin with. `name`: what it is called
    on the pages."""

    out: str
    prefix: str = ""
    name: str = ""
    others: list[OpenRun] = field(default_factory=list)
    _values: OrderedDict[Hashable, tuple[Any, float, Any]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locks: dict[Hashable, threading.Lock] = field(default_factory=dict)
    _opened: tuple[Any, tuple[RunDirectory, Plan]] | None = None

    def opened(self) -> tuple[RunDirectory, Plan]:
        """The run directory and its plan. Raises RunError where it is none."""
        stamp = _stat(self.out, "plan.json")
        if self._opened is None or self._opened[0] != stamp:
            self._opened = stamp, plan.read(self.out)
        return self._opened[1]

    @property
    def rundir(self) -> RunDirectory:
        return self.opened()[0]

    @property
    def plan(self) -> Plan:
        return self.opened()[1]

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` returns, computed once at a time and kept while the run does not change."""
        stamp = self.stamp()
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            value = self._values.get(key)
            fresh = value is not None and value[0] == stamp
            if fresh and (self.finished() or time.monotonic() - value[1] < KEPT_S):  # type: ignore[index]
                return value[2]  # type: ignore[index,no-any-return]
            result = compute()
            with self._lock:
                self._values[key] = stamp, time.monotonic(), result
                self._values.move_to_end(key)
                while len(self._values) > MOST_KEPT:
                    self._values.popitem(last=False)
            return result

    def runs_other(self) -> OpenRun | None:
        """The run that this one is compared with."""
        return next(iter(self.others), None)

    def stamp(self) -> Any:
        """What changes whenever a stage ends or begins anew."""
        folder = store.join(self.out, manifest.FOLDER)
        files = store.listing(folder) if store.exists(folder) else []
        return tuple((file.name, file.size) for file in files), _stat(self.out, "plan.json")

    def ended(self) -> list[str]:
        """The stages that have ended."""
        return [s for s in self.rundir.recipe.stages if store.exists(manifest.path(self.out, s))]

    def finished(self) -> bool:
        """Whether all stages of the recipe have ended."""
        return {*self.rundir.recipe.stages} <= {*self.ended(), "download"}

    def at_work(self) -> bool | None:
        """Whether a run is at work in the directory; None where one ended without saying so."""
        lock = manifest.read_data(store.join(self.out, "run.lock"))
        if not isinstance(lock, dict):
            return False
        try:
            alive = time.time() - float(lock["beat"]) < DEAD_S
        except (KeyError, TypeError, ValueError):
            return None
        return True if alive else None

    def sizes(self, rejects: bool = False) -> dict[int, int]:
        """Rows of each shard's documents or rejects, by ordinal."""
        return self.cached(("sizes", rejects), lambda: shard_sizes(*self.opened(), rejects))

    def documents(self) -> int:
        """Documents in all."""
        return sum(self.sizes().values())

    def small(self) -> bool:
        """Whether a page may have all of its parts at once."""
        return self.documents() <= SMALL


def _stat(out: str, name: str) -> tuple[int, int] | None:
    """Size and time of a file of the run directory; None where it is not there."""
    system, inner = store.filesystem(store.join(out, name))
    info = system.get_file_info(inner)
    return (info.size, info.mtime_ns or 0) if info.is_file else None
