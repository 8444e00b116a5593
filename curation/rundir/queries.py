"""A query over a run's tables, run once: its rows are in a folder of the run directory, with a
manifest after them."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.engine.base import Engine, part_path

GROUP = 256  # tables that one task looks at
MANIFEST = pa.schema([("value", pa.int64()), ("rows", pa.int64())])


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A query's committed rows: the folder, the partition values that have rows, ascending, and their
    identity."""

    out: str
    schema: pa.Schema
    values: tuple[int, ...]
    rows: int
    identity: str

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(part_path(self.out, value) for value in self.values)

    def path(self, value: int) -> str | None:
        """The file of one partition value, None where it has no rows."""
        place = bisect.bisect_left(self.values, value)
        is_there = self.values[place : place + 1] == (value,)
        return part_path(self.out, value) if is_there else None

    @property
    def table(self) -> store.Table:
        return store.Table(self.paths, self.schema)


def run_query(
    engine: Engine,
    text: str,
    tables: Mapping[str, store.Table],
    out: str,
    schema: pa.Schema,
    made_from: Sequence[str],
    *,
    partition_by: str | None = None,
    sort_by: Sequence[str],
) -> QueryResult:
    """Run a query once: its rows lie in `out`, its manifest after them.

    `made_from` are the identities of what the tables hold.
    """
    digest = config_digest(
        "query", text, tuple(schema.names), tuple(made_from), partition_by, tuple(sort_by)
    )
    manifest = store.join(out, "_manifest.parquet")
    if not _is_whole(engine, out, manifest, digest):
        store.delete(out)  # files of another digest must not be taken for this one's
        parts = engine.sql(
            text, tables, out, schema, digest, partition_by=partition_by, sort_by=sort_by
        )
        if partition_by is None and not parts:
            parts = [(0, 0)]
        with store.TableWriter(manifest, MANIFEST, digest) as writer:
            writer.write(
                pa.record_batch([[v for v, _ in parts], [n for _, n in parts]], schema=MANIFEST)
            )
    listed = store.read_table(manifest)
    values, rows = listed.column("value").to_pylist(), sum(listed.column("rows").to_pylist())
    return QueryResult(out, schema, tuple(values), rows, digest)


def _is_whole(engine: Engine, out: str, manifest: str, digest: str) -> bool:
    """Whether the manifest and all tables that it names are there under a digest."""
    if not store.done(manifest, digest):
        return False
    values = store.read_table(manifest).column("value").to_pylist()
    whole = partial(_are_whole, out, digest)
    if len(values) <= GROUP:
        return whole(("", values))
    groups = [(out, values[i : i + GROUP]) for i in range(0, len(values), GROUP)]
    return all(engine.map(f"look at {out.rpartition('/')[2]}", whole, groups))


def _are_whole(out: str, digest: str, item: tuple[str, Sequence[int]]) -> bool:
    return all(store.done(part_path(out, value), digest) for value in item[1])


def columns_of(paths: Sequence[str], schema: pa.Schema, *columns: str) -> store.Table:
    """Some tables, or some of their columns, for `sql`."""
    chosen = [schema.field(name) for name in columns] if columns else list(schema)
    return store.Table(tuple(paths), pa.schema(chosen))
