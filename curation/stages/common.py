"""What several stages share: a committed query, the books of a stage, and reading survivors beside their decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation import draws, ledger, store
from curation.context import Context, Shard

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.plan import Plan

MANIFEST = pa.schema([("value", pa.int64()), ("rows", pa.int64())])


@dataclass(frozen=True, slots=True)
class Made:
    """What a shard's task says to the driver: the table's identity and its books."""

    identity: str
    ledger: ledger.Ledger = field(default_factory=dict)


def once(path: str, digest: str, make: Callable[[], Made], beside: str = "") -> Made:
    """`make()`, unless the table it writes last, and the one it writes `beside` it, are there already under this digest."""
    found = store.done(path, digest)
    whole = found and (not beside or store.done(beside, digest))
    return Made(found.identity, found.ledger) if found and whole else make()


@dataclass(frozen=True, slots=True)
class Result:
    """A query's committed rows: the folder, the partition values that have rows, and their identity."""

    out: str
    schema: pa.Schema
    values: tuple[int, ...]
    rows: int
    identity: str

    @property
    def paths(self) -> tuple[str, ...]:
        from curation.engine.base import part_path

        return tuple(part_path(self.out, value) for value in self.values)

    def path(self, value: int) -> str | None:
        """The file of one partition value, None where it has no rows."""
        from curation.engine.base import part_path

        return part_path(self.out, value) if value in self.values else None

    @property
    def table(self) -> store.Table:
        return store.Table(self.paths, self.schema)


def query(
    engine: Engine,
    text: str,
    tables: Mapping[str, store.Table],
    out: str,
    schema: pa.Schema,
    made_from: Sequence[str],
    *,
    partition_by: str | None = None,
    sort_by: Sequence[str],
) -> Result:
    """Run a query once: its rows lie in `out`, its manifest after them. `made_from` are the identities of what the tables hold."""
    digest = draws.digest(
        "query", text, tuple(schema.names), tuple(made_from), partition_by, tuple(sort_by)
    )
    manifest = store.join(out, "_manifest.parquet")
    if not store.done(manifest, digest):
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
    return Result(out, schema, tuple(values), rows, digest)


def table(paths: Sequence[str], schema: pa.Schema, *columns: str) -> store.Table:
    """Some tables, or some of their columns, for `sql`."""
    chosen = [schema.field(name) for name in columns] if columns else list(schema)
    return store.Table(tuple(paths), pa.schema(chosen))


def close_books(context: Context, stage: str, plan: Plan, made: Mapping[Shard, Made]) -> None:
    """Check a stage's books shard by shard, and against the stage before: what enters is what was kept."""
    for shard, result in made.items():
        ledger.check(stage, str(shard), result.ledger)
        before = before_ledger(context, stage, shard)
        if before is not None:
            ledger.check_chain(stage, str(shard), before, result.ledger)


def before_ledger(context: Context, stage: str, shard: Shard) -> ledger.Ledger | None:
    """The books of the nearest stage before `stage` that has some for this shard."""
    if stage == "extract":
        return None
    path = context.decided_before(stage, shard)
    if path is None:
        path = (
            context.decision("classify", shard)
            if stage != "classify" and context.recipe.filtered(shard.dataset)
            else context.documents(shard)
        )
    return store.need_footer(path).ledger


def survivors(
    context: Context, shard: Shard, columns: Sequence[str], before: str | None
) -> Iterator[Group]:
    """The survivors of a shard, a row group at a time, each with what the decision table `before` says of its rows."""
    decided = _column(before, "keep") if before else None
    start = 0
    for batch in store.read_groups(context.survivors(shard), columns):
        keep = None if decided is None else decided.slice(start, batch.num_rows)
        yield Group(start, batch, keep)
        start += batch.num_rows


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive rows of a survivors table; `keep` (bool[n], nulls for rows removed before) is None where all are in."""

    start: int
    batch: pa.RecordBatch
    keep: Any

    def open(self) -> Any:
        """Which rows are still in: bool numpy [n]."""
        import numpy as np

        if self.keep is None:
            return np.ones(self.batch.num_rows, bool)
        return self.keep.fill_null(False).to_numpy(zero_copy_only=False)


def _column(path: str, name: str) -> pa.Array:
    column = store.read_table(path, [name]).column(0)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def char_lengths(column: pa.Array) -> Any:
    """Code points of each text, int64 numpy [n]; nulls count nothing."""
    import numpy as np
    import pyarrow.compute as pc

    return pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
