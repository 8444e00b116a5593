"""A page's blocks -> their probabilities of being main text, and a balanced page -> its main text, each
in one call from Python.

Two looks of forests, the kind of the page between them, then the threshold of the best expected F1.
A call of a kernel costs Python a microsecond for each array that goes in or comes out: of the
quarter of a millisecond that a small page took, most. The trap: what is compiled here holds all
that it calls, so a change anywhere in `blocks` compiles it anew.

Shape letters: B blocks, F features, K kinds.
"""

from __future__ import annotations

import numpy as np

from curation.blocks import forest
from curation.blocks import vocabulary as v
from curation.blocks.features import features
from curation.blocks.forest import Forest, Model
from curation.blocks.jit import kernel
from curation.blocks.join import joined
from curation.blocks.kinds import kind_probabilities, page_means
from curation.blocks.repeats import Repeats
from curation.blocks.scan import scanned
from curation.blocks.text import Blocks, Bytes, Doubles, Floats, Nodes
from curation.blocks.tree import Tree

_LOWEST, _HIGHEST = 0.05, 0.5  # bounds of the threshold
_context, _lengths, _probabilities = forest.context, forest.lengths, forest.probabilities
_look_again, _best_threshold = forest.look_again, forest.best_threshold


@kernel
def second_look(
    p: Doubles,
    nodes: Nodes,
    blocks: Blocks,
    tree: Tree,
    repeats: Repeats,
    x: Floats,
    kind: Forest,
) -> Floats:
    """Return float32[B, CONTEXT + K]: what the second forest sees beside x float32[B, F], from the
    first one's probabilities p float64[B]."""
    context = _context(p, nodes, blocks, tree, repeats)
    kinds = kind_probabilities(kind, page_means(x))
    width = context.shape[1]
    extra = np.empty((len(p), width + len(kinds)), np.float32)
    for b in range(len(p)):
        extra[b, :width] = context[b]
        extra[b, width:] = kinds
    return extra


@kernel
def probabilities(
    nodes: Nodes, blocks: Blocks, tree: Tree, repeats: Repeats, x: Floats, model: Model
) -> tuple[Doubles, float, float]:
    """Return float64[B], the probability of each block, whose features are x float32[B, F]; from
    which on it is kept; the F1 that is expected of that."""
    p = _probabilities(model.first, x)
    extra = second_look(p, nodes, blocks, tree, repeats, x, model.kind)
    _look_again(model.second, x, extra, p)
    threshold, expected = _best_threshold(p, _lengths(blocks), _LOWEST, _HIGHEST)
    return p, threshold, expected


@kernel
def page_text(
    html: Bytes, words: v.Vocabulary, model: Model, max_blocks: int, markdown: bool
) -> tuple[Bytes, int, int, float]:
    """Return the main text of a balanced page, both as uint8[any] in UTF-8; how many blocks and
    bytes of text it has; the expected F1. No text where it has no block or more than `max_blocks`.
    """
    nodes, blocks = scanned(html, words, max_blocks + 1)
    count = blocks.start.shape[0]
    if count == 0 or count > max_blocks:
        return np.empty(0, np.uint8), count, 0, 0.0
    x, tree, repeats = features(nodes, blocks, words)
    p, threshold, expected = probabilities(nodes, blocks, tree, repeats, x, model)
    return joined(p >= threshold, nodes, blocks, markdown), count, len(blocks.text), expected
