"""A page's bytes -> clean text, by one of a few extractors.

For a page of 100 KB `blocks` costs about 2 ms, `resiliparse` 3 ms, `turbohtml` 1.5 ms and
`trafilatura` 25 ms. The traps: the main-content pass of resiliparse is quadratic in the depth of
nesting and its tokenizer in the attributes of one tag, so 5 MB of `<div>` would hang a worker for
minutes; and any parser that follows the standard repeats unclosed `<font>`s in every paragraph. All
are bounded here before a parser sees the page.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from resiliparse.extract.html2text import extract_plain_text

from curation.errors import InputError
from curation.readers.encoding import decoded
from curation.readers.records import Page, PageError

if TYPE_CHECKING:
    from curation.blocks.extractor import Block

EXTRACTORS = ("blocks", "resiliparse", "trafilatura", "turbohtml", "none")
Headline = Literal["judged", "in", "out"]
MAX_DEPTH = 3000  # elements; at most half a second in the parser
MAX_ATTRIBUTES = 5000  # of one tag, or of several by the sum of the squares; likewise
MAX_REPEATED = 4_000_000  # formatting elements left open, times tags: what a parser may write
MAX_MARKS = 200  # combining marks on one letter; likewise
_MANY_TAGS = 4000
_LONG_TAG_BYTES = 2048
_MAX_BAD_SHARE = 0.05

# Control characters but tab and line feed, byte order marks, non-characters, lone surrogates.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]+")
_UNWANTED_ASCII = bytes(byte for byte in range(128) if _UNWANTED.match(chr(byte)))
_MANY_MARKS = re.compile(rf"[^\w\s!-~]{{{MAX_MARKS},}}")  # all marks, and other signs
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_ATTRIBUTE = re.compile(rb"[\s/]+[^\s/]")
# Tags that have no end tag or may go without, by their first three letters: they do not nest by
# being left open.
_FLAT_TAGS = ("p", "br", "hr", "li", "dd", "dt", "td", "th", "tr", "rt", "rp", "img", "inp", "lin", "met", "bas", "col",
              "par", "sou", "tra", "wbr", "are", "emb", "opt", "tbo", "the", "tfo", "!")  # fmt: skip


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
    html: bytes,
    *,
    url: str | None = None,
    content_type: str | None = None,
    extractor: str = "blocks",
    headline: Headline = "judged",
    comments: bool = False,
    markdown: bool = False,
) -> str:
    """Return the main text of a page; "" where it has none.

    `html` is the page as fetched, `content_type` the HTTP header, which may name the encoding;
    `extractor` one of `EXTRACTORS`; the last three are for `blocks` (`Form`). Raises PageError with
    reason undecodable or too_large, as `page_text` does.
    """
    page = Page(html, url, None, None, content_type, 0)
    try:
        return page_text(page, extractor, Form(headline, comments, markdown))
    except PageError as error:
        if error.reason == "empty":
            return ""
        raise


def extract_blocks(html: bytes, *, content_type: str | None = None) -> list[Block]:
    """Return the blocks of a page with their scores, kept and not, in the order of the page.

    Raises PageError as `page_text` does.
    """
    from curation.blocks import extractor as blocks

    text = _decoded(Page(html, None, None, None, content_type, 0))
    check_repeats(text)
    page = blocks.score_page(text)
    return page.block_list() if page else []


def page_text(page: Page, extractor: str, form: Form = Form()) -> str:
    """The clean text of a page: its main content by one of `EXTRACTORS`, all visible text by
    `none`; plain text as it is.

    Raises PageError: undecodable (more than 5 % of the characters cannot be), too_large (nested
    deeper than `MAX_DEPTH` or a tag of more than `MAX_ATTRIBUTES`), empty (no text is left).
    """
    if extractor not in EXTRACTORS:
        raise ValueError(f"extractor must be one of {', '.join(EXTRACTORS)}, got {extractor!r}")
    text = _decoded(page)
    if page.is_text:
        return clean_text(text)
    if extractor == "blocks":
        return clean_text(_by_blocks(text, form))
    check_shape(text.encode("utf-8", "replace"))
    return clean_text(_by_other(text, extractor, page.url))


def _decoded(page: Page) -> str:
    text = decoded(page.body, page.content_type)
    bad = text.count("\ufffd")
    if page.is_text:  # HTML parsers drop zeros
        bad += text.count("\0")
    if bad > _MAX_BAD_SHARE * len(text):
        raise PageError("undecodable", f"{bad} of {len(text)} characters")
    return text


def _by_blocks(text: str, form: Form) -> str:
    """Return the learned extractor's text; resiliparse's where the page is strange and resiliparse
    finds any."""
    from curation.blocks import extractor as blocks

    check_repeats(text)
    page = blocks.score_page(text)
    if page is None or page.is_strange:
        try:
            check_shape(text.encode("utf-8", "replace"))
            other = _by_other(text, "resiliparse", None, comments=form.comments)
        except PageError:
            other = ""
        if page is None or other.strip():
            return other
    headline = {"judged": None, "in": True, "out": False}[form.headline]
    return page.text(headline=headline, comments=form.comments, markdown=form.markdown)


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
    r"""NFC, line ends as \n, no control characters but \n and \t, no lone surrogates, stripped.

    >>> clean_text(" cafe\u0301\r\nau\x00 lait\x85\ud800 ")
    'café\nau lait'

    Raises PageError("empty") when nothing is left, and "too_large" where one letter carries more
    than `MAX_MARKS` marks: NFC is quadratic in them.
    """
    if text.isascii():
        if "\r" in text or "\x0b" in text or "\x0c" in text:
            text = _LINE_ENDS.sub("\n", text)
        text = text.encode().translate(None, _UNWANTED_ASCII).decode().strip()
    else:
        # Nothing that the two patterns match is printable.
        if not text.replace("\n", "").replace("\t", "").isprintable():
            text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
        for run in _MANY_MARKS.finditer(text):
            if sum(unicodedata.combining(mark) > 0 for mark in run[0]) > MAX_MARKS:
                raise PageError("too_large", f"more than {MAX_MARKS} combining marks in a row")
        text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise PageError("empty")
    return text


def check_shape(html: bytes) -> None:
    """Raise PageError("too_large") for HTML whose shape takes a parser longer than half a second.

    The depth is an upper bound: tags still open when another begins, those that need no end tag
    left out.
    """
    data = np.frombuffer(html + b"   ", dtype=np.uint8)
    tags = np.flatnonzero(data[:-3] == ord("<"))
    if len(tags) > MAX_DEPTH:
        depth = _depth(data, tags)
        if depth > MAX_DEPTH:
            raise PageError(
                "too_large", f"elements nested up to {depth} deep, the limit is {MAX_DEPTH}"
            )
    bounds, squares = np.append(tags, len(html)), 0
    for index in np.flatnonzero(np.diff(bounds) > _LONG_TAG_BYTES):
        tag = _QUOTED.sub(b"", html[bounds[index] : bounds[index + 1]]).partition(b">")[0]
        squares += len(_ATTRIBUTE.findall(tag)) ** 2
        if squares > MAX_ATTRIBUTES**2:
            raise PageError(
                "too_large",
                f"a tag with more than {MAX_ATTRIBUTES} attributes, "
                "or several with as many squared",
            )


def check_repeats(html: str) -> None:
    """Raise PageError("too_large") where formatting elements left open would be repeated too often.

    A parser opens them again in every block that follows: 4,000 unclosed `<font>` and as many `<p>`
    are 40 KB, and 50 MB after parsing.
    """
    if html.count("<") <= _MANY_TAGS:
        return
    data = np.frombuffer(html.encode("utf-8", "replace") + b"   ", dtype=np.uint8)
    tags = np.flatnonzero(data[:-3] == ord("<"))
    names, closing = _names(data, tags)
    formatting = np.isin(names, _FORMATTING)
    left_open = _highest(np.where(closing, -1, 1)[formatting])
    if left_open * len(tags) > MAX_REPEATED:
        raise PageError(
            "too_large", f"{left_open} formatting elements left open before {len(tags)} tags"
        )


def _depth(data: NDArray[np.uint8], tags: NDArray[np.intp]) -> int:
    names, closing = _names(data, tags)
    return _highest(np.where(closing, -1, 1)[(names > 0) & ~np.isin(names, _FLAT)])


def _names(
    data: NDArray[np.uint8], tags: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """(the first three letters of each tag's name as a number, 0 for no name; whether it is an end
    tag)."""
    closing = data[tags + 1] == ord("/")
    first = np.minimum(tags + 1 + closing, len(data) - 3)
    letters = [_letter(data[first + at]) for at in range(3)]
    names = letters[0] << 16
    names |= np.where(letters[0] > 0, letters[1], 0) << 8
    names |= np.where((letters[0] > 0) & (letters[1] > 0), letters[2], 0)
    return names, closing


def _highest(steps: NDArray[np.intp]) -> int:
    """How high a walk rises above its lowest point so far."""
    if not len(steps):
        return 0
    opened = np.cumsum(np.concatenate([[0], steps]))
    return int((opened - np.minimum.accumulate(opened)).max())


def _letter(byte: NDArray[np.uint8]) -> NDArray[np.int32]:
    """ASCII letters in lower case and digits, 0 for anything else."""
    low = byte | 32
    is_name = ((low >= ord("a")) & (low <= ord("z"))) | ((byte >= ord("0")) & (byte <= ord("9")))
    return np.where(is_name, low, 0).astype(np.int32)


def _numbers(names: tuple[str, ...]) -> NDArray[np.int32]:
    return np.array(
        [int.from_bytes(name.encode().ljust(3, b"\0"), "big") for name in names], dtype=np.int32
    )


_FLAT = _numbers(_FLAT_TAGS)
_FORMATTING = _numbers(
    ("a", "b", "big", "cod", "em", "fon", "i", "nob", "s", "sma", "str", "tt", "u")
)
