"""A page's bytes -> clean text, by one of a few extractors.

For a page of 100 KB `blocks` costs about 2 ms, `resiliparse` 3 ms, `turbohtml` 1.5 ms and
`trafilatura` 25 ms. The traps: the main-content pass of resiliparse is quadratic in the depth of
nesting and its tokenizer in the attributes of one tag, so 5 MB of `<div>` would hang a worker for
minutes; any parser that follows the standard repeats unclosed `<font>`s in every paragraph, merges
the attributes of all `<body>`s in quadratic time, and takes some hundred bytes for a tag. All are
counted and bounded here before a parser sees the page.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resiliparse.extract.html2text import extract_plain_text

from curation.errors import InputError
from curation.readers.encoding import codec_and_text, why_unreadable
from curation.readers.records import Page, PageError, Rights
from curation.shown import brief

if TYPE_CHECKING:
    from curation.blocks.extractor import Block
    from curation.blocks.shape import Shape, Tags

EXTRACTORS = ("blocks", "resiliparse", "trafilatura", "turbohtml", "none")
Headline = Literal["judged", "in", "out"]
# Start tags, comments and attributes, and a share of the formatting elements that a parser opens
# again: 200 MB in the parser of `blocks`, and in those of the others.
MAX_NODES, _REPEATED_FOR_A_NODE = 500_000, 8
MAX_OTHER_NODES, _REPEATED_FOR_ANOTHER_NODE = 250_000, 4
MAX_ROOT_ATTRIBUTES = 1000  # of all `html` and `body` tags, whose merging is quadratic
MAX_DEPTH = 3000  # elements; at most half a second in the parser
MAX_ATTRIBUTES = 5000  # of one tag, or of several by the sum of the squares; likewise
MAX_MARKS = 200  # combining marks on one letter; likewise
_PART = 1 << 20

# Control characters but tab and line feed; what only says where a line may break (soft hyphens,
# zero-width spaces, word joiners, byte order marks); non-characters; lone surrogates. Joiners of
# letters, U+200C and U+200D, stay: Persian, Indian scripts and emoji are spelled with them.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u2060\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]+"
)
_UNWANTED_ASCII = bytes(byte for byte in range(128) if _UNWANTED.match(chr(byte)))
_MANY_MARKS = re.compile(rf"[^\w\s!-~]{{{MAX_MARKS},}}")  # all marks, and other signs
_TWO_SIGNS = re.compile(r"[^\w\s!-~]{2}")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Form:
    """How `blocks` writes a page's text.

    headline: "in", "out", or "judged": as the model scores it; comments: readers' comments too;
    markdown: marks headings.
    """

    headline: Headline = "judged"
    comments: bool = False
    markdown: bool = False

    def __post_init__(self) -> None:
        if self.headline not in ("judged", "in", "out"):
            raise ValueError(f'headline must be "judged", "in" or "out", got {self.headline!r}')


def extract_text(
    html: bytes | str,
    *,
    url: str | None = None,
    content_type: str | None = None,
    extractor: str = "blocks",
    headline: Headline = "judged",
    comments: bool = False,
    markdown: bool = False,
) -> str:
    """Return the main text of a page; "" where it has none.

    Args:
        html: the page as fetched, in any encoding; or as text that was decoded before.
        url: its address.
        content_type: the HTTP header, which may name the encoding of bytes.
        extractor: "blocks", "resiliparse", "trafilatura", "turbohtml", or "none" (all visible text).
        headline: with "blocks": "in", "out", or "judged" by the model.
        comments: with "blocks": take readers' comments too.
        markdown: with "blocks": mark headings with "#".

    Raises:
        PageError: `reason` is "undecodable" or "too_large".
        InputError: something else than a page, or an unknown extractor.

    >>> extract_text(b"<title>Tides</title><nav>Home</nav><p>The tide turns twice a day, as ever.</p>")
    'The tide turns twice a day, as ever.'
    """
    page = _given_page(html, url, content_type)
    if extractor not in EXTRACTORS:
        raise InputError(
            f"extractor: one of {', '.join(EXTRACTORS)} expected, got {brief(extractor)}"
        )
    try:
        form = Form(headline, comments, markdown)
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        return page_text(page, extractor, form)
    except PageError as error:
        if error.reason == "empty":
            return ""
        raise


def extract_blocks(html: bytes | str, *, content_type: str | None = None) -> list[Block]:
    """Return the blocks of a page with their scores, kept and not, in the order of the page.

    Args:
        html: the page as fetched, in any encoding; or as text that was decoded before.
        content_type: the HTTP header, which may name the encoding of bytes.

    Raises:
        PageError: `reason` is "undecodable" or "too_large".
        InputError: something else than a page.

    >>> (block,) = extract_blocks(b"<p>The tide turns twice a day, as ever.</p>")
    >>> block.kept
    True
    """
    from curation.blocks import extractor as blocks

    source = _given_page(html, None, content_type)
    text = _decoded(source)
    check_size(_shape_and_tags(source, text)[0])
    page = blocks.score_page(text)
    return page.block_list() if page else []


def _given_page(html: bytes | str, url: str | None, content_type: str | None) -> Page:
    """The page that was given. Text is not decoded again, whatever the page says of its encoding."""
    if isinstance(html, str):
        html, content_type = html.encode("utf-8", "replace"), "text/html; charset=utf-8"
    if not isinstance(html, bytes | bytearray | memoryview):
        raise InputError(f"html: a page as bytes or str expected, got {brief(html)}")
    return Page(bytes(html), url, None, None, content_type, 0)


def page_text(page: Page, extractor: str, form: Form = Form()) -> str:
    """The clean text of a page: its main content by one of `EXTRACTORS`, all visible text by
    `none`; plain text as it is.

    Raises PageError: undecodable (as `why_unreadable` says), too_large (as
    `check_size` and, but for `blocks`, `check_shape` say), empty (no text is left).
    """
    if extractor not in EXTRACTORS:
        raise ValueError(f"extractor must be one of {', '.join(EXTRACTORS)}, got {extractor!r}")
    return clean_text(_extracted(page, extractor, form)[0])


def text_and_rights(page: Page, extractor: str, form: Form) -> tuple[str, Rights]:
    """The text of a page, as `page_text` returns it, and what the page says of its use."""
    text, tags = _extracted(page, extractor, form)
    text = clean_text(text)
    if tags is None:
        return text, Rights(page.robots)
    from curation.readers.rights import page_rights

    return text, page_rights(page, tags)


def _extracted(page: Page, extractor: str, form: Form) -> tuple[str, Tags | None]:
    text = _decoded(page)
    if page.is_text:
        return text, None
    shape, tags = _shape_and_tags(page, text)
    check_size(shape)
    if extractor == "blocks":
        return _by_blocks(text, shape, form), tags
    check_shape(shape)
    return _by_other(text, extractor, page.url), tags


def _decoded(page: Page) -> str:
    codec, text = codec_and_text(page.body, page.content_type, page.detected_charset)
    if detail := why_unreadable(page.body, codec, text, is_text=page.is_text):
        raise PageError("undecodable", detail)
    return text


def _shape_and_tags(page: Page, text: str) -> tuple[Shape, Tags]:
    """Return the counts of a page's markup, and its tags; those of its bytes, where its encoding
    writes "<" as ASCII does and nothing else so."""
    from curation.blocks.shape import shape_and_tags

    # One byte is looked for ten times as fast as two.
    is_wide = b"\0" in page.body or (b"\x1b" in page.body and b"\x1b$" in page.body)
    return shape_and_tags(text.encode("utf-8", "replace") if is_wide else page.body)


def _by_blocks(text: str, shape: Shape, form: Form) -> str:
    """Return the learned extractor's text; resiliparse's where the page is strange and resiliparse
    finds any.
    """
    from curation.blocks.extractor import main_text

    headline = {"judged": None, "in": True, "out": False}[form.headline]
    own, is_strange = main_text(
        text, headline=headline, comments=form.comments, markdown=form.markdown
    )
    if is_strange:
        with contextlib.suppress(PageError):
            check_shape(shape)
            other = _by_other(text, "resiliparse", None, comments=form.comments)
            return other if other.strip() else own
    return own


def _by_other(text: str, extractor: str, url: str | None, *, comments: bool = True) -> str:
    if extractor == "turbohtml":
        import turbohtml

        return str(turbohtml.parse(text, positions=False).main_text())
    if extractor == "trafilatura":
        try:
            import trafilatura
        except ImportError as error:
            raise InputError(
                "the extractor trafilatura is not installed; in the folder of curation's source, "
                "run pip install '.[trafilatura]'"
            ) from error
        return trafilatura.extract(text, url=url, include_comments=False) or ""
    main = extractor == "resiliparse"
    return str(extract_plain_text(text, main_content=main, alt_texts=False, comments=comments))


def clean_text(text: str) -> str:
    r"""NFC, line ends as \n, no control characters but \n and \t, no lone surrogates, no soft
    hyphens and the like, stripped.

    >>> clean_text(" cafe\u0301\r\nau\x00 la\xadit\x85\ud800 ")
    'café\nau lait'

    Raises PageError("empty") when nothing is left, and "too_large" where one letter carries more
    than `MAX_MARKS` marks: NFC is quadratic in them.
    """
    if text.isascii():
        if "\r" in text or "\x0b" in text or "\x0c" in text:
            text = _LINE_ENDS.sub("\n", text)
        text = text.encode().translate(None, _UNWANTED_ASCII).decode().strip()
    else:
        # Nothing that the two patterns match is printable. By parts, since each is copied.
        parts = (text[at : at + _PART] for at in range(0, len(text), _PART))
        if not all(part.replace("\n", "").replace("\t", "").isprintable() for part in parts):
            text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
        # Of so many in a row, two of every `MAX_MARKS` / 2 characters are such.
        is_suspect = _TWO_SIGNS.search(text[:: MAX_MARKS // 2])
        for run in _MANY_MARKS.finditer(text) if is_suspect else ():
            if sum(unicodedata.combining(mark) > 0 for mark in run[0]) > MAX_MARKS:
                raise PageError("too_large", f"more than {MAX_MARKS} combining marks in a row")
        text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise PageError("empty")
    return text


def check_size(shape: Shape) -> None:
    """Raise PageError("too_large") for a page that takes any parser too much memory, or time that
    grows faster than the page.

    A parser opens formatting elements that were left open again in every block that follows: 1,400
    unclosed `<font>` and as many `<p>` are 22 KB, and up to 800 MB after parsing.
    """
    _check_nodes(shape, MAX_NODES, _REPEATED_FOR_A_NODE)
    if shape.root_attributes > MAX_ROOT_ATTRIBUTES:
        raise PageError(
            "too_large",
            f"{shape.root_attributes} attributes of html and body tags, "
            f"the limit is {MAX_ROOT_ATTRIBUTES}",
        )


def _check_nodes(shape: Shape, most: int, repeated_for_a_node: int) -> None:
    nodes = shape.nodes + shape.left_open * shape.tags // repeated_for_a_node
    if nodes > most:
        raise PageError(
            "too_large",
            f"{nodes} tags, comments, attributes and formatting elements left open, "
            f"the limit is {most}",
        )


def check_shape(shape: Shape) -> None:
    """Raise PageError("too_large") for a page whose shape takes a parser other than that of
    `blocks` much memory or, by nesting or names, longer than half a second."""
    from curation.blocks.shape import MAX_NAMES

    if shape.depth > MAX_DEPTH:
        detail = f"elements nested up to {shape.depth} deep, the limit is {MAX_DEPTH}"
    elif shape.squares > MAX_ATTRIBUTES**2:
        detail = (
            f"a tag with more than {MAX_ATTRIBUTES} attributes, or several with as many squared"
        )
    elif shape.names > MAX_NAMES:
        detail = f"more than {MAX_NAMES} different names of tags and attributes"
    elif shape.nodes > MAX_OTHER_NODES:
        detail = (
            f"{shape.nodes} start tags, comments and attributes, the limit is {MAX_OTHER_NODES}"
        )
    else:
        _check_nodes(shape, MAX_OTHER_NODES, _REPEATED_FOR_ANOTHER_NODE)
        return
    raise PageError("too_large", detail)
