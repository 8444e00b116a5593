"""A run's tables as Arrow tables and numpy arrays: what the other modules of this folder read.

Cost: column projections only; a text is read for the rows that are asked for, a row group at a
time.

Trap: tables of the stages after `classify` have the rows of the survivors, not of the documents,
and their `keep` is null where an earlier stage removed the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curation import draws, store
from curation.errors import RunError
from curation.recipe.line import LINE, stage_named

if TYPE_CHECKING:
    from curation.recipe.tables import DedupConfig
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

Int64s = npt.NDArray[np.int64]
# The stages that remove documents, and those of them whose tables follow `survivors` row by row.
REMOVING = tuple(stage.name for stage in LINE if stage.ledger)
AFTER_SURVIVORS = REMOVING[REMOVING.index("classify") + 1 :]


def aligned_table(rundir: RunDirectory, stage: str, shard: Shard) -> str:
    """The table whose rows the table of a stage follows."""
    documents = stage_named(stage).aligned_to == "documents"
    return rundir.documents(shard) if documents else rundir.survivors(shard)


def last_decision(rundir: RunDirectory, shard: Shard) -> str | None:
    """The newest table row-aligned to a shard's survivors; None where no stage has decided yet."""
    for stage in reversed(AFTER_SURVIVORS):
        path = rundir.ledger_table(stage, shard)
        if stage in rundir.recipe.stages and path and store.exists(path):
            return path
    return None


def survivors_path(rundir: RunDirectory, shard: Shard) -> str | None:
    """A shard's survivors; its documents where classify has not decided, None before extract."""
    for path in (rundir.survivors(shard), rundir.documents(shard)):
        if store.exists(path):
            return path
    return None


def kept_rows(rundir: RunDirectory, shard: Shard) -> tuple[str | None, Int64s]:
    """The survivors table and its rows that no stage has removed (int64[n])."""
    path = survivors_path(rundir, shard)
    if path is None:
        return None, np.zeros(0, np.int64)
    decided = last_decision(rundir, shard)
    if decided is None:
        return path, np.arange(store.need_footer(path).rows, dtype=np.int64)
    return path, np.flatnonzero(
        column(decided, "keep").fill_null(False).to_numpy(zero_copy_only=False)
    )


def column(path: str, name: str) -> pa.Array:
    """One column of a table, in one piece."""
    chunks = store.read_table(path, [name]).column(0)
    return pa.concat_arrays(chunks.chunks) if chunks.num_chunks else pa.array([], chunks.type)


def between(path: str, columns: Sequence[str], start: int, stop: int) -> pa.Table:
    """Rows [start, stop) of some columns of a table; only the row groups they lie in are read."""
    with store.open_input(path) as stream:
        file = pq.ParquetFile(stream)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        ends = np.cumsum([0, *sizes])
        groups = [i for i in range(len(sizes)) if ends[i] < stop and ends[i + 1] > start]
        table = file.read_row_groups(groups, columns=list(columns)).select(list(columns))
    first = start - int(ends[groups[0]]) if groups else 0
    return table.slice(first, max(0, stop - start))


def take(path: str, rows: Int64s, columns: Sequence[str]) -> pa.Table:
    """Some rows of a table, in the order asked for; only the row groups they lie in are read."""
    order = np.argsort(rows, kind="stable")
    wanted = rows[order]
    parts = []
    with store.open_input(path) as stream:
        file = pq.ParquetFile(stream)
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            first, last = np.searchsorted(wanted, [start, end])
            if first < last:
                table = file.read_row_group(group, columns=list(columns)).select(list(columns))
                parts.append(table.take(pa.array(wanted[first:last] - start)))
            start = end
    if not parts:
        return pa.Table.from_batches([], schema)
    back = np.empty(len(rows), np.int64)
    back[order] = np.arange(len(rows))
    return pa.concat_tables(parts).take(pa.array(back))


