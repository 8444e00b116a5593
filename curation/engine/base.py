"""All distribution goes through three verbs: `map`, `sql`, `shuffle`. Two engines have them, and
write the same bytes.

Text never passes through an engine: tasks open their own files through `store`, and only numbers,
keys, feature sets and token chunks meet. The SQL is what DuckDB and Spark read alike: BIGINT,
BOOLEAN, STRING and BINARY columns, no floating-point arithmetic, NULLS FIRST or LAST spelled out,
every SUM cast to BIGINT, every ORDER BY total.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from curation import store
from curation.engine.tasks import Observe
from curation.errors import CurationError, TaskError, system_sentence

T = TypeVar("T")
R = TypeVar("R")

Emit = Callable[[Any], Iterator[pa.RecordBatch]]
Reduce = Callable[[int, Iterator[pa.RecordBatch]], Any]
Progress = Callable[[str, int, int], None]  # label, shards done, shards in all
Parts = list[tuple[int, int]]  # value of the partition column, rows


def silent(label: str, done: int, total: int) -> None:
    """Reports no progress."""


def item_name(item: Any) -> str:
    """What errors call an item of a task: its own name; of a tuple, that of the first element.

    >>> item_name("web/00001"), item_name(("web/00001", 0.5))
    ('web/00001', 'web/00001')
    """
    return item_name(item[0]) if isinstance(item, tuple) else str(item)


def task_error(label: str, item: Any, error: BaseException) -> TaskError:
    """One line: the label, the item (a shard, mostly) and the cause."""
    if isinstance(error, CurationError):
        cause = str(error)
    elif isinstance(error, OSError):
        cause = system_sentence(error)
    else:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
    return TaskError(f"{label} failed on {item_name(item)}: {cause}")


class Engine(Protocol):
    """Runs tasks on shards. Tasks are picklable, their results small.

    An item that is a tuple begins with what it is called by: a shard, an input, "part 3". A task
    that raises fails the verb with `TaskError` naming the label, the items that failed and why, after
    the others have ended (`attempts.py` says of limits); what they committed stays. `progress` hears how far a verb is,
    `observe` of each task that ended and what it cost.
    """

    progress: Progress
    observe: Observe

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """`task` of each item; results in the order of the items."""

    def map_here(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """As `map`, for what this machine needs before the first of the other verbs."""

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
        """Write a query's rows to `out/<value>.parquet`.

        One file a value of the BIGINT column `partition_by` (`out/00000.parquet` without), each
        sorted by `sort_by`, with the columns of `schema`. Returns the values that have rows,
        ascending, and their row counts.
        """

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
        """Rows that `emit` yields for each item meet by their BIGINT column `part` in [0, parts).

        `reduce(part, batches)` is called once for every part, its rows streamed in the order of
        `sort_by`. Its results can be JSON; they come back in the order of the parts.
        """

    def close(self, interrupted: bool = False) -> None:
        """Give workers and temporary files back. Where tasks were interrupted none of them goes on
        after it."""


def part_path(out: str, value: int) -> str:
    """The table of one value of the partition column, in the folder of a result."""
    return store.join(out, f"{value:05d}.parquet")


def write_parts(
    batches: Iterable[pa.RecordBatch],
    out: str,
    schema: pa.Schema,
    digest: str,
    partition_by: str | None,
) -> Iterator[tuple[int, int]]:
    """Write rows that arrive sorted by `partition_by`, one table a value.

    Yields (value, rows) of each. They reach the disk when all are written: what vouches for them
    comes after.
    """
    with store.synced_together():
        yield from _parts_written(batches, out, schema, digest, partition_by)


def _parts_written(
    batches: Iterable[pa.RecordBatch],
    out: str,
    schema: pa.Schema,
    digest: str,
    partition_by: str | None,
) -> Iterator[tuple[int, int]]:
    writer: store.TableWriter | None = None
    current = -1
    try:
        for value, rows in runs(batches, partition_by):
            if writer is None or value != current:
                if writer is not None:
                    writer.__exit__(None, None, None)
                    yield current, writer.rows
                current = value
                writer = store.TableWriter(part_path(out, value), schema, digest).__enter__()
            writer.write(rows.select(schema.names).cast(schema))
        if writer is not None:
            writer.__exit__(None, None, None)
            yield current, writer.rows
    except BaseException as error:
        if writer is not None:
            writer.__exit__(type(error), error, error.__traceback__)
        raise


def runs(
    batches: Iterable[pa.RecordBatch], column: str | None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Slices of equal value of a BIGINT column by which the rows are sorted.

    Without a column, whole batches as value 0.
    """
    for batch in batches:
        if not batch.num_rows:
            continue
        if column is None:
            yield 0, batch
            continue
        values = batch.column(column).to_numpy()
        cuts = [0, *((values[1:] != values[:-1]).nonzero()[0] + 1).tolist(), len(values)]
        for start, end in itertools.pairwise(cuts):
            yield int(values[start]), batch.slice(start, end - start)
