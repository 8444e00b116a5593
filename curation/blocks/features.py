"""The features of a block: about three hundred numbers from its text, its tags and names, its place
and its surroundings.

`feature_names()` lists them in order, by group; docs/extraction.md explains each group. Linear in
blocks and elements but for two sorts; about 1 microsecond a block. Where a loop makes no array,
references are not counted (`_nrt=False`, as in `blocks.scan`). The trap: a model knows a feature by
its column, so a changed order needs a new model.

Shape letters: N elements (0 is a root above all), B blocks, F features.
"""

from __future__ import annotations

import numpy as np

from curation.blocks import repeats
from curation.blocks import text as t
from curation.blocks import vocabulary as v
from curation.blocks.jit import inner, kernel
from curation.blocks.repeats import Repeats
from curation.blocks.text import Blocks, Floats, Int64s, Keys, Nodes
from curation.blocks.tree import Tree, path_keys, tree_sums

_CONTAINERS = 4
_BEFORE_AND_AFTER = (-2, -1, 1, 2)


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_OWN = _split("""chars words link_share digit_share capital_share commas_per_100 sentences marks
    capital_word_share stop_share last_mark first_sort wide_share images kind depth place
    chars_before_share blocks_after blocks_before good_before_share good_share word_length
    parent_kind is_repeated title_share bold_share""")
_CONTAINER = _split("""log_chars link_share log_blocks good_share chars_per_block commas_per_100""")
_LANDMARKS = _split("""top_below top_steps top_good_share half_below half_steps half_good_share
    half_link_share half_log_chars half_log_blocks most_below most_steps most_good_share most_link_share""")
_DISTANCES = _split("""after_heading after_h1 after_first_good before_last_good after_good
    before_good after_title""")
_PAGE = _split("""log_chars link_share good_share log_blocks top_score second_score top_good_share
    most_link_share""")
_GROUP = _split("log_blocks log_chars link_share chars_per_block")
_STEPS = _split("""up_from_before down_from_before up_to_after down_to_after same_path_before
    same_path_after""")
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
_AT_REPEATS = _AT_NEIGHBOURS + len(_BEFORE_AND_AFTER) * len(_NEIGHBOUR)
FEATURES = _AT_REPEATS + repeats.COLUMNS
# The columns by name: absolute, but within its group for a container and a group of like blocks.
(_CHARS, _WORDS, _LINK_SHARE, _DIGIT_SHARE, _CAPITAL_SHARE, _COMMAS_PER_100, _SENTENCES, _MARKS,
 _CAPITAL_WORD_SHARE, _STOP_SHARE, _LAST_MARK, _FIRST_SORT, _WIDE_SHARE, _IMAGES, _KIND, _DEPTH,
 _PLACE, _CHARS_BEFORE_SHARE, _BLOCKS_AFTER, _BLOCKS_BEFORE, _GOOD_BEFORE_SHARE, _GOOD_SHARE,
 _WORD_LENGTH, _PARENT_KIND, _IS_REPEATED, _TITLE_SHARE,
 _BOLD_SHARE) = range(len(_OWN))  # fmt: skip
(_IN_LOG_CHARS, _IN_LINK_SHARE, _IN_LOG_BLOCKS, _IN_GOOD_SHARE, _IN_CHARS_PER_BLOCK,
 _IN_COMMAS_PER_100) = range(len(_CONTAINER))  # fmt: skip
(_TOP_BELOW, _TOP_STEPS, _TOP_GOOD_SHARE, _HALF_BELOW, _HALF_STEPS, _HALF_GOOD_SHARE,
 _HALF_LINK_SHARE, _HALF_LOG_CHARS, _HALF_LOG_BLOCKS, _MOST_BELOW, _MOST_STEPS, _MOST_GOOD_SHARE,
 _MOST_LINK_SHARE) = range(_AT_LANDMARKS, _AT_DISTANCES)  # fmt: skip
(_AFTER_HEADING, _AFTER_H1, _AFTER_FIRST_GOOD, _BEFORE_LAST_GOOD, _AFTER_GOOD, _BEFORE_GOOD,
 _AFTER_TITLE) = range(_AT_DISTANCES, _AT_PAGE)  # fmt: skip
(_PAGE_LOG_CHARS, _PAGE_LINK_SHARE, _PAGE_GOOD_SHARE, _PAGE_LOG_BLOCKS, _PAGE_TOP_SCORE,
 _PAGE_SECOND_SCORE, _PAGE_TOP_GOOD_SHARE,
 _PAGE_MOST_LINK_SHARE) = range(_AT_PAGE, _AT_PATHS)  # fmt: skip
_LIKE_LOG_BLOCKS, _LIKE_LOG_CHARS, _LIKE_LINK_SHARE, _LIKE_CHARS_PER_BLOCK = range(len(_GROUP))
(_UP_FROM_BEFORE, _DOWN_FROM_BEFORE, _UP_TO_AFTER, _DOWN_TO_AFTER, _SAME_PATH_BEFORE,
 _SAME_PATH_AFTER) = range(_AT_STEPS, _AT_NEIGHBOURS)  # fmt: skip
