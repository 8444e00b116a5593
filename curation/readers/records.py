"""What a reader yields: every record of an input becomes exactly one of four things.

    Document   text that is ready for the tables (MediaWiki, JSONL, Parquet, txt)
    Page       bytes of a web page that still have to become text (`readers.html.page_text`)
    Reject     a record that could have been a document and is not: counted by reason and listed
    Skipped    a record that never could be a document (warcinfo, request, DNS answer): counted only

Costs nothing; the trap is forgetting one of the four, for then the ledger does not balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a crawl itself says of a page's language, the first language first.

    `shares` are ISO 639-3 codes with the share of the text in each, None where it is not said;
    `is_reliable` is the crawl's own word, None where it says nothing of it; `text_bytes` is how
    much text it was found in.
    """

    shares: tuple[tuple[str, float | None], ...]
    is_reliable: bool | None = None
    text_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Rights:
    """What a page and its HTTP headers say of its use, None where it is not known: `robots` as
    `readers.robots` lists it, `license` and where it is stated as in `readers.licence`."""

    robots: str | None = None
    license: str | None = None
    license_from: str | None = None


UNKNOWN_RIGHTS = Rights()


@dataclass(frozen=True, slots=True)
class PageText:
    """The text of a page, what it says of its use, and the likeliest language with its probability,
    None where nobody asked for it."""

    text: str
    rights: Rights
    language: str | None = None
    language_score: float | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Text and where it came from.

    `id` is the user's own, `record_id` the archive's; `date` is an ISO string; `offset` says where
    in the file the document stands (page number in a dump, byte of the line in JSONL, row in
    Parquet), `place` where in an archive's unpacked member; `extra` holds the user's other columns
    as JSON-able values; `verdict` is what the crawl itself says of the language, `rights` what the
    page says of its use; `language` and its score stand where they are found already.
    """

    text: str
    id: str | None = None
    url: str | None = None
    record_id: str | None = None
    date: str | None = None
    offset: int | None = None
    extra: dict[str, Any] | None = None
    fits_digest: bool = True
    place: int | None = None
    verdict: Verdict | None = None
    rights: Rights = UNKNOWN_RIGHTS
    language: str | None = None
    language_score: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page as fetched, transfer and content encodings removed.

    `content_type` is the HTTP header, None where there was none; `offset` the byte offset in the
    archive as it is stored of the record, or of the compressed member that it begins in, and
    `place` the bytes before it in the unpacked member; `is_text` marks WET conversions and
    text/plain pages, which need no HTML extraction. `fits_digest` is False where the record's bytes
    are not those that its own digests were made of, or where, without digests, bytes of no record
    follow it. `detected_charset` and `verdict` are what the crawl itself found out about the page;
    `robots` is what its HTTP headers forbid (`readers.robots`), None where it has none.
    """

    body: bytes
    url: str | None
    record_id: str | None
    date: str | None
    content_type: str | None
    offset: int
    is_text: bool = False
    fits_digest: bool = True
    place: int = 0
    detected_charset: str | None = None
    verdict: Verdict | None = None
    robots: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is lost, why (a word from `schema.REASONS`), and what was seen.

    `is_damage` says that the file is damaged there.
    """

    reason: str
    url: str | None = None
    offset: int | None = None
    detail: str | None = None
    is_damage: bool = False


@dataclass(frozen=True, slots=True)
class Damage:
    """The bytes before and after this do not belong together.

    `offset` is that of the damaged member; `reason` is malformed or truncated.
    """

    offset: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that never could be a document; `kind` is its WARC type or what it is, `offset` as
    that of a page."""

    kind: str
    offset: int


class PageError(Exception):
    """A page that gives no text.

    Its `reason` is a word from `schema.REASONS`, not a programming error.
    """

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
