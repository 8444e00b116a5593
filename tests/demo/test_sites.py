"""Pages by rule are whole, differ from one another, and stay as they are when a site grows."""

from __future__ import annotations

import collections
import itertools
import re
from urllib.parse import urlsplit

from curation.demo.pages import comments, navigation, site_entries


def grams(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def test_pages_by_rule_have_no_slot_left_and_none_is_a_near_copy() -> None:
    shingles = {e["url"]: grams(e["text"].lower().split(), 5) for e in site_entries()}
    assert not [e["url"] for e in site_entries() if re.search(r"\{\d*[a-z=^]", e["text"])]
    by_site = collections.defaultdict(list)
    for url in shingles:
        by_site[urlsplit(url).netloc].append(url)
    alike = [
        (one, two)
        for urls in by_site.values()
        for one, two in itertools.combinations(urls, 2)
        if len(shingles[one] & shingles[two]) > 0.7 * len(shingles[one] | shingles[two])
    ]
    assert alike == []


def test_urls_are_unique_and_kinds_are_known() -> None:
    entries = list(site_entries())
    assert len({entry["url"] for entry in entries}) == len(entries) > 1000
    assert {entry["kind"] for entry in entries} == {"spam", "boilerplate", "chatter"}


def test_menus_and_comments_are_html_of_their_site() -> None:
    assert navigation("a.example").count("<li>") == 7
    assert navigation("a.example") == navigation("a.example") != navigation("b.example")
    assert 2 <= comments("https://a.example/1").count('class="comment"') <= 4
