"""Which documents are removed: the part of `dedup` that is SQL over small columns, the same on
DuckDB and Spark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.rundir import schema
from curation.rundir.queries import QueryResult, columns_of, run_query
from curation.rundir.results import ShardResult, run_once
from curation.stages.dedup.candidates import Scopes
from curation.stages.dedup.index import IndexedShard, group_of, new_shards

if TYPE_CHECKING:
    from curation.engine.base import Engine

VERSION = 4
ROUNDS = 5  # what is still open after these is finished by one task

COPIES = pa.schema([("doc", pa.int64()), ("first", pa.int64())])
EDGES = schema.PAIRS
LEFT = pa.schema([("doc", pa.int64())])
FATES = pa.schema(
    [("doc", pa.int64()), ("kept", pa.int64()), ("shared", pa.int64()), ("total", pa.int64())]
)
CLUSTERS = pa.schema([(name, pa.int64()) for name in ("dataset", "kept", "documents")])
SIZES = pa.schema([("doc", pa.int64()), ("documents", pa.int64())])
LARGEST = 100  # clusters listed of each dataset
REMOVED = pa.schema(
    [*FATES, ("exact", pa.int64()), ("kept_id", pa.string()), ("kept_dataset", pa.int64())]
)


def _scopes_query(rows: Scopes) -> str:
    """The scopes as a subquery."""
    return " UNION ALL ".join(
        f"SELECT CAST({s} AS BIGINT) AS scope, CAST({d} AS BIGINT) AS dataset, CAST({c} AS BIGINT) "
        "AS crossed, "
        f"CAST({r} AS BIGINT) AS reference"
        for s, d, c, r in rows
    )


def documents_query(
    all_shards: Sequence[IndexedShard], *columns: str
) -> tuple[str, dict[str, store.Table]]:
    """The documents of all runs as a subquery, and the tables it reads.

    Datasets have their number in this run.
    """
    parts, tables = [], {}
    for level in sorted({member.level for member in all_shards}):
        run = [member for member in all_shards if member.level == level]
        places = sorted({(m.rundir.recipe.place(m.shard.dataset), m.dataset) for m in run})
        number = " ".join(f"WHEN {place} THEN {dataset}" for place, dataset in places)
        chosen = [
            f"CAST(CASE dataset {number} END AS BIGINT) AS dataset" if c == "dataset" else c
            for c in columns
        ]
        parts.append(f"SELECT {', '.join(chosen)} FROM documents{level}")
        tables[f"documents{level}"] = columns_of(
            [m.documents for m in run], schema.DEDUP_DOCUMENTS, *columns
        )
    return "(" + " UNION ALL ".join(parts) + ")", tables


def exact_copies(
    engine: Engine,
    all_shards: Sequence[IndexedShard],
    rows: Scopes,
    out: str,
    identities: Sequence[str],
) -> QueryResult:
    """Documents whose text another of their scope has, by groups of shards, with the first of them by
    priority.

    In a cross scope that is a document of the left dataset; it is named rather than a copy within
    the dataset.
    """
    every, tables = documents_query(
        all_shards, "doc", "id", "dataset", "content", "priority", "repetitive"
    )
    first = (
        "OVER (PARTITION BY s.scope, d.content ORDER BY s.reference DESC, d.priority, d.id, d.doc)"
    )
    text = f"""
        SELECT doc, first, {group_of("doc")} AS shards FROM (
            SELECT doc, first, row_number() OVER (PARTITION BY doc ORDER BY crossed DESC, scope) AS place FROM (
                SELECT d.doc AS doc, s.scope AS scope, s.crossed AS crossed, s.reference AS reference, d.priority AS priority,
                       first_value(d.doc) {first} AS first, first_value(s.reference) {first} AS held,
                       first_value(d.priority) {first} AS before
                FROM {every} d JOIN ({_scopes_query(rows)}) s ON d.dataset = s.dataset
                JOIN (SELECT content FROM {every} a GROUP BY content HAVING count(*) > 1) t ON d.content = t.content
                WHERE d.repetitive = 0
            ) c WHERE doc <> first AND (crossed = 0 OR (held = 1 AND reference = 0 AND before < priority))
        ) o WHERE place = 1"""
    return run_query(
        engine, text, tables, out, COPIES, identities, partition_by="shards", sort_by=["doc"]
    )


def settled_removals(
    engine: Engine,
    min_jaccard: float,
    measured: store.Table,
    copies: QueryResult,
    all_shards: Sequence[IndexedShard],
    root: str,
    identities: Sequence[str],
) -> QueryResult:
    """The documents that are removed, by groups of shards, each with the one it is a duplicate of: greedy in
    priority order.

    A round settles every document with a link to one that is certain to stay. Few rounds settle
    nearly all; what is open after ROUNDS (long chains) is settled by one task that walks the rest
    in priority order, which gives the same answer.
    """
    threshold = round(min_jaccard * 1_000_000)
    alike = run_query(
        engine,
        f"SELECT * FROM measured WHERE shared * 1000000 >= total * {threshold}",
        {"measured": measured},
        store.join(root, "alike"),
        EDGES,
        [store.need_footer(path).identity for path in measured.paths],
        sort_by=["b", "a"],
    )
    left, open_edges = [], alike
    for number in range(ROUNDS):
        if not open_edges.rows:
            break
        folder = store.join(root, "rounds", str(number))
        settled = _settled(engine, open_edges, store.join(folder, "settled"))
        open_edges = _open_edges(engine, open_edges, settled, store.join(folder, "open"))
        left.append(settled)
    paths = [path for settled in left for path in settled.paths]
    made_from = [alike.identity, *(settled.identity for settled in left)]
    if open_edges.rows:
        out = store.join(root, "rounds", "rest.parquet")
        settle = partial(_settle_rest, open_edges, out)
        (rest,) = engine.map("dedup: settle", settle, ["the open rest"])
        made_from.append(rest.identity)
        paths.append(out)
    fates = _first_kept(
        engine, alike, store.Table(tuple(paths), LEFT), store.join(root, "fates"), made_from
    )
    return _removed(engine, fates, copies, all_shards, root, identities)


def _settled(engine: Engine, edges: QueryResult, out: str) -> QueryResult:
    """Documents linked to one that nothing can remove."""
    text = """
        SELECT e.b AS doc FROM edges e LEFT JOIN (SELECT DISTINCT b AS doc FROM edges) r ON e.a = r.doc
        WHERE r.doc IS NULL GROUP BY e.b"""
    return run_query(
        engine, text, {"edges": edges.table}, out, LEFT, [edges.identity], sort_by=["doc"]
    )


def _open_edges(engine: Engine, edges: QueryResult, settled: QueryResult, out: str) -> QueryResult:
    """Edges of which neither end is removed."""
    text = f"""
        SELECT {", ".join(f"e.{name} AS {name}" for name in EDGES.names)}
        FROM edges e LEFT JOIN settled x ON e.a = x.doc LEFT JOIN settled y ON e.b = y.doc
        WHERE x.doc IS NULL AND y.doc IS NULL"""
    tables = {"edges": edges.table, "settled": settled.table}
    return run_query(
        engine, text, tables, out, EDGES, [edges.identity, settled.identity], sort_by=["b", "a"]
    )


def _first_kept(
    engine: Engine, edges: QueryResult, left: store.Table, out: str, made_from: Sequence[str]
) -> QueryResult:
    """Each removed document, with the first of its links, by priority, that stays: the same
    whichever round settled it."""
    text = """
        SELECT b AS doc, a AS kept, shared, total FROM (
            SELECT e.a AS a, e.b AS b, e.shared AS shared, e.total AS total,
                   row_number() OVER (PARTITION BY e.b ORDER BY e.priority_a, e.tie_a, e.a) AS place
            FROM edges e JOIN gone x ON e.b = x.doc LEFT JOIN gone y ON e.a = y.doc WHERE y.doc IS NULL
        ) s WHERE place = 1"""
    return run_query(
        engine, text, {"edges": edges.table, "gone": left}, out, FATES, made_from, sort_by=["doc"]
    )


def _settle_rest(edges: QueryResult, out: str, _: str) -> ShardResult:
    """Write which documents are removed by the open edges, walked in priority order."""
    digest = config_digest("dedup/rest", VERSION, edges.identity)

    def make() -> ShardResult:
        from curation.kernels.buckets import leaving

        table = pa.concat_tables([store.read_table(path) for path in edges.paths])
        order = ("priority_b", "tie_b", "b", "priority_a", "tie_a", "a")
        table = table.sort_by([(name, "ascending") for name in order])
        ends = np.concatenate([table.column(name).to_numpy() for name in ("a", "b")])
        docs, numbers = np.unique(ends, return_inverse=True)
        removed = leaving(numbers[: table.num_rows], numbers[table.num_rows :], len(docs))
        with store.TableWriter(out, LEFT, digest) as writer:
            writer.write(pa.record_batch([docs[removed]], schema=LEFT))
        return ShardResult(digest)

    return run_once(out, digest, make)


def _removed(
    engine: Engine,
    fates: QueryResult,
    copies: QueryResult,
    all_shards: Sequence[IndexedShard],
    root: str,
    identities: Sequence[str],
) -> QueryResult:
    """Every document of this run that is removed.

    A copy shares the fate of the first of its text, or is removed as a duplicate of it where that
    one stays.
    """
    every, tables = documents_query(all_shards, "doc", "id", "dataset")
    text = f"""
        SELECT r.doc AS doc, r.kept AS kept, r.shared AS shared, r.total AS total, r.exact AS exact,
               k.id AS kept_id, k.dataset AS kept_dataset, {group_of("r.doc")} AS shards
        FROM (
            SELECT doc, kept, shared, total, CAST(0 AS BIGINT) AS exact FROM fates
            UNION ALL
            SELECT c.doc AS doc, coalesce(f.kept, c.first) AS kept, coalesce(f.shared, 1) AS shared, coalesce(f.total, 1) AS total,
                   CAST(CASE WHEN f.doc IS NULL THEN 1 ELSE 0 END AS BIGINT) AS exact
            FROM copies c LEFT JOIN (
                SELECT doc, kept, shared, total FROM fates
                UNION ALL SELECT doc, kept, shared, total FROM before WHERE exact = 0
            ) f ON c.first = f.doc WHERE c.doc >= {min(member.doc(0) for member in new_shards(all_shards))}
        ) r JOIN {every} k ON r.kept = k.doc"""
    tables |= {
        "fates": fates.table,
        "copies": copies.table,
        "before": store.Table(_removed_before(all_shards), REMOVED),
    }
    return run_query(
        engine,
        text,
        tables,
        store.join(root, "removed"),
        REMOVED,
        [fates.identity, copies.identity, *identities],
        partition_by="shards",
        sort_by=["doc"],
    )


def _removed_before(all_shards: Sequence[IndexedShard]) -> tuple[str, ...]:
    """The tables of documents that were removed in the runs of the index."""
    folders = dict.fromkeys(m.rundir.path("dedup", "pairs", "removed") for m in all_shards if m.old)
    return tuple(file.path for folder in folders for file in store.listing(folder))


def cluster_sizes(
    engine: Engine, removed: QueryResult, all_shards: Sequence[IndexedShard], out: str
) -> QueryResult:
    """By groups of shards, the documents of this run that others of it were removed as duplicates of, with
    how many those are."""
    text = f"""
        SELECT kept AS doc, count(*) AS documents, {group_of("kept")} AS shards
        FROM removed WHERE kept >= {min(member.doc(0) for member in new_shards(all_shards))} GROUP BY kept"""
    return run_query(
        engine,
        text,
        {"removed": columns_of(removed.paths, REMOVED, "kept")},
        out,
        SIZES,
        [removed.identity],
        partition_by="shards",
        sort_by=["doc"],
    )


def clusters(
    engine: Engine,
    removed: QueryResult,
    all_shards: Sequence[IndexedShard],
    out: str,
    identities: Sequence[str],
) -> store.Table:
    """The documents of which most of a dataset's documents are duplicates, with how many those
    are."""
    text = f"""
        SELECT dataset, kept, documents FROM (
            SELECT dataset, kept, documents, row_number() OVER (PARTITION BY dataset ORDER BY documents DESC, kept) AS place FROM (
                SELECT d.dataset AS dataset, r.kept AS kept, count(*) AS documents
                FROM removed r JOIN documents d ON r.doc = d.doc GROUP BY d.dataset, r.kept
            ) c
        ) p WHERE place <= {LARGEST}"""
    paths = [member.documents for member in new_shards(all_shards)]
    tables = {
        "removed": removed.table,
        "documents": columns_of(paths, schema.DEDUP_DOCUMENTS, "doc", "dataset"),
    }
    made_from = [removed.identity, *identities]
    return run_query(
        engine, text, tables, out, CLUSTERS, made_from, sort_by=["dataset", "documents", "kept"]
    ).table
