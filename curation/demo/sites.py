"""The sites whose pages are written by rule: `crawl/sites.toml` says how many, and by which rule.

The texts come from `grammar.py`. A page's text depends on its url alone, so a site can be made
larger without changing the pages it has.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from curation.demo.grammar import Writer

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
