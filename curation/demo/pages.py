"""The authored crawl pages: TOML files of texts, wrapped in site layouts, as the bytes a server
would send.

A page of `crawl/*.toml` holds a text in a small mark-up and the layout of its site; a near
duplicate names its base page and the words that differ, so what was planted can be read off. Costs
a few milliseconds for all pages. Trap: the declared content type of a page may be a lie on purpose;
`truth.jsonl` says which.

Further sites are written by rule: `crawl/sites.toml` says how many, and by which rule. Their texts
come from `grammar.py`; each depends on its url alone, so a site can be made larger without changing
the pages it has.
"""

from __future__ import annotations

import dataclasses
import gzip
import html
import json
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curation.demo.grammar import Writer
from curation.errors import InputError

ROOT = Path(__file__).parent
_FILES = (
    "good",
    "good_more",
    "quotes",
    "foreign",
    "foreign_more",
    "spam",
    "boilerplate",
    "odd",
    "rejects",
    "rejects_more",
    "duplicates",
    "copies",
)


@dataclasses.dataclass(frozen=True)
class Page:
    """One fetch: what the page holds (`layout`, `title`, `text`, or `raw`, or a binary `file`) and
    how it is served.

    `encoding` is the true one, `content_type` what the header claims. `cut_at` keeps that share of
    the body's bytes. `transfer` is "", "gzip" or "chunked". A page with `revisit_of` has no body.
    `segment = true` stores the page as the second segment of a record whose first is missing.
    """

    url: str
    layout: str = ""
    title: str = ""
    text: str = ""
    lang: str = "en"
    raw: str = ""
    raw_prefix: str = ""
    file: str = ""
    cut_at: float = 1.0
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    encoding: str = "utf-8"
    transfer: str = ""
    location: str = ""
    revisit_of: str = ""
    segment: bool = False


def pages() -> list[Page]:
    """Every page of the demo crawl, near duplicates resolved: those of the files in their order,
    then those of the sites by rule."""
    trusted = {row["url"]: row["text"] for row in rows("webtext2.jsonl")}
    pages_by_url: dict[str, Page] = {}
    for name in _FILES:
        tables = tomllib.loads((ROOT / "crawl" / f"{name}.toml").read_text("utf-8"))
        for entry in tables["page"]:
            page = _resolved(entry, pages_by_url, trusted)
            if page.url in pages_by_url:
                raise InputError(
                    f"{name}.toml: expected each url once, {page.url} came twice; "
                    "change one of them"
                )
            pages_by_url[page.url] = page
        for mirror in tables.get("mirror", []):
            pages_by_url |= _mirrored(mirror, list(pages_by_url.values()))
    for entry in site_entries():
        pages_by_url[entry["url"]] = Page(
            url=entry["url"], layout=entry["layout"], title=entry["title"], text=entry["text"]
        )
    return list(pages_by_url.values())


def _mirrored(mirror: dict[str, str], known: list[Page]) -> dict[str, Page]:
    """The pages of one host once more, at the address `to` and in another layout."""
    found = {}
    for page in known:
        parts = urlsplit(page.url)
        if parts.netloc == mirror["host"]:
            url = mirror["to"] + parts.path
            found[url] = dataclasses.replace(page, url=url, layout=mirror["layout"])
    return found


def _resolved(
    entry: dict[str, Any], pages_by_url: dict[str, Page], trusted: dict[str, str]
) -> Page:
    """The page of a TOML table:

    `base` names the page it copies, `mirror_of` a trusted document, `replace` the edits, `append`
    a last paragraph, `quote` pages whose second paragraphs stand in for {quote 1}, {quote 2}.
    """
    entry = dict(entry)
    base, mirror, edits = (
        entry.pop("base", ""),
        entry.pop("mirror_of", ""),
        entry.pop("replace", []),
    )
    added = entry.pop("append", "")
    text = pages_by_url[base].text if base else trusted[mirror] if mirror else entry.get("text", "")
    for number, quoted in enumerate(entry.pop("quote", []), 1):
        paragraph = pages_by_url[quoted].text.strip().split("\n\n")[1]
        text = text.replace(f"{{quote {number}}}", f"> {paragraph}")
    for old, new in edits:
        if text.count(old) != 1:
            raise InputError(
                f"{entry['url']}: expected {old!r} once in {base}, found {text.count(old)}; "
                "edit `replace`"
            )
        text = text.replace(old, new)
    if added:
        text = f"{text.strip()}\n\n{added}"
    if base:
        entry = {"title": pages_by_url[base].title} | entry
    return Page(**(entry | {"text": text}))


