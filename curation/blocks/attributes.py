"""What the attributes of a tag say: parts of names, whether its text is shown, spans of cells.

Takes a tag as an HTML parser writes it, attributes as name="value". The trap: only what an element
says itself is known here; a style sheet may hide it or show it all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.blocks import byte
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner
from curation.blocks.search import place_of
from curation.blocks.text import Bytes, equals, look_up

# Bits behind those of CATEGORIES and MARKUP, below the sign of int64.
_FIRST = len(v.CATEGORIES) + len(v.MARKUP)
(
    HIDDEN_ATTRIBUTE,
    DISPLAYED,
    NOT_DISPLAYED,
    INVISIBLE,
    KEEPS_SPACE,
    IS_SHADOW_ROOT,
    IS_OPEN,
    IS_NUMBERED,
    IS_TEX,
    IS_HEADING,
    IS_CONSENT,
    NOT_SHOWN,
) = (1 << k for k in range(_FIRST, _FIRST + 12))
# Where a cell's spans less one stand, of six bits.
SPAN_AT, ROW_SPAN_AT, MOST_SPAN = _FIRST + 12, _FIRST + 18, 63

_OFFSET, _PRIME = np.uint64(v.FNV_OFFSET), np.uint64(v.FNV_PRIME)
_HIDDEN = v.CATEGORY_BIT["hidden"]
_CLASS, _ID, _ROLE, _ITEMPROP = b"class", b"id", b"role", b"itemprop"
_HIDDEN_NAME, _STYLE, _ARIA, _TRUE, _HEADING = (
    b"hidden",
    b"style",
    b"aria-hidden",
    b"true",
    b"heading",
)
_UNTIL_FOUND, _POPOVER, _OPEN, _TYPE = b"until-found", b"popover", b"open", b"type"
_SHADOW, _OLD_SHADOW = b"shadowrootmode", b"shadowroot"
_NUMBERED, _SPAN, _ROW_SPAN = b"data-line-number", b"colspan", b"rowspan"
_TEX, _ASCII_MATH = b"math/tex", b"math/asciimath"
_DISPLAY, _NONE, _VISIBILITY, _COLLAPSE = b"display", b"none", b"visibility", b"collapse"
_WHITE_SPACE, _PRE = b"white-space", b"pre"
_SIGNATURE_BYTES = 40
# The ids by which consent managers put their dialog into a page.
_CONSENT_IDS = """
    onetrust-consent-sdk ensModalWrapper ensNotifyBanner CybotCookiebotDialog didomi-host
    qc-cmp2-container truste-consent-track cmplz-cookiebanner-container cookie-law-info-bar
    cookiescript_injected iubenda-cs-banner fc-consent-root tarteaucitronRoot BorlabsCookieBox
    moove_gdpr_cookie_info_bar moove_gdpr_cookie_modal axeptio_overlay usercentrics-root
    usercentrics-cmp-ui
"""
_CONSENT = np.array([v.fnv1a(name) for name in _CONSENT_IDS.split()], np.uint64)
_CONSENT.flags.writeable = False


@inner(_nrt=False)
def read_attributes(
    html: Bytes, j: int, name: np.uint64, words: v.Vocabulary, wanted: bool
) -> tuple[int, int, np.uint64]:
    """Return (position of the closing `>`, bits, signature) of the attributes of a tag; no bits
    unless they are `wanted`.

    The bits are those of CATEGORIES and MARKUP and the ones above.
    """
    n = html.shape[0]
    bits = 0
    signature = name
    while j < n and html[j] != byte.GREATER_THAN:
        start = j
        while (
            j < n
            and html[j] != byte.EQUALS
            and html[j] != byte.GREATER_THAN
            and html[j] != byte.SPACE
        ):
            j += 1
        end = j
        if j + 1 < n and html[j] == byte.EQUALS and html[j + 1] == byte.QUOTE:
            first = j + 2
            j = place_of(byte.QUOTE, html, first)
            if wanted:
                if equals(html, start, end, _CLASS):
                    bits |= _name_bits(html, first, j, words)
                    for k in range(first, min(j, first + _SIGNATURE_BYTES)):
                        if html[k] < byte.ZERO or html[k] > byte.NINE:
                            signature = (signature ^ np.uint64(html[k])) * _PRIME
                elif equals(html, start, end, _ID) or equals(html, start, end, _ITEMPROP):
                    bits |= _name_bits(html, first, j, words)
                    if end - start == len(_ID) and _is_consent(html, first, j):
                        bits |= IS_CONSENT
                elif equals(html, start, end, _STYLE):
                    bits |= _style_bits(html, first, j)
                else:
                    bits |= _other_bits(html, start, end, first, j, words)
        if j < n and html[j] != byte.GREATER_THAN:
            j += 1
    if bits & (INVISIBLE | NOT_DISPLAYED) or (bits & HIDDEN_ATTRIBUTE and not bits & DISPLAYED):
        bits |= NOT_SHOWN
    return j, bits, signature


@inner(_nrt=False)
def _is_consent(html: Bytes, start: int, end: int) -> bool:
    """Return whether html[start:end] is the id of a consent manager's dialog."""
    h = _OFFSET
    for i in range(start, end):
        h = (h ^ np.uint64(html[i])) * _PRIME
    found: Any = False
    for k in range(len(_CONSENT)):
        found |= _CONSENT[k] == h
    return found


