"""The pieces that pages are made of.

Trap: titles and cells are escaped here; `intro` and bodies are HTML already.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from curation.web.templating import standalone, svg

if TYPE_CHECKING:
    from curation.inspect.evidence.listing import Listing


def document(title: str, body: str, style: str = "") -> str:
    """A whole page in one file; `body` is HTML, `style` is added to the style sheet of all pages."""
    return standalone("alone.html", title, body=svg(body), added=svg(style))


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
