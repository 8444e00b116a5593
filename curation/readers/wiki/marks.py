"""Characters that stand for something else while markup becomes text: none of them may occur in XML.

A sign that is text (from `<nowiki>`, a formula, an entity, `{{=}}`) is kept as such a character, so
that no later step reads it as markup, and becomes itself at the end. `GONE` stands where something
was dropped, so that brackets and commas around it can be mended.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache

GONE = "\x01"  # something that shows nothing
UNKNOWN = "\x02"  # a value that only the wiki can compute
SPLIT = "\x03"  # nothing, but what stands on its two sides does not meet
SIGNS = "|='[]{}<>*#:;_"  # each kept as the code at its place, from PIPE on
_CODES = "".join(map(chr, range(14, 28)))  # from 28 on Python takes them for white space
PIPE, EQUALS, APOSTROPHE = _CODES[0], _CODES[1], _CODES[2]
_AS_TEXT = str.maketrans(SIGNS, _CODES)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ALL = "".join(map(chr, [*range(1, 9), 11, 12, *range(14, 32)]))
_SIGN_OF = str.maketrans(_CODES, SIGNS)
_FORBIDDEN = str.maketrans("", "", "\0" + _ALL)


def without_codes(markup: str) -> str:
    """Markup without the characters that are used here."""
    if any(code in markup for code in _ALL):
        return markup.translate(_FORBIDDEN)
    return markup


def as_text(text: str) -> str:
    """Text of which no sign is markup.

    >>> signs(as_text("[[a|b]]"))
    '[[a|b]]'
    """
    return text.translate(_AS_TEXT)


def signs(text: str) -> str:
    """Text with the signs that were kept from being markup."""
    return text.translate(_SIGN_OF)


def entities(markup: str) -> str:
    """Markup with entities as characters, which are no markup.

    >>> signs(entities("&lt;b&gt; &eacute; &#x41; &no;"))
    '<b> é A &no;'
    """
    out: list[str] = []
    start = 0
    at = markup.find("&")
    while at >= 0:
        if entity := _ENTITY.match(markup, at):
            out += markup[start:at], _character(entity[0])
            start = entity.end()
        at = markup.find("&", at + 1)
    return "".join([*out, markup[start:]]) if out else markup


@lru_cache(maxsize=4096)
def _character(entity: str) -> str:
    text = html.unescape(entity)
    return as_text(text) if text != entity else text
