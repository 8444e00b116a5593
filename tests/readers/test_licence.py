"""The licence of a page: which statements count, what they are called, and which one wins."""

from __future__ import annotations

import orjson
import pytest

from curation.blocks.shape import shape_and_tags
from curation.readers.html import Form, text_and_rights
from curation.readers.licence import identifier, json_ld_licenses, page_license
from curation.readers.records import Page
from curation.readers.rights import page_rights

STORY = "<p>" + "The miller wound the sluice at dawn, and the wheel turned slowly. " * 9
BY = "https://creativecommons.org/licenses/by/4.0/"
SA = "https://creativecommons.org/licenses/by-sa/3.0/"


def found(html: str, url: str | None = "https://mill.example/a/b") -> tuple[str | None, str | None]:
    page = Page(f"{html}{STORY}".encode(), url, None, None, "text/html; charset=utf-8", 0)
    rights = text_and_rights(page, "none", Form())[1]
    return rights.license, rights.license_from


def script(value: object) -> str:
    return f'<script type="application/ld+json">{orjson.dumps(value).decode()}</script>'


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (BY, "CC-BY-4.0"),
        ("HTTP://CreativeCommons.org/licenses/by-nc-sa/2.5", "CC-BY-NC-SA-2.5"),
        ("//creativecommons.org/licenses/by-nc-sa/3.0/us/", "CC-BY-NC-SA-3.0-US"),
        ("https://creativecommons.org/licenses/by/4.0/deed.de", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/?ref=chooser-v1", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-sa/", "CC-BY-SA"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "PDM-1.0"),
        ("http://creativecommons.org/licenses/publicdomain/", "CC-PDDC"),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0"),
        ("CC BY 4.0 International", "CC-BY-4.0"),
        ("CC0 1.0", "CC0-1.0"),
        ("http://www.gnu.org/copyleft/fdl.html", "GFDL"),
        ("https://www.gnu.org/licenses/gpl-3.0.en.html", "GPL-3.0"),
        ("https://www.apache.org/licenses/LICENSE-2.0", "Apache-2.0"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        (
            "http://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/",
            "OGL-UK-3.0",
        ),
        (
            "https://en.wikipedia.org/wiki/Wikipedia:Text_of_Creative_Commons_"
            "Attribution-ShareAlike_3.0_Unported_License",
            "CC-BY-SA-3.0",
        ),
        (f"https://web.archive.org/web/20160820205919/{SA}de/", "CC-BY-SA-3.0-DE"),
        ("https://creativecommons.org/", None),
        ("https://creativecommons.org/licenses/sampling+/1.0/", None),
        ("https://notcreativecommons.org/licenses/by/4.0/", None),
        ("https://a.example/?next=https://creativecommons.org/licenses/by/4.0/", None),
        ("all rights reserved", None),
        ("CC BY", None),
    ],
)
def test_names_of_known_licences(address: str, name: str | None) -> None:
    assert identifier(address) == name


@pytest.mark.parametrize(
    "html",
    [
        f'<a rel="license" href="{BY}">CC</a>',
        f"<A HREF={BY} REL='nofollow LICENSE noopener'>CC</A>",
        f'<link rel="license" href="{BY}">',
        f'<link href="{BY}" rel="dct:license"/>',
        '<a\nrel = license\nhref="https&#58;//creativecommons.org/licenses/by/4.0/">x</a>',
        f"<figure><img></figure><a rel=license href={BY}>CC</a>",
    ],
)
def test_links_count(html: str) -> None:
    assert found(html) == ("CC-BY-4.0", "rel")


@pytest.mark.parametrize(
    "html",
    [
        f'<!-- <a rel="license" href="{BY}"> -->',
        f'<textarea><a rel="license" href="{BY}"></textarea>',
        f'<div data-badge=\'<a rel="license" href="{BY}">\'>x</div>',
        f'<script>x = "<a rel=license href={BY}>"</script>',
        f'<figure><img><figcaption><a rel="license" href="{BY}">CC</a></figcaption></figure>',
        f'<blockquote>They wrote <a rel="license" href="{BY}">this</a></blockquote>',
        f'<a href="{BY}">CC</a>',
        f'<a rel="nolicense" href="{BY}">CC</a>',
        '<a rel="license" href="#licence">x</a>',
        '<a rel="license" href="javascript:show_license()">x</a>',
        '<link rel="license" href="/imprint">',
        '<a rel="license" href="https://a.example/licence/' + "x" * 400 + '">x</a>',
        '<meta name="copyright" content="A. Miller, all rights reserved">',
        '<meta name="rights" content="https://a.example/terms">',
    ],
)
def test_what_is_no_statement_of_the_page(html: str) -> None:
    assert found(html) == (None, None)


