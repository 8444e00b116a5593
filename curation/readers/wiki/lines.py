"""Lines of wikitext without quotes, heading and list marks. Compiled, linear in the text.

The trap: a heading goes that nothing follows in its section, so lines are looked at from the last to
the first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks.jit import inner, kernel
from curation.kernels.characters import LETTER, LOWER, NUMERAL, UPPER, kind_of
from curation.readers.wiki.codes import (
    GONE,
    NO_BREAK,
    SPLIT,
    UNKNOWN,
    Codes,
    Kinds,
    is_comma,
    stripped,
)

_BACKSLASH, _STAR = ord("\\"), ord("*")
# Columns of what is known of a line, and its states; a heading's is `_HEADING` and its level.
STATE, START, END, HAS_DASH, ISGONE = range(5)
_EMPTY, _TEXT, _PLAIN, _DROPPED, _JOINED, _HEADING = range(6)


@inner(_nrt=False)
def _run(text, i, end, sign):  # type: ignore[no-untyped-def]
    """How often a sign stands from i on."""
    start = i
    while i < end and text[i] == sign:
        i += 1
    return i - start


@inner(_nrt=False)
def _without_quotes(text, start, end):  # type: ignore[no-untyped-def]
    """Take the apostrophes that mean bold and italic from a line; return its end.

    By MediaWiki's rule (Parser::doQuotes): two mean italic, three bold, five both. Of four the
    first is text, of more than five all but the last five. Where a line has an odd number of both,
    one bold is an apostrophe and an italic: the first behind a word of one letter, else behind a
    longer word, else behind a space.
    """
    bold = italic = 0
    behind_word = behind_space = behind_letter = -1
    i = before = start
    while i < end:
        if text[i] != byte.APOSTROPHE:
            i += 1
            continue
        run = _run(text, i, end, byte.APOSTROPHE)
        if run > 1:
            is_both = run > 4
            bold += is_both or run > 2
            italic += is_both or run == 2
            if run == 3 or run == 4:
                at = i + run - 3
                if at > before and text[at - 1] == byte.SPACE:
                    behind_space = at if behind_space < 0 else behind_space
                elif at > before + 1 and text[at - 2] == byte.SPACE:
                    behind_letter = at if behind_letter < 0 else behind_letter
                elif behind_word < 0:
                    behind_word = at
            before = i + run
        i += run
    if bold + italic == 0:
        return end
    apostrophe = -1
    if bold & 1 and italic & 1:
        apostrophe = behind_word if behind_word >= 0 else behind_space
        apostrophe = behind_letter if behind_letter >= 0 else apostrophe
    i = to = start
    while i < end:
        run = 0
        if text[i] == byte.APOSTROPHE:
            run = _run(text, i, end, byte.APOSTROPHE)
        if run > 1:
            kept = 1 if run == 4 else max(run - 5, 0)
            kept += i + kept == apostrophe
            for _ in range(kept):
                text[to] = byte.APOSTROPHE
                to += 1
            i += run
        else:
            text[to] = text[i]
            to += 1
            i += 1
    return to


@inner(_nrt=False, forceinline=True)
def _is_line_blank(c):  # type: ignore[no-untyped-def]
    return c == byte.SPACE or c == byte.TAB or c in (NO_BREAK, SPLIT)


@inner(_nrt=False, forceinline=True)
def _is_list(c):  # type: ignore[no-untyped-def]
    return c == _STAR or c == byte.HASH or c == byte.COLON or c == byte.SEMICOLON


@inner(_nrt=False, forceinline=True)
def _is_plain(c):  # type: ignore[no-untyped-def]
    """Whether a line that begins so may be one that goes on from the line before it."""
    is_block = c == byte.EQUALS or c == byte.SPACE or c == byte.TAB or c == byte.BAR
    return not (is_block or _is_list(c) or c == byte.EXCLAMATION or c == SPLIT)


@inner(_nrt=False)
def _has_word(text, start, end, kinds):  # type: ignore[no-untyped-def]
    has_word = False
    for i in range(start, end):
        has_word |= kind_of(text[i], kinds) & (LETTER | NUMERAL) != 0 or text[i] == byte.LOW_LINE
    return has_word


@inner(_nrt=False)
def _without_lead(text, start, end, has_dash, is_gone, kinds):  # type: ignore[no-untyped-def]
    """The start of a line behind commas and what is gone at its start; its end where no word is
    left of a list's line or of one in which something is gone."""
    is_checked = is_gone or has_dash or (start < end and text[start] == byte.HYPHEN)
    if is_checked and not _has_word(text, start, end, kinds):
        return end
    lead = start
    is_lead = False
    while is_gone and lead < end:
        c = text[lead]
        is_lead |= c == GONE
        if not (is_comma(c) or c in (GONE, SPLIT) or c == byte.SPACE):
            break
        lead += 1
    return lead if is_lead else start


@inner(_nrt=False)
def _heading_level(text, start, end, kinds):  # type: ignore[no-untyped-def]
    """How many equal signs stand on both sides of the words of a heading; 0 where it is none."""
    left = _run(text, start, end, byte.EQUALS)
    right = 0
    while right < end - start - left and text[end - 1 - right] == byte.EQUALS:
        right += 1
    first, last = stripped(text, start + left, end - right, kinds)
    return min(left, right, 6) if first < last else 0


