"""Text from pages: encodings, extraction, cleaning, and pages made to hurt the parser."""

import collections
import re
import unicodedata
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import curation
from curation.blocks.shape import MAX_NAMES, page_shape
from curation.errors import InputError
from curation.readers.encoding import codec_for, decoded
from curation.readers.html import (
    EXTRACTORS,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_OTHER_NODES,
    MAX_ROOT_ATTRIBUTES,
    check_shape,
    check_size,
    clean_text,
    page_text,
)
from curation.readers.records import Page, PageError

STORY = (
    "The whole story of the little mill by the river is told here, and it is a long one indeed. "
    * 4
)
PAGE = f"<html><body><nav><a href=/>Home</a> <a href=/b>Shop</a></nav><article><h1>Mill</h1><p>{STORY}</p></article></body></html>"


def page(
    body: bytes | str, content_type: str | None = "text/html", *, is_text: bool = False
) -> Page:
    data = body.encode() if isinstance(body, str) else body
    return Page(data, "http://a.example/", None, None, content_type, 0, is_text)


def test_main_content_and_all_text():
    main, everything = (page_text(page(PAGE), extractor) for extractor in ("resiliparse", "none"))
    assert STORY.strip() in main
    assert "Shop" not in main
    assert "Shop" in everything
    assert STORY.strip() in everything
    assert page_text(page("a < b\r\n<p>", is_text=True), "resiliparse") == "a < b\n<p>"
    with pytest.raises(ValueError, match="blocks, resiliparse"):
        page_text(page(PAGE), "magic")


def test_a_page_may_be_bytes_or_text():
    """Text that was decoded before is not decoded again, whatever the page says of its encoding."""
    told = (
        "<html><head><meta charset=iso-8859-1></head><body><p>Čapek's 机器人 — a long line of text"
    )
    assert "Čapek's 机器人 —" in curation.extract_text(told)
    assert [b.text for b in curation.extract_blocks(told)] == [
        b.text
        for b in curation.extract_blocks(told.encode(), content_type="text/html; charset=utf-8")
    ]
    assert curation.extract_text(bytearray(PAGE.encode())) == curation.extract_text(PAGE)
    assert curation.extract_text("") == ""
    for wrong, message in (
        (lambda: curation.extract_text(None), "a page as bytes or str expected, got None"),
        (lambda: curation.extract_blocks(5), "a page as bytes or str expected, got 5"),
        (lambda: curation.extract_text(PAGE, extractor="x"), "extractor: one of blocks"),
        (lambda: curation.extract_text(PAGE, headline="x"), 'headline must be "judged"'),
    ):
        with pytest.raises(InputError, match=message):
            wrong()


def reason_of(make: Callable[[], str]) -> str | None:
    """Why there is no text; None where there is some."""
    try:
        return None if make() else "the empty text was returned"
    except PageError as error:
        return error.reason


