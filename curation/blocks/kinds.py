"""The kind of a page (article, forum, product ...), estimated from the means of its blocks'
features.

A small forest for each kind, a few microseconds a page. What a page's main text is depends on its
kind: the answers of a thread belong to it, the comments under an article do not. The trap: it is a
guess, right for three pages in four, so it is only told to the second forest and decides nothing by
itself.

Shape letters: B blocks, F features, K kinds.
"""

from __future__ import annotations

import numpy as np

from curation.blocks.forest import Forest
from curation.blocks.jit import kernel
from curation.blocks.text import Floats

KINDS = ("article", "collection", "documentation", "forum", "listing", "product", "service")
_K = len(KINDS)


def kind_names() -> list[str]:
    """The names of the K columns of probabilities."""
    return [f"kind.{name}" for name in KINDS]


@kernel
def page_means(x: Floats) -> Floats:
    """float32[2 F]: the means of x float32[B, F] over the blocks; then those in which a block
    weighs as the square root of its length (the first column)."""
    count, width = x.shape
    sums, weighted = np.zeros(width), np.zeros(width)
    total = 0.0
    for b in range(count):
        weight = np.sqrt(np.float64(x[b, 0]))
        total += weight
        for k in range(width):
            sums[k] += x[b, k]
            weighted[k] += weight * x[b, k]
    out = np.empty(2 * width, np.float32)
    for k in range(width):
        out[k] = sums[k] / count
        out[width + k] = weighted[k] / max(total, 1.0)
    return out


@kernel
def kind_probabilities(forest: Forest, means: Floats) -> Floats:
    """float32[K]: the probability of each of `KINDS`, from `page_means`; trees of all kinds take
    turns."""
    scores = np.zeros(_K)
    for tree in range(forest.root.shape[0]):
        at = forest.root[tree]
        while forest.feature[at] >= 0:
            is_right = means[forest.feature[at]] > forest.threshold[at]
            at = forest.left[at] + (1 if is_right else 0)
        scores[tree % _K] += forest.threshold[at]
    shares = np.exp(scores - scores.max())
    return (shares / shares.sum()).astype(np.float32)
