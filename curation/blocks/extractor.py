"""A page -> its main text, block by block: the learned extractor.

An HTML parser balances the page and a kernel cuts it into blocks. Small forests give
the kind of the page and the probability that each block is main text. Kept are the blocks above the
threshold with the highest expected F1. About 2 ms for a page of 100 kB, most of it in the parser;
the first call loads the model and the compiled kernels (half a second, once). The trap: on a page
unlike all training pages the expected F1 is low, and the caller should ask another extractor;
`ScoredPage.is_strange` is then true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import turbohtml

from curation.blocks import forest, scoring
from curation.blocks import join as blocks_join
from curation.blocks import scan as kernel
from curation.blocks import vocabulary as v
from curation.blocks.features import feature_names, features
from curation.blocks.forest import Model
from curation.blocks.kinds import kind_names
from curation.blocks.repeats import Repeats
from curation.blocks.text import CHARS, LINK_CHARS, Blocks, Nodes
from curation.blocks.tree import Tree

T = TypeVar("T")
MAX_BLOCKS = 50_000
_LITTLE_BYTES = 500
_TITLE = re.compile("<title[^>]*>", re.IGNORECASE)
_TITLE_END = re.compile("</title", re.IGNORECASE)
_MIN_EXPECTED_F1 = 0.3


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text of a page.

    score: its probability of being main text; tag: its element; link_share: the share of its
    characters in links.
    """

    text: str
    score: float
    kept: bool
    tag: str
    link_share: float


@dataclass(frozen=True, slots=True)
class ScoredPage:
    """A page cut into blocks, p float64[B] their probabilities of being main text; kept are those
    of `threshold` or more."""

    nodes: Nodes
    blocks: Blocks
    tree: Tree
    p: npt.NDArray[np.float64]
    threshold: float
    expected_f1: float

    @property
    def is_strange(self) -> bool:
        """Whether another extractor should be asked: the expected F1 of the kept blocks is low."""
        return self.expected_f1 < _MIN_EXPECTED_F1

    def kept(self, headline: bool | None = None, comments: bool = False) -> npt.NDArray[np.bool_]:
        """Return bool[B], the blocks to keep.

        headline: True keeps the page's headline, False drops it, None leaves it to the model;
        comments: True adds the blocks of readers' comments.
        """
        keep = self.p >= self.threshold
        if comments:
            keep |= blocks_join.is_comment(self.tree, self.blocks)
        if headline is not None:
            block = blocks_join.headline(keep, self.nodes, self.blocks, vocabulary())
            if block >= 0:
                keep[block] = headline
        return keep

    def text(
        self, *, headline: bool | None = None, comments: bool = False, markdown: bool = False
    ) -> str:
        """Return the kept blocks as one text; `markdown` marks headings."""
        keep = self.kept(headline, comments)
        return bytes(blocks_join.joined(keep, self.nodes, self.blocks, markdown)).decode(
            "utf-8", "replace"
        )

    def block_list(self) -> list[Block]:
        """Return every block with its score, in the order of the page."""
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
    """Return the tables of the kernels, made once."""
    return v.vocabulary()


@cache
def shipped_model() -> Model:
    """Return the model that comes with the package."""
    with files("curation.blocks").joinpath("model.npz").open("rb") as stream:
        return load_model(np.load(stream))


