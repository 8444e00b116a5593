"""Addresses looked up in Common Crawl's columnar index, and their records fetched by range: a
corpus from a list of links.

Costs one reading of six columns of the index (Parquet; about a fifth of its bytes), and one request
for every page. The rule: of the successful captures (status 200) with the sort key of an address,
the newest; of equally new ones the first by archive and offset. So `http` or `https`, `www.`, upper
case and the order of query fields make no difference. Every address becomes a document or is
counted.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import InputError
from curation.rundir import schema, sources
from curation.rundir.directory import RunDirectory
from curation.rundir.queries import run_query

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Dataset

BATCH_LINES = 8192
SHARD_RECORDS = 1000
COLUMNS = (
    "url_surtkey",
    "fetch_time",
    "fetch_status",
    "warc_filename",
    "warc_record_offset",
    "warc_record_length",
)
# Times are only compared, never shown: as text each engine would write them in its own way.
QUERY = f"""
WITH asked AS (
    SELECT url, key, ROW_NUMBER() OVER (PARTITION BY key ORDER BY url) AS nth FROM (SELECT DISTINCT url, key FROM wanted) AS w
), found AS (
    SELECT url_surtkey AS key, warc_filename, warc_record_offset, warc_record_length,
        ROW_NUMBER() OVER (
            PARTITION BY url_surtkey
            ORDER BY fetch_time DESC NULLS LAST, warc_filename ASC NULLS LAST, warc_record_offset ASC NULLS LAST
        ) AS newest
    FROM capture WHERE fetch_status = 200 AND warc_filename IS NOT NULL AND url_surtkey IN (SELECT key FROM wanted)
), told AS (
    SELECT asked.url AS url, asked.nth > 1 AND asked.key <> '' AS repeated,
        CASE WHEN asked.nth = 1 THEN COALESCE(found.warc_filename, '') ELSE '' END AS filename,
        CASE WHEN asked.nth = 1 THEN CAST(COALESCE(found.warc_record_offset, 0) AS BIGINT) ELSE 0 END AS start,
        CASE WHEN asked.nth = 1 THEN CAST(COALESCE(found.warc_record_length, 0) AS BIGINT) ELSE 0 END AS size
    FROM asked LEFT JOIN found ON asked.key = found.key AND asked.key <> '' AND found.newest = 1
), numbered AS (
    SELECT *, CAST(ROW_NUMBER() OVER (ORDER BY filename, start, url) AS BIGINT) - 1 AS number FROM told
)
SELECT url, repeated, filename, CAST(start AS BIGINT) AS start, CAST(size AS BIGINT) AS size,
    number - number % {SHARD_RECORDS} AS part
FROM numbered
"""


def write_captures(rundir: RunDirectory, engine: Engine, dataset: Dataset) -> tuple[int, int, int]:
    """Write downloads/<dataset>/captures/: a row for each address of the list, with the record to
    fetch where there is one.

    Returns the number of addresses, of records, and their stored bytes.

    Raises InputError where the list is empty or the index lacks a column.
    """
    files = [file for text in dataset.index if not store.is_web(text) for file in store.find(text)]
    files += [
        file
        for source in sources.remote_index_files(rundir, dataset)
        for file in store.find(source.destination)
    ]
    files = [file for file in files if file.path.endswith(".parquet")]
    if not files:
        raise InputError(
            f"dataset {dataset.name!r}: no Parquet files in its index ({', '.join(dataset.index)})"
        )
    known = store.read_schema(files[0].path)
    if missing := [name for name in COLUMNS if name not in known.names]:
        raise InputError(
            f"{files[0].path}: no column {missing[0]!r}; Common Crawl's columnar index expected"
        )
    columns = pa.schema([known.field(name) for name in COLUMNS])
    if pa.types.is_timestamp(when := columns.field("fetch_time").type):  # Spark knows no other unit
        columns = columns.set(
            COLUMNS.index("fetch_time"), pa.field("fetch_time", pa.timestamp("us", when.tz))
        )
    wanted, identity = _wanted(rundir, dataset)
    tables = {
        "wanted": store.Table((wanted,), schema.WANTED),
        "capture": store.Table(tuple(file.path for file in files), columns),
    }
    made_from = [identity, *(f"{file.name} {file.size} {file.tag}" for file in files)]
    out = rundir.path("downloads", dataset.name, "captures")
    order = ("filename", "start", "url")
    result = run_query(
        engine, QUERY, tables, out, schema.CAPTURES, made_from, partition_by="part", sort_by=order
    )
    tables_of_sizes = (
        store.read_table(path, ["size"]).column(0).to_numpy() for path in result.paths
    )
    counts = [(int((sizes > 0).sum()), int(sizes.sum())) for sizes in tables_of_sizes]
    return result.rows, sum(records for records, _ in counts), sum(size for _, size in counts)


def _wanted(rundir: RunDirectory, dataset: Dataset) -> tuple[str, str]:
    """The list as a table, and the digest of what it was made from.

    Lines that are empty or begin with # do not count.
    """
    from curation.readers.commoncrawl import surt_key

    (file,) = store.find(dataset.urls)[:1]
    digest = config_digest("wanted", file.name, file.size, file.tag)
    path = rundir.path("downloads", dataset.name, "_wanted.parquet")
    if not store.done(path, digest):
        with (
            store.TableWriter(path, schema.WANTED, digest) as writer,
            store.open_input(file.path) as stream,
        ):
            for lines in _lines(io.BufferedReader(stream, 1 << 20)):
                writer.write(
                    pa.record_batch(
                        [lines, [surt_key(line) for line in lines]], schema=schema.WANTED
                    )
                )
    if not store.need_footer(path).rows:
        raise InputError(f"{file.path}: no addresses in it; one a line expected")
    return path, digest


def _lines(stream: io.BufferedReader) -> Iterator[list[str]]:
    lines: list[str] = []
    for raw in stream:
        line = raw.decode("utf-8", "replace").strip()
        if line and not line.startswith("#"):
            lines.append(line)
        if len(lines) >= BATCH_LINES:
            yield lines
            lines = []
    if lines:
        yield lines
