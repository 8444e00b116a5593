"""What became of every document of a run, in one column: kept, or the stage and reason of its removal.

Cost: ids, addresses and decisions of every shard, a shard at a time; no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.inspect.evidence import frames
from curation.recipe.line import stage_named

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard

KEPT = "kept"
FATES = pa.schema(
    [
        ("dataset", pa.string()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("archive", pa.string()),
        ("offset", pa.int64()),
        ("content", pa.binary(16)),
        ("fate", pa.string()),
    ]
)
REJECTED = pa.schema(
    [
        ("dataset", pa.string()),
        ("archive", pa.string()),
        ("offset", pa.int64()),
        ("fate", pa.string()),
    ]
)


def shard_fates(rundir: RunDirectory, shard: Shard) -> pa.Table:
    """A row of FATES for every document of a shard; `fate` is "kept", or "stage: reason"."""
    names = [field.name for field in FATES if field.name not in ("dataset", "fate")]
    documents = store.read_table(rundir.documents(shard), names)
    dataset = pa.array([shard.dataset]).take(pa.array(np.zeros(documents.num_rows, np.int64)))
    fates = pa.array(fates_of(rundir, shard, documents.num_rows), pa.string())
    return pa.table([dataset, *documents.columns, fates], schema=FATES)


def fates_of(rundir: RunDirectory, shard: Shard, documents: int) -> npt.NDArray[np.object_]:
    """The fate of each document of a shard, in their order."""
    return fates_between(rundir, shard, 0, documents)


def fates_between(
    rundir: RunDirectory, shard: Shard, start: int, stop: int
) -> npt.NDArray[np.object_]:
    """The fates of the documents [start, stop) of a shard; only their row groups are read, and
    which documents survived."""
    fates = np.full(stop - start, KEPT, object)
    survivors, rows, first, last = rundir.survivors(shard), np.arange(start, stop), start, stop
    if survivors != rundir.documents(shard) and store.exists(survivors):
        all_rows = frames.column(survivors, "row").to_numpy()
        first, last = (int(place) for place in np.searchsorted(all_rows, [start, stop]))
        rows = all_rows[first:last]
    for stage in frames.REMOVING:
        path = rundir.ledger_table(stage, shard)
        if stage == "extract" or stage not in rundir.recipe.stages or not path:
            continue
        if not store.exists(path):
            break
        of_documents = stage_named(stage).aligned_to == "documents"
        span = (start, stop) if of_documents else (first, last)
        reasons = frames.between(path, ["reason"], *span).column(0).combine_chunks()
        gone = np.flatnonzero(reasons.is_valid().to_numpy(zero_copy_only=False))
        places = gone if of_documents else rows[gone] - start
        words = [f"{stage}: {reason}" for reason in reasons.take(pa.array(gone)).to_pylist()]
        fates[places] = np.array(words, object)
    return fates


def shard_rejects(rundir: RunDirectory, shard: Shard) -> pa.Table:
    """A row of REJECTED for every record of a shard that never became a document."""
    path = rundir.table("rejects", shard)
    if not store.exists(path):
        return REJECTED.empty_table()
    table = store.read_table(path, ["archive", "offset", "reason"])
    fates = [f"extract: {reason}" for reason in table.column("reason").to_pylist()]
    columns = [[shard.dataset] * table.num_rows, table.column("archive"), table.column("offset")]
    return pa.table([*columns, pa.array(fates, pa.string())], schema=REJECTED)
