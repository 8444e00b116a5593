"""The pieces that pages are made of. Trap: titles and cells are escaped here; `intro` and bodies are HTML already."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def section(title: str, intro: str, *body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p class='dim'>{intro}</p>{''.join(body)}</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table whose cells are text; it scrolls sideways on a narrow screen."""
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    lines = []
    for i, row in enumerate(rows):
        kind = f' class="{classes[i]}"' if classes else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def cards(*cards: str) -> str:
    return f"<div class='cards'>{''.join(cards)}</div>"


def card(title: str, body: str) -> str:
    return f"<div class='card'><h3>{escape(title)}</h3>{body}</div>"
