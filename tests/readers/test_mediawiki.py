"""MediaWiki dumps: whole, packed, cut, hostile; and the markup."""

import bz2
import gzip
import io
import itertools
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.readers.mediawiki import STUB_CHARS, read_dump
from curation.readers.records import Document, Reject
from curation.readers.wikitext import wikitext_text

WORDS = "The mill stands by the river and has done so for a very long time. " * 5
HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="de"><siteinfo>
<sitename>Wikipedia</sitename><base>https://de.example/wiki/Hauptseite</base><namespaces><namespace key="0" />
<namespace key="6">Datei</namespace><namespace key="14">Kategorie</namespace></namespaces></siteinfo>"""


def page(title: str, text: str, ns: int = 0, redirect: str = "", number: int = 1) -> str:
    mark = f'<redirect title="{redirect}" />' if redirect else ""
    return (
        f"<page><title>{escape(title)}</title><ns>{ns}</ns><id>{number}</id>{mark}<revision><id>99</id>"
        f"<timestamp>2016-04-22T10:19:33Z</timestamp><contributor><username>N</username><id>5</id></contributor>"
        f'<comment>c</comment><text xml:space="preserve">{escape(text)}</text></revision></page>\n'
    )


PAGES = [
    page(
        "Mühle (Bau)",
        f"'''{WORDS}'''\n== Siehe ==\n* [[Fluss]]\n[[Kategorie:Bau]][[Datei:A.png|mini|Bild]]",
        number=12,
    ),
    page("Mill", "#REDIRECT [[Mühle]]", redirect="Mühle"),
    page("Mill 2", "#WEITERLEITUNG [[Mühle]]"),
    page("Diskussion:Mühle", WORDS, ns=1),
    page("Kurz", "Zu kurz."),
    page("Zwei", WORDS + " &amp; more", number=13),
]
DUMP = (HEAD + "".join(PAGES) + "</mediawiki>").encode()


def read(data: bytes) -> list[Document | Reject]:
    return list(read_dump(io.BytesIO(data), "wiki.xml"))


def test_every_page_is_an_article_or_has_a_reason():
    found = read(DUMP)
    assert [getattr(one, "reason", "ok") for one in found] == [
        "ok",
        "redirect_page",
        "redirect_page",
        "namespace",
        "stub",
        "ok",
    ]
    assert [one.offset for one in found] == list(range(6))
    first = found[0]
    assert first.text == WORDS.strip() + "\n\nSiehe\n\n- Fluss"
    assert first.url == "https://de.example/wiki/M%C3%BChle_(Bau)"
    assert (first.id, first.record_id, first.date) == (None, "12", "2016-04-22T10:19:33Z")
    assert found[5].text.endswith("& more")


def test_every_packing():
    plain = read(DUMP)
    streams = [HEAD.encode(), *(one.encode() for one in PAGES), b"</mediawiki>"]
    for data in (bz2.compress(DUMP), gzip.compress(DUMP), b"".join(map(bz2.compress, streams))):
        assert read(data) == plain


def test_a_dump_cut_anywhere_gives_its_whole_pages():
    plain = read(DUMP)
    ends = list(
        itertools.accumulate((len(one.encode()) for one in PAGES), initial=len(HEAD.encode()))
    )
    for cut in range(ends[0] + 1, len(DUMP) - 1, 97):
        found = read(DUMP[:cut])
        whole = sum(1 for end in ends[1:] if end - 1 <= cut)
        assert found[:-1] == plain[:whole]
        assert found[-1].reason == "truncated"
    many = b"".join(map(bz2.compress, [HEAD.encode(), *(one.encode() for one in PAGES)]))
    assert read(many)[:-1] == plain
    packed = bz2.compress(DUMP)
    assert [
        one.reason for one in read(bz2.compress(HEAD.encode()) + packed[: len(packed) // 2])
    ] == ["truncated"]


def test_damage_stops_with_one_reject():
    wrong = (
        HEAD.encode()
        + PAGES[0].encode()
        + b"<page><title>x</nonsense></page>"
        + PAGES[5].encode()
        + b"</mediawiki>"
    )
    assert [getattr(one, "reason", "ok") for one in read(wrong)] == ["ok", "malformed"]


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE mediawiki [<!ENTITY a "' + "x" * 1000 + '">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise("abcdefghi"))
    + ' <!ENTITY f SYSTEM "file:///etc/passwd">]>' + HEAD + page("x", WORDS).replace("The mill", "&i;&f;")
)  # fmt: skip


def test_entities_of_its_own_are_refused():
    with pytest.raises(InputError, match="entity declaration"):
        read(BOMB.encode())


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"<html><p>", b"<rss></rss>", b"\x00\x01", b"BZh9" + b"\0" * 50]
)
def test_what_is_no_dump_is_an_input_error(data):
    with pytest.raises(InputError, match=r"wiki\.xml: not a MediaWiki dump"):
        read(data)


def test_a_page_too_large():
    found = read((HEAD + page("Big", "x " * 2_500_000) + PAGES[0] + "</mediawiki>").encode())
    assert [getattr(one, "reason", "ok") for one in found] == ["too_large", "ok"]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''Bold''' and ''it'' '''''both'''''", "Bold and it both"),
        ("a{{t|x={{u|{{v}}}}|y}}b {{{arg|no}}}", "ab"),
        ("[[A]] [[B|b]] [[C#part]] [[D#p|d]] [[:E]] [[fr:F]]", "A b C d E"),
        ("[[File:x.png|thumb|A [[link]] in it]]t", "t"),
        ("[[Category:X]][[Image:y.jpg]]t", "t"),
        ("see [http://a.b/ here] and [http://c.d/] and http://e.f/", "see here and and http://e.f/"),
        ("one<ref>two</ref> three<ref name=x /> <ref name='y'>{{cite}}</ref>four", "one three four"),
        ("a<!-- b -->c", "ac"),
        ("{| class=x\n! h\n|-\n| c {| inner |} d\n|}\nafter", "after"),
        ("a<br/>b<small>c</small><div style='x'>d</div>", "a\nbc\nd"),
        ("== A ==\ntext\n=== B ===\n== C ==\nmore", "A\n\ntext\n\nC\n\nmore"),
        ("text\n== Notes ==\n{{reflist}}\n== Links ==\n[[Category:X]]", "text"),
        ("== A ==\n=== B ===\ntext", "A\n\nB\n\ntext"),
        ("* one\n** two\n# three\n: four\n*", "- one\n- two\n- three\nfour"),
        ("name ({{IPA|x}}; ) is", "name is"),
        ("5 &lt; 6 &nbsp;&amp; &#x41;", "5 < 6 & A"),
        ("<gallery>\nA.png|b\n</gallery>t __NOTOC__ __БЕЗ_ОГЛ__ __init__", "t __init__"),
        ("x = y and a == b", "x = y and a == b"),
    ],
)  # fmt: skip
def test_markup(markup, text):
    assert wikitext_text(markup) == text


@given(st.text("[]{}|<>='*#&;!-:ab/ \n", max_size=120))
def test_any_markup_gives_text(markup):
    assert isinstance(wikitext_text(markup), str)


HURTFUL = [
    "({{a}};",
    "{{nowrap|''",
    "{{hlist|a|",
    "<nowiki>",
    "<sup>",
    "-{a:",
    "''a'' '''b ",
    " {{u|a}} ",
    "{{formatnum:1",
    "{{date|1|1²|",
    "[[",
    "{{",
    "{{a|",
    "'' ",
    "<b>",
    "{|\n",
    "[http://a ",
    "==a\n",
    "<ref>",
    "<!--",
    "[[a|",
    "(;",
    "{{{",
    "\t ",
]


@pytest.mark.parametrize("part", HURTFUL)
def test_markup_made_to_hurt_costs_little(part):
    assert len(wikitext_text(part * 100_000)) <= len(part) * 100_000


@pytest.mark.parametrize(
    "markup",
    [
        "a\n" * 500_000,
        "= a" + " " * 1_000_000 + "b",
        "({{a}}" + " ;" * 500_000,
        "{{a}}" + " " * 1_000_000,
    ],
)
def test_long_runs_of_blanks_cost_little(markup):
    assert len(wikitext_text(markup)) <= len(markup)


def dump_of(*pages: str, head: str = HEAD) -> list[Document | Reject]:
    return read((head + "".join(pages) + "</mediawiki>").encode())


def reasons(found: list[Document | Reject]) -> list[str]:
    return [getattr(one, "reason", "ok") for one in found]


def test_without_a_namespace_the_title_tells_it():
    titles = [
        "Mühle",
        "Datei:A.png",
        "datei diskussion:A",
        "Talk:Mill",
        "Kategorie:Bau",
        "Alien: Resurrection",
    ]
    pages = [page(title, WORDS).replace("<ns>0</ns>", "") for title in titles]
    head = HEAD.replace(
        "</namespaces>", '<namespace key="7">Datei Diskussion</namespace></namespaces>'
    )
    found = dump_of(*pages, head=head)
    assert reasons(found) == ["ok", "namespace", "namespace", "namespace", "namespace", "ok"]
    assert found[2].detail == "7"


@pytest.mark.parametrize(
    "model", ["javascript", "sanitized-css", "json", "Scribunto", "flow-board"]
)
def test_other_content_models_are_no_articles(model):
    (found,) = dump_of(page("A", WORDS).replace("<text ", f"<model>{model}</model><text "))
    assert (found.reason, found.detail) == ("namespace", f"content model {model}, no wikitext")


def test_a_numbered_list_is_no_redirect():
    lists = [
        f"#[[Ham]] {WORDS}",
        f"#Eggs [[Ham]] {WORDS}",
        f"# [[Ham]] {WORDS}",
        f"#1 [[Ham]] {WORDS}",
    ]
    assert reasons(dump_of(*(page("A", text) for text in lists))) == ["ok"] * 4
    words = ["REDIRECT", "Redirect", "REDIRECCIÓN", "перенаправление", "転送", "ПЕРЕНАПР"]
    redirects = [page("A", f"#{word}: [[B]]\n{WORDS}") for word in words]
    assert set(reasons(dump_of(*redirects))) == {"redirect_page"}


def test_the_language_of_the_dump_writes_its_numbers():
    (found,) = dump_of(page("A", f"{{{{PAGENAME}}}}: {{{{formatnum:12345.6}}}} {WORDS}"))
    assert found.text.startswith("A: 12.345,6 The mill")


def test_real_dump(shared_data):
    (path,) = (shared_data / "text").glob("enwiki*.bz2")
    with path.open("rb") as stream:
        found = list(read_dump(stream, path.name))
    articles = [one for one in found if isinstance(one, Document)]
    assert (len(found), len(articles)) == (206, 106)
    assert all(len(one.text) >= STUB_CHARS for one in articles)
    for mark in ("{{", "[[", "<ref", "{|", "'''"):
        assert sum(mark in one.text for one in articles) <= 2  # TeX has "{{"
    assert articles[0].text.startswith(
        "Anarchism is a political philosophy that advocates self-governed societies"
    )
