"""The mark-up of the authored texts becomes HTML; copies are what their entries say."""

from __future__ import annotations

import tomllib
from urllib.parse import urlsplit

from curation.demo.pages import ROOT, pages, paragraphs

PAGES = {page.url: page for page in pages()}
COPIES = tomllib.loads((ROOT / "crawl" / "copies.toml").read_text("utf-8"))


def test_marks_become_html() -> None:
    text = "> Said.\n\n- a\n- b\n\n| 1 | 2 |\n\n```\nx < y\n\nz\n```\n\nEnd."
    assert paragraphs(text).splitlines() == [
        "<blockquote><p>Said.</p></blockquote>",
        "<ul><li>a</li><li>b</li></ul>",
        "<table><tr><td>1</td><td>2</td></tr></table>",
        "<pre><code>x &lt; y",
        "",
        "z</code></pre>",
        "<p>End.</p>",
    ]


def test_a_mirror_has_every_page_of_its_host() -> None:
    for mirror in COPIES["mirror"]:
        originals = [page for page in PAGES.values() if urlsplit(page.url).netloc == mirror["host"]]
        assert len(originals) >= 2
        for page in originals:
            copy = PAGES[mirror["to"] + urlsplit(page.url).path]
            assert (copy.text, copy.layout) == (page.text, mirror["layout"])


def test_what_is_appended_and_quoted_stands_in_the_text() -> None:
    for entry in COPIES["page"]:
        text = PAGES[entry["url"]].text
        assert text.endswith(entry.get("append", ""))
        assert "{quote" not in text
        for url in entry.get("quote", []):
            assert PAGES[url].text.strip().split("\n\n")[1] in text
