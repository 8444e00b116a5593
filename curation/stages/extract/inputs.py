"""One input file as a stream, and what a stream holds, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation import store
from curation.readers.formats import guess_format
from curation.readers.records import Document, Reject
from curation.recipe.languages import alike
from curation.recipe.tables import Dataset, ExtractConfig
from curation.rundir import schema
from curation.rundir.survivors import decided_table, leaving

if TYPE_CHECKING:
    from curation.readers.archive_parts import ArchivePart
    from curation.readers.records import Page, Skipped

BATCH_PAGES = 512
_OF_A_RUN = ("record_id", "content", "row", "masks")  # columns that say nothing outside their run
# Of pages that go to the extractor together: at each turn of owner and child caches are filled anew.
BATCH_BYTES = 4 << 20


def input_format(dataset: Dataset, file: store.File) -> str:
    """The format that a dataset names, or the one that the file's name tells."""
    return guess_format(file.name) if dataset.format == "auto" else dataset.format


def open_stream(dataset: Dataset, file: store.File, patience: store.Patience) -> Any:
    """An input file as a stream, read where it lies."""
    if dataset.stream:
        return store.RemoteFile(file.path, patience, end=int(dataset.first_mb * 1e6) or None)
    return store.open_input(file.path)


def read_table_rows(dataset: Dataset, stream: Any, file: store.File) -> Iterator[Document | Reject]:
    """The rows of one table, by the columns that the dataset names."""
    from curation.readers import tables

    read = partial(
        tables.read_table_file,
        name=file.name,
        text_column=dataset.text_column,
        id_column=dataset.id_column,
        url_column=dataset.url_column,
        start=file.start,
        end=file.end,
    )
    if (survivors := decided_table(file.path)) is None:
        yield from read(stream)
        return
    with store.open_input(survivors) as rows:
        yield from _kept_pieces(read(rows), file.path, survivors)


def run_columns(decision: str, survivors: str) -> pa.Schema:
    """The columns that documents of another run come with: as in the kept/ of a step. What only
    pages have is left out of those that are none."""
    columns = store.read_schema(survivors)
    left_out = {*_OF_A_RUN, "extra"}
    names = [name for name in schema.DOCUMENTS.names if name not in (*left_out, "id", "text")]
    known = store.read_table(survivors, names)
    empty = {name for name in names if known.column(name).null_count == len(known)}
    if "place" in empty:
        left_out |= {*empty, "archive", "offset"}
    fields = [field for field in columns if field.name not in left_out]
    if "extra" in columns.names:
        fields += list(columns.field("extra").type)
    if "pieces" in store.read_schema(decision).names:
        fields.append(pa.field("piece", pa.int64()))
    return pa.schema(fields)


def _kept_pieces(
    rows: Iterator[Document | Reject], table: str, survivors: str
) -> Iterator[Document | Reject]:
    """The rows of survivors that a decision table keeps (all, where `table` is none but themselves), as
    they leave their run: in the pieces that each is cut into, and masked."""
    decided = store.read_table(table, None if table != survivors else ["id"])
    n, names = decided.num_rows, decided.column_names
    keeps = decided.column("keep").to_pylist() if "keep" in names else [True] * n
    pieces = decided.column("pieces").to_pylist() if "pieces" in names else None
    for number, (row, keep) in enumerate(zip(rows, keeps, strict=True)):
        if not keep:
            continue
        if isinstance(row, Reject):  # larger than a table's text may be: counted, not lost
            yield row
            continue
        masks = (row.extra or {}).get("masks")
        extra = {key: value for key, value in (row.extra or {}).items() if key not in _OF_A_RUN}
        extra |= extra.pop("extra", None) or {}
        _, parts, _ = leaving(row.text, pieces[number] if pieces else None, masks)
        for piece, text in enumerate(parts or [""]):
            yield replace(row, text=text, extra={**extra, "piece": piece} if pieces else extra)


def pages(
    config: ExtractConfig, stream: Any, name: str, part: ArchivePart | None = None
) -> Iterator[Document | Reject | Skipped]:
    """What an archive, or a part of it, holds, in its order; pages become text some at a time."""
    from curation.readers import warc

    records = warc.read_archive(stream, name, max_page_bytes=config.max_page_bytes, part=part)
    yield from with_texts(config, records)


def with_texts(
    config: ExtractConfig, records: Iterator[Page | Reject | Skipped]
) -> Iterator[Document | Reject | Skipped]:
    """The same records with documents or rejects in place of pages, which become text some at a
    time."""
    from curation.readers.records import Page

    wanted = alike(config.languages) if config.languages else None
    waiting: list[Page | Reject | Skipped] = []
    size = 0
    for record in records:
        if isinstance(record, Page) and wanted is not None:
            record = _wanted_page(config, wanted, record)
        waiting.append(record)
        size += len(record.body) if isinstance(record, Page) else 0
        if size >= BATCH_BYTES or len(waiting) >= BATCH_PAGES:
            yield from _with_text(config, waiting)
            waiting, size = [], 0
    yield from _with_text(config, waiting)


def _wanted_page(config: ExtractConfig, wanted: frozenset[str], page: Page) -> Page | Reject:
    """The page, or a reject where the crawl itself is sure that its language is another one."""
    from curation.readers.crawl_metadata import share_of_others

    verdict, threshold = page.verdict, config.crawl_language_threshold
    if verdict is None or not threshold:
        return page
    share = share_of_others(verdict, wanted)
    if share < threshold:
        return page
    others = ", ".join(code for code, _ in verdict.shares if code not in wanted)
    return Reject("language", page.url, page.offset, f"{others} ({share:.2f} of it), by the crawl")


def _with_text(
    config: ExtractConfig, records: list[Page | Reject | Skipped]
) -> Iterator[Document | Reject | Skipped]:
    """The same records with documents or rejects in place of pages."""
    from curation.readers.html import Form
    from curation.readers.page_sandbox import page_sandbox
    from curation.readers.records import Document, Page, PageError, Reject

    pages = [record for record in records if isinstance(record, Page)]
    form = Form(config.headline, config.comments, config.markdown)
    by_lid_176 = not config.language_model
    sandbox = page_sandbox(config.extractor, form, config.max_page_s, by_lid_176)
    answers = iter(sandbox.read(pages) if pages else [])
    for record in records:
        if not isinstance(record, Page):
            yield record
        elif isinstance(answer := next(answers), PageError):
            yield Reject(answer.reason, record.url, record.offset, answer.detail)
        else:
            place = (record.record_id, record.date, record.offset)
            last = (record.fits_digest, record.place, record.verdict)
            found = (answer.rights, answer.language, answer.language_score)
            yield Document(answer.text, None, record.url, *place, None, *last, *found)
