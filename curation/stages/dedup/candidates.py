"""Which pairs of documents are measured: those that meet in a bucket (equal band keys), as
`kernels/buckets.py` picks them.

Band keys are read once, shard by shard, and meet by shuffle: the engine sorts them by key and
priority, spilling to disk, and each part streams through in windows of WINDOW rows. Cost: 50 bytes
a key on disk while it lasts; memory does not depend on the corpus.

A *scope* is a set of datasets compared with each other: all of them, or one dataset, or an ordered
pair whose first is only compared with (`crossed`). A document's keys are emitted once for each
scope, salted with its number.

Trap: of a bucket with more than WINDOW members each window is paired within itself and with the
first of the bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.rundir.queries import QueryResult, run_query
from curation.stages.dedup.index import IndexedShard, group_of

if TYPE_CHECKING:
    from curation.engine.base import Emit, Engine, Reduce
    from curation.recipe.tables import Recipe

VERSION = 2
WINDOW = 1 << 20  # rows held at a time
PART_KEYS = 1 << 21  # keys of a part, roughly
PARTS = 4096
Scopes = tuple[tuple[int, int, int, int], ...]  # scope, dataset, crossed, reference

KEYS = pa.schema(
    [
        *((name, pa.int64()) for name in ("part", "key", "doc", "priority", "tie", "sketch")),
        ("role", pa.int8()),  # bits of kernels/buckets.py
    ]
)
BANDS = ("doc", "priority", "tie", "sketch", "keys")  # of the evidence
LINKS = pa.schema([("a", pa.int64()), ("b", pa.int64())])
WANTED = pa.schema([("center", pa.int64()), ("doc", pa.int64())])


def scopes(recipe: Recipe, names: Sequence[str] = ()) -> Scopes:
    """Which datasets are compared, by their numbers; `names`: the recipe's, then those that only an
    index has.

    `across = "all"` is one scope. Otherwise every dataset is a scope of its own (but `reference`
    ones), and every pair a cross scope, in which what only the index has comes first, then the
    recipe's order.
    """
    known = tuple(names) or recipe.names()
    if recipe.dedup.across == "all":
        return tuple((0, place, 0, 0) for place in range(len(known)))
    rows: list[tuple[int, int, int, int]] = []
    references = [d.name for d in recipe.dataset if d.role == "reference"]
    if recipe.dedup.within:
        rows += [(place, place, 0, 0) for place, name in enumerate(known) if name not in references]
    for i, pair in enumerate(recipe.dedup.across):
        first, second = sorted((name in recipe.names(), known.index(name)) for name in pair)
        scope = len(known) + i
        rows += [(scope, first[1], 1, 1), (scope, second[1], 1, 0)]
    return tuple(rows)


def candidate_pairs(
    engine: Engine,
    all_shards: Sequence[IndexedShard],
    keys: int,
    copies: QueryResult,
    rows: Scopes,
    root: str,
    identities: Sequence[str],
) -> QueryResult:
    """The pairs to measure, as rows (centre, doc) by the group of `doc`'s shard; the centre itself is
    among its documents. `keys`: how many band keys there are."""
    parts = min(PARTS, keys // PART_KEYS + 1)
    folder = store.join(root, "links")
    digest = config_digest(
        "dedup/links", VERSION, rows, WINDOW, parts, copies.identity, tuple(identities)
    )
    items = [(member, copies.path(member.group)) for member in all_shards]
    emit, reduce = partial(emit_keys, rows, parts), partial(pair_part, folder, digest)
    order = ["key", "priority", "tie", "doc"]
    links = shuffled_tables(
        engine, "dedup: pair", folder, digest, emit, items, parts, reduce, KEYS, order
    )
    by_shard = f"""
        SELECT center, doc, {group_of("doc")} AS shards FROM (
            SELECT a AS center, b AS doc FROM links UNION ALL SELECT a AS center, a AS doc FROM links
        ) w GROUP BY center, doc"""
    tables = {"links": store.Table(links, LINKS)}
    out = store.join(root, "wanted")
    return run_query(
        engine,
        by_shard,
        tables,
        out,
        WANTED,
        [digest],
        partition_by="shards",
        sort_by=["doc", "center"],
    )


def shuffled_tables(
    engine: Engine,
    label: str,
    out: str,
    digest: str,
    emit: Emit,
    items: Sequence[Any],
    parts: int,
    reduce: Reduce,
    rows: pa.Schema,
    sort_by: Sequence[str],
) -> tuple[str, ...]:
    """A shuffle whose reduce writes one table a part into `out`, unless they are there under
    `digest`; their paths."""
    paths = tuple(part_table(out, part) for part in range(parts))
    if not all(store.done(path, digest) for path in paths):
        store.delete(out)
        engine.shuffle(label, emit, items, parts, reduce, rows, sort_by)
    return paths


def part_table(out: str, part: int) -> str:
    """The table of one part, in the folder of a step."""
    return store.join(out, f"{part:05d}.parquet")


# ---- tasks ---------------------------------------------------------------------------------------


def emit_keys(
    rows: Scopes, parts: int, item: tuple[IndexedShard, str | None]
) -> Iterator[pa.RecordBatch]:
    """The band keys of a shard's documents, exact copies left out, once for each scope of its
    dataset."""
    from curation.kernels.buckets import CROSSED, REFERENCE

    member, copies = item
    roles = _roles(member)
    copies_here = (
        np.zeros(0, np.int64) if copies is None else member.rows(copies, "doc").column(0).to_numpy()
    )
    for group in store.read_groups(member.documents, BANDS):
        batch = group.filter(group.column("keys").is_valid())
        docs = batch.column("doc").to_numpy()
        n = len(docs)
        keys = batch.column("keys").flatten().to_numpy().reshape(n, -1)
        chosen = (
            np.flatnonzero(~np.isin(docs, copies_here, assume_unique=True))
            if len(copies_here)
            else np.arange(n)
        )
        wide = np.repeat(chosen, keys.shape[1])
        role = roles[docs - member.doc(0)] if member.old else np.zeros(n, np.int8)
        columns = [
            docs[wide],
            *(batch.column(name).to_numpy()[wide] for name in ("priority", "tie", "sketch")),
        ]
        for scope, dataset, crossed, reference in rows:
            if dataset == member.dataset:
                key = salted(keys[chosen].reshape(-1), scope)
                part = (spread(key) % np.uint64(parts)).astype(np.int64)
                bits = np.int8(CROSSED * crossed | REFERENCE * reference)
                yield pa.record_batch([part, key, *columns, (role | bits)[wide]], schema=KEYS)


def _roles(member: IndexedShard) -> npt.NDArray[np.int8]:
    """Roles of an old shard's rows: OLD, and GONE where dedup removed them; empty for a new one."""
    from curation.kernels.buckets import GONE, OLD

    if not member.old:
        return np.zeros(0, np.int8)
    keep = store.read_table(member.decision, ["keep"]).column(0).fill_null(True).to_numpy()
    return np.where(keep, OLD, OLD | GONE).astype(np.int8)