@inner(_nrt=False)
def _other_bits(
    html: Bytes, start: int, end: int, first: int, last: int, words: v.Vocabulary
) -> int:
    """Return the bits of an attribute of another name than class, id, itemprop and style."""
    length = end - start
    if length == len(_ROLE):
        if equals(html, start, end, _ROLE):
            is_heading = equals(html, first, last, _HEADING)
            return _name_bits(html, first, last, words) | (IS_HEADING if is_heading else 0)
        if equals(html, start, end, _TYPE):
            is_tex = equals(html, first, min(first + len(_TEX), last), _TEX)
            return IS_TEX if is_tex or equals(html, first, last, _ASCII_MATH) else 0
        return IS_OPEN if equals(html, start, end, _OPEN) else 0
    if length == len(_HIDDEN_NAME) and equals(html, start, end, _HIDDEN_NAME):
        # A browser opens what is hidden "until-found" when its text is searched for.
        is_hidden = not _equals_in_small(html, first, last, _UNTIL_FOUND)
        return _HIDDEN | (HIDDEN_ATTRIBUTE if is_hidden else 0)
    if length == len(_SPAN):
        if equals(html, start, end, _SPAN):
            return _span(html, first, last) << SPAN_AT
        if equals(html, start, end, _ROW_SPAN):
            return _span(html, first, last) << ROW_SPAN_AT
        return HIDDEN_ATTRIBUTE if equals(html, start, end, _POPOVER) else 0
    if length == len(_ARIA) and equals(html, start, end, _ARIA):
        return _HIDDEN if equals(html, first, last, _TRUE) else 0
    if equals(html, start, end, _SHADOW) or equals(html, start, end, _OLD_SHADOW):
        return IS_SHADOW_ROOT
    return IS_NUMBERED if equals(html, start, end, _NUMBERED) else 0


@inner(_nrt=False)
def _span(html: Bytes, first: int, last: int) -> int:
    """Return the number in html[first:last] less one, 0 to `MOST_SPAN`."""
    value = 0
    for k in range(first, min(last, first + 4)):
        if html[k] < byte.ZERO or html[k] > byte.NINE:
            break
        value = 10 * value + html[k] - byte.ZERO
    return min(max(value - 1, 0), MOST_SPAN)


@inner(_nrt=False)
def _equals_in_small(data: Bytes, start: int, end: int, word: bytes) -> bool:
    """Return whether data[start:end] in small letters is the bytes `word`."""
    if end - start != len(word):
        return False
    for i in range(len(word)):
        c = data[start + i]
        if c != word[i] and not (byte.CAPITAL_A <= c <= byte.CAPITAL_Z and c + 32 == word[i]):
            return False
    return True


@inner(_nrt=False)
def _style_bits(html: Bytes, k: int, last: int) -> int:
    """Return the bits of the style in html[k:last]; of two declarations the later one counts."""
    bits: Any = np.int64(0)
    while k < last:
        while k < last and html[k] <= byte.SPACE:
            k += 1
        start = k
        while k < last and html[k] != byte.COLON and html[k] != byte.SEMICOLON:
            k += 1
        end = k
        while k < last and html[k] != byte.SEMICOLON:
            k += 1
        if end - start >= len(_DISPLAY) and html[start] & 31 in (4, 22, 23):  # d, v, w
            while html[end - 1] <= byte.SPACE:
                end -= 1
            bits = _declared(html, start, end, k, bits)
        k += 1
    return bits


@inner(_nrt=False)
def _declared(html: Bytes, start: int, end: int, last: int, bits: int) -> int:
    """Return `bits` after one declaration: its property in html[start:end], its value before
    `last`."""
    value = end
    while value < last and (html[value] <= byte.SPACE or html[value] == byte.COLON):
        value += 1
    value_end = value
    while value_end < last and html[value_end] > byte.EXCLAMATION:  # "!important" or a space
        value_end += 1
    if _equals_in_small(html, start, end, _DISPLAY):
        is_none = _equals_in_small(html, value, value_end, _NONE)
        bits &= ~(NOT_DISPLAYED | DISPLAYED)
        bits |= NOT_DISPLAYED | _HIDDEN if is_none else DISPLAYED
    elif _equals_in_small(html, start, end, _VISIBILITY):
        bits &= ~INVISIBLE
        if _equals_in_small(html, value, value_end, _HIDDEN_NAME) or _equals_in_small(
            html, value, value_end, _COLLAPSE
        ):
            bits |= INVISIBLE
    elif _equals_in_small(html, start, end, _WHITE_SPACE):
        bits &= ~KEEPS_SPACE
        if _equals_in_small(html, value, value_end, _PRE):
            bits |= KEEPS_SPACE
    return bits


@inner(_nrt=False)
def _name_bits(html: Bytes, start: int, end: int, words: v.Vocabulary) -> int:
    """Return the bits of CATEGORIES and MARKUP of a name's parts, which end at camelCase humps and
    at other signs."""
    bits = 0
    h = _OFFSET
    length = 0
    low_before: Any = False
    for i in range(start, end + 1):
        c = html[i] if i < end else np.uint8(byte.SPACE)
        capital = byte.CAPITAL_A <= c <= byte.CAPITAL_Z
        inside = (
            capital
            or byte.SMALL_A <= c <= byte.SMALL_Z
            or (byte.ZERO <= c <= byte.NINE and length > 0)
        )
        if length and (not inside or (capital and low_before)):
            if length > 1:
                bits |= look_up(words.name_keys, words.name_values, h)
            h = _OFFSET
            length = 0
        if inside:
            h = (h ^ np.uint64(c + byte.TO_SMALL if capital else c)) * _PRIME
            length += 1
        low_before = inside and not capital
    return bits
