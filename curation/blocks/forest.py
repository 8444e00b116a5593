"""Boosted trees as arrays: the second look at blocks, the walk through a forest, and the
best number of blocks to keep.

A forest of 60 trees costs about a microsecond a block; most blocks are plainly not content and stop
after half of them. The trap: children of a node lie behind it and a leaf has feature
-1, so a forest from elsewhere must be laid out so too (`train_extractor.packed`).

Shape letters: B blocks, F features, K nodes of all trees, R trees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks import text as t
from curation.blocks.jit import inner, kernel
from curation.blocks.repeats import Repeats
from curation.blocks.text import Blocks, Doubles, Floats, Keys, Nodes
from curation.blocks.tree import Tree

_AROUND = (-3, -2, -1, 1, 2, 3)
_CONTEXT_NAMES = (
    *("before", "after", "own"),
    *(f"neighbour{d:+d}" for d in _AROUND),
    *(f"container{k}" for k in range(4)),
    *("like_item", "like_card", "like_path"),
    *("same_class", "page", "log_words", "container_share", "third_container_share"),
    *("after_first", "before_last", "done", "half_share"),
)
CONTEXT = len(_CONTEXT_NAMES)
_BEFORE, _AFTER, OWN, _NEIGHBOURS = range(4)
_CONTAINERS = _NEIGHBOURS + len(_AROUND)
_GROUPS = _CONTAINERS + 4
(_SAME_CLASS, _PAGE, _LOG_WORDS, _CONTAINER_SHARE, _THIRD_CONTAINER_SHARE, _AFTER_FIRST,
 _BEFORE_LAST, _DONE, _HALF_SHARE) = range(_GROUPS + 3, CONTEXT)  # fmt: skip
_FAR = 999
_FIRST_LOOK = 30  # trees after which a hopeless block is given up
_HOPELESS = -2.5  # log-odds
_LEAF_KEY, _INFINITY_BITS = 0x7FFFFFFF, 0x7F800000
_FEATURE, _LEFT_AT, _LEFT = np.uint64(0xFFF), np.uint64(12), np.uint64(0xFFFFF)
NO_HOPE = 0.08  # what a first forest gives a block that a second one need not look at


class Forest(NamedTuple):
    """Trees whose leaves add up to log-odds.

    A row goes to `left` where x[feature] <= threshold, else to left + 1.
    """

    feature: npt.NDArray[np.int16]  # [K], -1 marks a leaf
    threshold: npt.NDArray[np.float32]  # [K], of a leaf the value
    left: npt.NDArray[np.int32]  # [K]
    root: npt.NDArray[np.int32]  # [R]


class Model(NamedTuple):
    """Two forests, the second of which sees what the first said and has the last word; `kind` tells
    it the page's kind (`blocks.kinds`)."""

    first: Forest
    second: Forest
    kind: Forest


def context_names() -> list[str]:
    """Names of the columns of `context`."""
    return [f"first.{name}" for name in _CONTEXT_NAMES]


class _Steps(NamedTuple):
    """A forest laid out for several walks at once."""

    # [K], a node in one number: the key of its threshold, 20 bits of `left`, 12 of the feature; a
    # leaf leads to itself
    node: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]  # [K], of a leaf
    root: npt.NDArray[np.uint64]  # [R]


@kernel
def probabilities(forest: Forest, x: Floats) -> Doubles:
    """float64[B]: the probability of each row of x float32[B, F]."""
    out = np.empty(x.shape[0])
    steps, bits = _steps(forest), x.view(np.int32)
    keys = np.empty(x.shape[1], np.int32)
    for b in range(x.shape[0]):
        _enter_keys(bits[b], keys, 0)
        out[b] = 1.0 / (1.0 + np.exp(-_log_odds(steps, keys)))
    return out


@kernel
def look_again(forest: Forest, x: Floats, extra: Floats, p: Doubles) -> None:
    """Enter in p float64[B] the probabilities of the rows of x float32[B, F] with extra float32[B,
    E] behind, but of those that `NO_HOPE` leaves out."""
    steps, bits, extra_bits = _steps(forest), x.view(np.int32), extra.view(np.int32)
    keys = np.empty(x.shape[1] + extra.shape[1], np.int32)
    for b in range(x.shape[0]):
        if p[b] >= NO_HOPE:
            _enter_keys(bits[b], keys, 0)
            _enter_keys(extra_bits[b], keys, x.shape[1])
            p[b] = 1.0 / (1.0 + np.exp(-_log_odds(steps, keys)))


