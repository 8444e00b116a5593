"""The pieces that pages are made of.

Trap: titles and cells are escaped here; `intro` and bodies are HTML already.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.inspect.evidence.listing import Listing

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --dim: #667080; --paper: #fff; --card: #f5f6f8; --grid: #dfe3e8;
  --a: #9db4d0; --b: #1f5fae; --curve: #c2511d; --warn: #9a5b00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a2b0; --paper: #14181d; --card: #1e242c; --grid: #333b46;
  --a: #47607f; --b: #76adf0; --curve: #f0935f; --warn: #e3a64a } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 72rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { margin: 0; font-size: 1.6rem } h2 { margin: 2.4rem 0 .4rem; font-size: 1.2rem } h3 { margin: 1rem 0 .2rem; font-size: 1rem }
section > .card { margin: .5rem 0 }
p { max-width: 48rem; margin: .3rem 0 } .dim { color: var(--dim) } .warn { color: var(--warn) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .18rem .7rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
thead th { border-bottom: 1px solid var(--grid) } tr.stay { font-weight: 600; background: var(--card) } tr.lost { color: var(--dim) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem }
.card h3 { margin-top: 0 } .card { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; min-width: 0;
  overflow-wrap: anywhere }
.card p.text { white-space: pre-line; font-size: .85rem; max-height: 11rem; overflow: auto }
.kept { border-left: 4px solid var(--b) } .removed { border-left: 4px solid var(--curve) }
svg { width: 100%; max-width: 40rem; height: auto; display: block; font: 12px system-ui, sans-serif } svg text { fill: var(--dim) }
svg .a { fill: var(--a) } svg .b { fill: var(--b) } svg .curve { fill: none; stroke: var(--curve); stroke-width: 2 }
svg .grid { stroke: var(--grid) } svg .base { stroke: var(--dim) }
i.a, i.b, i.c { display: inline-block; width: .8em; height: .8em; border-radius: .15em; background: var(--a) }
i.b { background: var(--b) } i.c { background: var(--curve); height: .2em; vertical-align: middle }
"""


def document(title: str, body: str, style: str = "") -> str:
    """A whole page, with `style` added to the style sheet that all pages share."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{style}</style></head><body>\n{body}\n</body></html>\n"
    )


def section(title: str, intro: str, *body: str) -> str:
    """A section with a heading; `intro` and `body` are HTML."""
    return f"<section><h2>{escape(title)}</h2><p class='dim'>{intro}</p>{''.join(body)}</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table whose cells are text; it scrolls sideways on a narrow screen."""
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    lines = []
    for i, row in enumerate(rows):
        kind = f' class="{classes[i]}"' if classes else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    body = f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<div class='wide'><table>{body}</table></div>"


def listing_table(listing: Listing) -> str:
    """The table of a `Listing`, without its title."""
    classes = ["stay" if i in listing.strong else "" for i in range(len(listing.rows))]
    return table(listing.head, listing.rows, classes if listing.strong else ())


def listing_card(listing: Listing) -> str:
    """A `Listing` under its title."""
    return card(listing.title, listing_table(listing))


def cards(*cards: str) -> str:
    """Cards beside each other."""
    return f"<div class='cards'>{''.join(cards)}</div>"


def card(title: str, body: str) -> str:
    """A card with a title; `body` is HTML."""
    return f"<div class='card'><h3>{escape(title)}</h3>{body}</div>"
