"""Which document each token of the training shards is of: the order of `mix`, made again.

A shard holds chunks of documents in an order that follows from their texts, the seed and the plan
of the mixture, so it is not stored. Here it is made again from the token tables, by the code that
made it, and compared with the lengths in the shard's `.idx`.

Cost: reads the token tables of the run once. Memory: a row for each chunk of the shards asked for,
without its tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.errors import RunError
from curation.kernels import indexed
from curation.stages.mix.groups import count_shard, shares_of
from curation.stages.mix.stage import emit_chunks

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

ORDER = ("key", "content", "dataset", "id", "chunk", "epoch")  # of the rows of a shard


@dataclass(frozen=True, slots=True)
class PlacedShard:
    """The chunks of one training shard, in its order.

    `rows`: dataset (its place in the recipe), id, chunk, epoch. `starts`: the first token of each
    chunk, and the number of tokens of the shard.
    """

    rows: pa.Table
    starts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one copy of a document. `start`: the first of them, counted in its chunk."""

    dataset: str
    id: str
    epoch: int
    chunk: int
    start: int
    tokens: int


def placed_shards(
    rundir: RunDirectory, plan: Plan, names: Collection[str]
) -> dict[str, PlacedShard]:
    """The training shards of these names.

    Raises RunError where the tables of the run are not those that the shards were made from.
    """
    weighed = [shard for shard in plan.shards if shard.dataset in rundir.recipe.mix.weights]
    shares = shares_of(rundir, weighed, [count_shard(rundir, shard) for shard in weighed])
    numbers = {int(name.rpartition("-")[2]): name for name in names}
    wanted = pa.array(list(numbers), pa.int64())
    dtype = store.read_json(rundir.path("tokens", "encoding.json"))["dtype"]
    batches = []
    for shard in weighed:
        for batch in emit_chunks(rundir, shares, dtype, shard):
            sizes = pc.binary_length(batch.column("tokens"))
            table = pa.table([*batch.columns[:-1], sizes], names=[*batch.schema.names[:-1], "size"])
            batches.append(table.filter(pc.is_in(table.column("part"), wanted)))
    rows = pa.concat_tables(batches) if batches else None
    return {
        name: _placed(rundir, name, rows.filter(pc.equal(rows.column("part"), number)))
        for number, name in numbers.items()
        if rows is not None
    }


def _placed(rundir: RunDirectory, name: str, rows: pa.Table) -> PlacedShard:
    ordered = rows.sort_by([(column, "ascending") for column in ORDER])
    lengths, dtype = indexed.read_index(store.read_bytes(rundir.path("shards", name + ".idx")))
    sizes = ordered.column("size").to_numpy() // dtype.itemsize
    if not np.array_equal(sizes, lengths):
        raise RunError(
            f"{rundir.out}: {len(lengths):,} chunks expected in {name} and {len(sizes):,} follow "
            "from its tables, or of other lengths: the shards are of other tables; run the recipe "
            "again"
        )
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    return PlacedShard(ordered.select(["dataset", "id", "chunk", "epoch"]), starts)


def parts_of(rundir: RunDirectory, shard: PlacedShard, start: int, end: int) -> list[Part]:
    """The documents of tokens [start, end) of a shard, in their order."""
    first = int(np.searchsorted(shard.starts, start, side="right")) - 1
    last = int(np.searchsorted(shard.starts, end, side="left"))
    names, found = rundir.recipe.names(), []
    rows = shard.rows.slice(first, last - first).to_pylist()
    for row, begin, stop in zip(
        rows,
        shard.starts[first:last].tolist(),
        shard.starts[first + 1 : last + 1].tolist(),
        strict=True,
    ):
        low, high = max(start, begin), min(end, stop)
        if low < high:
            copy = names[row["dataset"]], row["id"], row["epoch"], row["chunk"]
            found.append(Part(*copy, low - begin, high - low))
    return found


def added(parts: Iterable[Part]) -> dict[tuple[str, str, int], int]:
    """(dataset, id, epoch) -> tokens, in the order they first come."""
    totals: dict[tuple[str, str, int], int] = {}
    for part in parts:
        copy = part.dataset, part.id, part.epoch
        totals[copy] = totals.get(copy, 0) + part.tokens
    return totals


def places_of(
    rundir: RunDirectory, shards: dict[str, PlacedShard], dataset: str, id_: str
) -> list[tuple[str, int, int, int, int]]:
    """(shard, first token, token behind the last, epoch, chunk) of each copy of each chunk of a
    document, in the order of training."""
    place, found = rundir.recipe.place(dataset), []
    for name in sorted(shards):
        rows = shards[name].rows
        own = pc.and_(pc.equal(rows.column("dataset"), place), pc.equal(rows.column("id"), id_))
        for row in np.flatnonzero(own.to_numpy()).tolist():
            copy = rows.slice(row, 1).to_pylist()[0]
            start, end = shards[name].starts[row : row + 2].tolist()
            found.append((name, start, end, copy["epoch"], copy["chunk"]))
    return found
