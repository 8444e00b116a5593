"""The records of looked-up addresses, fetched by range and read as pages.

Where a dataset keeps its records, those of a table of captures are written to a WARC file beside it,
as they came: headers, digests and blocks byte for byte.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from curation import store
from curation.errors import Unreachable
from curation.recipe.tables import ExtractConfig
from curation.rundir.directory import RunDirectory
from curation.stages.extract.inputs import pages

if TYPE_CHECKING:
    from curation.readers.records import Document, Reject, Skipped


def records_path(rundir: RunDirectory, file: store.File) -> str:
    """Where the records of a table of captures are kept."""
    folder, _, name = file.path.rpartition("/")
    dataset = folder.removesuffix("/captures").rpartition("/")[2]
    return rundir.path("downloads", dataset, "records", name.removesuffix(".parquet") + ".warc.gz")


def records(
    rundir: RunDirectory,
    config: ExtractConfig,
    file: store.File,
    patience: store.Patience,
    keep: bool = False,
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What became of each address of a table of captures, with the archive it is from. With `keep`
    the records are at `records_path` once all were read."""
    from curation.readers.records import Reject, Skipped

    base = rundir.recipe.download.base_url.rstrip("/") + "/"
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(store.atomic(records_path(rundir, file))) if keep else None
        for row in _rows(file):
            if not row["filename"]:
                reason = "repeated_url" if row["repeated"] else "not_in_index"
                yield file, Reject(reason, row["url"], None, None)
                continue
            archive = store.File(base + row["filename"], row["filename"].rpartition("/")[2], 0, "")
            try:
                data = store.read_range(archive.path, row["start"], row["size"], patience)
            except Unreachable as error:
                yield archive, Reject("unreachable", row["url"], row["start"], str(error))
                continue
            if kept is not None:
                _keep(data, kept)
            for outcome in pages(config, io.BytesIO(data), archive.name):
                if isinstance(outcome, Skipped):
                    yield archive, outcome
                else:
                    yield archive, replace(outcome, offset=row["start"])


def _rows(file: store.File) -> Iterator[dict[str, Any]]:
    for batch in store.read_groups(file.path):
        yield from batch.to_pylist()


def _keep(data: bytes, file: IO[bytes]) -> None:
    """Add the records in a part of an archive; what is no record is left out, as it is rejected."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed
    from warcio.warcwriter import WARCWriter

    writer = WARCWriter(file, gzip=True)
    with contextlib.suppress(ArchiveLoadFailed):
        for record in ArchiveIterator(io.BytesIO(data), no_record_parse=True):
            if record.format == "warc":
                writer.write_record(record)
