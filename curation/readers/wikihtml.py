"""Wikimedia's HTML dumps -> articles as text: one JSON object a line, plain, packed, or in a tar archive.

The HTML is Parsoid's, of articles only, so no model chooses what to keep: tables, boxes, notes and
navigation are dropped by their names, and all the rest is text. Costs about 5 ms for 100 KB, memory
for one line. The trap: a tar header may claim any size, so nothing is read because a header says so.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from curation.readers.html import check_size
from curation.readers.json_lines import json_rows
from curation.readers.licence import DUMP, dump_license
from curation.readers.mediawiki import article, is_redirect, title_namespace
from curation.readers.records import Document, PageError, Reject, Rights
from curation.readers.unpack import UnpackedFile
from curation.readers.wiki.inline import powers
from curation.readers.wiki.names import Wiki
from curation.readers.wikitext import wikitext_text

if TYPE_CHECKING:
    import turbohtml

_BODY = "article_body"
_BLOCK_BYTES = 512  # of a tar archive
# What the reader of markup drops too: tables and boxes, notes, pictures, what leads to other pages,
# what is hidden.
_DROPPED = (
    "table, figure, style, script, link, meta, rt, rp, .infobox, .infobox_v2, .infobox_v3, .sidebar, "
    ".navbox, .navbox-styles, .vertical-navbox, .navbar, .sistersitebox, .side-box, .portalbox, "
    ".hatnote, .dablink, .rellink, .homonymie, .bandeau-container, .ambox, .metadata, .noprint, "
    ".mw-editsection, .mw-jump-link, .toc, #toc, .catlinks, .reference, .mw-ref, .references, "
    ".mw-references-wrap, .reflist, .thumb, .gallery, .gallerybox, .shortdescription, .sortkey, "
    ".geo-nondefault, .geo-multi-punct, #coordinates, .mw-indicators, .authority-control, "
    '[role="navigation"], [role="note"], [typeof~="mw:Extension/ref"], '
    '[typeof~="mw:Extension/references"], [typeof~="mw:Extension/gallery"], '
    '[style*="display:none"], [style*="display: none"], [hidden]'
)
_REDIRECT = re.compile(r'<link\b[^<>]{0,200}\brel="mw:PageProp/redirect"')
_TEX = re.compile(r"\{\\(?:display|text|script)style\s*(.*)\}", re.DOTALL)


def read_html_dump(stream: BinaryIO, name: str) -> Iterator[Document | Reject]:
    """Articles of an HTML dump: `.ndjson` or `.json`, plain or packed, or a tar archive of such.

    Fields of a line: `name`, `identifier`, `url`, `date_modified`, `license`, `namespace.identifier`,
    `in_language.identifier`, and `article_body.html`, or else `article_body.wikitext`. `offset` is
    the page's number in the file from 0. Reasons: those of `readers.mediawiki.read_dump`, those of
    lines in `readers.tables.read_table_file`, and missing_text (neither HTML nor markup).

    Raises InputError where no line has an article body.
    """
    source = UnpackedFile(stream)
    file: io.BufferedReader[Any] = io.BufferedReader(source, 1 << 16)
    number = 0
    tar = _Tar(file) if file.peek(_BLOCK_BYTES)[257:262] == b"ustar" else None
    for member in tar.members() if tar else [file]:
        for _, row in json_rows(member, name, _BODY):
            if isinstance(row, dict):
                yield _page(row, number)
            elif source.damage is None:  # else the half line is part of the damage
                yield Reject(row.reason, None, number, row.detail)
            else:
                continue
            number += 1
    if source.damage is not None:
        yield Reject(source.damage.reason, offset=number, detail=source.damage.detail)
    elif tar is not None and tar.is_cut:
        yield Reject("truncated", offset=number, detail="the tar archive breaks off")


class _Member(io.RawIOBase):
    """The bytes of one file in a tar archive; fewer where the archive breaks off."""

    def __init__(self, file: io.BufferedReader[Any], size: int) -> None:
        self._file = file
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self.left))
        buffer[: len(data)] = data
        self.left -= len(data)
        return len(data)

    def skip(self) -> None:
        """Go behind the last byte."""
        while self.left and (data := self._file.read(min(self.left, 1 << 20))):
            self.left -= len(data)


class _Tar:
    """A tar archive, read from its start to its end."""

    def __init__(self, file: io.BufferedReader[Any]) -> None:
        self._file = file
        self.is_cut = False

    def members(self) -> Iterator[BinaryIO]:
        """The files one after the other; links, folders and long names are passed over."""
        while (header := self._file.read(_BLOCK_BYTES))[257:262] == b"ustar":
            member = _Member(self._file, _tar_size(header[124:136]))
            padding = -member.left % _BLOCK_BYTES
            if header[156:157] in (b"0", b"\0"):
                yield io.BufferedReader(member, 1 << 16)
            member.skip()
            self.is_cut = member.left > 0
            _Member(self._file, padding).skip()
        while self._file.read(1 << 20):  # to its end, which may be damaged
            pass


def _tar_size(field: bytes) -> int:
    """A size as tar writes it: octal digits, or a number of 11 bytes behind a first bit."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else 0