def body(page: Page) -> bytes:
    """The body before any transfer coding: the layout around the text, in the page's true
    encoding."""
    if page.file:
        return (ROOT / "crawl" / page.file).read_bytes()
    if not page.layout:
        return page.raw.encode(page.encoding)
    template = string.Template((ROOT / "layouts" / f"{page.layout}.html").read_text("utf-8"))
    host = urlsplit(page.url).netloc
    filled = template.substitute(
        title=html.escape(page.title),
        body=paragraphs(page.text),
        site=html.escape(host.removeprefix("www.")),
        nav=navigation(host),
        comments=comments(page.url),
        lang=page.lang,
        charset=page.encoding,
    )
    encoded = (page.raw_prefix + filled).encode(page.encoding)
    return encoded[: int(len(encoded) * page.cut_at)]


def coded(content: bytes, transfer: str) -> bytes:
    """The body as it goes over the wire: as it is, gzip-coded (no time stamp, so always equal) or
    in chunks.

    >>> coded(b"abc", "chunked")
    b'3\\r\\nabc\\r\\n0\\r\\n\\r\\n'
    """
    if transfer == "gzip":
        return gzip.compress(content, mtime=0)
    if transfer == "chunked":
        parts = [content[i : i + 700] for i in range(0, len(content), 700)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return content


def paragraphs(text: str) -> str:
    """HTML of the mark-up: blank lines part paragraphs, lines after "- " are a list, after "> " a
    quotation, after "| " rows of a table, between ``` a program.

    >>> paragraphs("One & two.\\n\\n> Said he.")
    '<p>One &amp; two.</p>\\n<blockquote><p>Said he.</p></blockquote>'
    """
    blocks = []
    for number, part in enumerate(text.strip().split("```")):
        if number % 2:
            code = html.escape(part.strip("\n"), quote=False)
            blocks.append(f"<pre><code>{code}</code></pre>")
        else:
            blocks += [_block(block.strip("\n")) for block in part.split("\n\n") if block.strip()]
    return "\n".join(blocks)


def _block(block: str) -> str:
    """HTML of one paragraph, list, table or quotation."""
    escaped = html.escape(block, quote=False)
    lines = escaped.splitlines()
    if block.startswith("- "):
        items = [f"<li>{line.removeprefix('- ')}</li>" for line in lines]
        return f"<ul>{''.join(items)}</ul>"
    if block.startswith("| "):
        rows = [_row(line) for line in lines]
        return f"<table>{''.join(rows)}</table>"
    if block.startswith("> "):
        return f"<blockquote><p>{escaped.removeprefix('&gt; ')}</p></blockquote>"
    return f"<p>{escaped}</p>"


def _row(line: str) -> str:
    """HTML of "| a | b |".

    >>> _row("| a | b |")
    '<tr><td>a</td><td>b</td></tr>'
    """
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file of the demo corpus: webtext2.jsonl, benchmark.jsonl or
    truth.jsonl."""
    with (ROOT / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


SITES = Path(__file__).parent / "crawl" / "sites.toml"


def site_entries() -> Iterator[dict[str, str]]:
    """The pages of the sites by rule: url, layout, title, text and kind."""
    for site in tomllib.loads(SITES.read_text("utf-8"))["site"]:
        rules, _, name = site["rule"].partition(".")
        for number in range(1, site["pages"] + 1):
            writer = Writer(f"{site['host']} {number}", rules)
            text = writer.entry(name)
            title = writer.text(site["title"])
            slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:50].strip("-")
            yield {
                "url": f"{site['scheme']}://{site['host']}/{site['path']}{number}-{slug}",
                "layout": site["layout"],
                "title": title,
                "text": text,
                "kind": site["kind"],
            }


def navigation(host: str) -> str:
    """Links of a site's menu, as list items."""
    writer = Writer(f"menu {host}", "plain")
    topics = writer.text("{7, topic}").split(", ")
    return "".join(f'<li><a href="/{topic.lower()}">{topic.title()}</a></li>' for topic in topics)


def comments(url: str) -> str:
    """What readers left below a page, as HTML."""
    writer = Writer(f"comments {url}", "plain")
    return "".join(
        f'<li class="comment"><b>{writer.entry("user")}</b> <time>{writer.entry("date")}</time>'
        f"<p>{writer.entry('chat')}</p><a href=#>Reply</a></li>"
        for _ in range(2 + writer.below(3))
    )
