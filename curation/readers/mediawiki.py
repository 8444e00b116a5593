"""A MediaWiki XML dump -> articles as text.

Costs about 1 ms an article of English Wikipedia; memory for one page. Entities that a dump declares
itself are refused, so a few bytes cannot unfold to gigabytes. The trap: a dump cut at any byte must
still give its whole pages.
"""

from __future__ import annotations

import functools
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
from curation.readers.wiki.names import (
    CATEGORY_NAMES,
    FILE_NAMES,
    MEDIA_NAMES,
    NO_ARTICLES,
    REDIRECT_WORDS,
    Wiki,
)
from curation.readers.wikitext import wikitext_text

STUB_CHARS = 200  # an article with less text than this is a stub
MAX_MARKUP_CHARS = 4_000_000  # MediaWiki itself stops at 2 MB
_READ_BYTES = 1 << 16
_REDIRECT = re.compile(r"\s{0,1000}[#＃](\w{2,40})\s{0,1000}:?\s{0,1000}\[\[")
_WANTED = {"title", "ns", "id", "timestamp", "text", "base", "namespace", "model"}


class _Refused(Exception):
    """The XML holds what a dump never does."""


class _Pages:
    """Expat handlers that collect the finished pages of a dump as dictionaries of their wanted
    fields."""

    def __init__(self) -> None:
        self.done: list[dict[str, str]] = []
        self.base = ""
        self.root = ""
        self.language = ""
        self.namespaces: dict[str, str] = {}  # the names in the dump, lower case -> number
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
            self.language = attributes.get("xml:lang", "")
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
        elif name == "model" and parent == "revision":
            self._page["model"] = value.strip()
        elif name == "base":
            self.base = value
        elif name == "namespace" and value.strip():
            self.namespaces[_namespace_name(value)] = self._namespace_key
        self._text, self._size = [], 0

    @functools.cached_property
    def wiki(self) -> Wiki:
        """The dump's language and names; ask for it when the first page has been read."""

        def names(number: str) -> frozenset[str]:
            return frozenset(name for name, key in self.namespaces.items() if key == number)

        language = self.language.lower() or _language_of(self.base)
        return Wiki(language, FILE_NAMES | names("6"), CATEGORY_NAMES | names("14"))

    def namespace_of(self, page: dict[str, str]) -> str:
        """A page's namespace: as the dump has it, else by the prefix of its title; "0" for articles."""
        return page.get("ns", "").strip() or title_namespace(page.get("title", ""), self.namespaces)


_PREFIXES = NO_ARTICLES | FILE_NAMES | CATEGORY_NAMES | MEDIA_NAMES


def title_namespace(title: str, namespaces: dict[str, str]) -> str:
    """The namespace that a title's prefix names: its number in `namespaces` (of names in lower
    case), else the prefix where MediaWiki knows it; "0" for articles.

    >>> title_namespace("Talk:Mill", {"talk": "1"}), title_namespace("2001: A Space Odyssey", {})
    ('1', '0')
    """
    prefix, colon, _ = title.partition(":")
    name = _namespace_name(prefix)
    if not colon:
        return "0"
    return namespaces.get(name, prefix if name in _PREFIXES else "0")


def _namespace_name(name: str) -> str:
    return name.strip().lower().replace("_", " ")


def _language_of(base: str) -> str:
    """The language code in the address of a wiki's main page.

    >>> _language_of("https://de.wikipedia.org/wiki/Hauptseite"), _language_of("")
    ('de', 'en')
    """
    match = re.match(r"https?://([a-z]{2,3}(?:-[a-z-]{2,12})?)\.", base)
    return match[1] if match else "en"


def is_redirect(markup: str) -> bool:
    """Whether markup begins as a redirect does, in the language of any large wiki; a numbered list
    begins like one too.

    >>> is_redirect("#WEITERLEITUNG [[A]]"), is_redirect("#Eggs [[Ham]]"), is_redirect("# [[Ham]]")
    (True, False, False)
    """
    match = _REDIRECT.match(markup)
    return match is not None and match[1].lower() in REDIRECT_WORDS


def read_dump(stream: BinaryIO, name: str) -> Iterator[Document | Reject]:
    """Articles of a MediaWiki XML export: plain, bzip2 (multistream too), gzip or zstd.

    `offset` is the page's number in the file from 0, `record_id` MediaWiki's page id, `url` made
    from the dump's base. Reasons: namespace (no article, by its number, its
    title's prefix or its content model), redirect_page, stub (under `STUB_CHARS`
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
    namespace = pages.namespace_of(page)
    if namespace != "0":
        return Reject("namespace", url, number, namespace)
    model = page.get("model") or "wikitext"
    if model != "wikitext":
        return Reject("namespace", url, number, f"content model {model}, no wikitext")
    if "redirect" in page or is_redirect(markup):
        return Reject("redirect_page", url, number, page.get("redirect"))
    if int(page.get("size", "0")) > MAX_MARKUP_CHARS:
        return Reject("too_large", url, number, f"{page['size']} characters of markup")
    place = (url, page.get("id"), page.get("timestamp"), number)
    return article(wikitext_text(markup, pages.wiki, title), *place)


def article(
    text: str, url: str | None, record_id: str | None, date: str | None, offset: int
) -> Document | Reject:
    """The document of an article's text, or the reject of a stub."""
    try:
        text = clean_text(text)
    except PageError as error:
        if error.reason != "empty":
            return Reject(error.reason, url, offset, error.detail)
        text = ""
    if len(text) < STUB_CHARS:
        return Reject("stub", url, offset, f"{len(text)} characters")
    return Document(text, url=url, record_id=record_id, date=date, offset=offset)


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
