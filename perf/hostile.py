"""Pages made to hurt, by every extractor: `python perf/hostile.py [--size 10000000] [--seconds 30]`.

Prints seconds for each page of about `size` bytes and each extractor, and what became of it: ok, or the reason it was refused. `too_slow`
and `crashed` mean that the child process had to be replaced; every other outcome comes from limits in bytes and shape, and repeats
anywhere.
"""

from __future__ import annotations

import sys
import time

import click
from rich.console import Console
from rich.table import Table

from curation.readers.html import EXTRACTORS, Form
from curation.readers.page_sandbox import Watched
from curation.readers.records import Page

STORY = (
    "The whole story of the little mill by the river is told here, and it is a long one indeed. "
)


def pages(size: int) -> dict[str, bytes]:
    """Hostile pages of about `size` bytes by name."""

    def times(text: str, share: float = 1.0) -> str:
        return text * max(int(size * share) // len(text.encode()), 1)

    attributes = " ".join(f"a{n}=1" for n in range(4000))
    many = {
        "div": times("<div>"),
        "div, a thousand deep, often": times("<div>" * 1000 + "x" + "</div>" * 1000),
        "list items nested": times("<ul><li>"),
        "tables nested": times("<table><tr><td>"),
        "formatting left open": times("<b><i><font><p>"),
        "links left open": times("<a href=x><p>x"),
        "misnested": times("<b><p></b></p><i><div></i>"),
        "foster parents": "<table>" + times("<b>x<tr>"),
        "paragraphs": times("<p>x"),
        "breaks": times("x<br>"),
        "spans of one letter": times("<span>x</span>"),
        "attributes in one tag": "<p " + times(" a=1") + ">" + STORY,
        "attributes, many tags": times(f"<p {attributes}>x</p>"),
        "one attribute": f'<p title="{times(STORY)}">' + STORY,
        "less than": times("<"),
        "end tags": times("</p>"),
        "comments": times("<!-- -->"),
        "comment left open": times("<!--"),
        "entities": times("&amp;"),
        "entities that are none": times("&nosuch"),
        "numeric entities": times("&#x10ffff;"),
        "doctype": times("<!doctype html>"),
        "svg": times("<svg><g>"),
        "template": times("<template>"),
        "select": times("<select><option>x"),
        "frames of scripts": times("<script>x</script>"),
        "script left open": "<script>" + times("x"),
        "cdata": times("<![CDATA["),
        "one line": "<p>" + times(STORY),
        "one word": "<p>" + times("x"),
        "blanks": "<p>" + times(" "),
        "line feeds in pre": "<pre>" + times("\n x"),
        "marks on one letter": "<p>a" + times("\u0300\u0316"),
        "right to left marks": "<p>" + times("\u202e\u2066x"),
        "zeros": "<p>x" + times("\0"),
        "headings": times("<h1>x</h1>"),
        "links": times("<a href=/x>x</a> "),
        "rows": "<table>" + times("<tr><td>x<td>y"),
        "buttons": times("<button>"),
        "headers of tables": times("<table><caption>"),
        "ruby": times("<ruby><rt>x"),
    }
    found = {name: text.encode() for name, text in many.items()}
    found["bytes that are no encoding"] = bytes(range(128, 256)) * (size // 128)
    found["meta charset, many"] = b"<meta charset=x-none>" * (size // 21) + b"\xff"
    return found


@click.command()
@click.option("--size", default=10_000_000, show_default=True)
@click.option(
    "--seconds", default=30.0, show_default=True, help="limit of processor time for a page"
)
@click.option("--only", default="", help="pages whose name holds this")
@click.option(
    "--extractor",
    "some",
    multiple=True,
    type=click.Choice(EXTRACTORS),
    default=EXTRACTORS,
    show_default=True,
)
def main(size: int, seconds: float, only: str, some: tuple[str, ...]) -> None:
    """Print the table."""
    table = Table(title=f"pages of {size:,} bytes, limit {seconds:g} s", title_justify="left")
    table.add_column("page")
    for extractor in some:
        table.add_column(extractor, justify="right")
    children = {extractor: Watched(extractor, Form(), seconds) for extractor in some}
    for name, body in pages(size).items():
        if only not in name:
            continue
        cells = [_cell(children[extractor], body) for extractor in some]
        table.add_row(name, *cells)
        sys.stderr.write(f"{name}: {', '.join(cells)}\n")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _cell(child: Watched, body: bytes) -> str:
    child.texts([Page(b"<p>warm", None, None, None, None, 0)])
    began = time.perf_counter()
    (text,) = child.texts([Page(body, None, None, None, "text/html", 0)])
    return f"{time.perf_counter() - began:.2f} {'ok' if isinstance(text, str) else text.reason}"


if __name__ == "__main__":
    main()