def _page(row: dict[str, Any], number: int) -> Document | Reject:
    title, url, body = _text(row, "name"), _text(row, "url") or None, row.get(_BODY)
    namespace = _identifier(row.get("namespace")) or title_namespace(title, {})
    if namespace != "0":
        return Reject("namespace", url, number, namespace)
    body = body if isinstance(body, dict) else {}
    html, markup = _text(body, "html"), _text(body, "wikitext")
    if is_redirect(markup) or _REDIRECT.search(html):
        return Reject("redirect_page", url, number)
    if not html and not markup:
        return Reject("missing_text", url, number, f"{_BODY} has neither html nor wikitext")
    try:
        if html:
            text = article_html_text(html)
        else:
            language = _identifier(row.get("in_language")) or "en"
            text = wikitext_text(markup, Wiki(language), title)
    except PageError as error:
        return Reject(error.reason, url, number, error.detail)
    date = _text(row, "date_modified") or None
    document = article(text, url, _identifier(row.get("identifier")) or None, date, number)
    if isinstance(document, Document) and (license_ := dump_license(row.get("license"))):
        return replace(document, rights=Rights(None, license_, DUMP))
    return document


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _identifier(value: Any) -> str:
    """An identifier: the value itself or, of an object, its `identifier`."""
    value = value.get("identifier") if isinstance(value, dict) else value
    return str(value) if isinstance(value, str | int) else ""


def article_html_text(html: str) -> str:
    """The text of an article from Parsoid's HTML; formulas as TeX.

    >>> article_html_text('<p>A <b>mill</b>.<sup class="reference">[1]</sup></p><h2>Notes</h2><table><tr><td>x</table>')
    'A mill.'

    Raises PageError("too_large") as `readers.html.check_size` does, and for more blocks than the
    extractor takes.
    """
    import turbohtml

    from curation.blocks import extractor, join, vocabulary
    from curation.blocks.shape import page_shape

    check_size(page_shape(html.encode("utf-8", "replace")))
    page = turbohtml.parse(html.encode("utf-8", "replace").decode(), positions=False)
    _write_formulas(page)
    for element in page.select(_DROPPED):
        element.decompose()
    rest = powers(page.encode().decode("utf-8", "replace"))
    cut = extractor.cut(rest)
    if cut is None:
        if len(rest) > extractor.MAX_BLOCKS:
            raise PageError("too_large", f"no blocks, or more than {extractor.MAX_BLOCKS}")
        return ""
    nodes, blocks = cut
    keep = _followed_by_text([vocabulary.NAMES[tag - 1] for tag in nodes.tag[blocks.node]])
    return bytes(join.joined(keep, nodes, blocks, False)).decode("utf-8", "replace")


def _write_formulas(page: turbohtml.Document) -> None:
    """Put the TeX of each formula in its place."""
    for formula in page.select("math[alttext]"):
        tex = str(formula.attrs["alttext"]).strip()
        match = _TEX.fullmatch(tex)
        place = formula.closest(".mwe-math-element") or formula
        place.set_text((match[1] if match else tex).strip())


def _followed_by_text(tags: list[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool[B], which blocks to keep: all but headings that nothing follows in their section."""
    keep = np.ones(len(tags), np.bool_)
    below = 0  # level of the heading kept last, from the end; 7 when text came last
    for at in range(len(tags) - 1, -1, -1):
        tag = tags[at]
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            keep[at] = int(tag[1]) < below
            below = int(tag[1]) if keep[at] else below
        else:
            below = 7
    return keep
