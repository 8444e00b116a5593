"""Sums over the tree of elements, and the elements where a page's text is: what the features of
blocks rest on.

Linear in elements and blocks. The trap: "good" text (long, few links) is a guess made before any
model; on pages without any the landmarks stand where most characters are.

Shape letters: N elements (0 is a root above all), B blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks import text as t
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner
from curation.blocks.text import Blocks, Doubles, Keys, Nodes

_PRIME = np.uint64(v.FNV_PRIME)
_GOOD_NAMES, _BAD_NAMES = v.GOOD_NAMES, v.BAD_NAMES


class Tree(NamedTuple):
    """Sums over each element and all below it, and the elements where the text is."""

    chars: npt.NDArray[np.float64]  # [N]
    link_chars: npt.NDArray[np.float64]  # [N]
    good_chars: npt.NDArray[np.float64]  # [N], of blocks that read like prose
    blocks: npt.NDArray[np.float64]  # [N]
    commas: npt.NDArray[np.float64]  # [N]
    all_names: npt.NDArray[np.int64]  # [N], names of the element and all above it
    all_tags: npt.NDArray[np.int64]  # [N], bits of ANCESTORS
    good: npt.NDArray[np.float64]  # [B], characters of a block that reads like prose, else 0
    # [3]: the element of the best score; the lowest with half of the good text; the lowest with 80
    # % of it
    landmarks: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]  # [2]: the best and the second score
    # [B], equal for blocks whose container and its parent have equal tags and classes
    class_key: npt.NDArray[np.uint64]


@inner
def tree_sums(nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary) -> Tree:
    """The Tree of what `blocks.scan` returned."""
    n, count = nodes.parent.shape[0], blocks.start.shape[0]
    chars, links, goods, number, commas, scores = (
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
    )
    names, tags = np.zeros(n, np.int64), np.zeros(n, np.int64)
    good, key = np.zeros(count), np.zeros(count, np.uint64)
    for i in range(1, n):
        p = nodes.parent[i]
        names[i] = names[p] | nodes.names[i]
        tags[i] = tags[p] | vocabulary.ancestors[nodes.tag[i]]
    for b in range(count):
        c, p, counts = blocks.node[b], nodes.parent[blocks.node[b]], blocks.counts[b]
        length, linked = np.float64(counts[t.CHARS]), np.float64(counts[t.LINK_CHARS])
        if (length >= 80 and linked < 0.33 * length) or (
            length >= 40 and linked < 0.2 * length and counts[t.LAST] == 1
        ):
            good[b] = length
        chars[c] += length
        links[c] += linked
        goods[c] += good[b]
        number[c] += 1
        commas[c] += counts[t.COMMAS]
        key[b] = (nodes.signature[c] * _PRIME) ^ nodes.signature[p]
        if length >= 25:
            score = (1.0 + counts[t.COMMAS] + min(length / 100.0, 3.0)) * (1.0 - linked / length)
            scores[c] += 0.3 * score
            scores[p] += score
            scores[nodes.parent[p]] += 0.5 * score
    for i in range(n - 1, 0, -1):
        p = nodes.parent[i]
        chars[p] += chars[i]
        links[p] += links[i]
        goods[p] += goods[i]
        number[p] += number[i]
        commas[p] += commas[i]
    top, best, second = _best_node(nodes, scores, links, chars)
    weights = goods if goods[0] > 0 else chars
    landmarks = np.array([top, _lowest(nodes, weights, 0.5), _lowest(nodes, weights, 0.8)])
    return Tree(
        chars,
        links,
        goods,
        number,
        commas,
        names,
        tags,
        good,
        landmarks,
        np.array([best, second]),
        key,
    )


@inner
def _best_node(
    nodes: Nodes, scores: Doubles, links: Doubles, chars: Doubles
) -> tuple[int, float, float]:
    """(element, its score, the second score): text under it with commas and few links, as
    Readability scores."""
    top, best, second = 0, -1.0, 0.0
    for i in range(1, nodes.parent.shape[0]):
        score = scores[i] * (1.0 - links[i] / max(chars[i], 1.0))
        if nodes.names[i] & _GOOD_NAMES:
            score *= 1.25
        if nodes.names[i] & _BAD_NAMES:
            score *= 0.6
        if score > best:
            top, best, second = i, score, best
        elif score > second:
            second = score
    return top, best, second


@inner
def _lowest(nodes: Nodes, weights: Doubles, share: float) -> int:
    """The deepest element with at least this share of the whole weight, 0 where there is none."""
    deepest = 0
    for i in range(1, nodes.parent.shape[0]):
        w = weights[i]
        if (
            w >= share * weights[0]
            and w > 0
            and (deepest == 0 or nodes.depth[i] >= nodes.depth[deepest])
        ):
            deepest = i
    return deepest


@inner
def path_keys(nodes: Nodes, blocks: Blocks) -> Keys:
    """[B], equal for blocks whose containers have equal paths of tags."""
    keys = np.zeros(nodes.parent.shape[0], np.uint64)
    for i in range(1, nodes.parent.shape[0]):
        keys[i] = (keys[nodes.parent[i]] ^ np.uint64(nodes.tag[i] + 7)) * _PRIME
    return keys[blocks.node]
