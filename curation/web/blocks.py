"""Web pages' blocks as one HTML page: each with its score. No script of others, nothing fetched.

Costs a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from curation.web.templating import standalone

if TYPE_CHECKING:
    from curation.blocks.extractor import Block


def blocks_page(title: str, pages: Sequence[tuple[str, Sequence[Block]]]) -> str:
    """The page for the blocks of some web pages, each with its address (empty: none is shown)."""
    return standalone("pages_blocks.html", title, pages=pages, words=_words)


def _words(blocks: Iterable[Block]) -> int:
    return sum(len(block.text.split()) for block in blocks)