CASES = {
    "utf-8 under a wrong header": (
        "<p>Grüße".encode(),
        "text/html; charset=iso-8859-1",
        "<p>Grüße",
    ),
    "utf-8 mark": (b"\xef\xbb\xbf" + b"<p>Gr\xc3\xbc", None, "<p>Grü"),
    "false utf-8 mark": (b"\xef\xbb\xbf<meta charset=windows-1252><p>caf\xe9", None, None),
    "utf-16 mark": ("\ufeff<p>Grüße".encode("utf-16-le"), None, "<p>Grüße"),
    "utf-16 without mark": ("<p>hello there".encode("utf-16-be"), None, "<p>hello there"),
    "header": ("<p>Привет, мир".encode("koi8-r"), "text/html; charset=KOI8-R", "<p>Привет, мир"),
    "header before meta": (
        b"<meta charset=windows-1251>" + "Привет".encode("koi8-r"),
        'text/html;charset="koi8-r"',
        "<meta charset=windows-1251>Привет",
    ),
    "meta": (
        b'<meta http-equiv=Content-Type content="text/html; charset=Shift_JIS">'
        + "日本①".encode("cp932"),
        "text/html",
        None,
    ),
    "xml declaration": (
        b'<?xml version="1.0" encoding="iso-8859-2"?><html>' + "Łódź".encode("iso-8859-2"),
        "application/xhtml+xml",
        None,
    ),
    "latin1 means windows-1252": (
        b"\x93quoted\x94 \x80",
        "text/html; charset=latin1",
        "“quoted” €",
    ),
    "iso-2022-jp": (
        "<p>日本語".encode("iso2022_jp"),
        "text/html; charset=iso-2022-jp",
        "<p>日本語",
    ),
    "unknown label": (
        "<p>caf\xe9 ol\xe9".encode("latin-1"),
        "text/html; charset=x-nonsense",
        "<p>café olé",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_encodings(name):
    body, content_type, expected = CASES[name]
    text = decoded(body, content_type)
    if expected is not None:
        assert text == expected
    assert "\ufffd" not in text
    assert not text.startswith("\ufeff")


def test_a_wrong_label_gives_way_to_detection():
    body = ("<p>" + "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5).encode(
        "cp1251"
    )
    assert decoded(body, "text/html; charset=utf-8") == body.decode("cp1251")


@pytest.mark.parametrize(
    "label",
    ["base64", "rot13", "hex", "unicode_escape", "utf-7", "idna", "", None, "é", "a" * 5000, "\0"],
)
def test_labels_that_are_no_encodings(label):
    assert codec_for(label) is None


@given(st.binary(max_size=300), st.none() | st.text(max_size=40))
def test_decoding_never_raises(body, content_type):
    assert isinstance(decoded(body, content_type), str)


@given(st.text(st.characters(codec=None), max_size=200))
def test_clean_text_keeps_its_promises(text):
    if reason_of(lambda: clean_text(text)) == "empty":
        return
    cleaned = clean_text(text)
    assert cleaned == cleaned.strip() != ""
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff]", cleaned)
    assert clean_text(cleaned) == cleaned
    cleaned.encode()


@given(st.binary(max_size=400), st.sampled_from(EXTRACTORS))
def test_any_bytes_give_text_or_a_reason(body, extractor):
    assert reason_of(lambda: page_text(page(body), extractor)) in (
        None,
        "empty",
        "undecodable",
        "too_large",
    )


BOMBS = {
    "deep": "<div>" * 100_000,
    "deep and closed": "<div>" * 100_000 + "x" + "</div>" * 100_000,
    "a megabyte of div": "<div>" * 200_000,
    "deep in the middle": PAGE * 20 + "<ul><li>" * 5000 + PAGE,
    "attributes": "<div " + " ".join(f"a{n}=1" for n in range(100_000)) + ">x",
    "attributes in many tags": ("<p " + " ".join(f"a{n}" for n in range(2000)) + ">x") * 50,
    "attributes without end": "<div " + " ".join(f"a{n}" for n in range(100_000)),
}
HARMLESS = {
    "unclosed paragraphs": "<p>some words" * 50_000,
    "unclosed cells": "<table>" + "<tr><td>x" * 20_000,
    "open formatting": "<b>" * 2000 + STORY,
    "breaks": "x<br>" * 100_000,
    "less than": "<" * 500_000,
    "long attribute": '<input value="' + '{"a": [1, 2, 3], ' * 20_000 + '">' + STORY,
    "one attribute often": "<div " + "a=1 " * 3000 + ">" + STORY,
    "one line": STORY * 5000,
    "unclosed comment": "<!--" * 100_000,
    "nul": "<p>a" + "\0" * 10,
    "marks on letters": "<p>" + ("a" + "\u0300\u0316" * 50) * 300 + STORY,
    "signs in a row": "<p>" + "─" * 50_000 + STORY,
    "all bytes": bytes(range(256)) * 400,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_the_parser_sees_them(name):
    with pytest.raises(PageError) as caught:
        page_text(page(BOMBS[name]), "resiliparse")
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_odd_pages_pass(name, extractor):
    body = HARMLESS[name]
    if extractor == "trafilatura":  # it takes seconds; what refuses pages is the same before each
        body = body[: max(20_000, len(body) // 10)]
    assert reason_of(lambda: page_text(page(body), extractor)) in (
        None,
        "empty",
        "undecodable",
    )


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_many_marks_on_a_letter_are_refused_before_they_are_put_in_order(extractor):
    text = "<p>" + STORY + "a" + "\u0300\u0316" * 1_000_000
    assert reason_of(lambda: page_text(page(text), extractor)) in ("too_large", "empty")


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_bombs_cost_any_extractor_little(extractor):
    for name in BOMBS:
        assert reason_of(lambda name=name: page_text(page(BOMBS[name]), extractor)) in (
            None,
            "empty",
            "too_large",
        )


def test_the_limits_of_shape():
    deep = b"<div>" * MAX_DEPTH
    long = b"<q " + b"".join(b"a%d=1 " % n for n in range(MAX_ATTRIBUTES - 1))
    names = b"".join(b"<t%d>" % n for n in range(MAX_NAMES - 1))
    for passing, refused, why in (
        (deep, deep + b"<div>", "deep"),
        (long + b">", long + b"b c>", "attributes"),
        (names.replace(b">", b"></x>"), (names + b"<y><z>").replace(b">", b"></x>"), "names"),
        (b"<br>" * MAX_OTHER_NODES, b"<br>" * (MAX_OTHER_NODES + 1), "the limit is 250000"),
        (b"<i></i>" * 50_000, b"<p><i a=1>" * 1100, "formatting elements left open"),
    ):
        check_shape(page_shape(passing))
        with pytest.raises(PageError, match=why) as caught:
            check_shape(page_shape(refused))
        assert caught.value.reason == "too_large"


ROOT = b"<body a b=c D='>' e = \"f\">"  # four attributes
HIDDEN = {
    "alone": b"%s",
    "in a comment": b"<!-- %s -->",
    "after a comment that ends at once": b"<!-->%s",
    "in a script": b"<script>%s</script>",
    "after a quote": b'<a b="%s',
    "after many": b"<html " * 10 + b">%s",
}


@pytest.mark.parametrize("place", HIDDEN)
def test_too_many_attributes_of_html_and_body_are_refused_wherever_they_stand(place):
    few, many = (HIDDEN[place] % (ROOT * (MAX_ROOT_ATTRIBUTES // 4 + n)) for n in (-30, 1))
    check_size(page_shape(few))
    with pytest.raises(PageError, match="attributes of html and body") as caught:
        page_text(page(many), "blocks")
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    "unit", [b"<p>", b"<!x>", b"<?x>", b"</>", b"</p>", b"<q a", b"<q b=<!-->"]
)
def test_no_page_with_more_nodes_than_the_limit_is_parsed(unit):
    nodes = page_shape(unit).nodes
    check_size(page_shape(unit * (MAX_NODES // nodes)))
    with pytest.raises(PageError, match="left open, the limit is 500000"):
        page_text(page(unit * (MAX_NODES // nodes + 1)), "blocks")


@pytest.mark.parametrize("sign", ["<", "\0", "\x01", "\x1f", "&"])
def test_signs_that_are_errors_count_as_an_eighth_of_a_node(sign):
    assert page_shape(sign.encode() * 2_000_001).nodes == 250_000
    reason = reason_of(lambda: page_text(page("x" + sign * (8 * MAX_NODES + 8)), "blocks"))
    assert reason == ("undecodable" if sign in "\x01\x1f" else "too_large")


def test_linear_in_what_looks_like_an_end_tag():
    """Quadratic time would take minutes here."""
    for body in ("<script>" + "</" * 200_000, "<svg><script>" + "</s" * 300_000):
        assert reason_of(lambda body=body: page_text(page(body), "blocks")) == "empty"
    many = "".join(f"<t{n}>x</t{n}>" for n in range(40_000))
    assert reason_of(lambda: page_text(page(many), "blocks")) is None
    assert reason_of(lambda: page_text(page(many), "none")) == "too_large"


def test_zeros_in_html_are_dropped():
    assert page_text(page("<p>" + "a\0\0b " * 50), "none") == ("ab " * 50).strip()


def test_binary_is_undecodable():
    with pytest.raises(PageError) as caught:
        page_text(page(b"\x00\x01\x02\x00" * 500, is_text=True), "none")
    assert caught.value.reason == "undecodable"


def test_thirty_legacy_encodings(shared_data):
    """Decoded text equals that of the true encoding, with and without what the page declares."""
    wrong = collections.Counter()
    for row in pq.read_table(shared_data / "encoding/pages.parquet").to_pylist():
        folder = row["path"].split("/")[-2]
        short = re.match(r"(windows-\d+|iso-8859-\d+)", folder)
        truth = codec_for(short[1] if short else folder)
        bare = re.sub(rb'(?i)(charset|encoding)\s*=\s*["\']?[\w-]+["\']?', b"", row["html"])
        for kind, body in (("declared", row["html"]), ("bare", bare)):
            expected = body.decode(truth, "replace").lstrip("\ufeff")
            wrong[kind] += decoded(body, None) != expected
    assert wrong["declared"] <= 1
    assert wrong["bare"] <= 2
