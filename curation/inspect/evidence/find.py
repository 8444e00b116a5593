"""Finding a document or reject by its id or URL; row groups that cannot hold it are not read.

Cost: the footers of every shard, and the id and url columns of the few groups whose range holds
the key.

Trap: statistics are left out for very long values; such a group is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from curation import store
from curation.errors import RunError
from curation.stages.dedup.index import index_runs

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

# All columns but the text.
COLUMNS = ("id", "record_id", "url", "date", "language", "language_score", "crawl_language",
           "crawl_language_share", "crawl_language_reliable", "robots", "license", "license_from",
           "archive", "offset", "place")  # fmt: skip


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A row of documents/, without its text."""

    shard: Shard
    row: int
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RejectRow:
    """A row of rejects/."""

    shard: Shard
    columns: dict[str, Any]


def find(rundir: RunDirectory, plan: Plan, key: str) -> tuple[list[DocumentRow], list[RejectRow]]:
    """Every document whose id or url is `key`, and every reject whose url is."""
    documents, rejects = [], []
    for shard in plan.shards:
        path = rundir.documents(shard)
        if store.exists(path):
            documents += [
                DocumentRow(shard, row, columns)
                for row, columns in _matches(path, key, ("id", "url"), COLUMNS)
            ]
        path = rundir.table("rejects", shard)
        if store.exists(path):
            names = ("url", "archive", "offset", "reason", "detail")
            rejects += [
                RejectRow(shard, columns) for _, columns in _matches(path, key, ("url",), names)
            ]
    return documents, rejects


def find_id(rundir: RunDirectory, plan: Plan, dataset: str, id_: str) -> tuple[str, int]:
    """The documents table and the row in it of an id, in this run or one that is its index.

    Raises RunError where it is not there.
    """
    for run, shards in ((rundir, plan), *index_runs(rundir)):
        for shard in shards.of(dataset):
            for row, _ in _matches(run.documents(shard), id_, ("id",), ("id",)):
                return run.documents(shard), row
    raise RunError(
        f"{rundir.out}: {dataset} has no document {id_!r}, which another table names; "
        "run `curation check` on it"
    )


def _matches(
    path: str, key: str, where: tuple[str, ...], columns: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a table with `key` in one of the columns `where`."""
    with store.open_input(path) as stream:
        file = pq.ParquetFile(stream)
        places = [
            i for i in range(file.metadata.num_columns) if file.schema.column(i).path in where
        ]
        start = 0
        for group in range(file.num_row_groups):
            metadata = file.metadata.row_group(group)
            if any(
                _may_hold(metadata.column(place).statistics, key, metadata.num_rows)
                for place in places
            ):
                keys = file.read_row_group(group, columns=list(where)).to_pydict()
                rows = [i for i, row in enumerate(zip(*keys.values(), strict=True)) if key in row]
                if rows:
                    table = file.read_row_group(group, columns=list(columns)).take(rows)
                    numbers = (start + row for row in rows)
                    yield from zip(numbers, table.to_pylist(), strict=True)
            start += metadata.num_rows


def _may_hold(statistics: Any, key: str, rows: int) -> bool:
    """Whether a column chunk can hold a value, by its statistics."""
    if statistics is None:
        return True
    if not statistics.has_min_max:
        return not (statistics.has_null_count and statistics.null_count == rows)
    return bool(statistics.min.encode() <= key.encode() <= statistics.max.encode())
