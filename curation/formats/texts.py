"""Documents as Parquet, JSON lines, Dolma's documents and datatrove's.

Cost: one reading of the texts that stay. Memory: a few batches of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.formats.files import BoundedFiles, FileSink, Lines, LinesSink, ParquetSink, line_sizes
from curation.formats.layouts import SPLITS
from curation.rundir.kept import merged, shard_documents

if TYPE_CHECKING:
    from curation.formats.parts import Job, Part

BATCH_BYTES = 8 << 20
Row = dict[str, Any]
Files = dict[str, dict[str, Any]]


def write_texts(job: Job, part: Part) -> Files:
    """Write the documents of one part; returns what the manifest says of each file."""
    lines = None if job.format.texts == "parquet" else ROWS[job.format.texts](job, part)
    dataset, _, number = part.name.rpartition("-")
    files: Files = {}
    splits = SPLITS if job.format.split and job.validation else SPLITS[:1]
    for split in splits:
        place = (dataset, f"{split}-{number}") if job.format.split else (part.name,)
        stem = store.join(job.format.texts_folder, *place)
        with BoundedFiles(job.out, stem, job.max_bytes, partial(_opened, job)) as written:
            for batch in merged(_documents(job, part, split, len(splits)), BATCH_BYTES):
                if lines is None:
                    written.write(batch, store.row_bytes(batch))
                    continue
                rows = [store.json_line(lines(row)) for row in batch.to_pylist()]
                written.write(Lines(rows), line_sizes(rows))
        files |= written.files
    return files


def _opened(job: Job, name: str) -> FileSink:
    if job.format.texts == "parquet":
        schema = pa.schema([job.schema.field(column) for column in job.columns])
        return ParquetSink(job.out, name, schema)
    return LinesSink(job.out, name, job.packing)


def _documents(job: Job, part: Part, split: str, splits: int) -> Iterator[pa.RecordBatch]:
    """The documents of one split of a part, with the columns that are written."""
    names = list(job.schema.names if job.format.texts == "dolma" else job.columns)
    for shard in part.shards:
        for batch in shard_documents(job.rundir, shard, job.schema):
            if splits > 1:
                is_held_out = held_out(job, batch.column("content"))
                batch = batch.filter(pa.array(is_held_out == (split == "validation")))
            if batch.num_rows:
                yield batch.select(names)


def held_out(job: Job, content: pa.Array) -> npt.NDArray[np.bool_]:
    """Which documents are for validation: by content, as the stage `mix` draws them."""
    seed = job.rundir.recipe.seed
    return draws.uniforms(seed, "validation", content.to_pylist()) < job.validation


# ---- lines ---------------------------------------------------------------------------------------


def _plain_rows(job: Job, part: Part) -> Callable[[Row], Row]:
    def line(row: Row) -> Row:
        return {name: store.without_nulls(value) for name, value in row.items()}

    return line


def _datatrove_rows(job: Job, part: Part) -> Callable[[Row], Row]:
    def line(row: Row) -> Row:
        text, id_ = row.pop("text"), row.pop("id")
        return {"text": text, "id": id_, "metadata": store.without_nulls(row)}

    return line


def _dolma_rows(job: Job, part: Part) -> Callable[[Row], Row]:
    """`added` is when the input file was written here, `created` the date of the page."""
    written = {
        (shard.dataset, file.name): _time_of(file.tag)
        for shard in part.shards
        for file in shard.files
    }

    def line(row: Row) -> Row:
        place = row["dataset"], row["archive"]
        fields = {
            "id": row.pop("id"),
            "text": row.pop("text"),
            "source": row.pop("dataset"),
            "added": written.get(place),
            "created": row.pop("date") if isinstance(row["date"], str) else None,
        }
        metadata = {name: value for name, value in row.items() if name in job.columns}
        return {**store.without_nulls(fields), "metadata": store.without_nulls(metadata)}

    return line


def _time_of(tag: str) -> str | None:
    """The time of a file's tag (nanoseconds), as Dolma writes times; None where it is none."""
    if not tag.isdecimal():
        return None
    moment = datetime.datetime.fromtimestamp(int(tag) // 10**9, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


ROWS: dict[str, Callable[[Job, Part], Callable[[Row], Row]]] = {
    "rows": _plain_rows,
    "datatrove": _datatrove_rows,
    "dolma": _dolma_rows,
}
# What each needs beside the columns that are written.
NEEDED = {
    "parquet": (),
    "rows": (),
    "datatrove": ("id", "text"),
    "dolma": ("id", "text", "dataset", "date", "archive"),
}