def salted(keys: npt.NDArray[np.int64], scope: int) -> npt.NDArray[np.int64]:
    """Keys of one scope, apart from those of others; those of scope 0 as they are."""
    return keys ^ spread(np.array([scope], np.int64)).view(np.int64) if scope else keys


def spread(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Well-mixed 64 bits of each number (the finaliser of splitmix64), so that parts are even."""
    from curation.kernels.words import mixed

    return mixed(numbers.view(np.uint64))


def pair_part(out: str, digest: str, part: int, batches: Iterator[pa.RecordBatch]) -> int:
    """Write the pairs of one part's buckets, window by window."""
    from curation.kernels.buckets import GONE, bucket_pairs, placed

    key, before, head = 0, 0, -1
    with store.TableWriter(part_table(out, part), LINKS, digest) as writer:
        for keys, docs, sketches, roles in windows(batches, WINDOW):
            if keys[0] != key:
                key, before, head = keys[0], 0, -1
            a, b = bucket_pairs(keys, docs, sketches, roles, before, head)
            writer.write(pa.record_batch([a, b], schema=LINKS))
            if keys[-1] != key:
                continue
            inside = np.flatnonzero(placed(roles))
            if not before and len(inside):
                head = -1 if roles[inside[0]] & GONE else int(docs[inside[0]])
            before += len(inside)
        return writer.rows


Arrays = tuple[npt.NDArray[Any], ...]


def windows(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[Arrays]:
    """(keys, docs, sketches, roles) of rows sorted by key: whole buckets, or, of a bucket that
    is longer, `size` rows at a time."""
    waiting: list[Arrays] = []
    rows = 0
    for batch in batches:
        waiting.append(
            tuple(batch.column(name).to_numpy() for name in ("key", "doc", "sketch", "role"))
        )
        rows += batch.num_rows
        while rows >= size:
            whole = _joined(waiting)
            # Where the last bucket begins.
            cut = int(np.searchsorted(whole[0], whole[0][-1])) or size
            yield tuple(column[:cut] for column in whole)
            waiting, rows = [tuple(column[cut:] for column in whole)], rows - cut
    if rows:
        yield _joined(waiting)


def _joined(pieces: Sequence[Arrays]) -> Arrays:
    return tuple(np.concatenate(columns) for columns in zip(*pieces, strict=True))
