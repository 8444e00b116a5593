"""Records chosen by the columnar index, before a byte of an archive is read: downloads/NAME/selected/.

One task for each file of the index writes what it selects. Then whole archives are shared out to
shards of some hundred megabytes, and one query brings the records of each shard together, in the
order of the archives, so that near ones can be read in one request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.rundir import schema, sources
from curation.rundir.directory import RunDirectory
from curation.rundir.queries import run_query
from curation.stages.download.index_files import IndexFile, index_files, wanted_archives
from curation.stages.download.rows import Asked, Seen, selected_rows

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Dataset

VERSION = 1
ARCHIVES = pa.schema([("filename", pa.string()), ("size", pa.int64())])
PARTS = pa.schema([("filename", pa.string()), ("part", pa.int64())])
ARCHIVES_QUERY = """
SELECT filename, CAST(SUM(size) AS BIGINT) AS size FROM selected GROUP BY filename
"""
RECORDS_QUERY = """
SELECT selected.url AS url, selected.filename AS filename, selected.start AS start,
    selected.size AS size, selected.digest AS digest, parts.part AS part
FROM selected JOIN parts ON selected.filename = parts.filename
"""
ORDER = ("filename", "start", "size", "url", "digest")


def asked_of(rundir: RunDirectory, dataset: Dataset, crawl: str, workers: int) -> Asked:
    """What a dataset asks of the index of a crawl."""
    notes: tuple[str, ...] = ()
    if dataset.annotations:
        (file,) = store.find(dataset.annotations)[:1]
        notes = (file.path, f"{file.name} {file.size} {file.tag}")
    return Asked(
        dataset.name,
        dataset.select,
        dataset.sample,
        rundir.recipe.seed,
        notes,
        dataset.annotations_by,
        wanted_archives(rundir, dataset, crawl),
        rundir.recipe.download.patience(workers),
    )


def write_selected(
    rundir: RunDirectory, engine: Engine, dataset: Dataset, say: Callable[[str], None]
) -> tuple[int, int, int]:
    """Write downloads/<dataset>/selected/<crawl>/: the records of each shard. Returns their number,
    the requests that they will take, and the bytes that these bring."""
    from curation.stages.extract.selected import cost

    total = [0, 0, 0]
    for crawl in dataset.crawls:
        asked = asked_of(rundir, dataset, crawl, engine.workers)
        files = index_files(rundir, dataset, crawl)
        task = partial(_write_file, rundir, dataset, asked)
        made = engine.map(f"download: index of {crawl}", task, files)
        if any(notes for _, _, notes in made):
            say(_index_line(dataset, crawl, [notes for _, _, notes in made if notes]))
        paths = [path for path, _, _ in made]
        identities = [digest for _, digest, _ in made]
        for path in _by_shard(rundir, engine, dataset, crawl, paths, identities):
            rows = store.read_table(path, ["filename", "start", "size"])
            requests, size = cost(dataset, rows)
            total = [total[0] + rows.num_rows, total[1] + requests, total[2] + size]
    return total[0], total[1], total[2]


def _index_line(dataset: Dataset, crawl: str, notes: list[dict[str, int]]) -> str:
    """What reading the index took, in a line."""
    total = {name: sum(one[name] for one in notes) for name in notes[0]}
    return (
        f"{dataset.name}: index of {crawl}: {total['selected']:,} of {total['rows']:,} records; "
        f"{total['received'] / 1e6:,.1f} of {total['size'] / 1e6:,.1f} MB of the index read in "
        f"{total['requests']:,} requests ({total['groups_read']} of {total['groups']} row groups)"
    )


def _write_file(
    rundir: RunDirectory, dataset: Dataset, asked: Asked, file: IndexFile
) -> tuple[str, str, dict[str, int]]:
    """Write what one file of the index selects: the table, its digest, and what that took; nothing
    where it is there already."""
    seed = asked.seed if asked.sample < 1 else 0
    rule = (asked.select, asked.sample, seed, asked.annotations[1:], asked.annotations_by)
    digest = config_digest("selection", VERSION, rule, asked.archives, file.identity, file.parts)
    path = rundir.path(
        "downloads", dataset.name, "_chosen", file.crawl, f"{file.number:05d}.parquet"
    )
    if store.done(path, digest):
        return path, digest, {}
    seen = Seen()
    with store.TableWriter(path, schema.SELECTED, digest) as writer:
        for rows in selected_rows(asked, file, seen):
            writer.write(rows)
        writer.notes = seen.notes()
    return path, digest, writer.notes


def _by_shard(
    rundir: RunDirectory,
    engine: Engine,
    dataset: Dataset,
    crawl: str,
    paths: list[str],
    identities: list[str],
) -> tuple[str, ...]:
    """The tables of the shards of a crawl."""
    chosen = {"selected": store.Table(tuple(paths), schema.SELECTED)}
    out = rundir.path("downloads", dataset.name, "_archives", crawl)
    archives = run_query(
        engine, ARCHIVES_QUERY, chosen, out, ARCHIVES, identities, sort_by=("filename",)
    )
    parts = _parts(rundir, dataset, crawl, archives.paths, archives.identity)
    identity = store.need_footer(parts).digest
    tables = {**chosen, "parts": store.Table((parts,), PARTS)}
    out = sources.selected_path(rundir, dataset, crawl)
    made_from = [*identities, identity]
    return run_query(
        engine,
        RECORDS_QUERY,
        tables,
        out,
        schema.SELECTED,
        made_from,
        partition_by="part",
        sort_by=ORDER,
    ).paths


def _parts(
    rundir: RunDirectory, dataset: Dataset, crawl: str, paths: tuple[str, ...], identity: str
) -> str:
    """The table of which shard each archive is in: consecutive ones, up to `select_shard_mb`."""
    path = rundir.path("downloads", dataset.name, "_parts", f"{crawl}.parquet")
    digest = config_digest("selection/parts", VERSION, identity, dataset.select_shard_mb)
    if store.done(path, digest):
        return path
    archives = pa.concat_tables([store.read_table(one, ARCHIVES.names) for one in paths])
    most, part, held = dataset.select_shard_mb * 1e6, 0, 0
    numbers = []
    for size in archives.column("size").to_pylist():
        if held and held + size > most:
            part, held = part + 1, 0
        held += size
        numbers.append(part)
    names = archives.column("filename").cast(pa.string())
    columns = [names, pa.chunked_array([pa.array(numbers, pa.int64())])]
    with store.TableWriter(path, PARTS, digest) as writer:
        writer.write(pa.Table.from_arrays(columns, schema=PARTS))
    return path
