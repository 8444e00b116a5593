"""Expanded wikitext without tags and with the words of links in their place. Compiled, linear.

The trap: what stands between brackets may hold brackets, so the words of a link are moved to where
it began when it ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks.jit import inner, kernel
from curation.readers.wiki.codes import (
    BRACE,
    BRACE_END,
    BRACKET,
    BRACKET_END,
    GONE,
    SPLIT,
    Codes,
    Kinds,
    is_space,
    name_at,
    name_hashes,
    stripped,
    tag_end,
)

BLOCK_TAGS = name_hashes(
    ("p", "div", "blockquote", "br", "li", "ul", "ol", "dl", "center", "poem", "dd", "dt", "hr", "section")
)  # fmt: skip
_QUOTE_TAG, _MAILTO, _TEL = name_hashes(("q", "mailto", "tel"))
_MOST_NESTED = 40


@inner(_nrt=False)
def _left_open(text, i):  # type: ignore[no-untyped-def]
    """The index behind what is left of templates and tables at i: `{{`, `}}`, `{|`, `|}`, `{}`."""
    n = len(text)
    c = text[i]
    end = i + 1
    while c != byte.BAR and end < n and text[end] == c:
        end += 1
    if end > i + 1:
        return end
    following = text[end] if end < n else np.uint32(0)
    if c == BRACE and following == GONE and end + 1 < n and text[end + 1] == BRACE_END:
        return end + 2
    if (c == BRACE and (following == byte.BAR or following == BRACE_END)) or (
        c == byte.BAR and following == BRACE_END
    ):
        return end + 1
    return i


@kernel
def without_tags(text: Codes, block_tags: npt.NDArray[np.uint64]) -> Codes:
    """Text without its tags and what is left of templates; a block's tag begins a line."""
    n = len(text)
    kept = np.empty(n, np.uint32)
    i = out = 0
    before = np.uint32(0)
    while i < n:
        c = text[np.uint64(i)]
        if c == byte.LESS_THAN:
            start = i + 1 + (i + 1 < n and text[i + 1] == byte.SLASH)
            name, end = name_at(text, start)
            if end > start:
                end = tag_end(text, end)
                if end < n and text[end] == byte.GREATER_THAN:
                    is_block = False
                    for known in range(len(block_tags)):
                        is_block |= block_tags[known] == name
                    if is_block:
                        kept[out], kept[out + 1] = byte.LINE_FEED, SPLIT
                        out += 2
                    elif name == _QUOTE_TAG or before == byte.APOSTROPHE:
                        # Apostrophes on the two sides of a tag are two runs.
                        kept[out] = byte.QUOTE if name == _QUOTE_TAG else SPLIT
                        out += 1
                    before = np.uint32(byte.GREATER_THAN)
                    i = end + 1
                    continue
        elif c == byte.BAR or c in (BRACE, BRACE_END):
            end = _left_open(text, i)
            if end > i:
                i = end
                continue
        kept[np.uint64(out)] = before = c
        out += 1
        i += 1
    return kept[:out]


@inner(_nrt=False)
def _moved(text, start, end, to):  # type: ignore[no-untyped-def]
    """Copy text[start:end] to `to`, which is not behind it; return the end of the copy."""
    for i in range(start, end):
        text[to] = text[i]
        to += 1
    return to


@inner(_nrt=False)
def _is_address(text, i):  # type: ignore[no-untyped-def]
    """Whether an address begins at i: `//`, `mailto:`, `tel:` or two to eight letters and `://`."""
    n = len(text)
    if i + 2 < n and text[i] == byte.SLASH:
        return text[i + 1] == byte.SLASH
    name, end = name_at(text, i)
    if end == i or end >= n or text[end] != byte.COLON:
        return False
    if name in (_MAILTO, _TEL):
        return True
    is_scheme = 2 <= end - i <= 8 and end + 2 < n
    return is_scheme and text[end + 1] == byte.SLASH and text[end + 2] == byte.SLASH


@inner(_nrt=False)
def _outer_words(text, i, out, kinds):  # type: ignore[no-untyped-def]
    """(index behind the link into the web whose address begins at i, end of its words written at
    `out`); 0 where no such link is."""
    n = len(text)
    while i < n and text[i] != BRACKET and text[i] != BRACKET_END and not is_space(text[i], kinds):
        i += 1
    end = i
    while (
        end < n
        and text[end] != BRACKET
        and text[end] != BRACKET_END
        and text[end] != byte.LINE_FEED
    ):
        end += 1
    if end == n or text[end] != BRACKET_END:
        return 0, out
    start, stop = stripped(text, i, end, kinds)
    if start == stop:
        text[out] = GONE
        return end + 1, out + 1
    return end + 1, _moved(text, start, stop, out)


@inner(_nrt=False)
def _link_words(text, start, end, kinds):  # type: ignore[no-untyped-def]
    """Write the words of the link with the content text[start:end] at `start`; return their end."""
    bar = start
    while bar < end and text[bar] != byte.BAR:
        if text[bar] == byte.LINE_FEED or text[bar] == BRACKET or text[bar] == BRACKET_END:
            return end  # no link
        bar += 1
    if bar + 1 < end:
        return _moved(text, bar + 1, end, start)
    first, last = stripped(text, start, bar, kinds)
    stop = last
    if bar == end:
        while first < last and text[first] == byte.COLON:
            first += 1
        stop = first
        while stop < last and text[stop] != byte.HASH:
            stop += 1
        if stop == first:
            stop = last
    return _moved(text, first, stop, start)


@kernel
def without_links(text: Codes, kinds: Kinds, is_page: bool) -> int:
    """Put the words of links in their place; return the new length.

    Links into the web only where `is_page`: in an argument of a template they stay.
    """
    n = len(text)
    i = out = depth = 0
    open_at = np.empty(_MOST_NESTED, np.int64)
    while i < n:
        c = text[np.uint64(i)]
        if c == BRACKET:
            start = i
            while i < n and text[i] == BRACKET:
                i += 1
            has_address = is_page and _is_address(text, i)
            run = i - start - has_address
            if run & 1:
                text[out] = BRACKET
                out += 1
            for _ in range(run // 2):
                if depth < _MOST_NESTED:
                    open_at[depth] = out
                    depth += 1
            if has_address:
                end, out = _outer_words(text, i, out, kinds)
                if end:
                    i = end
                else:
                    text[out] = BRACKET
                    out += 1
            continue
        if c == BRACKET_END and i + 1 < n and text[i + 1] == BRACKET_END:
            if depth:
                depth -= 1
                out = _link_words(text, open_at[depth], out, kinds)
            i += 2
            continue
        text[np.uint64(out)] = c
        out += 1
        i += 1
    return out
