"""Every candidate pair is measured: feature sets meet by shuffle at the pair's centre and are
dropped after comparison.

Cost: texts of candidate documents are read again, their sets made once and sent once to each centre
they are compared at; memory of one centre's set and a batch. This is the only place where an
index's texts are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import RunError
from curation.rundir import schema
from curation.rundir.queries import QueryResult
from curation.rundir.survivors import survivor_groups
from curation.stages.dedup.candidates import part_table, shuffled_tables, spread
from curation.stages.dedup.index import IndexedShard

if TYPE_CHECKING:
    from curation.engine.base import Engine

VERSION = 2
PART_ROWS = 200_000
PARTS = 4096
GROUP = 256  # rows of a batch: a book's set is a megabyte, and may be wanted at many centres
Features = Callable[
    [IndexedShard, npt.NDArray[np.int64]],
    Iterator[tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64]]],
]
SETS = pa.schema(
    [
        # member: 0 for the centre itself
        *((name, pa.int64()) for name in ("part", "center", "member", "doc", "priority", "tie")),
        ("features", pa.list_(pa.int64())),
    ]
)


def measured_pairs(
    engine: Engine,
    all_shards: Sequence[IndexedShard],
    wanted: QueryResult,
    root: str,
    shape: tuple[str, int],
    features: Features | None = None,
) -> store.Table:
    """Measure every candidate pair; returns the table of measured pairs.

    features: what gives the feature sets of a shard's rows, `text_features` unless something else
    stands in for the texts.
    """
    parts = max(1, min(PARTS, wanted.rows // PART_ROWS + 1))
    out = store.join(root, "measured")
    digest = config_digest("dedup/measured", VERSION, shape, wanted.identity, parts)
    items = [(member, path) for member in all_shards if (path := wanted.path(member.group))]
    emit = partial(emit_sets, features or partial(text_features, shape), parts)
    reduce, order = partial(measure_part, out, digest), ["center", "member", "doc"]
    paths = shuffled_tables(
        engine, "dedup: verify", out, digest, emit, items, parts, reduce, SETS, order
    )
    return store.Table(paths, schema.PAIRS)


def text_features(
    shape: tuple[str, int], member: IndexedShard, rows: npt.NDArray[np.int64]
) -> Iterator[tuple[int, int, Any, Any]]:
    """(first, last, indptr, values): the feature sets of rows[first:last] (ascending, distinct),
    from their texts."""
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers

    for group in survivor_groups(member.rundir, member.shard, ["text"], None):
        first, last = np.searchsorted(
            rows, [group.start, group.start + group.batch.num_rows]
        ).tolist()
        if first < last:
            column = group.batch.take(pa.array(rows[first:last] - group.start)).column(0)
            texts = text_buffers(column)
            yield first, last, *minhash.feature_sets(*texts, *shape)  # type: ignore[arg-type]


def emit_sets(
    features: Features, parts: int, item: tuple[IndexedShard, str]
) -> Iterator[pa.RecordBatch]:
    """The feature sets of a shard's candidate documents, once for each centre they are compared
    at."""
    member, path = item
    wanted = member.rows(path)
    if not wanted.num_rows:
        return
    docs, centers = (wanted.column(name).to_numpy() for name in ("doc", "center"))
    rows, inverse = np.unique(docs - member.doc(0), return_inverse=True)
    evidence = store.read_table(member.documents, ["priority", "tie"])
    priority, tie = (evidence.column(name).to_numpy() for name in ("priority", "tie"))
    for first, last, indptr, values in features(member, rows):
        sets = pa.ListArray.from_arrays(pa.array(indptr.astype(np.int32)), pa.array(values))
        begin, stop = np.searchsorted(inverse, [first, last]).tolist()
        for start in range(begin, stop, GROUP):
            these = slice(start, min(start + GROUP, stop))
            doc, center, row = docs[these], centers[these], rows[inverse[these]]
            part = (spread(center) % np.uint64(parts)).astype(np.int64)
            columns = [part, center, (center != doc).astype(np.int64), doc, priority[row], tie[row]]
            chosen = sets.take(pa.array(inverse[these] - first))
            yield pa.record_batch([*map(pa.array, columns), chosen], schema=SETS)


def measure_part(out: str, digest: str, part: int, batches: Iterator[pa.RecordBatch]) -> int:
    """Compare each centre with its members, as they stream by; write the pairs with the sizes of
    intersection and union."""
    from curation.kernels.minhash import intersections

    # The last centre: its set, and its number, priority and tie.
    center_set, at = np.zeros(0, np.int64), (-1, 0, 0)
    with store.TableWriter(part_table(out, part), schema.PAIRS, digest) as writer:
        for batch in batches:
            sets = batch.column("features")
            indptr = sets.offsets.to_numpy().astype(np.int64)
            values = sets.values.to_numpy()
            center, member, doc, priority, tie = (
                batch.column(n).to_numpy() for n in ("center", "member", "doc", "priority", "tie")
            )
            n = len(doc)
            # The row of each row's centre.
            last = np.maximum.accumulate(np.where(member == 0, np.arange(n), -1))
            numbers, priorities, ties = (
                np.where(last < 0, known, column[last])
                for known, column in zip(at, (doc, priority, tie), strict=True)
            )
            if (numbers != center).any():
                odd = int(center[numbers != center][0])
                raise RunError(
                    f"dedup: document {odd} was to be compared, and its shard did not send it; run "
                    "again with --from dedup"
                )
            shared = intersections(indptr, values, last, center_set)
            sizes = np.diff(indptr)
            total = np.where(last < 0, len(center_set), sizes[last]) + sizes - shared
            pairs = np.flatnonzero(member)
            columns = [
                c[pairs] for c in (center, doc, priorities, ties, priority, tie, shared, total)
            ]
            writer.write(pa.record_batch(columns, schema=schema.PAIRS))
            if last[-1] >= 0:
                c = last[-1]
                center_set, at = (
                    values[indptr[c] : indptr[c + 1]].copy(),
                    (int(doc[c]), int(priority[c]), int(tie[c])),
                )
        return writer.rows