_STEPS_COLUMN, _GOOD_COLUMN, _LINK_COLUMN = 1, 2, 3  # behind `below` of each landmark

_repeats = repeats.repeats
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
    names += [f"neighbour{d:+d}.{n}" for d in _BEFORE_AND_AFTER for n in _NEIGHBOUR]
    return names + repeats.names()


@kernel
def features(
    nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary
) -> tuple[Floats, Tree, Repeats]:
    """(float32[B, F], Tree, Repeats) of what `blocks.scan` returned."""
    tree = tree_sums(nodes, blocks, vocabulary)
    x = np.zeros((blocks.start.shape[0], FEATURES), np.float32)
    paths = path_keys(nodes, blocks)
    _own(nodes, blocks, vocabulary, tree, np.zeros(_SEEN_SLOTS, np.uint64), x)
    _names(nodes, blocks, tree, x)
    _containers(nodes, blocks, tree, x)
    _landmarks(nodes, blocks, tree, x)
    _distances(nodes, blocks, vocabulary, tree, x)
    _page(nodes, blocks, tree, x)
    _groups(paths, blocks, x, np.int64(_AT_PATHS))
    _groups(tree.class_key, blocks, x, np.int64(_AT_CLASSES))
    _steps(nodes, blocks, paths, x)
    _neighbours(x)
    return x, tree, _repeats(nodes, blocks, tree, vocabulary, x, np.int64(_AT_REPEATS))


@inner(_nrt=False)
def _log(value: float) -> float:
    return np.log2(1.0 + value)


@inner(_nrt=False)
def _own(
    nodes: Nodes, blocks: Blocks, vocabulary: v.Vocabulary, tree: Tree, seen: Keys, x: Floats
) -> None:
    count = blocks.start.shape[0]
    total, total_good = max(tree.chars[0], 1.0), max(tree.good_chars[0], 1.0)
    before, good_before = 0.0, 0.0
    for b in range(count):
        row, counts, node = x[b], blocks.counts[b], blocks.node[b]
        chars, words = counts[t.CHARS], max(counts[t.WORDS], np.float32(1.0))
        row[_CHARS] = chars
        row[_WORDS] = counts[t.WORDS]
        row[_LINK_SHARE] = counts[t.LINK_CHARS] / chars
        row[_DIGIT_SHARE] = counts[t.DIGITS] / chars
        row[_CAPITAL_SHARE] = counts[t.CAPITALS] / chars
        row[_COMMAS_PER_100] = counts[t.COMMAS] / chars * 100
        row[_SENTENCES] = counts[t.SENTENCES]
        row[_MARKS] = counts[t.MARKS]
        row[_CAPITAL_WORD_SHARE] = counts[t.CAPITAL_WORDS] / words
        row[_STOP_SHARE] = counts[t.STOP_WORDS] / words
        row[_LAST_MARK] = counts[t.LAST]
        row[_FIRST_SORT] = counts[t.FIRST]
        row[_WIDE_SHARE] = counts[t.WIDE_CHARS] / chars
        row[_IMAGES] = counts[t.IMAGES]
        row[_KIND] = vocabulary.kinds[nodes.tag[node]]
        row[_DEPTH] = nodes.depth[node]
        row[_PLACE] = b / count
        row[_CHARS_BEFORE_SHARE] = before / total
        row[_BLOCKS_AFTER] = count - b
        row[_BLOCKS_BEFORE] = b
        row[_GOOD_BEFORE_SHARE] = good_before / total_good
        row[_GOOD_SHARE] = tree.good[b] / total_good
        row[_WORD_LENGTH] = chars / words
        row[_PARENT_KIND] = vocabulary.kinds[nodes.tag[nodes.parent[node]]]
        row[_IS_REPEATED] = _is_repeated(blocks, b, seen)
        row[_TITLE_SHARE] = counts[t.TITLE_WORDS] / words
        row[_BOLD_SHARE] = counts[t.BOLD_CHARS] / chars
        for k in range(_LISTS):
            row[_AT_LISTS + k] = counts[t.WORD_LIST + k]
        before += chars
        good_before += tree.good[b]


@inner
def _is_repeated(blocks: Blocks, b: int, seen: Keys) -> bool:
    """Whether an earlier block has the same text; enters this one in `seen` (which holds about four
    thousand)."""
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


@inner(_nrt=False)
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