@inner
def _steps(forest: Forest) -> _Steps:
    count = forest.feature.shape[0]
    node, bits = np.empty(count, np.int64), forest.threshold.view(np.int32)
    for k in range(count):
        is_leaf = forest.feature[k] < 0
        key = np.int64(_LEAF_KEY if is_leaf else _key(bits[k]))
        left = np.int64(k if is_leaf else forest.left[k])
        node[k] = key << 32 | left << 12 | (0 if is_leaf else forest.feature[k])
    return _Steps(node, forest.threshold, forest.root.astype(np.uint64))


@inner(_nrt=False)  # references uncounted, as in `blocks.scan`
def _key(bits: int) -> int:
    """A number that is in the order of the float32 of these bits; below all for none (NaN)."""
    size = bits & 0x7FFFFFFF
    if size > _INFINITY_BITS:
        return -_LEAF_KEY
    return size if bits >= 0 else -size


@inner(_nrt=False)
def _enter_keys(bits: npt.NDArray[np.int32], keys: npt.NDArray[np.int32], at: int) -> None:
    for k in range(bits.shape[0]):
        keys[at + k] = _key(bits[k])


@inner(_nrt=False)
def _log_odds(steps: _Steps, keys: npt.NDArray[np.int32]) -> float:
    """The sum of the leaves that a row comes to, or of the first trees of a hopeless one.

    Five trees are walked at once: a step waits for the one before, and so five wait together.
    Unsigned places: Numba would look at each signed one whether it counts from the end.
    """
    total, tree, trees = 0.0, np.uint64(0), np.uint64(steps.root.shape[0])
    one, five = np.uint64(1), np.uint64(5)
    while tree + five <= trees:
        if tree == _FIRST_LOOK and total < _HOPELESS:
            return total
        a, b, c = steps.root[tree], steps.root[tree + one], steps.root[tree + np.uint64(2)]
        d, e = steps.root[tree + np.uint64(3)], steps.root[tree + np.uint64(4)]
        while True:
            after_a, after_b = _step(steps, keys, a), _step(steps, keys, b)
            after_c, after_d = _step(steps, keys, c), _step(steps, keys, d)
            after_e = _step(steps, keys, e)
            moved = (after_a ^ a) | (after_b ^ b) | (after_c ^ c) | (after_d ^ d) | (after_e ^ e)
            a, b, c, d, e = after_a, after_b, after_c, after_d, after_e
            if not moved:
                break
        total += steps.value[a]
        total += steps.value[b]
        total += steps.value[c]
        total += steps.value[d]
        total += steps.value[e]
        tree += five
    while tree < trees:
        if tree == _FIRST_LOOK and total < _HOPELESS:
            return total
        at = steps.root[tree]
        after = _step(steps, keys, at)
        while after != at:
            at, after = after, _step(steps, keys, after)
        total += steps.value[at]
        tree += one
    return total


@inner(_nrt=False)
def _step(steps: _Steps, keys: npt.NDArray[np.int32], at: np.uint64) -> np.uint64:
    """The node behind `at`, itself behind a leaf."""
    node = steps.node[at]
    is_right = keys[np.uint64(node) & _FEATURE] > node >> 32
    return (np.uint64(node) >> _LEFT_AT & _LEFT) + np.uint64(is_right)


@kernel
def context(p: Doubles, nodes: Nodes, blocks: Blocks, tree: Tree, repeats: Repeats) -> Floats:
    """Return float32[B, CONTEXT]: a first forest's probabilities (p float64[B]) of a block's
    neighbours and containers."""
    count = p.shape[0]
    y = np.zeros((count, CONTEXT), np.float32)
    words = lengths(blocks) + 1.0
    weight, hoped = _sums(p, words, nodes, blocks)
    _decayed(p, words, y)
    _in_groups(p, words, repeats, y)
    likes = _like(p, words, tree.class_key)
    first, last, kept = -1, -1, 0.0
    for b in range(count):
        if p[b] > 0.5:
            kept += words[b]
            if words[b] >= 9:
                first = b if first < 0 else first
                last = b
    done = 0.0
    whole, hope = max(weight[0], 1e-9), max(hoped[0], 1e-9)
    half = tree.landmarks[1]
    for b in range(count):
        row = y[b]
        row[OWN] = p[b]
        k = _NEIGHBOURS
        for d in _AROUND:
            row[k] = p[b + d] if 0 <= b + d < count else 0.0
            k += 1
        node = blocks.node[b]
        row[_CONTAINER_SHARE] = hoped[node] / hope
        for level in range(4):
            if level == 2:
                row[_THIRD_CONTAINER_SHARE] = hoped[node] / hope
            row[k] = hoped[node] / max(weight[node], 1e-9)
            k += 1
            node = nodes.parent[node]
        row[_SAME_CLASS] = likes[b]
        row[_PAGE] = hoped[0] / whole
        row[_LOG_WORDS] = np.log2(1.0 + kept)
        row[_AFTER_FIRST] = b - first if first >= 0 else _FAR
        row[_BEFORE_LAST] = last - b if last >= 0 else _FAR
        row[_DONE] = done / hope
        row[_HALF_SHARE] = hoped[half] / hope
        done += p[b] * words[b]
    return y


