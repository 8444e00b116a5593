"""Kept blocks -> readable text: paragraphs apart, list items marked, the cells of a table row on
one line and in their columns, the headline found.

Linear in elements and bytes, some 20 microseconds a page. The trap: a list item of three paragraphs
is three blocks, and only the first of them gets the mark.

Shape letters: N elements, B blocks.
"""

from __future__ import annotations

import numpy as np

from curation.blocks import byte
from curation.blocks import text as t
from curation.blocks import vocabulary as v
from curation.blocks.attributes import MOST_SPAN, ROW_SPAN_AT, SPAN_AT
from curation.blocks.jit import inner, kernel
from curation.blocks.text import Blocks, Bools, Bytes, Int32s, Nodes
from curation.blocks.tree import Tree

_LI, _DT, _DD, _TR, _TABLE, _TD, _TH = (
    np.int64(v.TAG[name]) for name in ("li", "dt", "dd", "tr", "table", "td", "th")
)
_H1, _H6, _H3 = v.TAG["h1"], v.TAG["h6"], v.TAG["h3"]
_KIND_H1, _KIND_H6 = v.KIND_H1, v.KIND_H6
_COMMENTS = v.CATEGORY_BIT["comments"]
_MIN_TITLE_SHARE = 0.6
_HEADLINE_REACH = 60  # blocks before the first kept one
_MOST_COLUMNS = 64
_MOST_SECTIONS = 1000  # of tables whose cells span rows; in others they are taken for one row's


@kernel
def headline(kept: Bools, nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary) -> int:
    """The block that is the page's headline, -1 where none is found.

    The last heading at or before the first kept paragraph that shares most of its words with the
    page's title; an `<h1>` does without them.
    """
    first = -1
    for b in range(kept.shape[0]):
        kind = vocabulary.kinds[nodes.tag[blocks.node[b]]]
        if kept[b] and not _KIND_H1 <= kind <= _KIND_H6:
            first = b
            break
    title = -1
    for b in range(first, max(-1, first - _HEADLINE_REACH), -1):
        kind = vocabulary.kinds[nodes.tag[blocks.node[b]]]
        titled = (
            blocks.counts[b, t.WORDS] >= 2
            and blocks.counts[b, t.TITLE_WORDS] >= _MIN_TITLE_SHARE * blocks.counts[b, t.WORDS]
        )
        if kind == _KIND_H1 and (titled or title < 0):
            title = b
            if titled:
                break
        elif _KIND_H1 < kind <= _KIND_H6 and titled and title < 0:
            title = b
    return title


@kernel
def is_comment(tree: Tree, blocks: Blocks) -> Bools:
    """bool[B]: blocks inside an element that is named for comments and that read like text, not
    like its buttons."""
    count = blocks.start.shape[0]
    out = np.zeros(count, np.bool_)
    for b in range(count):
        counts = blocks.counts[b]
        if tree.all_names[blocks.node[b]] & _COMMENTS:
            out[b] = counts[t.CHARS] >= 25 and counts[t.LINK_CHARS] < 0.3 * counts[t.CHARS]
    return out


@inner
def _nearest(nodes: Nodes, wanted: tuple[int, int, int], ends: int) -> Int32s:
    """[N]: the nearest element at or above each one whose tag is among `wanted`; an element of tag
    `ends` hides those above it."""
    n = nodes.parent.shape[0]
    out = np.zeros(n, np.int32)
    for i in range(1, n):
        tag = nodes.tag[i]
        if tag == wanted[0] or tag == wanted[1] or tag == wanted[2]:
            out[i] = i
        elif tag != ends:
            out[i] = out[nodes.parent[i]]
    return out


@inner
def _cell_columns(nodes: Nodes) -> Int32s:
    """[N]: the column of each cell in its table, from 0 to `_MOST_COLUMNS` - 1; what spans columns
    or rows takes its place in all of them."""
    n = nodes.parent.shape[0]
    column, rows = np.zeros(n, np.int32), np.zeros(n, np.int32)
    following, slot = np.zeros(n, np.int32), np.zeros(n, np.int32)
    ends = np.zeros((1, 1), np.int32)  # by slot and column: the last row that is taken
    slots = 0
    for i in range(1, n):
        row, tag = nodes.parent[i], nodes.tag[i]
        if tag == _TR:
            rows[row] += 1
            rows[i] = rows[row]
        if tag not in (_TD, _TH) or nodes.tag[row] != _TR:
            continue
        k, at = slot[nodes.parent[row]], following[row]
        while k and at < _MOST_COLUMNS and ends[k, at] >= rows[row]:
            at += 1
        column[i] = min(at, _MOST_COLUMNS - 1)
        following[row] = min(at + 1 + (nodes.names[i] >> SPAN_AT & MOST_SPAN), _MOST_COLUMNS)
        height = nodes.names[i] >> ROW_SPAN_AT & MOST_SPAN
        if height:
            if slots == 0:
                ends = np.zeros((_MOST_SECTIONS + 1, _MOST_COLUMNS), np.int32)
            if k == 0 and slots < _MOST_SECTIONS:
                slots += 1
                k = slots
                slot[nodes.parent[row]] = k
            if k:
                ends[k, at : following[row]] = rows[row] + height
    return column


