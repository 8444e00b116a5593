"""What C4's line rules remove, as spans, and the sentences that they leave; see `c4_lines.py`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.buffers import Bytes
from curation.kernels.c4_lines import (
    BITS,
    BREAK_CHAR,
    CHAR,
    CHAR_END,
    CURLY,
    END,
    FEW,
    FROM,
    IS_NEWLINE,
    LONG,
    LOREM,
    OPEN,
    POLICY,
    SCRIPT,
    START,
    TO,
    edited_line,
)
from curation.kernels.characters import SPACE, kind_of, next_point, point_before
from curation.kernels.english import IS_PUNCTUATION, IS_TERMINAL, split_words

# State while the spans of one text are written.
_SIZE, _LAST, _VISIBLE_SIZE, _VISIBLE_LAST = range(4)


@inner(_nrt=False)
def is_kept(bits: int, any_ending: bool) -> bool:
    """Return whether the rules keep a line with these bits."""
    removing = LONG | FEW | SCRIPT | POLICY
    return bits & (removing if any_ending else removing | OPEN) == 0


@inner(_nrt=False)
def flags_of(bits: int, any_ending: bool) -> int:
    """Return which of LOREM and CURLY a line with these bits sets for its document."""
    if bits & (LONG | FEW) or (bits & OPEN and not any_ending):
        return 0
    return bits & (LOREM if bits & SCRIPT else LOREM | CURLY)


@inner(_nrt=False)
def write_spans(
    data: Bytes,
    a: int,
    lines: npt.NDArray[np.int64],
    n: int,
    citations: npt.NDArray[np.int64],
    chars: int,
    any_ending: bool,
    kinds: npt.NDArray[np.int32],
    state: npt.NDArray[np.int64],
    spans: npt.NDArray[np.int64],
    size: int,
) -> int:
    """Write what is removed of the text at data[a:], start and end in code points, from spans[size]
    on; return the new size. spans needs room for 2 * (lines + citations + 2) numbers; state int64[4]
    is scratch."""
    first_size = size
    # Nothing is kept so far: a span would begin at the first code point.
    state[_SIZE], state[_LAST] = size, 0
    state[_VISIBLE_SIZE], state[_VISIBLE_LAST] = size, 0
    line_break = -1
    is_newline = began = False
    for k in range(n):
        if not is_kept(lines[k, BITS], any_ending):
            if line_break >= 0 and not is_newline and lines[k, IS_NEWLINE]:
                line_break, is_newline = lines[k, BREAK_CHAR], True
            continue
        if began and line_break >= 0:
            _keep(state, spans, line_break, line_break + 1)
        begin, char = lines[k, START], lines[k, CHAR]
        for c in range(lines[k, FROM], lines[k, TO] + 1):
            last = c == lines[k, TO]
            end, char_end = lines[k, END], lines[k, CHAR_END]
            if not last:
                end, char_end = citations[c, 0], citations[c, 2]
            began = _keep_part(data, a + begin, a + end, char, char_end, began, kinds, state, spans)
            if not last:
                begin, char = citations[c, 1], citations[c, 3]
        line_break, is_newline = lines[k, BREAK_CHAR], lines[k, IS_NEWLINE] != 0
    size = state[_VISIBLE_SIZE] if began else first_size
    if state[_VISIBLE_LAST] < chars:
        spans[size], spans[size + 1] = state[_VISIBLE_LAST], chars
        size += 2
    return size


@inner(_nrt=False)
def _keep(state, spans, char, char_end):  # type: ignore[no-untyped-def]
    """Keep these code points: what lies between them and the last that were kept is a span."""
    if char > state[_LAST]:
        size = state[_SIZE]
        spans[size], spans[size + 1] = state[_LAST], char
        state[_SIZE] = size + 2
    state[_LAST] = char_end


@inner(_nrt=False)
def _keep_part(data, i, end, char, char_end, began, kinds, state, spans):  # type: ignore[no-untyped-def]
    """Keep data[i:end], of those code points, without white space at the text's start; return
    whether something visible was kept so far. The state remembers the last visible one."""
    while not began and i < end:
        c, following = next_point(data, i, end)
        if kind_of(c, kinds) & SPACE == 0:
            break
        i = following
        char += 1
    if i == end:
        return began
    _keep(state, spans, char, char_end)
    while end > i:
        c, before = point_before(data, i, end, end)
        if kind_of(c, kinds) & SPACE == 0:
            state[_VISIBLE_SIZE], state[_VISIBLE_LAST] = state[_SIZE], char_end
            return True
        end = before
        char_end -= 1
    return began


@inner(_nrt=False)
def count_sentences(
    data: Bytes,
    a: int,
    lines: npt.NDArray[np.int64],
    n: int,
    citations: npt.NDArray[np.int64],
    words: npt.NDArray[np.int64],
    n_words: int,
    kinds: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    maybe: npt.NDArray[np.uint8],
    edited: npt.NDArray[np.uint8],
    edited_words: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> None:
    """Write the sentences of the lines that are kept into out int64[2]: with the rule of endings,
    and without. words: those of the text at data[a:]; edited and edited_words are scratch."""
    out[:] = 0
    word = 0
    for k in range(n):
        if not is_kept(lines[k, BITS], True):
            continue
        if lines[k, FROM] < lines[k, TO]:
            start, end = a + lines[k, START], a + lines[k, END]
            size = edited_line(data, start, end, a, citations, lines[k, FROM], lines[k, TO], edited)
            count = split_words(edited, np.int64(0), size, kinds, table, maybe, edited_words)
            found = _sentences(edited_words, np.int64(0), count)
        else:
            while word < n_words and words[word, 0] < lines[k, START]:
                word += 1
            first = word
            while word < n_words and words[word, 0] < lines[k, END]:
                word += 1
            found = _sentences(words, first, word)
        out[0] += found * is_kept(lines[k, BITS], False)
        out[1] += found


@inner(_nrt=False)
def _sentences(words, first, last):  # type: ignore[no-untyped-def]
    """The sentences of words first to last: each begins at the first word, or behind a mark that
    ends one, further marks aside."""
    if first == last:
        return 0
    count = 1
    ended = False
    for k in range(first, last):
        bits = words[k, 2]
        if bits & IS_TERMINAL:
            ended = True
        elif ended and not bits & IS_PUNCTUATION:
            count += 1
            ended = False
    return count
