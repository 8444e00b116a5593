"""A page's blocks as one HTML page: each coloured by its score, what is kept beside what is not. No script, nothing fetched.

Costs a few milliseconds. Trap: every string comes from somebody's page; all of it goes through `escape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.blocks.extractor import Block

_STYLE = """
:root { color-scheme: light dark }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; font: 15px/1.45 system-ui, sans-serif; color: #1d2530; background: #fff }
"""
BLOCK_STYLE = """
div.block { color: #1d2530; display: grid; grid-template-columns: 3.2rem 6rem 1fr; gap: .6rem; padding: .25rem .5rem;
  margin: 2px 0; border-left: 5px solid }
div.block.kept { border-color: #1f5fae } div.block.dropped { border-color: #c2511d; color: #667080 }
.dropped .text { font-size: .85rem } .block .text { white-space: pre-wrap; overflow-wrap: anywhere }
.score, .tag { font-variant-numeric: tabular-nums; color: #667080 }
"""


def blocks_page(title: str, blocks: Sequence[Block]) -> str:
    """The page for the blocks of one web page, in their order; `title` says which."""
    kept = [block for block in blocks if block.kept]
    words, all_words = (sum(len(block.text.split()) for block in some) for some in (kept, blocks))
    lines = "\n".join(map(block_row, blocks))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}{BLOCK_STYLE}</style>\n'
        f"<body><h1>{escape(title)}</h1>\n<p>{len(kept)} of {len(blocks)} blocks kept, {words} of {all_words} words. "
        f"Each line: the probability of being main text, the element, the text; blue is kept, orange is not.</p>\n{lines}\n</body></html>\n"
    )


def block_row(block: Block) -> str:
    """One block as a `<div>`; `BLOCK_STYLE` goes with it."""
    hue = 215 if block.kept else 20
    shade = 97 - 17 * (block.score if block.kept else 1 - block.score)
    return (
        f'<div class="block {"kept" if block.kept else "dropped"}" style="background: hsl({hue} 70% {shade:.0f}%)">'
        f'<span class="score">{block.score:.2f}</span><span class="tag">{escape(block.tag or "?")}'
        f'{" links" if block.link_share > 0.5 else ""}</span><span class="text">{escape(block.text)}</span></div>'
    )
