"""A web page's blocks as one HTML page: each coloured by its score. No script, nothing fetched.

Costs a few milliseconds. Trap: every string comes from somebody's page; all of it goes through
`escape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from curation.web import markup

if TYPE_CHECKING:
    from curation.blocks.extractor import Block


def blocks_page(title: str, blocks: Sequence[Block]) -> str:
    """The page for the blocks of one web page, in their order; `title` says which."""
    kept = [block for block in blocks if block.kept]
    words, all_words = (sum(len(b.text.split()) for b in part) for part in (kept, blocks))
    head = (
        f"<h1>{escape(title)}</h1>\n<p>{len(kept)} of {len(blocks)} blocks kept, {words} of "
        f"{all_words} words. Each line: the probability of being main text, the element, the text; "
        "blue is kept, orange is not.</p>\n"
    )
    return markup.document(title, head + "\n".join(map(block_row, blocks)))


def archive_page(title: str, pages: Sequence[tuple[str, Sequence[Block]]]) -> str:
    """The page for some web pages of an archive, each with its address."""
    parts = [f"<h1>{escape(title)}</h1>\n<p>{len(pages)} pages; blue is kept, orange is not.</p>"]
    for address, blocks in pages:
        parts += [f"<h2>{escape(address)}</h2>", *map(block_row, blocks)]
    return markup.document(title, "\n".join(parts))


def block_row(block: Block) -> str:
    """One block as a `<div>`."""
    hue = 215 if block.kept else 20
    shade = 97 - 17 * (block.score if block.kept else 1 - block.score)
    return (
        f'<div class="block {"kept" if block.kept else "dropped"}" '
        f'style="background: hsl({hue} 70% {shade:.0f}%)">'
        f'<span class="score">{block.score:.2f}</span><span class="tag">{escape(block.tag or "?")}'
        f"{' links' if block.link_share > 0.5 else ''}</span>"
        f'<span class="text">{escape(block.text)}</span></div>'
    )
