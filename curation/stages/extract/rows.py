"""What a reader yields -> the rows of documents/ and rejects/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curation import store
from curation.digests import text_digest

if TYPE_CHECKING:
    from curation.readers.records import Document, Reject
    from curation.recipe.tables import Dataset

Row = dict[str, Any]
# Columns that tell two documents of the same text apart.
IDENTITY_COLUMNS = ("id", "record_id", "url", "date", "offset", "place", "language",
                     "language_score", "crawl_language", "crawl_language_share",
                     "crawl_language_reliable", "robots", "license", "license_from", "extra")  # fmt: skip


def document_row(
    dataset: Dataset, file: store.File, document: Document, from_curation: bool
) -> Row:
    """The row of a document, without its language; `from_curation`: it is from a table of ours."""
    place = f"{dataset.name}\x00{file.name}\x00{document.offset}"
    if document.place:
        place += f"\x00{document.place}"
    # Tables that `decontaminate` wrote have several rows of one id: its pieces.
    piece = (document.extra or {}).get("piece") if from_curation and document.id else None
    id_ = document.id or text_digest(place.encode()).hex()
    verdict = document.verdict
    return {
        "id": id_ if piece is None else f"{id_}/{piece}",
        "record_id": document.record_id,
        "url": document.url,
        "text": document.text,
        "content": text_digest(document.text.encode()),
        "date": document.date,
        "archive": file.name,
        "offset": document.offset,
        "place": document.place,
        "extra": document.extra,
        "crawl_language": verdict and verdict.shares[0][0],
        "crawl_language_share": verdict and verdict.shares[0][1],
        "crawl_language_reliable": verdict and verdict.is_reliable,
        "robots": document.rights.robots,
        "license": document.rights.license,
        "license_from": document.rights.license_from,
    }


def reject_row(file: store.File, reject: Reject) -> Row:
    """The row of a reject."""
    return {
        "url": reject.url,
        "archive": file.name,
        "offset": reject.offset,
        "reason": reject.reason,
        "detail": reject.detail,
    }
