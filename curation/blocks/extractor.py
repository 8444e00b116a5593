"""A page -> its main text, block by block: the learned extractor.

An HTML parser balances the page, a kernel cuts it into blocks, two small forests and a line say how likely each block is main text, and
those are kept that give the highest expected F1. About 2 ms for a page of 100 kB, most of it in the parser; the first call loads the
model and the compiled kernels (half a second, once). The trap: on a page unlike all it learned from the expected F1 is low, and the
caller should ask another extractor; `judge` says so with `is_strange`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import turbohtml

from curation.blocks import forest
from curation.blocks import join as blocks_join
from curation.blocks import scan as kernel
from curation.blocks import vocabulary as v
from curation.blocks.features import FEATURES, feature_names, features
from curation.blocks.forest import Model
from curation.blocks.text import CHARS, LINK_CHARS, Blocks, Nodes
from curation.blocks.tree import Tree

MAX_BLOCKS = 50_000
_LITTLE_BYTES = 500
_TITLE = re.compile("<title[^>]*>", re.IGNORECASE)
_MIN_EXPECTED_F1 = 0.65
_LOWEST, _HIGHEST = 0.05, 0.5  # bounds of the threshold


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text of a page: its probability of being main text, whether it is kept, its element, the share of it in links."""

    text: str
    score: float
    kept: bool
    tag: str
    link_share: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A page cut into blocks and judged. `p` float64[B]; kept are the blocks of at least `threshold`."""

    nodes: Nodes
    blocks: Blocks
    tree: Tree
    p: npt.NDArray[np.float64]
    threshold: float
    expected_f1: float

    @property
    def is_strange(self) -> bool:
        """Whether another extractor should be asked: no choice of blocks promises much."""
        return self.expected_f1 < _MIN_EXPECTED_F1

    def kept(self, headline: bool | None = None, comments: bool = False) -> npt.NDArray[np.bool_]:
        """bool[B]: the blocks to keep. `headline` in or out, None as the model says; `comments` adds what stands under comments."""
        keep = self.p >= self.threshold
        if comments:
            keep |= blocks_join.is_comment(self.tree, self.blocks)
        if headline is not None:
            found = blocks_join.headline(keep, self.nodes, self.blocks, vocabulary())
            if found >= 0:
                keep[found] = headline
        return keep

    def text(
        self, *, headline: bool | None = None, comments: bool = False, markdown: bool = False
    ) -> str:
        """The kept blocks as one text; `markdown` marks headings."""
        keep = self.kept(headline, comments)
        return bytes(blocks_join.joined(keep, self.nodes, self.blocks, markdown)).decode(
            "utf-8", "replace"
        )

    def listed(self) -> list[Block]:
        """Every block with its score, in the order of the page."""
        keep = self.kept()
        counts, tags = self.blocks.counts, self.nodes.tag[self.blocks.node]
        return [
            Block(
                text,
                float(p),
                bool(kept),
                v.NAMES[tag - 1] if tag else "",
                float(count[LINK_CHARS] / count[CHARS]),
            )
            for text, p, kept, tag, count in zip(
                block_texts(self.blocks), self.p, keep, tags, counts, strict=True
            )
        ]


@cache
def vocabulary() -> v.Vocabulary:
    """The tables of the kernels, made once."""
    return v.vocabulary()


@cache
def shipped_model() -> Model:
    """The model that comes with the package."""
    with files("curation.blocks").joinpath("model.npz").open("rb") as stream:
        return load_model(np.load(stream))


def load_model(arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
    """The model in the arrays of an .npz file. Raises ValueError where it was made for other features."""
    names = [*feature_names(), *forest.context_names()]
    if list(arrays["features"]) != names:
        raise ValueError(
            "the model was trained on other features than this version computes: run curation train-extractor"
        )
    return Model(
        *(
            kind(*(arrays[f"{part}.{field}"] for field in kind._fields))
            for part, kind in _PARTS.items()
        )
    )


def model_arrays(model: Model) -> dict[str, npt.NDArray[Any]]:
    """What `load_model` reads."""
    parts = {
        f"{part}.{field}": getattr(getattr(model, part), field)
        for part, kind in _PARTS.items()
        for field in kind._fields
    }
    return {"features": np.array([*feature_names(), *forest.context_names()]), **parts}


def cut(html: str) -> tuple[Nodes, Blocks] | None:
    """Elements and blocks of a page; None where it has no text or more than `MAX_BLOCKS` blocks. Lone surrogates become "?".

    Where hardly any text can be seen, what stands in `<noscript>` counts too (forums serve their threads there), and where there is none,
    a title that was never closed is taken for text: it has swallowed the page.
    """
    flat = _balanced(html)
    found = _scanned(flat)
    if found is None or len(found[1].text) < _LITTLE_BYTES:
        if b"<noscript" in flat:
            more = _scanned(flat.replace(b"<noscript", b"<div").replace(b"</noscript", b"</div"))
            if more is not None and len(more[1].text) >= _LITTLE_BYTES:
                return more
        if found is None and _TITLE.search(html):
            found = _scanned(_balanced(_TITLE.sub("<p>", html, count=1)))
    return found


def _balanced(html: str) -> bytes:
    try:
        return bytes(turbohtml.parse(html, positions=False).encode())
    except UnicodeEncodeError:
        return bytes(
            turbohtml.parse(html.encode("utf-8", "replace").decode(), positions=False).encode()
        )


def _scanned(flat: bytes) -> tuple[Nodes, Blocks] | None:
    nodes, blocks = kernel.scan(np.frombuffer(flat, np.uint8), vocabulary(), MAX_BLOCKS + 1)
    return (nodes, blocks) if 0 < len(blocks.start) <= MAX_BLOCKS else None


def block_texts(blocks: Blocks) -> list[str]:
    """The text of each block."""
    data = blocks.text.tobytes()
    return [
        data[a:b].decode("utf-8", "replace") for a, b in zip(blocks.start, blocks.end, strict=True)
    ]


def judge(html: str, model: Model | None = None) -> Judged | None:
    """A page (decoded HTML) cut into blocks and judged; None where `cut` gives none."""
    found = cut(html)
    if found is None:
        return None
    nodes, blocks = found
    x, tree = features(nodes, blocks, vocabulary())
    return judged(nodes, blocks, tree, x, model or shipped_model())


def judged(
    nodes: Nodes, blocks: Blocks, tree: Tree, x: npt.NDArray[np.float32], model: Model
) -> Judged:
    """What the model says of blocks with features x float32[B, F]."""
    p = forest.probabilities(model.first, x, _NOTHING)
    extra = forest.context(p, nodes, blocks, tree)
    p = forest.mixed((p + forest.probabilities(model.second, x, extra)) / 2, model.line, x, extra)
    threshold, expected = forest.best_threshold(p, forest.lengths(blocks), _LOWEST, _HIGHEST)
    return Judged(nodes, blocks, tree, p, threshold, expected)


_NOTHING = np.zeros((0, FEATURES), np.float32)
_PARTS: dict[str, Any] = {"first": forest.Forest, "second": forest.Forest, "line": forest.Line}
