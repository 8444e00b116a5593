"""webtext-urls: Reddit submissions -> a list of outbound links, a line each, to look up with `curation extract --urls`.

Each dump is read by a worker of its own and becomes a table of links; the engine's SQL leaves one of each page. Memory is that of one
batch, the query's `memory_gb` (it spills), and for .zst the dump's window, up to 2 GB a worker.
"""

from __future__ import annotations

import collections
import gzip
import tempfile
import zlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import zstandard

from curation import store
from curation.errors import InputError
from curation.rundir import schema

if TYPE_CHECKING:
    from curation.engine.base import Engine

BATCH_LINES = 8192
QUERY = "SELECT key, MIN(url) AS url FROM links GROUP BY key"
Counts = dict[
    str, int
]  # reason -> submissions; `submissions` is all of them, `links` those that stay


def run(inputs: Sequence[str], out: str, engine: Engine, min_score: int) -> Counts:
    """Write the links of some dumps to `out`, sorted by the index's key, each page once; returns what became of the submissions.

    Of several links to one page (the same key, see `readers.commoncrawl.surt_key`) the smallest by bytes stays, so the order of the inputs
    makes no difference. Raises InputError where a dump cannot be unpacked to its end or nothing is left.
    """
    files = [file for pattern in inputs for file in store.find(pattern)]
    total: Counts = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="curation-webtext-") as folder:
        task = partial(_read, folder, min_score)
        for counts in engine.map("webtext-urls: read", task, list(enumerate(files))):
            for reason, count in counts.items():
                total[reason] += count
        paths = tuple(store.join(folder, f"{number:05d}.parquet") for number in range(len(files)))
        done = store.join(folder, "links")
        ((_, rows),) = engine.sql(
            QUERY,
            {"links": store.Table(paths, schema.WANTED)},
            done,
            schema.WANTED,
            "webtext",
            sort_by=("key", "url"),
        ) or [(0, 0)]
        if not rows:
            raise InputError(f"{', '.join(inputs)}: no links in them ({_told(total)})")
        with store.atomic(out) as file:
            for batch in store.read_groups(store.join(done, "00000.parquet"), ["url"]):
                file.write("".join(f"{url}\n" for url in batch.column(0).to_pylist()).encode())
    total["repeated"] = total.pop("found", 0) - rows
    total["links"] = rows
    return dict(total)


def _read(folder: str, min_score: int, item: tuple[int, store.File]) -> Counts:
    """Write one dump's links as a table."""
    from curation.readers.commoncrawl import surt_key
    from curation.readers.submissions import links

    number, file = item
    counts: Counts = collections.Counter()
    batch_links: list[str] = []

    def batch() -> pa.RecordBatch:
        return pa.record_batch(
            [batch_links, [surt_key(url) for url in batch_links]], schema=schema.WANTED
        )

    with (
        store.TableWriter(
            store.join(folder, f"{number:05d}.parquet"), schema.WANTED, "webtext"
        ) as writer,
        store.open_input(file.path) as stream,
    ):
        try:
            for reason, link in links(stream, file.name, min_score):
                counts["submissions"] += 1
                counts[reason or "found"] += 1
                if link:
                    batch_links.append(link)
                if len(batch_links) == BATCH_LINES:
                    writer.write(batch())
                    batch_links.clear()
        except (zstandard.ZstdError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(
                f"{file.path}: cannot be unpacked after {counts['submissions']} submissions ({error}); fetch the file again"
            ) from error
        writer.write(batch())
    return dict(counts)


def _told(counts: Counts) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "no lines"
