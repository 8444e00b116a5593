"""The records of looked-up addresses, fetched by range and read as pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from curation import store
from curation.errors import Unreachable
from curation.recipe.tables import ExtractConfig
from curation.rundir.directory import RunDirectory
from curation.stages.extract.inputs import pages

if TYPE_CHECKING:
    from curation.readers.records import Document, Reject, Skipped


def records(
    rundir: RunDirectory, config: ExtractConfig, file: store.File, patience: store.Patience
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What became of each address of a table of captures, with the archive it is from."""
    from curation.readers.records import Reject, Skipped

    base = rundir.recipe.download.base_url.rstrip("/") + "/"
    for batch in store.read_groups(file.path):
        for row in batch.to_pylist():
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
            for outcome in pages(config, io.BytesIO(data), archive.name):
                yield (
                    archive,
                    outcome
                    if isinstance(outcome, Skipped)
                    else replace(outcome, offset=row["start"]),
                )
