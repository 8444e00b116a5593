"""Which pairs are compared and which documents leave: the part of `dedup` that is SQL over small columns.

Every query runs alike on DuckDB and Spark. A *scope* is a set of datasets compared with each other: all of them, or one dataset, or an
ordered pair whose first is only compared with (`cross`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from curation import draws, schema, store
from curation.stages.common import Made, Result, once, query, table

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe import Recipe

VERSION = 1
ROUNDS = 5  # what is still open after these is finished by one task
REFERENCES = 8  # members of a bucket that stand first and are compared with every later one, in a cross scope
SHARD = 1 << 32  # documents a shard can number
Scopes = tuple[tuple[int, int, int, int], ...]  # scope, dataset, crossed, reference

COPIES = pa.schema([("doc", pa.int64()), ("first", pa.int64())])
NEAR = pa.schema([(name, pa.int64()) for name in ("doc", "p0", "p1", "p2", "p3")])
LINKS = pa.schema([("a", pa.int64()), ("b", pa.int64())])
WANTED = pa.schema([("center", pa.int64()), ("doc", pa.int64())])
EDGES = pa.schema([schema.PAIRS.field(name) for name in ("a", "b", "priority_a", "priority_b", "shared", "total")])
FATES = pa.schema([("doc", pa.int64()), ("kept", pa.int64()), ("shared", pa.int64()), ("total", pa.int64())])
CLUSTERS = pa.schema([(name, pa.int64()) for name in ("dataset", "kept", "documents")])
LARGEST = 100  # clusters listed of each dataset
REMOVED = pa.schema([*FATES, ("exact", pa.int64()), ("kept_id", pa.string()), ("kept_dataset", pa.int64())])


def scopes(recipe: Recipe) -> Scopes:
    """Which datasets are compared.

    `across = "all"` is one scope. Otherwise every dataset is a scope of its own (but `reference` ones), and every pair a cross scope.
    """
    if recipe.dedup.across == "all":
        return tuple((0, place, 0, 0) for place in range(len(recipe.dataset)))
    rows: list[tuple[int, int, int, int]] = []
    if recipe.dedup.within:
        rows += [(place, place, 0, 0) for place, d in enumerate(recipe.dataset) if d.role != "reference"]
    for i, (first, second) in enumerate(recipe.dedup.across):
        scope = len(recipe.dataset) + i
        pair = sorted((recipe.place(first), recipe.place(second)))
        rows += [(scope, pair[0], 1, 1), (scope, pair[1], 1, 0)]
    return tuple(rows)


def _scope_table(rows: Scopes) -> str:
    """The scopes as a subquery."""
    return " UNION ALL ".join(
        f"SELECT CAST({s} AS BIGINT) AS scope, CAST({d} AS BIGINT) AS dataset, CAST({c} AS BIGINT) AS crossed, "
        f"CAST({r} AS BIGINT) AS reference"
        for s, d, c, r in rows
    )


def exact_copies(engine: Engine, documents: Sequence[str], rows: Scopes, out: str, identities: Sequence[str]) -> Result:
    """Documents whose text another of their scope has, with the first of them by priority.

    In a cross scope that is a reference's document, and comes before a copy within the dataset.
    """
    text = f"""
        SELECT doc, first FROM (
            SELECT doc, first, row_number() OVER (PARTITION BY doc ORDER BY crossed DESC, scope) AS place FROM (
                SELECT d.doc AS doc, s.scope AS scope, s.crossed AS crossed, s.reference AS reference,
                       first_value(d.doc) OVER (PARTITION BY s.scope, d.content ORDER BY d.priority, d.id, d.doc) AS first,
                       first_value(s.reference) OVER (PARTITION BY s.scope, d.content ORDER BY d.priority, d.id, d.doc) AS held
                FROM documents d JOIN ({_scope_table(rows)}) s ON d.dataset = s.dataset
            ) c WHERE doc <> first AND (crossed = 0 OR (held = 1 AND reference = 0))
        ) o WHERE place = 1"""
    tables = {"documents": table(documents, schema.DEDUP_DOCUMENTS, "doc", "id", "dataset", "content", "priority")}
    return query(engine, text, tables, out, COPIES, identities, sort_by=["doc"])


def candidates(
    engine: Engine, bands: Sequence[str], copies: Result, rows: Scopes, root: str, identities: Sequence[str]
) -> Result:
    """The pairs to measure, as rows (centre, doc) by the shard of `doc`; the centre itself is among its documents.

    In a bucket of m documents each is paired with the first by priority and with the three before it: O(m) pairs, chosen only among
    documents of higher priority, so that adding a batch later changes none of them. In a cross scope each is paired with the first eight
    references.
    """
    members = f"""
        SELECT s.scope AS scope, s.crossed AS crossed, s.reference AS reference, b.key AS key, b.doc AS doc, b.priority AS priority
        FROM bands b JOIN ({_scope_table(rows)}) s ON b.dataset = s.dataset
        LEFT JOIN copies c ON b.doc = c.doc WHERE c.doc IS NULL"""
    window = "OVER (PARTITION BY scope, key ORDER BY priority, doc)"
    tables = {"bands": table(bands, schema.BANDS), "copies": copies.table}
    made_from = [*identities, copies.identity]
    near = query(
        engine,
        f"""
        SELECT DISTINCT doc, p0, p1, p2, p3 FROM (
            SELECT doc, first_value(doc) {window} AS p0, lag(doc, 1) {window} AS p1, lag(doc, 2) {window} AS p2,
                   lag(doc, 3) {window} AS p3
            FROM ({members}) m WHERE crossed = 0
        ) n WHERE p0 <> doc""",
        tables,
        store.join(root, "near"),
        NEAR,
        made_from,
        sort_by=["doc", "p0", "p1", "p2", "p3"],
    )
    links = [f"SELECT p{i} AS a, doc AS b FROM near WHERE p{i} IS NOT NULL" for i in range(4)]
    if any(crossed for _, _, crossed, _ in rows):
        links.append(f"""
        SELECT r.doc AS a, m.doc AS b FROM ({members}) m JOIN (
            SELECT scope, key, doc, row_number() {window} AS place FROM ({members}) x WHERE reference = 1
        ) r ON m.scope = r.scope AND m.key = r.key WHERE m.crossed = 1 AND m.reference = 0 AND r.place <= {REFERENCES}""")
    pairs = query(
        engine,
        "SELECT DISTINCT a, b FROM (" + " UNION ALL ".join(links) + ") l",
        {**tables, "near": near.table},
        store.join(root, "candidates"),
        LINKS,
        [*made_from, near.identity],
        sort_by=["b", "a"],
    )
    by_shard = f"""
        SELECT center, doc, CAST((doc - doc % {SHARD}) / {SHARD} AS BIGINT) AS shard FROM (
            SELECT a AS center, b AS doc FROM pairs UNION ALL SELECT DISTINCT a AS center, a AS doc FROM pairs
        ) w"""
    return query(
        engine,
        by_shard,
        {"pairs": pairs.table},
        store.join(root, "wanted"),
        WANTED,
        [pairs.identity],
        partition_by="shard",
        sort_by=["doc", "center"],
    )


def choose(
    engine: Engine,
    min_jaccard: float,
    measured: store.Table,
    copies: Result,
    documents: Sequence[str],
    root: str,
    identities: Sequence[str],
) -> Result:
    """The documents that leave, by shard, each with the one it leaves for: greedy in priority order.

    A round settles every document all of whose links lead to documents that are certain to stay. Few rounds settle nearly all; what is
    open after ROUNDS (long chains) is settled by one task that walks the rest in priority order, which gives the same answer.
    """
    threshold = round(min_jaccard * 1_000_000)
    alike = query(
        engine,
        f"SELECT * FROM measured WHERE shared * 1000000 >= total * {threshold}",
        {"measured": measured},
        store.join(root, "alike"),
        EDGES,
        [store.need_footer(path).identity for path in measured.paths],
        sort_by=["b", "a"],
    )
    fates, open_edges = [], alike
    for number in range(ROUNDS):
        if not open_edges.rows:
            break
        folder = store.join(root, "rounds", str(number))
        settled = _settle(engine, open_edges, store.join(folder, "settled"))
        open_edges = _still_open(engine, open_edges, settled, store.join(folder, "open"))
        fates.append(settled)
    paths = [path for fate in fates for path in fate.paths]
    made_from = [fate.identity for fate in fates]
    if open_edges.rows:
        out = store.join(root, "rounds", "rest.parquet")
        made_from.append(engine.map("dedup: settle", _Walk(open_edges, out), ["the open rest"])[0].identity)
        paths.append(out)
    return _removed(engine, store.Table(tuple(paths), FATES), copies, documents, root, [*made_from, *identities])


def _settle(engine: Engine, edges: Result, out: str) -> Result:
    """Documents linked to one that nothing can remove, with the first such by priority."""
    text = """
        SELECT b AS doc, a AS kept, shared, total FROM (
            SELECT e.a AS a, e.b AS b, e.shared AS shared, e.total AS total,
                   row_number() OVER (PARTITION BY e.b ORDER BY e.priority_a, e.a) AS place
            FROM edges e LEFT JOIN (SELECT DISTINCT b AS doc FROM edges) r ON e.a = r.doc WHERE r.doc IS NULL
        ) s WHERE place = 1"""
    return query(engine, text, {"edges": edges.table}, out, FATES, [edges.identity], sort_by=["doc"])


def _still_open(engine: Engine, edges: Result, settled: Result, out: str) -> Result:
    """Edges neither of whose ends has left."""
    text = """
        SELECT e.a AS a, e.b AS b, e.priority_a AS priority_a, e.priority_b AS priority_b, e.shared AS shared, e.total AS total
        FROM edges e LEFT JOIN settled x ON e.a = x.doc LEFT JOIN settled y ON e.b = y.doc
        WHERE x.doc IS NULL AND y.doc IS NULL"""
    tables = {"edges": edges.table, "settled": settled.table}
    return query(engine, text, tables, out, EDGES, [edges.identity, settled.identity], sort_by=["b", "a"])


class _Walk:
    """The task that settles open edges in priority order: a document leaves for the first of its links that has not left."""

    def __init__(self, edges: Result, out: str) -> None:
        self.edges, self.out = edges, out

    def __call__(self, _: str) -> Made:
        digest = draws.digest("dedup/rest", VERSION, self.edges.identity)
        return once(self.out, digest, lambda: self._walk(digest))

    def _walk(self, digest: str) -> Made:
        edges = pa.concat_tables([store.read_table(path) for path in self.edges.paths])
        edges = edges.sort_by(
            [("priority_b", "ascending"), ("b", "ascending"), ("priority_a", "ascending"), ("a", "ascending")]
        )
        left: dict[int, tuple[int, int, int]] = {}
        for a, b, shared, total in zip(
            *(edges.column(name).to_pylist() for name in ("a", "b", "shared", "total")), strict=True
        ):
            if a not in left and b not in left:
                left[b] = (a, shared, total)
        rows = [(doc, *left[doc]) for doc in sorted(left)]
        columns = [pa.array(c, pa.int64()) for c in (zip(*rows, strict=True) if rows else [[]] * 4)]
        with store.TableWriter(self.out, FATES, digest) as writer:
            writer.write(pa.record_batch(columns, schema=FATES))
        return Made(digest)


def _removed(
    engine: Engine,
    fates: store.Table,
    copies: Result,
    documents: Sequence[str],
    root: str,
    made_from: Sequence[str],
) -> Result:
    """Every removed document: copies share the fate of the first of them, or leave for it where it stays."""
    text = f"""
        SELECT r.doc AS doc, r.kept AS kept, r.shared AS shared, r.total AS total, r.exact AS exact,
               k.id AS kept_id, k.dataset AS kept_dataset, CAST((r.doc - r.doc % {SHARD}) / {SHARD} AS BIGINT) AS shard
        FROM (
            SELECT doc, kept, shared, total, CAST(0 AS BIGINT) AS exact FROM fates
            UNION ALL
            SELECT c.doc AS doc, coalesce(f.kept, c.first) AS kept, coalesce(f.shared, 1) AS shared, coalesce(f.total, 1) AS total,
                   CAST(CASE WHEN f.doc IS NULL THEN 1 ELSE 0 END AS BIGINT) AS exact
            FROM copies c LEFT JOIN fates f ON c.first = f.doc
        ) r JOIN documents k ON r.kept = k.doc"""
    tables = {
        "fates": fates,
        "copies": copies.table,
        "documents": table(documents, schema.DEDUP_DOCUMENTS, "doc", "id", "dataset"),
    }
    return query(
        engine,
        text,
        tables,
        store.join(root, "removed"),
        REMOVED,
        [*made_from, copies.identity],
        partition_by="shard",
        sort_by=["doc"],
    )


def clusters(
    engine: Engine, removed: Result, documents: Sequence[str], out: str, identities: Sequence[str]
) -> store.Table:
    """The documents that most of a dataset's documents left for, with how many those are."""
    text = f"""
        SELECT dataset, kept, documents FROM (
            SELECT dataset, kept, documents, row_number() OVER (PARTITION BY dataset ORDER BY documents DESC, kept) AS place FROM (
                SELECT d.dataset AS dataset, r.kept AS kept, count(*) AS documents
                FROM removed r JOIN documents d ON r.doc = d.doc GROUP BY d.dataset, r.kept
            ) c
        ) p WHERE place <= {LARGEST}"""
    tables = {"removed": removed.table, "documents": table(documents, schema.DEDUP_DOCUMENTS, "doc", "dataset")}
    made_from = [removed.identity, *identities]
    return query(engine, text, tables, out, CLUSTERS, made_from, sort_by=["dataset", "documents", "kept"]).table
