"""A page of ours, parsed: balanced, without pictures or links to elsewhere, with no script but its own."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser

VOID = {"meta", "br", "rect", "line", "polyline"}


class Checked(HTMLParser):
    """Collects tags and attributes, and insists that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        assert tag not in ("img", "link", "iframe")
        if tag == "a":  # to a section of the same page
            assert (dict(attrs)["href"] or "").startswith("#")
        if tag == "script":
            assert attrs == []
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


def parsed(html: str) -> Checked:
    checked = Checked()
    checked.feed(html)
    assert checked.open == []
    policy = next(value or "" for name, value in checked.attributes if name == "content")
    [script] = checked.scripts
    for kind, text in (("script", script), ("style", checked.style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    return checked