def test_metas_that_hold_the_address_of_a_licence() -> None:
    assert found(f'<meta name="DC.Rights" content="{BY}">') == ("CC-BY-4.0", "meta")
    assert found(f'<meta property="cc:license" content="{BY}">') == ("CC-BY-4.0", "meta")
    text = f"Copyright A. Miller. Open access under {BY}, which permits reuse."
    assert found(f'<meta content="{text}" name=copyright>') == ("CC-BY-4.0", "meta")
    terms = "https://a.example/licence"
    assert found(f'<meta name="dcterms.license" content="{terms}">') == (terms, "meta")
    assert found(f'<meta name="description" content="{BY}">') == (None, None)


def test_addresses_of_no_known_licence_are_kept_whole() -> None:
    whole = "https://mill.example/licensing"
    assert found('<link rel="license" href="/licensing">') == (whole, "rel")
    assert found('<link rel="license" href="/licensing">', None) == (None, None)
    assert found('<link rel="license" href="//[broken/licensing">') == (None, None)


def test_of_several_statements_the_exact_one_wins_and_two_that_differ_are_none() -> None:
    by, sa = (f'<a rel="license" href="{url}">x</a>' for url in (BY, SA))
    article = script({"@type": "Article", "license": BY})
    terms = '<link rel="license" href="/licensing">'
    assert found(by + sa) == (None, None)
    assert found(sa + article) == (None, None)
    assert found(terms + article) == ("CC-BY-4.0", "json-ld")
    assert found(article + by) == ("CC-BY-4.0", "rel")
    versions = [("https://creativecommons.org/licenses/by/", "rel"), (BY, "meta")]
    assert page_license(versions, None) == ("CC-BY-4.0", "meta")
    ports = [(SA, "rel"), (f"{SA}us/", "rel")]
    assert page_license(ports, None) == ("CC-BY-SA-3.0-US", "rel")
    general = [("https://creativecommons.org/licenses/by/", "rel"), (SA, "rel")]
    assert page_license(general, None) == (None, None)
    assert page_license([], None) == (None, None)


@pytest.mark.parametrize(
    "value",
    [
        {"@type": "NewsArticle", "license": BY},
        {"@type": ["Thing", "https://schema.org/BlogPosting"], "license": [BY, BY]},
        [{"@type": "Person"}, {"@type": "WebPage", "license": {"@id": BY}}],
        {"@graph": [{"@type": "WebPage", "license": {"@type": "CreativeWork", "url": BY}}]},
        {"@type": "WebPage", "mainEntity": {"@type": "Recipe", "license": "CC BY 4.0"}},
    ],
)
def test_json_ld_of_the_text(value: object) -> None:
    assert found(script(value)) == ("CC-BY-4.0", "json-ld")


@pytest.mark.parametrize(
    "value",
    [
        {"@type": "ImageObject", "license": BY},
        {"@type": "Dataset", "license": BY},
        {"@type": "WebSite", "license": BY},
        {"@type": "Article", "image": {"@type": "ImageObject", "license": BY}},
        {"@type": "Article", "hasPart": [{"@type": "Article", "license": BY}]},
        {"license": BY},
        {"@type": "Article", "license": {"@type": "CreativeWork"}},
        {"@type": "Article", "license": 7},
        [{"@type": "Article", "license": BY}, {"@type": "Article", "license": SA}],
    ],
)
def test_json_ld_of_other_works(value: object) -> None:
    assert found(script(value)) == (None, None)


def test_json_ld_that_is_hostile() -> None:
    deep = '{"@type":"Article","license":' * 100_000
    assert list(json_ld_licenses(deep.encode())) == []
    assert list(json_ld_licenses(b'{"@type": "Article", "license": "https://a')) == []
    assert list(json_ld_licenses(b"\xff\xfe")) == []
    nested: object = {"@type": "Article", "license": BY}
    for _ in range(40):
        nested = {"@graph": [nested]}
    assert list(json_ld_licenses(orjson.dumps(nested))) == []
    many = {"@graph": [{"@type": "Article", "license": BY}] * 100_000}
    assert 0 < len(list(json_ld_licenses(orjson.dumps(many)))) <= 5000
    entity = script({"@type": "Article", "license": BY}).replace("json", "JSON")
    assert found("<script type='application/ld+json'>{broken \"license\"</script>" + entity) == (
        "CC-BY-4.0",
        "json-ld",
    )


def test_a_hundred_thousand_links_are_bounded() -> None:
    """Links behind the limit are not seen."""
    link = f'<a rel="license" href="{BY}">x</a>'
    tags = shape_and_tags((link * 100_000 + link.replace(BY, SA)).encode())[1]
    rights = page_rights(Page(b"", None, None, None, None, 0), tags)
    assert (rights.license, rights.license_from) == ("CC-BY-4.0", "rel")
