"""The survivors of a shard, read a row group at a time beside what earlier stages decided on
them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation import store
from curation.rundir.directory import RunDirectory, Shard


def survivor_groups(
    rundir: RunDirectory, shard: Shard, columns: Sequence[str], before: str | None
) -> Iterator[RowGroup]:
    """The survivors of a shard, a row group at a time, each with what the decision table
    `before` says of its rows."""
    decided = _column(before, "keep") if before else None
    start = 0
    for batch in store.read_groups(rundir.survivors(shard), columns):
        keep = None if decided is None else decided.slice(start, batch.num_rows)
        yield RowGroup(start, batch, keep)
        start += batch.num_rows


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Consecutive rows of a survivors table; `keep` (bool[n], nulls for rows removed before) is
    None where all are in."""

    start: int
    batch: pa.RecordBatch
    keep: Any

    def remaining(self) -> Any:
        """Which rows are still in: bool numpy [n]."""
        import numpy as np

        if self.keep is None:
            return np.ones(self.batch.num_rows, bool)
        return self.keep.fill_null(False).to_numpy(zero_copy_only=False)


_DECISION = re.compile(r"(.+)/(?:dedup|decontaminate)/decision/([^/]+)/(\d+\.parquet)")


def decided_table(path: str) -> str | None:
    """The survivors table that a decision table of a run is about, row by row; None where `path`
    is no such table.

    >>> decided_table("corpus/part.parquet")
    """
    match = _DECISION.fullmatch(path)
    if match is None:
        return None
    run, *place = match.groups()
    documents = store.join(run, "documents", *place)
    # A dataset that is not filtered, or loses nothing, is decided on row by row of its documents.
    is_whole = store.need_footer(path).rows == store.need_footer(documents).rows
    return documents if is_whole else store.join(run, "survivors", *place)


def _column(path: str, name: str) -> pa.Array:
    column = store.read_table(path, [name]).column(0)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def char_lengths(column: pa.Array) -> Any:
    """Code points of each text, int64 numpy [n]; nulls count nothing."""
    import numpy as np
    import pyarrow.compute as pc

    return pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
