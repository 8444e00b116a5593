"""Pages as the extractor `blocks` sees them, for the report: some documents that stayed and some that did not, block by block.

The HTML is in no table; it is read again from its archive at the offset that the document carries, some 5 ms a page. The trap: archives
move and records may share a compressed member; a page that is not found there again is listed without its blocks, not left out.
"""

from __future__ import annotations

import heapq
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from curation import draws, store
from curation.errors import InputError
from curation.inspect.evidence import frames

if TYPE_CHECKING:
    from curation.readers.records import Page
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

PAGES = 3  # of each fate
MAX_BLOCKS = 200
CHARS = 200  # of a block
Data = dict[str, Any]


def extracted_pages(rundir: RunDirectory, plan: Plan) -> list[Data] | None:
    """`PAGES` random pages that are kept and as many that a later stage removed, with the blocks of each (None where it is not found)."""
    from curation.readers.formats import guess_format

    if rundir.recipe.extract.extractor != "blocks":
        return None
    chosen: dict[bool, list[tuple[float, int, int]]] = {True: [], False: []}
    shards = {
        shard.ordinal: shard
        for shard in plan.shards
        if any(guess_format(file.name) == "archive" for file in shard.files)
        and store.exists(rundir.documents(shard))
    }
    for shard in shards.values():
        ids = frames.column(rundir.documents(shard), "id").to_pylist()
        kept = _kept_ids(rundir, shard)
        at = draws.uniforms(
            rundir.recipe.seed,
            "inspect/extracted",
            (f"{shard.dataset}\x00{id_}".encode() for id_ in ids),
        )
        for row, (id_, draw) in enumerate(zip(ids, at.tolist(), strict=True)):
            chosen[id_ in kept].append((draw, shard.ordinal, row))
        chosen = {fate: heapq.nsmallest(PAGES, found) for fate, found in chosen.items()}
    pages = [
        _shown(rundir, shards[ordinal], row, fate)
        for fate, found in chosen.items()
        for _, ordinal, row in found
    ]
    return pages or None


def _kept_ids(rundir: RunDirectory, shard: Shard) -> set[str]:
    """The ids of what is left; a piece of a decontaminated document counts for the whole."""
    path, rows = frames.kept_rows(rundir, shard)
    if path is None:
        return set()
    ids = frames.column(path, "id").take(rows).to_pylist()
    return {*ids, *(id_.rpartition("/")[0] for id_ in ids)}


def _shown(rundir: RunDirectory, shard: Shard, row: int, kept: bool) -> Data:
    import numpy as np

    names = ["id", "record_id", "url", "archive", "offset"]
    found = frames.take(rundir.documents(shard), np.array([row]), names).to_pylist()[0]
    page = _page_again(rundir, shard, found)
    out = {
        "dataset": shard.dataset,
        "id": found["id"],
        "url": found["url"],
        "kept": kept,
        "blocks": None,
        "more": 0,
    }
    if page is None:
        return out
    from curation.readers.html import extract_blocks

    blocks = extract_blocks(page.body, content_type=page.content_type)
    shown = [
        asdict(block) | {"score": round(block.score, 3), "text": block.text[:CHARS]}
        for block in blocks[:MAX_BLOCKS]
    ]
    return out | {"blocks": shown, "more": len(blocks) - len(shown)}


def _page_again(rundir: RunDirectory, shard: Shard, found: Data) -> Page | None:
    """The page of a document, from its archive; None where the archive or the record is not there any more."""
    from curation.readers import warc
    from curation.readers.records import Page

    paths = [file.path for file in shard.files if file.name == found["archive"]]
    if not paths or found["offset"] is None:
        return None
    try:
        with store.open_input(paths[0]) as stream:
            stream.seek(found["offset"])
            limit = rundir.recipe.extract.max_page_bytes
            record = next(
                iter(warc.read_archive(stream, found["archive"], max_page_bytes=limit)), None
            )
    except InputError:
        return None
    if not isinstance(record, Page) or record.is_text:
        return None
    return record if (record.url, record.record_id) == (found["url"], found["record_id"]) else None
