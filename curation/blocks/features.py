"""What a model is told of a block: about two hundred numbers from its text, its tags and names, its place and its surroundings.

`feature_names()` lists them in order, by group; docs/extraction.md explains each group. Linear in blocks and elements but for two sorts;
about 1 microsecond a block. Where a loop makes no array, references go uncounted
(`_nrt=False`, as in `blocks.scan`). The trap: a model holds the place of a feature, so a changed order needs a new model.

Shape letters: N elements (0 is a root above all), B blocks, F features.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curation.blocks import text as t
from curation.blocks import vocabulary as v
from curation.blocks.text import Blocks, Floats, Int64s, Keys, Nodes
from curation.blocks.tree import Tree, path_keys, tree_sums

_CONTAINERS = 4
_BEFORE_AND_AFTER = (-2, -1, 1, 2)
_OWN = (
    "chars",
    "words",
    "link_share",
    "digit_share",
    "capital_share",
    "commas_per_100",
    "sentences",
    "marks",
    "capital_word_share",
    "stop_share",
    "last_mark",
    "first_sort",
    "wide_share",
    "images",
    "kind",
    "depth",
    "place",
    "chars_before_share",
    "blocks_after",
    "blocks_before",
    "good_before_share",
    "good_share",
    "word_length",
    "parent_kind",
    "is_repeated",
    "title_share",
    "bold_share",
)
_CONTAINER = (
    "log_chars",
    "link_share",
    "log_blocks",
    "good_share",
    "chars_per_block",
    "commas_per_100",
)
_LANDMARKS = ("top_below", "top_steps", "top_good_share", "half_below", "half_steps", "half_good_share", "half_link_share",
              "half_log_chars", "half_log_blocks", "most_below", "most_steps", "most_good_share", "most_link_share")  # fmt: skip
_DISTANCES = (
    "after_heading",
    "after_h1",
    "after_first_good",
    "before_last_good",
    "after_good",
    "before_good",
    "after_title",
)
_PAGE = (
    "log_chars",
    "link_share",
    "good_share",
    "log_blocks",
    "top_score",
    "second_score",
    "top_good_share",
    "most_link_share",
)
_GROUP = ("log_blocks", "log_chars", "link_share", "chars_per_block")
_STEPS = (
    "up_from_before",
    "down_from_before",
    "up_to_after",
    "down_to_after",
    "same_path_before",
    "same_path_after",
)
_NEIGHBOUR = ("chars", "words", "link_share", "stop_share", "last_mark", "kind", "good_share")
_NEIGHBOUR_COLUMNS = tuple(_OWN.index(name) for name in _NEIGHBOUR)

# Where each group of features begins.
_LISTS = len(v.WORD_LISTS)
_CATEGORIES = len(v.CATEGORIES)
_ANCESTORS = len(v.ANCESTORS)
_AT_LISTS = len(_OWN)
_AT_NAMES = _AT_LISTS + _LISTS
_AT_CONTAINERS = _AT_NAMES + 2 * _CATEGORIES + _ANCESTORS
_AT_LANDMARKS = _AT_CONTAINERS + _CONTAINERS * len(_CONTAINER)
_AT_DISTANCES = _AT_LANDMARKS + len(_LANDMARKS)
_AT_PAGE = _AT_DISTANCES + len(_DISTANCES)
_AT_PATHS = _AT_PAGE + len(_PAGE)
_AT_CLASSES = _AT_PATHS + len(_GROUP)
_AT_STEPS = _AT_CLASSES + len(_GROUP)
_AT_NEIGHBOURS = _AT_STEPS + len(_STEPS)
FEATURES = _AT_NEIGHBOURS + len(_BEFORE_AND_AFTER) * len(_NEIGHBOUR)

_PRIME = np.uint64(v.FNV_PRIME)
_OFFSET = np.uint64(v.FNV_OFFSET)
_H1, _H6 = v.KIND_H1, v.KIND_H6
_SEEN_SLOTS = 4096
_FAR = 999


def feature_names() -> list[str]:
    """The F names, `group.feature`, in the order of the columns of `features`."""
    names = [f"own.{n}" for n in _OWN] + [f"words.{n}" for n in v.WORD_LISTS]
    names += (
        [f"near.{n}" for n in v.CATEGORIES]
        + [f"above.{n}" for n in v.CATEGORIES]
        + [f"inside.{n}" for n in v.ANCESTORS]
    )
    names += [f"container{level}.{n}" for level in range(_CONTAINERS) for n in _CONTAINER]
    names += (
        [f"landmark.{n}" for n in _LANDMARKS]
        + [f"distance.{n}" for n in _DISTANCES]
        + [f"page.{n}" for n in _PAGE]
    )
    names += (
        [f"same_path.{n}" for n in _GROUP]
        + [f"same_class.{n}" for n in _GROUP]
        + [f"steps.{n}" for n in _STEPS]
    )
    return names + [f"neighbour{d:+d}.{n}" for d in _BEFORE_AND_AFTER for n in _NEIGHBOUR]


@njit(cache=True, nogil=True)
def features(nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary) -> tuple[Floats, Tree]:
    """(float32[B, F], Tree) of what `blocks.scan` returned."""
    tree = tree_sums(nodes, blocks, vocabulary)
    x = np.zeros((blocks.start.shape[0], FEATURES), np.float32)
    paths = path_keys(nodes, blocks)
    _own(nodes, blocks, vocabulary, tree, np.zeros(_SEEN_SLOTS, np.uint64), x)
    _names(nodes, blocks, tree, x)
    _containers(nodes, blocks, tree, x)
    _landmarks(nodes, blocks, tree, x)
    _distances(nodes, blocks, vocabulary, tree, x)
    _page(nodes, blocks, tree, x)
    _groups(paths, blocks, x, _AT_PATHS)
    _groups(tree.class_key, blocks, x, _AT_CLASSES)
    _steps(nodes, blocks, paths, x)
    _neighbours(x)
    return x, tree


@njit(cache=True, nogil=True, inline="always")
def _log(value: float) -> float:
    return np.log2(1.0 + value)


@njit(cache=True, nogil=True, _nrt=False)
def _own(
    nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary, tree: Tree, seen: Keys, x: Floats
) -> None:
    count = blocks.start.shape[0]
    total, total_good = max(tree.chars[0], 1.0), max(tree.good_chars[0], 1.0)
    before, good_before = 0.0, 0.0
    for b in range(count):
        row, counts, node = x[b], blocks.counts[b], blocks.node[b]
        chars, words = counts[t.CHARS], max(counts[t.WORDS], np.float32(1.0))
        row[0] = chars
        row[1] = counts[t.WORDS]
        row[2] = counts[t.LINK_CHARS] / chars
        row[3] = counts[t.DIGITS] / chars
        row[4] = counts[t.CAPITALS] / chars
        row[5] = counts[t.COMMAS] / chars * 100
        row[6] = counts[t.SENTENCES]
        row[7] = counts[t.MARKS]
        row[8] = counts[t.CAPITAL_WORDS] / words
        row[9] = counts[t.STOP_WORDS] / words
        row[10] = counts[t.LAST]
        row[11] = counts[t.FIRST]
        row[12] = counts[t.WIDE_CHARS] / chars
        row[13] = counts[t.IMAGES]
        row[14] = vocabulary.kinds[nodes.tag[node]]
        row[15] = nodes.depth[node]
        row[16] = b / count
        row[17] = before / total
        row[18] = count - b
        row[19] = b
        row[20] = good_before / total_good
        row[21] = tree.good[b] / total_good
        row[22] = chars / words
        row[23] = vocabulary.kinds[nodes.tag[nodes.parent[node]]]
        row[24] = _is_repeated(blocks, b, seen)
        row[25] = counts[t.TITLE_WORDS] / words
        row[26] = counts[t.BOLD_CHARS] / chars
        for k in range(_LISTS):
            row[_AT_LISTS + k] = counts[t.WORD_LIST + k]
        before += chars
        good_before += tree.good[b]


@njit(cache=True, nogil=True)
def _is_repeated(blocks: Blocks, b: int, seen: Keys) -> bool:
    """Whether an earlier block has the same text; enters this one in `seen` (which holds about four thousand)."""
    h = _OFFSET
    for i in range(blocks.start[b], blocks.end[b]):
        h = (h ^ np.uint64(blocks.text[i])) * _PRIME
    at = h % np.uint64(_SEEN_SLOTS)
    for _ in range(64):
        if seen[at] == h:
            return True
        if seen[at] == 0:
            seen[at] = h
            return False
        at = (at + np.uint64(1)) % np.uint64(_SEEN_SLOTS)
    return False


@njit(cache=True, nogil=True, _nrt=False)
def _names(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    for b in range(blocks.start.shape[0]):
        node = blocks.node[b]
        p = nodes.parent[node]
        near = nodes.names[node] | nodes.names[p] | nodes.names[nodes.parent[p]]
        for k in range(_CATEGORIES):
            x[b, _AT_NAMES + k] = (near >> k) & 1
            x[b, _AT_NAMES + _CATEGORIES + k] = (tree.all_names[node] >> k) & 1
        for k in range(_ANCESTORS):
            x[b, _AT_NAMES + 2 * _CATEGORIES + k] = (tree.all_tags[node] >> k) & 1


@njit(cache=True, nogil=True, _nrt=False)
def _containers(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    total_good = max(tree.good_chars[0], 1.0)
    for b in range(blocks.start.shape[0]):
        node = blocks.node[b]
        at = _AT_CONTAINERS
        for _ in range(_CONTAINERS):
            chars = max(tree.chars[node], 1.0)
            x[b, at] = _log(tree.chars[node])
            x[b, at + 1] = tree.link_chars[node] / chars
            x[b, at + 2] = _log(tree.blocks[node])
            x[b, at + 3] = tree.good_chars[node] / total_good
            x[b, at + 4] = tree.chars[node] / max(tree.blocks[node], 1.0)
            x[b, at + 5] = tree.commas[node] / chars * 100
            at += len(_CONTAINER)
            node = nodes.parent[node]


@njit(cache=True, nogil=True)
def _meeting(nodes: Nodes, landmark: int) -> tuple[Int64s, Int64s, Int64s]:
    """For each element: the lowest ancestor that is also one of the landmark, the steps up to it, and the last element below it."""
    n = nodes.parent.shape[0]
    on = np.zeros(n, np.bool_)
    at = landmark
    while at > 0:
        on[at] = True
        at = nodes.parent[at]
    meet, steps, branch = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for i in range(1, n):
        p = nodes.parent[i]
        if on[i]:
            meet[i], branch[i] = i, i
        else:
            meet[i], steps[i] = meet[p], steps[p] + 1
            branch[i] = i if meet[i] == p else branch[p]
    return meet, steps, branch


@njit(cache=True, nogil=True)
def _landmarks(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    total_good = max(tree.good_chars[0], 1.0)
    at = _AT_LANDMARKS
    for k in range(3):
        landmark = tree.landmarks[k]
        meet, steps, branch = _meeting(nodes, landmark)
        for b in range(blocks.start.shape[0]):
            node = blocks.node[b]
            x[b, at] = nodes.depth[landmark] - nodes.depth[meet[node]]
            x[b, at + 1] = steps[node]
            if k == 0:
                x[b, at + 2] = tree.good_chars[meet[node]] / total_good
                continue
            side = branch[node]
            x[b, at + 2] = tree.good_chars[side] / total_good
            x[b, at + 3] = tree.link_chars[side] / max(tree.chars[side], 1.0)
            if k == 1:
                x[b, at + 4] = _log(tree.chars[side])
                x[b, at + 5] = _log(tree.blocks[side])
        at += (3, 6, 4)[k]


@njit(cache=True, nogil=True, _nrt=False)
def _distances(
    nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary, tree: Tree, x: Floats
) -> None:
    count = blocks.start.shape[0]
    first_good, last_good, h1 = 0, -1, -1
    for b in range(count - 1, -1, -1):
        if tree.good[b] > 0:
            first_good = b
            last_good = max(last_good, b)
        if vocabulary.kinds[nodes.tag[blocks.node[b]]] == _H1:
            h1 = b
    heading, good, title = -100, -100, -1
    at = _AT_DISTANCES
    for b in range(count):
        if _H1 <= vocabulary.kinds[nodes.tag[blocks.node[b]]] <= _H6:
            heading = b
        if title < 0 and blocks.counts[b, t.WORDS] >= 4 and x[b, 25] >= 0.6:
            title = b
        x[b, at] = min(b - heading, 100)
        x[b, at + 1] = b - h1 if h1 >= 0 else _FAR
        x[b, at + 2] = b - first_good
        x[b, at + 3] = last_good - b
        x[b, at + 4] = min(b - good, 200)
        if tree.good[b] > 0:
            good = b
    good = 1 << 20
    for b in range(count - 1, -1, -1):
        x[b, at + 5] = min(good - b, 200)
        x[b, at + 6] = b - title if title >= 0 else _FAR
        if tree.good[b] > 0:
            good = b


@njit(cache=True, nogil=True, _nrt=False)
def _page(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    total, total_good = max(tree.chars[0], 1.0), max(tree.good_chars[0], 1.0)
    top, most = tree.landmarks[0], tree.landmarks[2]
    x[:, _AT_PAGE] = _log(tree.chars[0])
    x[:, _AT_PAGE + 1] = tree.link_chars[0] / total
    x[:, _AT_PAGE + 2] = tree.good_chars[0] / total
    x[:, _AT_PAGE + 3] = _log(blocks.start.shape[0])
    x[:, _AT_PAGE + 4] = tree.scores[0]
    x[:, _AT_PAGE + 5] = tree.scores[1] / max(tree.scores[0], 1e-9)
    x[:, _AT_PAGE + 6] = tree.good_chars[top] / total_good
    x[:, _AT_PAGE + 7] = tree.link_chars[most] / max(tree.chars[most], 1.0)


@njit(cache=True, nogil=True)
def _groups(keys: Keys, blocks: Blocks, x: Floats, at: int) -> None:
    """Sums over the blocks with an equal key."""
    order = np.argsort(keys)
    i = 0
    while i < keys.shape[0]:
        j = i
        chars, links = 0.0, 0.0
        while j < keys.shape[0] and keys[order[j]] == keys[order[i]]:
            chars += blocks.counts[order[j], t.CHARS]
            links += blocks.counts[order[j], t.LINK_CHARS]
            j += 1
        for k in range(i, j):
            row = x[order[k]]
            row[at] = _log(j - i)
            row[at + 1] = _log(chars)
            row[at + 2] = links / max(chars, 1.0)
            row[at + 3] = chars / (j - i)
        i = j


@njit(cache=True, nogil=True, _nrt=False)
def _steps(nodes: Nodes, blocks: Blocks, paths: Keys, x: Floats) -> None:
    """Steps up from one block's container to the common ancestor with the next one's, and down from there."""
    for b in range(1, blocks.start.shape[0]):
        i, j = blocks.node[b], blocks.node[b - 1]
        down, up = 0, 0
        while i != j:
            if nodes.depth[i] >= nodes.depth[j] and i != 0:
                i = nodes.parent[i]
                down += 1
            else:
                j = nodes.parent[j]
                up += 1
        same = paths[b] == paths[b - 1]
        row, before = x[b], x[b - 1]
        row[_AT_STEPS], row[_AT_STEPS + 1], row[_AT_STEPS + 4] = up, down, same
        before[_AT_STEPS + 2], before[_AT_STEPS + 3], before[_AT_STEPS + 5] = up, down, same


@njit(cache=True, nogil=True, _nrt=False)
def _neighbours(x: Floats) -> None:
    """Some columns of the two blocks on each side, -1 beyond the ends of the page."""
    count = x.shape[0]
    for b in range(count):
        at = _AT_NEIGHBOURS
        for d in _BEFORE_AND_AFTER:
            for column in _NEIGHBOUR_COLUMNS:
                x[b, at] = x[b + d, column] if 0 <= b + d < count else -1.0
                at += 1