@inner(_nrt=False)
def _read_line(text, start, end, has_quotes, line, kinds):  # type: ignore[no-untyped-def]
    """Set what is known of the line text[start:end], which is shortened in place."""
    line[STATE], line[START], line[END], line[HAS_DASH] = _EMPTY, start, start, 0
    if start == end:
        return
    is_plain = _is_plain(text[start])
    while start < end and _is_line_blank(text[start]):
        start += 1
    while end > start and _is_line_blank(text[end - 1]):
        end -= 1
    stop = _without_quotes(text, start, end) if has_quotes else end
    if stop < end:
        start, end = stripped(text, start, stop, kinds)
    line[STATE] = _PLAIN if is_plain else _TEXT
    if start < end and text[start] == byte.EQUALS:
        level = _heading_level(text, start, end, kinds)
        if level:
            line[STATE] = _HEADING + level
            line[START], line[END] = stripped(text, start + level, end - level, kinds)
            return
    has_dash = False
    if not is_plain and start < end and _is_list(text[start]):
        while start < end and _is_list(text[start]):
            has_dash = text[start] == _STAR or text[start] == byte.HASH
            start += 1
        while start < end and (text[start] == byte.SPACE or text[start] == byte.TAB):
            start += 1
    elif end - start > 1 and text[start] == byte.HYPHEN and text[start + 1] == byte.SPACE:
        has_dash = True
        start += 2
    start = _without_lead(text, start, end, has_dash, line[ISGONE] != 0, kinds)
    if line[ISGONE]:
        line[ISGONE] = 0
        for i in range(start, end):
            line[ISGONE] |= (text[i] == GONE) | (text[i] == UNKNOWN)
    line[START], line[END], line[HAS_DASH] = start, end, has_dash and start < end


@inner(_nrt=False)
def _decide(text, lines, kinds):  # type: ignore[no-untyped-def]
    """Drop headings that nothing follows in their section, and mark lines whose sentence goes on in
    the next."""
    below = 0  # level of the heading kept last, from the end; 7 behind text, 0 before anything
    goes_on = False  # whether the line kept last begins in the middle of a sentence
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at]
        state, start, end = line[STATE], line[START], line[END]
        if state >= _HEADING:
            if state - _HEADING < below:
                below = state - _HEADING
            else:
                line[STATE] = _DROPPED
        if state != _PLAIN and state != _TEXT:
            goes_on = False
            continue
        is_plain = state == _PLAIN
        if goes_on and is_plain and start < end:
            last = text[end - 1]
            if kind_of(last, kinds) & (LETTER | NUMERAL) or last == byte.COMMA:
                line[STATE] = _JOINED
        goes_on = False
        if start < end:
            below = 7
            kind = kind_of(text[start], kinds)
            is_small = kind & LOWER != 0 and kind & UPPER == 0
            goes_on = is_plain and not line[HAS_DASH] and (is_small or text[start] == _BACKSLASH)


@inner(_nrt=False)
def _write(text, lines, out, marked):  # type: ignore[no-untyped-def]
    to = count = 0
    for at in range(len(lines)):
        state = lines[at, STATE]
        if state == _DROPPED:
            continue
        if state >= _HEADING:
            out[to] = byte.LINE_FEED
            to += 1
        start = to
        if lines[at, HAS_DASH]:
            out[to], out[to + 1] = byte.HYPHEN, byte.SPACE
            to += 2
        for i in range(lines[at, START], lines[at, END]):
            out[np.uint64(to)] = text[np.uint64(i)]
            to += 1
        if lines[at, ISGONE]:
            marked[count, 0], marked[count, 1] = start, to
            count += 1
        if state >= _HEADING:
            out[to] = byte.LINE_FEED
            to += 1
        out[to] = byte.SPACE if state == _JOINED else byte.LINE_FEED
        to += 1
    return to, count


@kernel
def text_of_lines(text: Codes, kinds: Kinds) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Lines without quotes, heading and list marks; a sentence in two lines is one.

    Also the start and end of each line in which something is gone, int64[n, 2].
    """
    count = 1
    for i in range(len(text)):
        count += text[i] == byte.LINE_FEED
    lines = np.empty((count, 5), np.int64)
    start = 0
    for at in range(count):
        end = start
        has_quotes = is_gone = was_quote = False
        while end < len(text):
            c = text[np.uint64(end)]
            if c == byte.LINE_FEED:
                break
            has_quotes |= was_quote & (c == byte.APOSTROPHE)
            was_quote = c == byte.APOSTROPHE
            is_gone |= (c == GONE) | (c == UNKNOWN)
            end += 1
        lines[at, ISGONE] = is_gone
        _read_line(text, start, end, has_quotes, lines[at], kinds)
        start = end + 1
    _decide(text, lines, kinds)
    out = np.empty(len(text) + 2 * count, np.uint32)
    marked = np.empty((np.count_nonzero(lines[:, ISGONE]), 2), np.int64)
    end, found = _write(text, lines, out, marked)
    return out[:end], marked[:found]