def take_one(path: str, row: int, columns: Sequence[str]) -> dict[str, Any]:
    """One row of a table, by column name."""
    rows: list[dict[str, Any]] = take(path, np.array([row]), columns).to_pylist()
    return rows[0]


def with_texts(rundir: RunDirectory, shard: Shard, rows: Int64s, *, chars: int = 0) -> pa.Table:
    """`id`, `url` and `text` of rows of documents/.

    Of each text the first `chars` characters, or all of it where `chars` is 0.
    """
    import pyarrow.compute as pc

    table = take(rundir.documents(shard), rows, ["id", "url", "text"])
    if not chars:
        return table
    return table.set_column(2, "text", pc.utf8_slice_codeunits(table.column("text"), 0, chars))


# ---- duplicates


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """A document that dedup removed as a near duplicate, and the one it duplicates, which is kept.

    `jaccard`: measured similarity of their feature sets, 0 to 1.
    """

    dataset: str
    id: str
    text: str
    kept_dataset: str
    kept_id: str
    kept_text: str
    jaccard: float


def removed_duplicates(rundir: RunDirectory, plan: Plan) -> pa.Table:
    """Every document that was removed as a duplicate of another.

    Columns: dataset, ordinal, row (in the survivors), reason, kept_id, kept_dataset, jaccard.
    Documents removed for lines that they repeat themselves (`repetitive`) are not among them.
    Raises RunError where dedup has not run.
    """
    parts = []
    for shard in plan.shards:
        path = rundir.decision("dedup", shard)
        if "dedup" not in rundir.recipe.stages or not store.exists(path):
            continue
        table = store.read_table(path)
        rows = np.flatnonzero(table.column("kept_id").is_valid().to_numpy())
        removed = table.take(pa.array(rows)).drop_columns(["keep"])
        places = {
            "dataset": pa.array([shard.dataset] * len(rows), pa.string()),
            "ordinal": np.full(len(rows), shard.ordinal, np.int64),
            "row": rows,
        }
        columns = {name: removed.column(name) for name in removed.column_names}
        parts.append(pa.table({**places, **columns}))
    if not parts:
        raise RunError(f"{rundir.out}: dedup has not run here, so there are no duplicates to show")
    return pa.concat_tables(parts)


def duplicate_pairs(
    rundir: RunDirectory, plan: Plan, n: int = 3, seed: int = 0
) -> list[DuplicatePair]:
    """At most `n` random near duplicates, with both texts."""
    from curation.inspect.evidence.find import find_id

    table = removed_duplicates(rundir, plan)
    near = np.flatnonzero(np.array(table.column("reason").to_pylist(), object) == "duplicate")
    keys = [int(row).to_bytes(8, "little") for row in near]
    chosen = near[np.argsort(draws.uniforms(seed, "inspect/duplicates", keys), kind="stable")][:n]
    pairs = []
    for row in table.take(pa.array(chosen)).to_pylist():
        survivors = rundir.survivors(plan.shards[row["ordinal"]])
        removed = take_one(survivors, row["row"], ["id", "text"])
        kept = take_one(*find_id(rundir, plan, row["kept_dataset"], row["kept_id"]), ["text"])
        pairs.append(
            DuplicatePair(
                dataset=row["dataset"],
                id=removed["id"],
                text=removed["text"],
                kept_dataset=row["kept_dataset"],
                kept_id=row["kept_id"],
                kept_text=kept["text"],
                jaccard=row["jaccard"],
            )
        )
    return pairs


def feature_sets(config: DedupConfig, texts: list[str]) -> tuple[Int64s, Int64s]:
    """The feature sets of texts as dedup makes them: (indptr int64[n + 1], values)."""
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers

    width = config.shingle_words if config.features == "shingle" else 1
    buffers = text_buffers(pa.array(texts, pa.large_string()))
    return minhash.feature_sets(*buffers, config.features, width)
