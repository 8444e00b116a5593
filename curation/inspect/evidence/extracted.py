"""Pages as the extractor `blocks` cuts them: some documents that are kept and some that are not.

The HTML is in no table; it is read again from its archive at the offset that the document carries,
some 5 ms a page. The trap: archives move, and records may share a compressed member; a page that
is not found there again is listed without its blocks.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from curation import draws, store
from curation.errors import InputError
from curation.inspect.evidence import frames

if TYPE_CHECKING:
    from curation.blocks.extractor import Block
    from curation.readers.records import Page
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

PAGES = 3  # kept ones, and as many removed ones
MAX_BLOCKS = 200
CHARS = 200  # of a block


@dataclass(frozen=True, slots=True)
class ExtractedPage:
    """A document and its page's first blocks; `more`: how many others there are.

    `kept`: at the end of the run. `blocks` is None where the page was not found again.
    """

    dataset: str
    id: str
    url: str | None
    kept: bool
    blocks: list[Block] | None
    more: int


def extracted_pages(rundir: RunDirectory, plan: Plan) -> list[ExtractedPage] | None:
    """`PAGES` random pages that are kept and as many that a later stage removed, with their blocks.

    None where another extractor was used or there are no archives.
    """
    if rundir.recipe.extract.extractor != "blocks":
        return None
    chosen: dict[bool, list[tuple[float, int, int]]] = {True: [], False: []}
    for shard in plan.shards:
        if not _from_archives(shard) or not store.exists(rundir.documents(shard)):
            continue
        ids = frames.column(rundir.documents(shard), "id").to_pylist()
        kept = _kept_ids(rundir, shard)
        keys = (f"{shard.dataset}\x00{id_}".encode() for id_ in ids)
        order = draws.uniforms(rundir.recipe.seed, "inspect/extracted", keys).tolist()
        for row, (id_, draw) in enumerate(zip(ids, order, strict=True)):
            chosen[id_ in kept].append((draw, shard.ordinal, row))
        chosen = {fate: heapq.nsmallest(PAGES, rows) for fate, rows in chosen.items()}
    pages = [
        _extracted_page(rundir, plan.shards[ordinal], row, fate)
        for fate, rows in chosen.items()
        for _, ordinal, row in rows
    ]
    return pages or None


def document_blocks(
    rundir: RunDirectory, shard: Shard, row: int, kept: bool
) -> ExtractedPage | None:
    """The blocks of one document's page; None where another extractor was used, or it is from no
    archive."""
    if rundir.recipe.extract.extractor != "blocks" or not _from_archives(shard):
        return None
    return _extracted_page(rundir, shard, row, kept)


def _from_archives(shard: Shard) -> bool:
    from curation.readers.formats import guess_format

    return any(guess_format(file.name) == "archive" for file in shard.files)


def _kept_ids(rundir: RunDirectory, shard: Shard) -> set[str]:
    """The ids of kept documents; a piece of a decontaminated document counts for the whole."""
    path, rows = frames.kept_rows(rundir, shard)
    if path is None:
        return set()
    ids = frames.column(path, "id").take(rows).to_pylist()
    return {*ids, *(id_.rpartition("/")[0] for id_ in ids)}


def _extracted_page(rundir: RunDirectory, shard: Shard, row: int, kept: bool) -> ExtractedPage:
    names = ["id", "record_id", "url", "archive", "offset", "place"]
    document = frames.take_one(rundir.documents(shard), row, names)
    place = (shard.dataset, document["id"], document["url"], kept)
    page = _page_again(rundir, shard, document)
    if page is None:
        return ExtractedPage(*place, None, 0)
    from curation.readers.html import extract_blocks

    blocks = extract_blocks(page.body, content_type=page.content_type)
    shown = [
        replace(
            block,
            score=round(block.score, 3),
            text=block.text[:CHARS] + "…" * (len(block.text) > CHARS),
        )
        for block in blocks[:MAX_BLOCKS]
    ]
    return ExtractedPage(*place, shown, len(blocks) - len(shown))


def _page_again(rundir: RunDirectory, shard: Shard, document: dict[str, Any]) -> Page | None:
    """The page of a document, from its archive; None where it is not there any more."""
    from curation.readers import warc
    from curation.readers.records import Page

    paths = [file.path for file in shard.files if file.name == document["archive"]]
    if not paths or document["offset"] is None:
        return None
    try:
        with store.open_input(paths[0]) as stream:
            limit = rundir.recipe.extract.max_page_bytes
            where = {"offset": document["offset"], "place": document["place"] or 0}
            records = warc.read_archive(stream, document["archive"], max_page_bytes=limit, **where)
            record = next(records, None)
    except InputError:
        return None
    if not isinstance(record, Page) or record.is_text:
        return None
    return (
        record
        if (record.url, record.record_id) == (document["url"], document["record_id"])
        else None
    )
