"""Whether a run is finished, found out without starting workers or Spark.

The stages run in this process on an engine that only looks: a table that is not there yet ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from curation import store
from curation.engine.base import Emit, Engine, Parts, Reduce
from curation.errors import AlarmError, CurationError, NotMade
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan
from curation.rundir.results import only_reuse

T = TypeVar("T")
R = TypeVar("R")
MOST_SHARDS = 256  # of more shards, one process would look longer than an engine takes to start


class LookingEngine:
    """Runs tasks one after the other, and refuses queries: what they would write is not there."""

    workers = 1

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return [task(item) for item in items]

    map_here = map

    def sql(
        self,
        query: str,
        tables: Mapping[str, store.Table],
        out: str,
        schema: pa.Schema,
        digest: str,
        *,
        partition_by: str | None = None,
        sort_by: Sequence[str],
    ) -> Parts:
        raise NotMade(out)

    def shuffle(
        self,
        label: str,
        emit: Emit,
        items: Sequence[Any],
        parts: int,
        reduce: Reduce,
        schema: pa.Schema,
        sort_by: Sequence[str],
    ) -> list[Any]:
        raise NotMade(label)

    def close(self) -> None:
        """Nothing was started."""


def is_finished(
    rundir: RunDirectory, plan: Plan, run_stages: Callable[[RunDirectory, Plan, Engine], None]
) -> bool:
    """Whether every table of `run_stages` is there and valid.

    False also where a file cannot be read: the engine then says which, with its shard.
    """
    if len(plan.shards) > MOST_SHARDS or not store.exists(rundir.path("ledger.json")):
        return False
    try:
        with only_reuse():
            run_stages(rundir, plan, LookingEngine())
    except AlarmError:
        raise
    except (CurationError, OSError, pa.ArrowException):
        return False
    return True
