"""A page's bytes -> clean text, by one of a few extractors.

Costs 2.7 ms a page of 75 KB with `resiliparse`, nearly all of it in the parser. The trap: the parser's main-content
pass is quadratic in the depth of nesting and its tokenizer in the attributes of one tag, so 5 MB of `<div>` would
hang a worker for minutes; both are bounded here before the parser sees the page.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray
from resiliparse.extract.html2text import extract_plain_text

from curation.readers.encoding import decoded
from curation.readers.records import Page, PageError

EXTRACTORS = ("resiliparse", "none")
MAX_DEPTH = 3000  # elements; at most half a second in the parser
MAX_ATTRIBUTES = 5000  # of one tag; likewise
_LONG_TAG_BYTES = 16_384
_MAX_BAD_SHARE = 0.05

# Control characters but tab and line feed, byte order marks, non-characters, lone surrogates.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]+")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_ATTRIBUTE = re.compile(rb"[\s/]+[^\s/]")
# Tags that have no end tag or may go without, by their first three letters: they do not nest by being left open.
_FLAT_TAGS = ("p", "br", "hr", "li", "dd", "dt", "td", "th", "tr", "rt", "rp", "img", "inp", "lin", "met", "bas", "col",
              "par", "sou", "tra", "wbr", "are", "emb", "opt", "tbo", "the", "tfo", "!")  # fmt: skip


def page_text(page: Page, extractor: str) -> str:
    """The clean text of a page: main content by `resiliparse`, all visible text by `none`; plain text as it is.

    Raises PageError: undecodable (more than 5 % of the characters cannot be), too_large (nested deeper than
    `MAX_DEPTH` or a tag of more than `MAX_ATTRIBUTES`), empty (no text is left).
    """
    if extractor not in EXTRACTORS:
        raise ValueError(f"extractor must be one of {', '.join(EXTRACTORS)}, got {extractor!r}")
    text = decoded(page.body, page.content_type)
    bad = text.count("\ufffd") + (text.count("\0") if page.is_text else 0)  # HTML parsers drop zeros
    if bad > _MAX_BAD_SHARE * len(text):
        raise PageError("undecodable", f"{bad} of {len(text)} characters")
    if not page.is_text:
        check_shape(text.encode("utf-8", "replace"))
        text = extract_plain_text(text, main_content=extractor == "resiliparse", alt_texts=False)
    return clean_text(text)


def clean_text(text: str) -> str:
    r"""NFC, line ends as \n, no control characters but \n and \t, no lone surrogates, stripped.

    >>> clean_text(" cafe\u0301\r\nau\x00 lait\x85\ud800 ")
    'café\nau lait'

    Raises PageError("empty") when nothing is left.
    """
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise PageError("empty")
    return text


def check_shape(html: bytes) -> None:
    """Raise PageError("too_large") for HTML whose shape would take the parser for ever.

    The depth is an upper bound: tags still open when another begins, those that need no end tag left out.
    """
    data = np.frombuffer(html + b"   ", dtype=np.uint8)
    tags = np.flatnonzero(data[:-3] == ord("<"))
    if len(tags) > MAX_DEPTH:
        depth = _depth(data, tags)
        if depth > MAX_DEPTH:
            raise PageError("too_large", f"elements nested up to {depth} deep, the limit is {MAX_DEPTH}")
    bounds = np.append(tags, len(html))
    for index in np.flatnonzero(np.diff(bounds) > _LONG_TAG_BYTES):
        tag = _QUOTED.sub(b"", html[bounds[index] : bounds[index + 1]]).partition(b">")[0]
        if len(_ATTRIBUTE.findall(tag)) > MAX_ATTRIBUTES:
            raise PageError("too_large", f"a tag with more than {MAX_ATTRIBUTES} attributes")


def _depth(data: NDArray[np.uint8], tags: NDArray[np.intp]) -> int:
    closing = data[tags + 1] == ord("/")
    first = np.minimum(tags + 1 + closing, len(data) - 3)
    letters = [_letter(data[first + at]) for at in range(3)]
    names = letters[0] << 16
    names |= np.where(letters[0] > 0, letters[1], 0) << 8
    names |= np.where((letters[0] > 0) & (letters[1] > 0), letters[2], 0)
    counts = (letters[0] > 0) & ~np.isin(names, _FLAT)
    steps = np.where(closing, -1, 1)[counts]
    if not len(steps):
        return 0
    opened = np.cumsum(np.concatenate([[0], steps]))
    return int((opened - np.minimum.accumulate(opened)).max())


def _letter(byte: NDArray[np.uint8]) -> NDArray[np.int32]:
    """ASCII letters in lower case and digits, 0 for anything else."""
    low = byte | 32
    is_name = ((low >= ord("a")) & (low <= ord("z"))) | ((byte >= ord("0")) & (byte <= ord("9")))
    return np.where(is_name, low, 0).astype(np.int32)


_FLAT = np.array([int.from_bytes(name.encode().ljust(3, b"\0"), "big") for name in _FLAT_TAGS], dtype=np.int32)
