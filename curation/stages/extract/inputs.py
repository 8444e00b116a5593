"""One input file as a stream, and what a stream holds, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curation import store
from curation.readers.formats import guess_format
from curation.recipe.tables import Dataset, ExtractConfig

if TYPE_CHECKING:
    from curation.readers.records import Document, Page, Reject, Skipped

BATCH_PAGES = 512
BATCH_BYTES = 1 << 20  # of pages that go to the extractor together


def input_format(dataset: Dataset, file: store.File) -> str:
    return guess_format(file.name) if dataset.format == "auto" else dataset.format


def open_stream(dataset: Dataset, file: store.File, patience: store.Patience) -> Any:
    """An input file as a stream, read where it lies."""
    if dataset.stream:
        return store.RemoteFile(file.path, patience, end=int(dataset.first_mb * 1e6) or None)
    return store.open_input(file.path)


def read_table_rows(dataset: Dataset, stream: Any, file: store.File) -> Iterator[Document | Reject]:
    """The rows of one table, by the columns that the dataset names."""
    from curation.readers import tables

    return tables.read_table_file(
        stream,
        file.name,
        text_column=dataset.text_column,
        id_column=dataset.id_column,
        url_column=dataset.url_column,
    )


def pages(config: ExtractConfig, stream: Any, name: str) -> Iterator[Document | Reject | Skipped]:
    """What an archive holds, in its order; pages become text some at a time."""
    from curation.readers import warc
    from curation.readers.records import Page

    waiting: list[Page | Reject | Skipped] = []
    size = 0
    for record in warc.read_archive(stream, name, max_page_bytes=config.max_page_bytes):
        waiting.append(record)
        size += len(record.body) if isinstance(record, Page) else 0
        if size >= BATCH_BYTES or len(waiting) >= BATCH_PAGES:
            yield from _with_text(config, waiting)
            waiting, size = [], 0
    yield from _with_text(config, waiting)


def _with_text(
    config: ExtractConfig, records: list[Page | Reject | Skipped]
) -> Iterator[Document | Reject | Skipped]:
    """The same records with documents or rejects in place of pages."""
    from curation.readers.html import Form
    from curation.readers.page_sandbox import page_sandbox
    from curation.readers.records import Document, Page, PageError, Reject

    pages = [record for record in records if isinstance(record, Page)]
    form = Form(config.headline, config.comments, config.markdown)
    texts = iter(
        page_sandbox(config.extractor, form, config.max_page_s).texts(pages) if pages else []
    )
    for record in records:
        if not isinstance(record, Page):
            yield record
        elif isinstance(text := next(texts), PageError):
            yield Reject(text.reason, record.url, record.offset, text.detail)
        else:
            place = (record.record_id, record.date, record.offset)
            yield Document(text, None, record.url, *place, None, record.fits_digest, record.place)
