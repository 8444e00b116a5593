"""One input file -> what it holds, record by record, whatever its format and wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from curation import store
from curation.recipe.tables import Dataset, ExtractConfig
from curation.rundir.directory import RunDirectory
from curation.shown import masked
from curation.stages.extract import captures, parts, selected
from curation.stages.extract.inputs import input_format, open_stream, pages, read_table_rows

if TYPE_CHECKING:
    from curation.readers.archive_parts import ArchivePart
    from curation.readers.records import Document, Reject, Skipped

UNREACHABLE = "unreachable"


def outcomes_of(
    rundir: RunDirectory,
    dataset: Dataset,
    file: store.File,
    patience: store.Patience,
    notes: dict[str, int],
    from_beginning: bool = False,
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What one input file, or a part of it, holds, record by record, each with the file it is
    from. Notes what records cost that are selected, and where the records of a part begin and end.
    """
    from curation.readers.records import Reject

    config = rundir.recipe.extracted(dataset.name)
    if dataset.urls:
        yield from captures.records(rundir, config, file, patience, dataset.keep_records)
        return
    if dataset.selects:
        base = rundir.recipe.download.base_url
        yield from selected.records(base, dataset, config, file, patience, notes)
        return
    part = None
    if file.part and input_format(dataset, file) == "archive":
        part = parts.archive_part(file, from_beginning)
    with open_stream(dataset, file, patience) as stream:
        for outcome in _records(config, dataset, stream, file, part):
            is_cut = dataset.first_mb or getattr(stream, "failure", None)
            if is_cut and isinstance(outcome, Reject) and outcome.reason == "truncated":
                outcome = replace(outcome, is_damage=False)
            yield file, outcome
        if isinstance(stream, store.RemoteFile) and stream.failure is not None:
            yield file, Reject(UNREACHABLE, masked(file.path), stream.position, str(stream.failure))
    if part:
        notes |= {parts.BEGINS: part.begins, parts.ENDS: part.ends}


def _records(
    config: ExtractConfig,
    dataset: Dataset,
    stream: Any,
    file: store.File,
    part: ArchivePart | None,
) -> Iterator[Document | Reject | Skipped]:
    """What one stream holds, record by record."""
    kind = input_format(dataset, file)
    if kind == "archive":
        yield from pages(config, stream, file.name, part)
    elif kind == "mediawiki":
        from curation.readers import mediawiki

        yield from mediawiki.read_dump(stream, file.name)
    elif kind == "wikimedia-html":
        from curation.readers import wikihtml

        yield from wikihtml.read_html_dump(stream, file.name)
    elif kind == "table":
        yield from read_table_rows(dataset, stream, file)
    else:
        from curation.readers import texts

        yield from texts.read_text_file(stream, file.name)