@kernel
def lengths(blocks: Blocks) -> Doubles:
    """float64[B]: words of each block; two wide characters (Chinese, Japanese) make one."""
    return blocks.counts[:, t.WORDS].astype(np.float64) + 0.5 * blocks.counts[:, t.WIDE_CHARS]


@inner
def _sums(p: Doubles, words: Doubles, nodes: Nodes, blocks: Blocks) -> tuple[Doubles, Doubles]:
    """([N] words, [N] words times probability) of each element and all below it."""
    n = nodes.parent.shape[0]
    weight, hoped = np.zeros(n), np.zeros(n)
    for b in range(p.shape[0]):
        weight[blocks.node[b]] += words[b]
        hoped[blocks.node[b]] += words[b] * p[b]
    for i in range(n - 1, 0, -1):
        weight[nodes.parent[i]] += weight[i]
        hoped[nodes.parent[i]] += hoped[i]
    return weight, hoped


@inner
def _decayed(p: Doubles, words: Doubles, y: Floats) -> None:
    """Fill _BEFORE and _AFTER: the mean probability of the blocks before and after, nearer blocks
    weighing more."""
    count = p.shape[0]
    for column in (_BEFORE, _AFTER):
        hoped, weight = 0.0, 0.0
        for step in range(count):
            b = step if column == _BEFORE else count - 1 - step
            y[b, column] = hoped / (weight + 1e-6)
            length = min(words[b], 60.0)
            hoped = 0.7 * hoped + p[b] * length
            weight = 0.7 * weight + length


@inner
def _in_groups(p: Doubles, words: Doubles, repeats: Repeats, y: Floats) -> None:
    """Fill the three columns from _GROUPS: the mean probability in a block's group of like items,
    cards and paths; -1 where it stands in none."""
    for kind in range(repeats.group.shape[0]):
        group = repeats.group[kind]
        hoped, weight = np.zeros(repeats.count[kind]), np.zeros(repeats.count[kind])
        for b in range(p.shape[0]):
            if group[b] >= 0:
                hoped[group[b]] += p[b] * words[b]
                weight[group[b]] += words[b]
        for b in range(p.shape[0]):
            y[b, _GROUPS + kind] = hoped[group[b]] / weight[group[b]] if group[b] >= 0 else -1.0


@inner
def _like(p: Doubles, words: Doubles, keys: Keys) -> Doubles:
    """[B]: the mean probability of the blocks with an equal key."""
    order = np.argsort(keys)
    out = np.zeros(p.shape[0])
    i = 0
    while i < p.shape[0]:
        j = i
        hoped, weight = 0.0, 0.0
        while j < p.shape[0] and keys[order[j]] == keys[order[i]]:
            hoped += p[order[j]] * words[order[j]]
            weight += words[order[j]]
            j += 1
        for k in range(i, j):
            out[order[k]] = hoped / weight
        i = j
    return out


@kernel
def best_threshold(p: Doubles, words: Doubles, low: float, high: float) -> tuple[float, float]:
    """Return (threshold, expected F1) of keeping the blocks with p >= threshold, which is cut to
    [low, high].

    words float64[B] are the words w of each block. Keeping the k most probable blocks is expected
    to give F1 = 2 sum(p w over the k) / (sum(w over the k) + sum(p w over all)).

    >>> threshold, f1 = best_threshold(np.array([0.9, 0.1, 0.8]), np.full(3, 10.0), 0.05, 0.95)
    >>> round(threshold, 3), round(f1, 3)
    (0.8, 0.895)
    """
    order = np.argsort(-p)
    hoped = 0.0
    for b in range(p.shape[0]):
        hoped += p[b] * (words[b] + 0.25)
    right, kept, best, threshold = 0.0, 0.0, -1.0, 0.5
    for b in order:
        weight = words[b] + 0.25
        right += p[b] * weight
        kept += weight
        expected = 2 * right / (kept + hoped + 1e-9)
        if expected > best:
            best, threshold = expected, p[b]
    return min(max(threshold, low), high), best
