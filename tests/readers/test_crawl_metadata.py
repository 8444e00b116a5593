"""What a crawl says of a page in the metadata record behind it: read where it is the page's own,
and never more than a hint."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from curation.readers.crawl_metadata import (
    MAX_BLOCK_BYTES,
    SURE_BYTES,
    identified,
    share_of_others,
    stated,
)
from curation.readers.records import Page, Reject, Skipped, Verdict
from curation.readers.warc import read_archive
from curation.recipe.languages import alike


def _record(
    kind: str, name: str, block: bytes, *, mime: str, url: str = "", about: str = ""
) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{name}>\r\nContent-Type: {mime}\r\n"
    head += f"WARC-Target-URI: {url or 'http://a.example/' + name[-1]}\r\n{about}"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def _page(name: str) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page " + name.encode()
    return _record("response", name, block, mime="application/http; msgtype=response")


def _cld2(*languages: tuple[str, Any], reliable: Any = True, size: Any = 5000) -> bytes:
    entries = [{"code": c[:2], "code-iso-639-3": c, "text-covered": x} for c, x in languages]
    return json.dumps({"reliable": reliable, "text-bytes": size, "languages": entries}).encode()


def _metadata(of: str, block: bytes = b"", **given: str) -> bytes:
    block = block or b"languages-cld2: " + _cld2(("rus", 0.9), ("eng", 0.05))
    about = given.pop("about", f"WARC-Concurrent-To: <urn:uuid:{of}>\r\n")
    block = b"fetchTimeMs: 9\r\ncharset-detected: windows-1251\r\n" + block + b"\r\n\r\n"
    return _record(
        "metadata", f"m-{of}", block, mime="application/warc-fields", about=about, **given
    )


REQUEST = _record("request", "r", b"GET /", mime="application/http; msgtype=request")
RUSSIAN = Verdict((("rus", 0.9), ("eng", 0.05)), True, 5000)


def _read(*records: bytes) -> list[Page | Reject | Skipped]:
    return list(read_archive(io.BytesIO(b"".join(records)), "a.warc", max_page_bytes=1 << 20))


def _verdicts(*records: bytes) -> list[Verdict | None]:
    return [one.verdict for one in _read(*records) if isinstance(one, Page)]


@pytest.mark.parametrize(
    "records",
    [
        [REQUEST, _page("1"), _metadata("1")],
        [_page("1"), REQUEST, _metadata("1")],  # Heritrix's order
        [_page("1"), _metadata("1", about="WARC-Refers-To: <urn:uuid:1>\r\n")],
        [_page("1"), _metadata("1", about="")],  # by its address
        [_page("1"), _metadata("1", about="WARC-Concurrent-To: <urn:uuid:r>\r\nWARC-Concurrent-To: <urn:uuid:1>\r\n")],
    ],
)  # fmt: skip
def test_the_record_behind_a_page_says_its_language_and_charset(records: list[bytes]) -> None:
    read = _read(*records, _page("2"))
    pages = [one for one in read if isinstance(one, Page)]
    assert [page.verdict for page in pages] == [RUSSIAN, None]
    assert [page.detected_charset for page in pages] == ["windows-1251", None]
    assert len(read) == len(records) + 1
    kinds = [type(one) for one in read]
    assert kinds == [type(one) for one in _read(*records[:-1], REQUEST, _page("2"))]  # in order


@pytest.mark.parametrize(
    "records",
    [
        [_page("1"), _page("2"), _metadata("1")],  # too late
        [_metadata("1"), _page("1")],  # too early
        [_page("1"), _metadata("2")],
        [_page("1"), _metadata("1", about="WARC-Concurrent-To: <urn:uuid:9>\r\n")],
        [_page("1"), _metadata("1", about="", url="http://b.example/")],
        [_page("1"), *[REQUEST] * 9, _metadata("1")],  # a page is not held back for long
        [_page("1"), _metadata("1")[:-60]],  # the archive ends in it
    ],
)  # fmt: skip
def test_a_record_of_another_page_says_nothing(records: list[bytes]) -> None:
    assert set(_verdicts(*records)) == {None}
    bodies = [one.body for one in _read(*records) if isinstance(one, Page)]
    assert bodies == [f"<p>page {n + 1}".encode() for n in range(len(bodies))]


@pytest.mark.parametrize(
    "value",
    [
        b"", b"{", b"null", b"[]", b'"eng"', b"{}", b'{"languages":{}}', b'{"languages":[]}', b'{"languages":[1]}',
        b"[" * 60_000, b'{"languages":' * 4000, b'{"languages":[{"code-iso-639-3":"eng","text-covered":NaN}]}',
        _cld2(("eng", True)), _cld2(("eng", -0.1)), _cld2(("eng", 1.5)), _cld2(("eng", "1")), _cld2(("eng", 10**400)),
        _cld2(("<script>", 0.5)), _cld2(("en", 0.5)), _cld2(*[("eng", 0.01)] * 9), b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_hostile_values_cost_only_the_hint(value: bytes) -> None:
    block = b"languages-cld2: " + value
    assert stated(block)[0] is None
    assert _verdicts(_page("1"), _metadata("1", block), _page("2")) == [None, None]


def test_odd_parts_of_a_verdict_are_unknown() -> None:
    block = b"languages-cld2: " + _cld2(("eng", 0.5), reliable="yes", size=-1e9)
    assert stated(block)[0] == Verdict((("eng", 0.5),), None, 0)
    assert stated(b"charset-detected: <b>" + b"\n" + block)[1] is None
    assert stated(block + b"\r\nx: " + b"x" * MAX_BLOCK_BYTES) == (None, None)


def test_a_wet_header_names_languages_without_shares() -> None:
    head = "WARC-Identified-Content-Language: spa,cat\r\n"
    wet = _record("conversion", "1", b"hola", mime="text/plain", about=head)
    assert _verdicts(wet) == [Verdict((("spa", None), ("cat", None)))]
    assert [identified(text) for text in ("", "Spanish", "spa;cat", "spa,")] == [None] * 4


@pytest.mark.parametrize(
    ("verdict", "wanted", "share"),
    [
        (RUSSIAN, ["en"], 0.9),
        (RUSSIAN, ["en", "uk"], 0.0),  # easily taken for each other
        (RUSSIAN, ["rus_Cyrl"], 0.05),
        (Verdict((("nno", 0.99),), True, 5000), ["da"], 0.0),
        (Verdict((("rus", 0.99),), False, 5000), ["en"], 0.0),
        (Verdict((("rus", 0.99),), None, 5000), ["en"], 0.0),
        (Verdict((("rus", 0.99),), True, SURE_BYTES - 1), ["en"], 0.0),
        (Verdict((("und", 0.99),), True, 5000), ["en"], 0.0),
        (Verdict((("rus", None),), True, 5000), ["en"], 0.0),
    ],
)
def test_what_is_surely_another_language(verdict: Verdict, wanted: list[str], share: float) -> None:
    codes = alike(wanted)
    assert codes is not None
    assert share_of_others(verdict, codes) == share
