"""Which directives of headers and pages are listed, and when the list is empty or unknown."""

from __future__ import annotations

import pytest

from curation.blocks.shape import shape_and_tags
from curation.blocks.tags import MAX_TAGS, first_letters, rights_tags
from curation.readers.html import EXTRACTORS, Form, text_and_rights
from curation.readers.http import read_response
from curation.readers.records import Page
from curation.readers.rights import page_rights
from curation.readers.robots import header_directives, with_page

STORY = "<p>" + "The miller wound the sluice at dawn, and the wheel turned slowly. " * 9


def directives(head: str, *, robots: str | None = "", body: str = STORY) -> str | None:
    page = Page(f"<html><head>{head}</head><body>{body}".encode(), None, None, None, None, 0)
    page = Page(page.body, None, None, None, "text/html", 0, robots=robots)
    return text_and_rights(page, "none", Form())[1].robots


def of_response(*lines: str) -> str:
    head = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""])
    response = read_response(head.encode())
    assert response is not None
    return header_directives(response.fields)


def test_headers_in_odd_case_and_several_of_them() -> None:
    assert of_response("x-ROBOTS-tag: NoIndex, NOFOLLOW", "X-Robots-Tag:noArchive") == (
        "noarchive,nofollow,noindex"
    )
    assert of_response("X-Robots-Tag: none") == "nofollow,noindex"
    assert of_response("Content-Type: text/html") == ""
    assert of_response("X-Robots-Tag: all", "X-Robots-Tag: index, follow, max-snippet:-1") == ""


def test_a_line_for_one_crawler_is_for_no_other() -> None:
    """What a search engine is asked is no word to others; the next line is for all again."""
    assert of_response("X-Robots-Tag: googlebot: noindex", "X-Robots-Tag: nofollow") == "nofollow"
    assert of_response("X-Robots-Tag: bingbot: noarchive, CCBot : noindex, nosnippet") == (
        "noindex,nosnippet"
    )
    assert of_response("X-Robots-Tag: GPTBot: noai") == "noai"
    assert of_response("X-Robots-Tag: *: noimageai") == "noimageai"
    assert of_response("X-Robots-Tag: gptbot: googlebot: noindex") == ""


def test_directives_with_a_value() -> None:
    assert of_response("X-Robots-Tag: max-snippet: 0, max-image-preview:NONE") == (
        "max-image-preview:none,max-snippet:0"
    )
    assert of_response("X-Robots-Tag: max-image-preview:large, max-video-preview:-1") == ""
    assert of_response("X-Robots-Tag: max-snippet:00012345678901") == ""
    until = "X-Robots-Tag: unavailable_after: 25 Jun 2010 15:00:00 PST, noindex"
    assert of_response(until) == "noindex,unavailable_after:2010-06-25"
    assert of_response("X-Robots-Tag: unavailable_after: Saturday, 25-Aug-07 23:59:00 EST") == (
        "unavailable_after:2007-08-25"
    )
    assert of_response("X-Robots-Tag: unavailable_after: when it suits") == "unavailable_after"


def test_other_headers_and_the_page_itself() -> None:
    assert of_response("TDM-Reservation: 1", "tdm-policy: https://a.example/p") == "tdm-reservation"
    assert of_response("tdm-reservation: 0") == ""
    assert of_response("Content-Usage: train-ai=n, search=y") == "train-ai=n"
    assert directives('<meta name="tdm-reservation" content=1>') == "tdm-reservation"
    assert directives('<META NAME="tdm-reservation" CONTENT="0">') == ""


@pytest.mark.parametrize(
    "head",
    [
        '<meta name="robots" content="noindex">',
        "<META CONTENT='NOINDEX , Index' NAME=' Robots '>",
        "<meta name=robots content=noindex>",
        '<meta\n name = "robots"\n content = "no&#105;ndex"/>',
        '<meta name="CCBot" content="noindex">',
        '<noscript><meta name="robots" content="noindex"></noscript>',
        '<meta name="description" content="a > b"><meta name="robots" content="noindex">',
        "<script>var a = '<!--';</script><meta name=robots content=noindex>",
        '<meta name="robots" content="noindex" content="nofollow" name="x">',
    ],
)
def test_a_meta_tag_however_it_is_written(head: str) -> None:
    assert directives(head) == "noindex"


@pytest.mark.parametrize(
    "head",
    [
        '<!-- <meta name="robots" content="noindex"> -->',
        '<script>document.write(\'<meta name="robots" content="noindex">\')</script>',
        '<style>/* <meta name="robots" content="noindex"> */</style>',
        '<textarea><meta name="robots" content="noindex"></textarea>',
        '<title><meta name="robots" content="noindex"></title>',
        '<template><meta name="robots" content="noindex"></template>',
        '<a data-tag=\'<meta name="robots" content="noindex">\'>x</a>',
        '<meta name="googlebot" content="noindex">',
        '<meta name="description" content="robots noindex">',
        '<meta name="robots">',
        '<meta name="robots-txt" content="noindex">',
        '<meta name="robots" content="noindex-ish index follow">',
        '<meta name="robots" data-content="noindex">',
        '<metadata name="robots" content="noindex">',
        '<? <meta name="robots" content="noindex"',
    ],
)
def test_what_is_no_meta_tag_says_nothing(head: str) -> None:
    assert directives(head) == ""


def test_several_tags_and_headers_are_one_list() -> None:
    head = '<meta name=robots content="noai, noimageai"><meta name=GPTBot content="noarchive">'
    assert directives(head, robots="noindex") == "noai,noarchive,noimageai,noindex"
    assert directives("<meta name=robots content='nofollow'>", body=STORY + head) == (
        "noai,noarchive,nofollow,noimageai"
    )


def test_silence_is_empty_with_headers_and_unknown_without() -> None:
    assert directives("") == ""
    assert directives("", robots=None) is None
    assert directives("<meta name=robots content=noai>", robots=None) == "noai"
    text = Page(b"noindex", None, None, None, "text/plain", 0, True, robots="noai")
    assert text_and_rights(text, "none", Form())[1].robots == "noai"
    assert with_page(None, [("robots", "all")]) is None


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_the_extractor_makes_no_difference(extractor: str) -> None:
    html = f'<head><meta name="robots" content="noai"><title>Mill</title></head>{STORY}'
    page = Page(html.encode("utf-16"), None, None, None, "text/html; charset=utf-16", 0, robots="")
    assert text_and_rights(page, extractor, Form())[1].robots == "noai"


def test_hostile_sizes_are_bounded() -> None:
    """A hundred thousand tags, a list of a megabyte, a tag without an end."""
    many = "".join(f'<meta name="robots" content="noai{n}">' for n in range(100_000))
    tags = shape_and_tags(f"<meta name=robots content=noai>{many}".encode())[1]
    page = Page(b"", None, None, None, None, 0, robots="")
    assert len(rights_tags(tags, first_letters(["robots"]))) == MAX_TAGS
    assert page_rights(page, tags).robots == "noai"
    assert directives(f'<meta name="robots" content="{"noindex," * 100_000}">') == "noindex"
    assert directives('<meta name="robots" content="' + "x" * 1_000_000 + '">') == ""
    assert len(header_directives({"content-usage": "".join(f"a{n}=n," for n in range(999))})) < 900
    assert header_directives({"x-robots-tag": "googlebot:" * 100_000}) == ""
    assert header_directives({"x-robots-tag": " " * 100_000 + ": noindex"}) == ""