def load_model(arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
    """Return the model in the arrays of an .npz file.

    Raises ValueError where it was made for other features.
    """
    names = _column_names()
    if list(arrays["features"]) != names:
        raise ValueError(
            "the model was trained on other features than this version computes: "
            "run curation train-extractor"
        )
    return Model(
        *(
            kind(*(arrays[f"{part}.{field}"] for field in kind._fields))
            for part, kind in _PARTS.items()
        )
    )


def model_arrays(model: Model) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a model, as `load_model` reads them."""
    parts = {
        f"{part}.{field}": getattr(getattr(model, part), field)
        for part, kind in _PARTS.items()
        for field in kind._fields
    }
    return {"features": np.array(_column_names()), **parts}


def _column_names() -> list[str]:
    return [*feature_names(), *forest.context_names(), *kind_names()]


def cut(html: str) -> tuple[Nodes, Blocks] | None:
    """Return elements and blocks of a page; None where it has no text or more than `MAX_BLOCKS`
    blocks.

    Lone surrogates become "?". Where a page has under `_LITTLE_BYTES` of text, the content of
    `<noscript>` counts too (forums serve their threads there). Where it has none, a title without
    an end tag is read as text: the parser has put the page into it.
    """
    return _readable(html, _scanned)


def _readable(html: str, read: Callable[[bytes], tuple[T, int] | None]) -> T | None:
    """What `read` makes of a balanced page, beside how many bytes of text that has; as `cut` says."""
    balanced = _balanced(html)
    page = read(balanced)
    if page is None or page[1] < _LITTLE_BYTES:
        if b"<noscript" in balanced:
            with_noscript = read(
                balanced.replace(b"<noscript", b"<div").replace(b"</noscript", b"</div")
            )
            if with_noscript is not None and with_noscript[1] >= _LITTLE_BYTES:
                return with_noscript[0]
        title = _TITLE.search(html) if page is None else None
        # Without a tag in it, it has swallowed nothing.
        if title and "<" in html[title.end() :] and not _TITLE_END.search(html, title.end()):
            page = read(_balanced(_TITLE.sub("<p>", html, count=1)))
    return page and page[0]


def _balanced(html: str) -> bytes:
    """Return the page as an HTML parser writes it again: every element closed."""
    try:
        return bytes(_parsed(html).encode())
    except UnicodeEncodeError:
        return bytes(_parsed(html.encode("utf-8", "replace").decode()).encode())


def _parsed(html: str) -> turbohtml.Document:
    """Return the page's tree; a declarative shadow root stays a template, which is written out."""
    return turbohtml.parse(html, positions=False, allow_declarative_shadow_roots=False)


def _scanned(balanced: bytes) -> tuple[tuple[Nodes, Blocks], int] | None:
    nodes, blocks = kernel.scan(np.frombuffer(balanced, np.uint8), vocabulary(), MAX_BLOCKS + 1)
    is_page = 0 < len(blocks.start) <= MAX_BLOCKS
    return ((nodes, blocks), len(blocks.text)) if is_page else None


def block_texts(blocks: Blocks) -> list[str]:
    """Return the text of each block."""
    data = blocks.text.tobytes()
    return [
        data[a:b].decode("utf-8", "replace") for a, b in zip(blocks.start, blocks.end, strict=True)
    ]


def score_page(html: str, model: Model | None = None) -> ScoredPage | None:
    """Return a page (decoded HTML) cut into blocks and scored; None where `cut` returns none."""
    page = cut(html)
    if page is None:
        return None
    x, tree, repeats = features(*page, vocabulary())
    return score_blocks(*page, tree, repeats, x, model or shipped_model())


def score_blocks(
    nodes: Nodes,
    blocks: Blocks,
    tree: Tree,
    repeats: Repeats,
    x: npt.NDArray[np.float32],
    model: Model,
) -> ScoredPage:
    """Return the page with the model's probabilities of its blocks, whose features are x float32[B,
    F]."""
    return ScoredPage(
        nodes, blocks, tree, *scoring.probabilities(nodes, blocks, tree, repeats, x, model)
    )


def main_text(
    html: str, *, headline: bool | None = None, comments: bool = False, markdown: bool = False
) -> tuple[str, bool]:
    """Return the text of a page as `ScoredPage.text` has it, and whether the page is strange: also
    one that `cut` returns nothing for, whose text is empty."""
    if headline is None and not comments:
        return _readable(html, partial(_main_text, markdown)) or ("", True)
    page = score_page(html)
    if page is None:
        return "", True
    return page.text(headline=headline, comments=comments, markdown=markdown), page.is_strange


def _main_text(markdown: bool, balanced: bytes) -> tuple[tuple[str, bool], int] | None:
    text, count, size, expected = scoring.page_text(
        np.frombuffer(balanced, np.uint8), vocabulary(), shipped_model(), MAX_BLOCKS, markdown
    )
    if not 0 < count <= MAX_BLOCKS:
        return None
    return (text.tobytes().decode("utf-8", "replace"), expected < _MIN_EXPECTED_F1), size


_PARTS: dict[str, Any] = dict.fromkeys(Model._fields, forest.Forest)