@inner(_nrt=False)
def _containers(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    total_good = max(tree.good_chars[0], 1.0)
    for b in range(blocks.start.shape[0]):
        node = blocks.node[b]
        at = _AT_CONTAINERS
        for _ in range(_CONTAINERS):
            chars = max(tree.chars[node], 1.0)
            x[b, at + _IN_LOG_CHARS] = _log(tree.chars[node])
            x[b, at + _IN_LINK_SHARE] = tree.link_chars[node] / chars
            x[b, at + _IN_LOG_BLOCKS] = _log(tree.blocks[node])
            x[b, at + _IN_GOOD_SHARE] = tree.good_chars[node] / total_good
            x[b, at + _IN_CHARS_PER_BLOCK] = tree.chars[node] / max(tree.blocks[node], 1.0)
            x[b, at + _IN_COMMAS_PER_100] = tree.commas[node] / chars * 100
            at += len(_CONTAINER)
            node = nodes.parent[node]


@inner
def _meeting(nodes: Nodes, landmark: int) -> tuple[Int64s, Int64s, Int64s]:
    """Return for each element: the lowest ancestor it shares with the landmark, the steps up to it,
    the last one below it."""
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


@inner
def _landmarks(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    total_good = max(tree.good_chars[0], 1.0)
    columns = (_TOP_BELOW, _HALF_BELOW, _MOST_BELOW)
    for k in range(3):
        landmark, at = tree.landmarks[k], columns[k]
        meet, steps, branch = _meeting(nodes, landmark)
        for b in range(blocks.start.shape[0]):
            node = blocks.node[b]
            x[b, at] = nodes.depth[landmark] - nodes.depth[meet[node]]
            x[b, at + _STEPS_COLUMN] = steps[node]
            if k == 0:
                x[b, _TOP_GOOD_SHARE] = tree.good_chars[meet[node]] / total_good
                continue
            side = branch[node]
            x[b, at + _GOOD_COLUMN] = tree.good_chars[side] / total_good
            x[b, at + _LINK_COLUMN] = tree.link_chars[side] / max(tree.chars[side], 1.0)
            if k == 1:
                x[b, _HALF_LOG_CHARS] = _log(tree.chars[side])
                x[b, _HALF_LOG_BLOCKS] = _log(tree.blocks[side])


@inner(_nrt=False)
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
    for b in range(count):
        if _H1 <= vocabulary.kinds[nodes.tag[blocks.node[b]]] <= _H6:
            heading = b
        if title < 0 and blocks.counts[b, t.WORDS] >= 4 and x[b, _TITLE_SHARE] >= 0.6:
            title = b
        x[b, _AFTER_HEADING] = min(b - heading, 100)
        x[b, _AFTER_H1] = b - h1 if h1 >= 0 else _FAR
        x[b, _AFTER_FIRST_GOOD] = b - first_good
        x[b, _BEFORE_LAST_GOOD] = last_good - b
        x[b, _AFTER_GOOD] = min(b - good, 200)
        if tree.good[b] > 0:
            good = b
    good = 1 << 20
    for b in range(count - 1, -1, -1):
        x[b, _BEFORE_GOOD] = min(good - b, 200)
        x[b, _AFTER_TITLE] = b - title if title >= 0 else _FAR
        if tree.good[b] > 0:
            good = b


@inner(_nrt=False)
def _page(nodes: Nodes, blocks: Blocks, tree: Tree, x: Floats) -> None:
    total, total_good = max(tree.chars[0], 1.0), max(tree.good_chars[0], 1.0)
    top, most = tree.landmarks[0], tree.landmarks[2]
    x[:, _PAGE_LOG_CHARS] = _log(tree.chars[0])
    x[:, _PAGE_LINK_SHARE] = tree.link_chars[0] / total
    x[:, _PAGE_GOOD_SHARE] = tree.good_chars[0] / total
    x[:, _PAGE_LOG_BLOCKS] = _log(blocks.start.shape[0])
    x[:, _PAGE_TOP_SCORE] = tree.scores[0]
    x[:, _PAGE_SECOND_SCORE] = tree.scores[1] / max(tree.scores[0], 1e-9)
    x[:, _PAGE_TOP_GOOD_SHARE] = tree.good_chars[top] / total_good
    x[:, _PAGE_MOST_LINK_SHARE] = tree.link_chars[most] / max(tree.chars[most], 1.0)


@inner
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
            row[at + _LIKE_LOG_BLOCKS] = _log(j - i)
            row[at + _LIKE_LOG_CHARS] = _log(chars)
            row[at + _LIKE_LINK_SHARE] = links / max(chars, 1.0)
            row[at + _LIKE_CHARS_PER_BLOCK] = chars / (j - i)
        i = j


@kernel(_nrt=False)
def _steps(nodes: Nodes, blocks: Blocks, paths: Keys, x: Floats) -> None:
    """Steps up from one block's container to the common ancestor with the next one's, and down from
    there."""
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
        row[_UP_FROM_BEFORE], row[_DOWN_FROM_BEFORE], row[_SAME_PATH_BEFORE] = up, down, same
        before[_UP_TO_AFTER], before[_DOWN_TO_AFTER], before[_SAME_PATH_AFTER] = up, down, same


@inner(_nrt=False)
def _neighbours(x: Floats) -> None:
    """Some columns of the two blocks on each side, -1 beyond the ends of the page."""
    count = x.shape[0]
    for b in range(count):
        at = _AT_NEIGHBOURS
        for d in _BEFORE_AND_AFTER:
            for column in _NEIGHBOUR_COLUMNS:
                x[b, at] = x[b + d, column] if 0 <= b + d < count else -1.0
                at += 1
