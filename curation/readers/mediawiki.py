"""A MediaWiki XML dump -> articles as text.

Costs about 5 ms an article of English Wikipedia; memory for one page. Entities that a dump declares
itself are refused, so a few bytes cannot unfold to gigabytes. The trap: a dump cut at any byte must
still give its whole pages.
"""

from __future__ import annotations

import io
import re
import urllib.parse
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from curation.errors import InputError
from curation.readers.html import clean_text
from curation.readers.records import Document, PageError, Reject
from curation.readers.unpack import UnpackedFile
from curation.readers.wikitext import FILE_NAMESPACES, wikitext_text

STUB_CHARS = 200  # an article with less text than this is a stub
MAX_MARKUP_CHARS = 4_000_000  # MediaWiki itself stops at 2 MB
_READ_BYTES = 1 << 16
_REDIRECT = re.compile(r"\s*#\w+\s*:?\s*\[\[", re.IGNORECASE)
_WANTED = {"title", "ns", "id", "timestamp", "text", "base", "namespace"}


class _Refused(Exception):
    """The XML holds what a dump never does."""


class _Pages:
    """Expat handlers that collect the finished pages of a dump as dictionaries of their wanted
    fields."""

    def __init__(self) -> None:
        self.done: list[dict[str, str]] = []
        self.base = ""
        self.root = ""
        self.file_namespaces = set(FILE_NAMESPACES)
        self._path: list[str] = []
        self._page: dict[str, str] = {}
        self._text: list[str] = []
        self._size = 0
        self._namespace_key = ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.EntityDeclHandler = self._entity

    def _entity(self, *_: object) -> None:
        raise _Refused("an entity declaration, which MediaWiki never writes")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path:
            self.root = name
            if name != "mediawiki":
                raise _Refused(f"the root element <{name}>, expected <mediawiki>")
        if len(self._path) > 20:
            raise _Refused("elements nested more than 20 deep")
        self._path.append(name)
        if name == "page":
            self._page = {}
        elif name == "redirect":
            self._page["redirect"] = attributes.get("title", "")
        elif name == "namespace":
            self._namespace_key = attributes.get("key", "")
        self._text, self._size = [], 0

    def _characters(self, data: str) -> None:
        self._size += len(data)
        if self._path[-1] in _WANTED and self._size <= MAX_MARKUP_CHARS:
            self._text.append(data)

    def _end(self, name: str) -> None:
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        value = "".join(self._text)
        if name == "page":
            self.done.append(self._page)
        elif name == "text" and parent == "revision":
            self._page["text"] = value  # of several revisions the last
            self._page["size"] = str(self._size)
        elif (parent == "page" and name in ("title", "ns", "id")) or name == "timestamp":
            self._page[name] = value
        elif name == "base":
            self.base = value
        elif name == "namespace" and self._namespace_key in ("6", "14", "-2"):
            self.file_namespaces.add(value.strip().lower())
        self._text, self._size = [], 0


def read_dump(stream: BinaryIO, name: str) -> Iterator[Document | Reject]:
    """Articles of a MediaWiki XML export: plain, bzip2 (multistream too), gzip or zstd.

    `offset` is the page's number in the file from 0, `record_id` MediaWiki's page id, `url` made
    from the dump's base. Reasons: namespace (no article), redirect_page, stub (under `STUB_CHARS`
    characters of text), too_large (more than `MAX_MARKUP_CHARS`), malformed, truncated (the dump
    breaks off; once, at the end).

    Raises InputError for a file that is no MediaWiki dump.
    """
    source = UnpackedFile(stream)
    file = io.BufferedReader(source, _READ_BYTES)
    pages = _Pages()
    number = 0
    end: Reject | None = None
    while end is None:
        chunk = file.read1(_READ_BYTES)
        try:
            pages.parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            end = Reject("malformed" if chunk else "truncated", detail=f"XML: {error}")
        except _Refused as error:
            if pages.root != "mediawiki":
                raise InputError(f"{name}: not a MediaWiki dump: {error}") from error
            end = Reject("malformed", detail=str(error))
        for page in pages.done:
            yield _article(page, number, pages)
            number += 1
        pages.done.clear()
        if not chunk:
            break
    if pages.root != "mediawiki":
        raise InputError(
            f"{name}: not a MediaWiki dump: no <mediawiki> element; is `format` right?"
        )
    if source.damage is not None:
        yield Reject(source.damage.reason, offset=number, detail=source.damage.detail)
    elif end is not None:
        yield Reject(end.reason, offset=number, detail=end.detail)


def _article(page: dict[str, str], number: int, pages: _Pages) -> Document | Reject:
    title, markup = page.get("title", ""), page.get("text", "")
    url = _page_url(pages.base, title)
    if page.get("ns", "0") != "0":
        return Reject("namespace", url, number, page["ns"])
    if "redirect" in page or _REDIRECT.match(markup):
        return Reject("redirect_page", url, number, page.get("redirect"))
    if int(page.get("size", "0")) > MAX_MARKUP_CHARS:
        return Reject("too_large", url, number, f"{page['size']} characters of markup")
    try:
        text = clean_text(wikitext_text(markup, pages.file_namespaces))
    except PageError:
        text = ""
    if len(text) < STUB_CHARS:
        return Reject("stub", url, number, f"{len(text)} characters")
    return Document(
        text, url=url, record_id=page.get("id"), date=page.get("timestamp"), offset=number
    )


def _page_url(base: str, title: str) -> str | None:
    """The address of a page, from that of the main page.

    >>> _page_url("https://en.wikipedia.org/wiki/Main_Page", "Ångström (unit)")
    'https://en.wikipedia.org/wiki/%C3%85ngstr%C3%B6m_(unit)'
    """
    if "/" not in base or not title:
        return None
    return (
        base.rpartition("/")[0]
        + "/"
        + urllib.parse.quote(title.replace(" ", "_"), safe="/:@!$*,;()'~")
    )
