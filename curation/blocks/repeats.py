"""Features of repetition: the items of lists, the cards of a shop, the posts of a thread, and
blocks that say the same.

An item is an element that has two siblings or more of the same signature (tag and class). Three
items are looked for above a block: the nearest one, the nearest whose kind holds two blocks or more
on average (a card), and the outermost one. Linear in elements and bytes of text: groups are
numbered with hash tables, not sorted. The trap: groups are told apart by 64-bit hashes, so two
kinds of elements with one hash would count as one.

Shape letters: N elements (0 is a root above all), B blocks, G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks import text as t
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner, kernel
from curation.blocks.text import Blocks, Floats, Int32s, Keys, Nodes
from curation.blocks.tree import Tree

LEVELS = ("item", "card", "outer")
_ITEM = ("log_items", "place", "steps", "kind", "log_chars", "blocks", "page_share", "link_share",
         "mean_chars", "size_ratio", "images", "prices")  # fmt: skip
_TEXTS = ("has_price", "log_equal", "log_alike")
_PATH = ("log_blocks", "log_chars", "link_share", "chars_per_block")
_PAGE = ("price_share", "cards_share", "log_cards", "cards_link_share", "cards_prices")
(_HAS_PRICE, _LOG_EQUAL, _LOG_ALIKE) = range(len(_TEXTS))
_AT_PATH = len(_TEXTS)
_AT_ITEMS = _AT_PATH + len(_PATH)
_AT_PAGE = _AT_ITEMS + len(LEVELS) * len(_ITEM)
COLUMNS = _AT_PAGE + len(_PAGE)
_MIN_ITEMS, _MIN_CARD_BLOCKS = 3, 2
_MAX_PRICES = 3
_NONE = -1.0  # where a block stands in no item
_PRIME, _OFFSET = np.uint64(v.FNV_PRIME), np.uint64(v.FNV_OFFSET)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio
_SHIFT = np.uint64(20)
_DOLLAR = ord("$")
_POUND_END, _YEN_END = 0xA3, 0xA5  # behind 0xC2
_CURRENCIES = (0xE2, 0x82)  # the first two bytes of U+2080 to U+20BF, with the signs of currencies


class Repeats(NamedTuple):
    """Groups of blocks: those of like items, like cards, and like paths of classes."""

    # [3, B], number of the group; -1 where a block stands in none
    group: npt.NDArray[np.int32]
    # [3], one more than the highest number
    count: npt.NDArray[np.int64]  # type: ignore[assignment]


class _Siblings(NamedTuple):
    """Groups of elements with one parent and one signature, and their sums; [G], but the first."""

    of: npt.NDArray[np.int32]  # [N], the group of an element
    place: npt.NDArray[np.float64]  # [N], how many of its group stand before it
    items: npt.NDArray[np.float64]
    chars: npt.NDArray[np.float64]
    link_chars: npt.NDArray[np.float64]
    blocks: npt.NDArray[np.float64]
    images: npt.NDArray[np.float64]
    prices: npt.NDArray[np.float64]


def names() -> list[str]:
    """The names of the columns, `group.feature`."""
    return [
        *(f"text.{name}" for name in _TEXTS),
        *(f"same_classes.{name}" for name in _PATH),
        *(f"{level}.{name}" for level in LEVELS for name in _ITEM),
        *(f"page.{name}" for name in _PAGE),
    ]


@kernel
def numbered(keys: Keys) -> tuple[Int32s, int]:
    """(int32[n], how many): equal keys (uint64[n]) get equal numbers, in order of appearance.

    >>> numbered(np.array([7, 5, 7], np.uint64))[0].tolist()
    [0, 1, 0]
    """
    n = keys.shape[0]
    size = 16
    while size < 2 * n:
        size *= 2
    mask = np.uint64(size - 1)
    first = np.full(size, -1, np.int32)
    numbers = np.empty(n, np.int32)
    count = 0
    for i in range(n):
        at = ((keys[i] * _SPREAD) >> _SHIFT) & mask
        while first[at] >= 0 and keys[first[at]] != keys[i]:
            at = (at + np.uint64(1)) & mask
        if first[at] < 0:
            first[at] = i
            numbers[i] = count
            count += 1
        else:
            numbers[i] = numbers[first[at]]
    return numbers, count


@kernel
def repeats(
    nodes: Nodes, blocks: Blocks, tree: Tree, vocabulary: v.Vocabulary, x: Floats, at: int
) -> Repeats:
    """Fill the columns of x float32[B, at least at + COLUMNS] from `at`; return the groups."""
    n, count = nodes.parent.shape[0], blocks.start.shape[0]
    prices = np.zeros(n)
    texts, alike = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    for b in range(count):
        texts[b], alike[b], signs = _text_keys(blocks, b)
        x[b, at + _HAS_PRICE] = min(signs, _MAX_PRICES)
        prices[blocks.node[b]] += signs
    _log_sizes(texts, x, at + _LOG_EQUAL)
    _log_sizes(alike, x, at + _LOG_ALIKE)
    classes = np.zeros(n, np.uint64)
    for i in range(1, n):
        classes[i] = (classes[nodes.parent[i]] * _PRIME) ^ nodes.signature[i]
    paths, path_count = numbered(classes[blocks.node])
    _like_paths(paths, path_count, blocks, x, at + _AT_PATH)
    siblings = _siblings(nodes, blocks, tree, prices)
    items = _items(nodes, siblings)
    _item_columns(nodes, blocks, tree, vocabulary, siblings, items, x, at + _AT_ITEMS)
    _page_columns(siblings, tree, prices, x, at + _AT_PAGE)
    group = np.full((3, count), -1, np.int32)
    for b in range(count):
        for level in range(2):
            item = items[level, blocks.node[b]]
            if item > 0:
                group[level, b] = siblings.of[item]
        group[2, b] = paths[b]
    siblings_count = siblings.items.shape[0]
    return Repeats(group, np.array([siblings_count, siblings_count, path_count]))


@inner(_nrt=False)  # references uncounted, as in `blocks.scan`
def _text_keys(blocks: Blocks, b: int) -> tuple[np.uint64, np.uint64, int]:
    """(hash of a block's text, hash of it with each number as 0, signs of currencies in it)."""
    text, end = blocks.text, np.int64(blocks.end[b])
    key, alike, signs, in_number = _OFFSET, _OFFSET, 0, False
    for i in range(np.int64(blocks.start[b]), end):
        c = text[i]
        key = (key ^ np.uint64(c)) * _PRIME
        is_digit = byte.ZERO <= c <= byte.NINE
        if not is_digit:
            alike = (alike ^ np.uint64(c)) * _PRIME
        elif not in_number:
            alike = (alike ^ np.uint64(byte.ZERO)) * _PRIME
        in_number = is_digit
        if c == _DOLLAR:
            signs += 1
        elif c == byte.LATIN_1_SIGN and i + 1 < end:
            signs += text[i + 1] == _POUND_END or text[i + 1] == _YEN_END
        elif c == _CURRENCIES[0] and i + 1 < end:
            signs += text[i + 1] == _CURRENCIES[1]
    return key, alike, signs


@inner
def _log_sizes(keys: Keys, x: Floats, column: int) -> None:
    numbers, count = numbered(keys)
    sizes = np.zeros(count)
    for b in range(keys.shape[0]):
        sizes[numbers[b]] += 1
    for b in range(keys.shape[0]):
        x[b, column] = np.log2(sizes[numbers[b]])


@inner
def _like_paths(paths: Int32s, count: int, blocks: Blocks, x: Floats, at: int) -> None:
    """Sums over the blocks whose elements have the same tags and classes up to the root."""
    number, chars, links = np.zeros(count), np.zeros(count), np.zeros(count)
    for b in range(paths.shape[0]):
        path = paths[b]
        number[path] += 1
        chars[path] += blocks.counts[b, t.CHARS]
        links[path] += blocks.counts[b, t.LINK_CHARS]
    for b in range(paths.shape[0]):
        path = paths[b]
        x[b, at] = np.log2(number[path])
        x[b, at + 1] = np.log2(1.0 + chars[path])
        x[b, at + 2] = links[path] / max(chars[path], 1.0)
        x[b, at + 3] = chars[path] / number[path]


@inner
def _siblings(
    nodes: Nodes, blocks: Blocks, tree: Tree, prices: npt.NDArray[np.float64]
) -> _Siblings:
    """The groups of elements with text; `prices` float64[N] becomes the sum of all below."""
    n = nodes.parent.shape[0]
    keys = np.zeros(n, np.uint64)
    for i in range(1, n):
        keys[i] = (np.uint64(nodes.parent[i]) * _SPREAD) ^ nodes.signature[i]
    of, count = numbered(keys)
    images = np.zeros(n)
    for b in range(blocks.start.shape[0]):
        images[blocks.node[b]] += blocks.counts[b, t.IMAGES]
    for i in range(n - 1, 0, -1):
        images[nodes.parent[i]] += images[i]
        prices[nodes.parent[i]] += prices[i]
    sums = np.zeros((6, count))
    place = np.zeros(n)
    for i in range(1, n):
        if tree.blocks[i] > 0:
            group = of[i]
            place[i] = sums[0, group]
            sums[0, group] += 1
            sums[1, group] += tree.chars[i]
            sums[2, group] += tree.link_chars[i]
            sums[3, group] += tree.blocks[i]
            sums[4, group] += images[i]
            sums[5, group] += prices[i]
    return _Siblings(of, place, sums[0], sums[1], sums[2], sums[3], sums[4], sums[5])


@inner
def _items(nodes: Nodes, siblings: _Siblings) -> Int32s:
    """int32[3, N]: the nearest item, the nearest card and the outermost item at or above each
    element, 0 where there is none."""
    n = nodes.parent.shape[0]
    items = np.zeros((3, n), np.int32)
    for i in range(1, n):
        parent, group = nodes.parent[i], siblings.of[i]
        is_item = siblings.items[group] >= _MIN_ITEMS
        is_card = is_item and siblings.blocks[group] >= _MIN_CARD_BLOCKS * siblings.items[group]
        items[0, i] = i if is_item else items[0, parent]
        items[1, i] = i if is_card else items[1, parent]
        items[2, i] = i if is_item and items[2, parent] == 0 else items[2, parent]
    return items


@inner
def _item_columns(
    nodes: Nodes,
    blocks: Blocks,
    tree: Tree,
    vocabulary: v.Vocabulary,
    siblings: _Siblings,
    items: Int32s,
    x: Floats,
    at: int,
) -> None:
    total = max(tree.chars[0], 1.0)
    for b in range(blocks.start.shape[0]):
        node = blocks.node[b]
        for level in range(3):
            row = x[b, at + level * len(_ITEM) : at + (level + 1) * len(_ITEM)]
            item = items[level, node]
            if item == 0:
                row[:] = _NONE
                continue
            group = siblings.of[item]
            number, chars = siblings.items[group], siblings.chars[group]
            row[0] = np.log2(number)
            row[1] = siblings.place[item] / number
            row[2] = nodes.depth[node] - nodes.depth[item]
            row[3] = vocabulary.kinds[nodes.tag[item]]
            row[4] = np.log2(1.0 + tree.chars[item])
            row[5] = tree.blocks[item]
            row[6] = chars / total
            row[7] = siblings.link_chars[group] / max(chars, 1.0)
            row[8] = chars / number
            row[9] = tree.chars[item] * number / max(chars, 1.0)
            row[10] = siblings.images[group] / number
            row[11] = siblings.prices[group] / number


@inner
def _page_columns(
    siblings: _Siblings, tree: Tree, prices: npt.NDArray[np.float64], x: Floats, at: int
) -> None:
    """Signs of currencies a block, and the cards with the most text."""
    most = -1
    for group in range(siblings.items.shape[0]):
        number = siblings.items[group]
        is_card = number >= _MIN_ITEMS and siblings.blocks[group] >= _MIN_CARD_BLOCKS * number
        if is_card and (most < 0 or siblings.chars[group] > siblings.chars[most]):
            most = group
    x[:, at] = prices[0] / x.shape[0]
    if most >= 0:
        number, chars = siblings.items[most], siblings.chars[most]
        x[:, at + 1] = chars / max(tree.chars[0], 1.0)
        x[:, at + 2] = np.log2(number)
        x[:, at + 3] = siblings.link_chars[most] / max(chars, 1.0)
        x[:, at + 4] = siblings.prices[most] / number
