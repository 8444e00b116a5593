"""The hosts of a run: documents, kept ones and their characters of each, those with most kept first.

Cost: the addresses of all documents and the lengths of the survivors, a shard at a time; their hosts
are counted by DuckDB.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.inspect.evidence import frames

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

MOST = 200  # sites named
_PATTERN = r"^[a-zA-Z]+://(?:[^/?#]*@)?(?P<host>[^/?#:]+)"
HOSTS = pa.schema(
    [("host", pa.string()), ("documents", pa.int64()), ("kept", pa.int64()), ("size", pa.int64())]
)
_WITHOUT = """
SELECT '', CAST(coalesce(sum(documents), 0) AS BIGINT), CAST(coalesce(sum(kept), 0) AS BIGINT),
       CAST(coalesce(sum(size), 0) AS BIGINT)
FROM hosts WHERE host = ''
"""
_QUERY = f"""
SELECT host, CAST(sum(documents) AS BIGINT) AS documents, CAST(sum(kept) AS BIGINT),
       CAST(sum(size) AS BIGINT) AS size, count(*) OVER ()
FROM hosts WHERE host <> '' GROUP BY host ORDER BY sum(size) DESC, sum(documents) DESC, host LIMIT {MOST}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A host: its documents, those that are kept, and what those are long: in tokens, or in
    characters where nothing was tokenized."""

    host: str
    documents: int
    kept: int
    size: int


@dataclass(frozen=True, slots=True)
class Sites:
    """`sites`: the first `MOST` of `hosts`; `unit`: tokens or characters; `without`: the documents
    that have no address, under an empty host."""

    unit: str
    hosts: int
    sites: list[Site]
    without: Site


def sites(rundir: RunDirectory, plan: Plan) -> Sites:
    """The hosts of all documents, and how many have no address."""
    from curation.store.query import connect, create_view

    tokenized = any(store.exists(rundir.table("tokens", shard)) for shard in plan.shards)
    with tempfile.TemporaryDirectory(prefix="curation-sites-") as folder:
        path = store.join(folder, "hosts.parquet")
        with store.TableWriter(path, HOSTS, "") as writer:
            for shard in plan.shards:
                if store.exists(rundir.documents(shard)):
                    writer.write(_shard_hosts(rundir, shard, tokenized))
        connection = connect(folder, 1.0, 2)
        create_view(connection, "hosts", store.Table((path,), HOSTS))
        rows = connection.sql(_QUERY).fetchall()
        (without,) = connection.sql(_WITHOUT).fetchall()
        connection.close()
    unit = "tokens" if tokenized else "characters"
    named = [Site(*row[:4]) for row in rows]
    return Sites(unit, rows[0][4] if rows else 0, named, Site(*without))


def _shard_hosts(rundir: RunDirectory, shard: Shard, tokenized: bool) -> pa.Table:
    """A row of HOSTS for each host of a shard."""
    hosts = _hosts(frames.column(rundir.documents(shard), "url"))
    parts = [_counted(hosts, pa.array(np.zeros(len(hosts), np.int64)), documents=1)]
    survivors, rows = frames.kept_rows(rundir, shard)
    if survivors is not None and len(rows):
        kept = pa.array(rows)
        hosts = _hosts(frames.column(survivors, "url").take(kept))
        parts.append(
            _counted(hosts, _sizes(rundir, shard, survivors, tokenized).take(kept), kept=1)
        )
    return pa.concat_tables(parts)


def _hosts(urls: pa.Array) -> pa.Array:
    """Hosts in small letters; empty where there is none."""
    host = pc.struct_field(pc.extract_regex(urls, _PATTERN), "host")
    return pc.fill_null(pc.utf8_lower(host), "")


def _counted(hosts: pa.Array, sizes: pa.Array, documents: int = 0, kept: int = 0) -> pa.Table:
    table = pa.table({"host": hosts, "size": sizes})
    groups = table.group_by("host").aggregate([("size", "sum"), ([], "count_all")])
    count = groups.column("count_all")
    columns = [groups.column("host"), *(pc.multiply(count, n) for n in (documents, kept))]
    return pa.table([*columns, groups.column("size_sum")], schema=HOSTS)


def _sizes(rundir: RunDirectory, shard: Shard, survivors: str, tokenized: bool) -> pa.Array:
    """Tokens of each survivor, or its characters."""
    path = rundir.table("tokens", shard)
    if tokenized and store.exists(path):
        counts = frames.column(path, "counts")
        pieces = pc.fill_null(pc.list_value_length(counts), 0).to_numpy(zero_copy_only=False)
        parents = np.repeat(np.arange(len(counts)), pieces)
        sums = np.bincount(parents, counts.flatten().to_numpy(), len(counts))
        return pa.array(sums.astype(np.int64))
    parts = [pc.utf8_length(batch.column(0)) for batch in store.read_groups(survivors, ["text"])]
    return pa.concat_arrays(parts).cast(pa.int64()) if parts else pa.array([], pa.int64())