@inner
def _is_data(kept: Bools, blocks: Blocks, rows: Int32s, cells: Int32s, tables: Int32s) -> Bools:
    """bool[N]: tables of which two rows or more have two kept cells or more; others may only lay
    out the page."""
    number = np.zeros(rows.shape[0], np.int32)
    row, cell, cells_in_row = 0, 0, 0
    for b in range(kept.shape[0]):
        node = blocks.node[b]
        if not kept[b] or not rows[node] or not cells[node]:
            continue
        if rows[node] != row:
            row, cell, cells_in_row = rows[node], 0, 0
        if cells[node] != cell:
            cell = cells[node]
            cells_in_row += 1
            number[tables[row]] += cells_in_row == 2
    return number >= 2


@kernel
def joined(kept: Bools, nodes: Nodes, blocks: Blocks, markdown: bool) -> Bytes:
    """uint8[any]: the text of the blocks where kept bool[B], UTF-8.

    Paragraphs are an empty line apart; items of a list ("- ") and rows of a table (cells between "
    | ", empty ones too where the table holds data) a line feed; paragraphs of one cell are apart as
    anywhere. With `markdown`, headings begin with one to six "#".
    """
    items = _nearest(nodes, (_LI, _DT, _DD), _TABLE)
    rows = _nearest(nodes, (_TR, _TR, _TR), _LI)
    cells = _nearest(nodes, (_TD, _TH, _TH), _TABLE)
    tables = _nearest(nodes, (_TABLE, _TABLE, _TABLE), _TABLE)
    columns, is_data = _cell_columns(nodes), _is_data(kept, blocks, rows, cells, tables)
    for_empty = 3 * np.sum(columns[cells[blocks.node[kept]]])
    out = np.empty(blocks.text.shape[0] + 12 * kept.shape[0] + for_empty, np.uint8)
    size, before = np.int64(0), -1
    for b in range(kept.shape[0]):
        if not kept[b]:
            continue
        node = blocks.node[b]
        item, row = items[node], rows[node]
        last = blocks.node[before] if before >= 0 else 0
        same = cells[node] == cells[last] and cells[node] != 0
        if before >= 0:
            size = _gap(out, size, item, row, items[last], rows[last], same)
        if cells[node] and not same and is_data[tables[row]]:
            first = columns[cells[last]] + 1 if row == rows[last] else 0
            size = _skip_cells(out, size, columns[cells[node]] - first, first == 0)
        if item and nodes.tag[item] == _LI and (before < 0 or items[blocks.node[before]] != item):
            out[size], out[size + 1] = byte.HYPHEN, byte.SPACE
            size += 2
        if markdown and _H1 <= nodes.tag[node] <= _H6:
            for _ in range(nodes.tag[node] - _H1 + 1):
                out[size] = byte.HASH
                size += 1
            out[size] = byte.SPACE
            size += 1
        length = blocks.end[b] - blocks.start[b]
        out[size : size + length] = blocks.text[blocks.start[b] : blocks.end[b]]
        size += length
        before = b
    return out[:size]


@inner
def _gap(
    out: Bytes, size: int, item: int, row: int, last_item: int, last_row: int, same: bool
) -> int:
    """Write what stands between two blocks; `same` where one cell of a table holds both."""
    if row and row == last_row and not same:
        out[size], out[size + 1], out[size + 2] = byte.SPACE, byte.BAR, byte.SPACE
        return size + 3
    out[size] = byte.LINE_FEED
    if (item and last_item) or (row and last_row and not same):
        return size + 1
    out[size + 1] = byte.LINE_FEED
    return size + 2


@inner
def _skip_cells(out: Bytes, size: int, number: int, begins: bool) -> int:
    """Write the bars behind empty cells, " | " each; the first one that begins a row without the
    space before it."""
    for k in range(number):
        if k or not begins:
            out[size] = byte.SPACE
            size += 1
        out[size], out[size + 1] = byte.BAR, byte.SPACE
        size += 2
    return size
