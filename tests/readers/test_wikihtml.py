"""HTML dumps of wikis: plain, packed, in a tar archive; cut, hostile; and what of a page is text."""

import bz2
import gzip
import io
import json
import tarfile

import pytest

from curation.errors import InputError
from curation.readers.records import Document, Reject
from curation.readers.wikihtml import article_html_text, read_html_dump

WORDS = "The mill stands by the river and has done so for a very long time. " * 5


def line(title: str, html: str | None = f"<p>{WORDS}</p>", **fields: object) -> bytes:
    body = {} if html is None else {"html": html}
    row = {
        "name": title,
        "identifier": 12,
        "url": f"https://en.example/wiki/{title}",
        "date_modified": "2024-01-02T03:04:05Z",
        "namespace": {"identifier": 0, "name": "Article"},
        "in_language": {"identifier": "en"},
        "article_body": body,
        "license": [{"identifier": "CC-BY-SA-4.0"}],
        "redirects": [{"name": "Old mill"}],
    }
    return json.dumps({**row, **fields}).encode() + b"\n"


LINES = [
    line("Mill"),
    line("Talk:Mill", namespace={"identifier": 1}),
    line("Short", "<p>Too short.</p>"),
    line("Old", '<link rel="mw:PageProp/redirect" href="./Mill"/>' + f"<p>{WORDS}</p>"),
    line("None", None),
    b'{"name": broken\n',
    line("Markup", None, article_body={"wikitext": f"'''It''' is {{{{convert|5|km}}}}. {WORDS}"}),
]
REASONS = ["ok", "namespace", "stub", "redirect_page", "missing_text", "malformed", "ok"]


def tar_of(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(data: bytes) -> list[Document | Reject]:
    return list(read_html_dump(io.BytesIO(data), "wiki-ENTERPRISE-HTML.json.tar.gz"))


def reasons(found: list[Document | Reject]) -> list[str]:
    return [getattr(one, "reason", "ok") for one in found]


def test_every_line_is_an_article_or_has_a_reason():
    found = read(b"".join(LINES))
    assert reasons(found) == REASONS
    assert [one.offset for one in found] == list(range(len(LINES)))
    first = found[0]
    assert (first.text, first.record_id, first.date) == (
        WORDS.strip(),
        "12",
        "2024-01-02T03:04:05Z",
    )
    assert first.url == "https://en.example/wiki/Mill"
    assert found[-1].text.startswith("It is 5 km. The mill")


def test_the_licence_that_the_dump_states():
    url = "https://creativecommons.org/licenses/by-sa/3.0/"
    several = [{"identifier": "CC-BY-SA-3.0"}, {"identifier": "CC-BY-4.0"}]
    lines = [line("Mill"), line("A", license=[{"name": "CC", "url": url}])]
    lines += [line("B", license=value) for value in (several, None, "CC-BY-SA-4.0", [{}], 7)]
    rights = [(one.rights.license, one.rights.license_from) for one in read(b"".join(lines))]
    assert rights == [("CC-BY-SA-4.0", "dump"), ("CC-BY-SA-3.0", "dump"), *[(None, None)] * 5]


def test_every_packing():
    plain = read(b"".join(LINES))
    half = len(LINES) // 2
    halves = [b"".join(LINES[:half]), b"".join(LINES[half:])]
    long_name = "folder/" * 30 + "b.ndjson"
    tar = tar_of(("a.ndjson", halves[0]), (long_name, gzip.compress(halves[1])))
    for data in (gzip.compress(b"".join(LINES)), bz2.compress(tar), tar, gzip.compress(tar)):
        assert read(data) == plain


def test_a_dump_cut_anywhere_gives_its_whole_lines():
    data = b"".join([LINES[0], LINES[2], LINES[6]] * 3)
    plain = read(data)
    tar = gzip.compress(tar_of(("a.ndjson", data)), mtime=0)
    for cut in range(len(tar) // 2, len(tar) - 9, 7):
        found = read(tar[:cut])
        assert found[-1].reason == "truncated"
        assert found[:-1] == plain[: len(found) - 1]


@pytest.mark.parametrize(
    "data",
    [
        b'{"title": "a", "text": "b"}\n' * 200,
        tar_of(("a.ndjson", b'{"a": 1}\n' * 200)),
        b"[1]",
    ],
)
def test_what_is_no_dump_is_an_input_error(data):
    with pytest.raises(InputError):
        read(data)


def test_a_tar_header_may_claim_anything():
    archive = bytearray(tar_of(("a.ndjson", LINES[0])))
    for claim in (b"77777777777\0", b"\x80" + b"\xff" * 11, b"-1\0" + b" " * 9, b"99999999999\0"):
        archive[124:136] = claim
        assert reasons(read(bytes(archive)))[:1] in (["ok"], [])


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>A <b>b</b> <a href=x>c</a>.</p><p>d</p>", "A b c.\n\nd"),
        ('<p>a<sup class="mw-ref reference">[1]</sup> b<span class="mw-editsection">[e]</span></p>', "a b"),
        ('<table class="infobox"><tr><td>x</td></tr></table><div class="hatnote">See</div><p>a</p>', "a"),
        ('<style>p {}</style><p>a</p><div role="navigation" class="navbox">n</div>', "a"),
        ("<h2>A</h2><p>b</p><h2>Notes</h2><div class='reflist'>n</div><h3>Sub</h3>", "A\n\nb"),
        ('<p>so <span class="mwe-math-element"><span style="display: none;"><math alttext="{\\displaystyle E=mc^{2}}">'
         '<mi>E</mi></math></span><img alt="E"></span> is</p>', "so E=mc^{2} is"),
        ("<p>10<sup>6</sup> and H<sub>2</sub>O</p>", "10^6 and H2O"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ('<figure typeof="mw:File/Thumb"><figcaption>c</figcaption></figure><p>x</p>', "x"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_of_a_page_is_text(html, text):
    assert article_html_text(html) == text


@pytest.mark.parametrize(
    "part", ["<div>", "<p>", "<b><p>", "<table><tr><td>", "<span class=navbox>", "<i id=x class=y>", "<math alttext=x>"]
)  # fmt: skip
def test_hostile_pages_are_refused_or_read(part):
    found = read(line("Mill", part * 150_000 + WORDS) + LINES[0])
    assert reasons(found)[0] in ("too_large", "stub", "ok")
    assert reasons(found)[1] == "ok"


@pytest.mark.parametrize("value", [None, 5, "x", [], {"identifier": None}, {"identifier": [1]}])
def test_fields_of_any_kind(value):
    fields = (
        "name",
        "url",
        "identifier",
        "namespace",
        "date_modified",
        "in_language",
        "article_body",
    )
    for field in fields:
        (found,) = read(line("Mill", **{field: value}))
        assert isinstance(found, Document | Reject)
