"""Where the constructs of wikitext that hold others begin and end, in one pass over the markup.

Comments, tags whose content is no markup, templates, tables, language variants, and links into a
namespace. Compiled; linear in the markup whatever it holds, two nanoseconds for a character.
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
    Codes,
    name_at,
    name_hashes,
    signs_table,
    tag_end,
)

Ints = npt.NDArray[np.int64]
COMMENT, TAG, TEMPLATE, TABLE, HTML_TABLE, VARIANT, LINK = range(7)
# Of the state: how many of each kind are open, then how many nodes there are, how many open.
_COUNT, _DEPTH, _STATES = 7, 8, 9
# Columns of nodes; see `found_nodes`.
KIND, START, END, FIRST, LAST, DETAIL, NEXT = range(7)
_OUTSIDE, _INSIDE = signs_table("<{["), signs_table("<{}[]|=\n")
_TABLE_NAME = name_hashes(["table"])[0]


@inner(_nrt=False, forceinline=True)
def _is_blank(c):  # type: ignore[no-untyped-def]
    return c == byte.SPACE or byte.TAB <= c <= byte.CARRIAGE_RETURN


@inner(_nrt=False)
def _end_of_tag(codes, name, after):  # type: ignore[no-untyped-def]
    """Of the tag of a name that ends at `after`: (end of all, start and end of its content).

    All 0 where its end is missing or another of that name begins before it.
    """
    n = len(codes)
    gt = tag_end(codes, after)
    if gt == n or codes[gt] == byte.LESS_THAN:
        return 0, 0, 0
    if codes[gt - 1] == byte.SLASH:
        return gt + 1, gt, gt
    j = gt + 1
    while j < n:
        if codes[np.uint64(j)] != byte.LESS_THAN:
            j += 1
            continue
        is_end = j + 1 < n and codes[j + 1] == byte.SLASH
        other, k = name_at(codes, j + 1 + is_end)
        if other == name:
            end = tag_end(codes, k)
            if not (end < n and codes[end] == byte.GREATER_THAN and codes[end - 1] == byte.SLASH):
                while is_end and k < end and _is_blank(codes[k]):
                    k += 1
                if is_end and k == end and end < n and codes[end] == byte.GREATER_THAN:
                    return end + 1, gt + 1, j
                return 0, 0, 0
        j += 1
    return 0, 0, 0


@inner(_nrt=False)
def _end_of_comment(codes: Codes, i: int) -> int:
    """The index behind the comment at i; 0 where no comment is."""
    n = len(codes)
    if (
        i + 3 >= n
        or codes[i + 1] != byte.EXCLAMATION
        or codes[i + 2] != byte.HYPHEN
        or codes[i + 3] != byte.HYPHEN
    ):
        return 0
    j = i + 4
    while j + 2 < n:
        if (
            codes[j] == byte.HYPHEN
            and codes[j + 1] == byte.HYPHEN
            and codes[j + 2] == byte.GREATER_THAN
        ):
            j += 3
            if i == 0 or codes[i - 1] == byte.LINE_FEED:
                # A line that holds a comment only is no line.
                k = j
                while k < n and (codes[k] == byte.SPACE or codes[k] == byte.TAB):
                    k += 1
                j = k + 1 if k < n and codes[k] == byte.LINE_FEED else j
            return j
        if (
            (
                codes[j] == byte.LESS_THAN
                and codes[j + 1] == byte.EXCLAMATION
                and codes[j + 2] == byte.HYPHEN
            )
            and j + 3 < n
            and codes[j + 3] == byte.HYPHEN
        ):
            return 0
        j += 1
    return 0


@inner(_nrt=False)
def _names_a_namespace(codes: Codes, i: int, end: int) -> bool:
    """Whether a link with this content has a colon in its target, and is a link."""
    found = False
    while i < end and codes[i] != byte.BAR:
        c = codes[i]
        if c == byte.LINE_FEED or c in (BRACKET, BRACKET_END):
            return False
        if c == byte.COLON:
            found = True
        i += 1
    return found


@inner(_nrt=False)
def _open(nodes, stack, state, kind, start):  # type: ignore[no-untyped-def]
    count = state[_COUNT]
    nodes[count, KIND], nodes[count, START], nodes[count, FIRST] = kind, start, start + 2
    nodes[count, END] = nodes[count, LAST] = nodes[count, DETAIL] = 0
    stack[state[_DEPTH]] = count
    state[kind] += 1
    state[_COUNT] += 1
    state[_DEPTH] += 1


@inner(_nrt=False)
def _close(nodes, stack, state, kind, end):  # type: ignore[no-untyped-def]
    """Close the innermost open construct of a kind; what stands open in it stays open for ever."""
    while True:
        state[_DEPTH] -= 1
        node = stack[state[_DEPTH]]
        state[nodes[node, KIND]] -= 1
        if nodes[node, KIND] == kind:
            nodes[node, END] = end
            if nodes[node, LAST] == 0:
                nodes[node, LAST] = end - 2
            return


@inner(_nrt=False, forceinline=True)
def _innermost(nodes, stack, state):  # type: ignore[no-untyped-def]
    """The kind of the innermost open construct, -1 for none."""
    return nodes[stack[state[_DEPTH] - 1], KIND] if state[_DEPTH] else -1


@inner(_nrt=False)
def _read_tag(codes, names, nodes, stack, state, i):  # type: ignore[no-untyped-def]
    """Note the comment or tag at i; return the index from which to go on."""
    node = nodes[state[_COUNT]]
    end = _end_of_comment(codes, i)
    if end:
        node[KIND], node[START], node[END] = COMMENT, i, end
        state[_COUNT] += 1
        return end
    is_end = i + 1 < len(codes) and codes[i + 1] == byte.SLASH
    name, after = name_at(codes, i + 1 + is_end)
    if name == _TABLE_NAME:
        end = tag_end(codes, after)
        if not is_end:
            _open(nodes, stack, state, HTML_TABLE, i)
        elif state[HTML_TABLE] and end < len(codes) and codes[end] == byte.GREATER_THAN:
            _close(nodes, stack, state, HTML_TABLE, end + 1)
        return after
    for known in range(len(names)):
        if names[known] == name and not is_end:
            end, first, last = _end_of_tag(codes, name, after)
            if end:
                node[KIND], node[START], node[END] = TAG, i, end
                node[FIRST], node[LAST], node[DETAIL] = first, last, known
                state[_COUNT] += 1
                return end
    return after


@inner(_nrt=False)
def _read_openings(codes, nodes, stack, state, i, run):  # type: ignore[no-untyped-def]
    """Note the constructs that begin with the run of braces or brackets at i, from the right."""
    c = codes[i]
    if c == BRACE and run & 1 and i and codes[i - 1] == byte.HYPHEN:
        _open(nodes, stack, state, VARIANT, i - 1)
    elif c == BRACE and run == 1 and i + 1 < len(codes) and codes[i + 1] == byte.BAR:
        _open(nodes, stack, state, TABLE, i)
        return i + 2  # its bar is no bar of arguments
    kind = TEMPLATE if c == BRACE else LINK
    for at in range(i + (run & 1), i + run - 1, 2):
        _open(nodes, stack, state, kind, at)
    return i + run


@inner(_nrt=False)
def _read_closing_braces(codes, nodes, stack, state, i, stop):  # type: ignore[no-untyped-def]
    """Close the constructs that end with the run of braces from i to stop."""
    while i < stop:
        kind = _innermost(nodes, stack, state)
        is_table = i > 0 and codes[i - 1] == byte.BAR and state[TABLE] > 0
        if is_table and (kind == TABLE or i + 1 == stop):
            _close(nodes, stack, state, TABLE, i + 1)
        elif i + 1 < stop and state[TEMPLATE]:
            i += 1
            _close(nodes, stack, state, TEMPLATE, i + 1)
        elif kind == VARIANT and i + 1 < len(codes) and codes[i + 1] == byte.HYPHEN:
            _close(nodes, stack, state, VARIANT, i + 2)
        i += 1
    return stop


@inner(_nrt=False)
def _read_closing_bracket(codes, nodes, stack, state, i):  # type: ignore[no-untyped-def]
    """Close the link that ends at i. One that is into no namespace is no node."""
    if i + 1 == len(codes) or codes[i + 1] != BRACKET_END:
        return i + 1
    if _innermost(nodes, stack, state) == LINK:
        link = stack[state[_DEPTH] - 1]
        _close(nodes, stack, state, LINK, i + 2)
        if not _names_a_namespace(codes, nodes[link, FIRST], i):
            nodes[link, END] = 0
    return i + 2


@inner(_nrt=False)
def _find(codes, names, nodes, stack, state):  # type: ignore[no-untyped-def]
    """Fill nodes in the order of their starts; an end of 0 is a construct left open."""
    n = len(codes)
    i = 0
    while i < n:
        c = codes[np.uint64(i)]
        if c >= 128 or not (_INSIDE[c] if state[_DEPTH] else _OUTSIDE[c]):
            i += 1
            continue
        if c == byte.LINE_FEED or c == byte.EQUALS or c == byte.BAR:
            top = stack[state[_DEPTH] - 1]
            if c == byte.LINE_FEED:
                if nodes[top, KIND] == LINK and nodes[top, LAST] == 0:
                    state[_DEPTH] -= 1  # no target goes over a line
                    state[LINK] -= 1
            elif nodes[top, LAST]:  # not the first bar
                nodes[top, DETAIL] = 1
            elif c == byte.BAR:
                nodes[top, LAST] = i
            i += 1
        elif c == byte.LESS_THAN:
            i = _read_tag(codes, names, nodes, stack, state, i)
        elif c == BRACKET_END:
            i = _read_closing_bracket(codes, nodes, stack, state, i)
        else:
            run = 1
            while i + run < n and codes[i + run] == c:
                run += 1
            if c == BRACE_END:
                i = _read_closing_braces(codes, nodes, stack, state, i, i + run)
            else:
                i = _read_openings(codes, nodes, stack, state, i, run)


@inner
def _compact(nodes, count):  # type: ignore[no-untyped-def]
    """The closed nodes, with the number of the first node behind each as a seventh column."""
    kept = np.empty((np.count_nonzero(nodes[:count, 2]), 7), np.int64)
    new = 0
    for old in range(count):
        if nodes[old, 2]:
            kept[new, :6] = nodes[old]
            new += 1
    starts = kept[:, 1]
    for at in range(new):
        low, high = at + 1, new
        while low < high:
            middle = (low + high) // 2
            if starts[middle] < kept[at, 2]:
                low = middle + 1
            else:
                high = middle
        kept[at, 6] = low
    return kept


@kernel
def has_controls(codes: Codes) -> bool:
    """Whether a code point below 32 is there that is no tab or line end."""
    count = 0
    for i in range(len(codes)):
        c = codes[i]
        count += (c < 32) & (c != byte.TAB) & (c != byte.LINE_FEED) & (c != byte.CARRIAGE_RETURN)
    return count > 0


@kernel
def found_nodes(codes: Codes, names: npt.NDArray[np.uint64]) -> Ints:
    """The constructs of markup in the order of their starts, int64[n, 7].

    Columns: kind; start; end; start and end of what the kind is about (a tag's content, a
    template's name); of a tag the place of its name in `names`, of a template whether it has an equal sign or a
    second bar outside of what it holds; the number of the first node behind this one.
    """
    most = 2
    for i in range(len(codes)):  # a sum without branches is eight times as fast
        c = codes[i]
        most += (c == byte.LESS_THAN) | (c == BRACE) | (c == BRACKET)
    nodes = np.empty((most, 6), np.int64)
    state = np.zeros(_STATES, np.int64)
    _find(codes, names, nodes, np.empty(most, np.int64), state)
    return _compact(nodes, state[_COUNT])
