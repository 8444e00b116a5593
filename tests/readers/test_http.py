"""HTTP as browsers read it: headers, codings that lie, media types that are none."""

import gzip
import io
import zlib

import brotli
import pytest
import zstandard

from curation.readers.codings import body_without_codings
from curation.readers.http import header_fields, media_type, read_response
from curation.readers.records import Page, Reject
from curation.readers.sniffing import begins_as_html
from curation.readers.warc import read_archive

LIMIT = 1 << 20
HTML = b"<html><body><p>" + b"The miller wound the sluice at dawn. " * 30
CHINESE = (
    "<html><head><title>磨坊</title></head><p>" + "河边的老磨坊有两百年的历史。" * 20
).encode()


def became(block: bytes, mime: str = "application/http") -> Page | Reject:
    """What a response record becomes."""
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: {mime}\r\nContent-Length: {len(block)}\r\n\r\n"
    data = head.encode() + block + b"\r\n\r\n"
    (one,) = read_archive(io.BytesIO(data), "a.warc", max_page_bytes=LIMIT)
    return one


def http(body: bytes, *fields: str, start: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([start, *fields]).encode() + b"\r\n\r\n" + body


ENDS = [b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\n\n", b"\r\r\n\r\r\n", b"\r\n\r\r\n", b"\r\r"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("line", [b"\r\n", b"\n", b"\r"])
def test_a_header_ends_at_the_first_empty_line(end, line):
    body = HTML + b"\n\n<p>\r\n\r\nand more\r\r"
    block = line.join([b"HTTP/1.0 200 OK", b"Server: x", b"Content-Type: text/html"]) + end + body
    assert read_response(block) == (200, {"server": "x", "content-type": "text/html"}, body)


def test_a_line_that_begins_with_a_tag_is_no_field():
    block = b"HTTP/1.0 200 Document follows\nContent-type: text/html\nContent-length: 30\n"
    assert read_response(block + b"<HTML>\n\nx").body == b"<HTML>\n\nx"
    assert read_response(b"HTTP/1.0 200 OK\r\n" + HTML).body == HTML
    assert read_response(b"HTTP/1.0 200 OK\r\nA: b\r\n") == (200, {"a": "b"}, b"")


def test_lines_of_one_name_are_one_list():
    head = b"X\nVary: a\nEmpty:\nvary : b\nEmpty: c\nLong: d\n  e\n\tf\nno field\nVary:\n"
    assert header_fields(head, is_http=True) == {"vary": "a, b", "empty": "c", "long": "d e f"}
    assert header_fields(head)["vary"] == "a"  # of an archive's record the first counts


STATUS = [
    ("HTTP/1.1 200", 200), ("HTTP/1.1  200 OK", 200), ("HTTP/1.1 200OK", 200), ("http/1.0 200 ok", 200),
    ("HTTP/2 200", 200), ("HTTP 200 OK", 200), ("ICY 200 OK", 200), ("\r\nHTTP/1.1 200 OK", 200),
    ("HTTP/1.1", 200), ("HTTP/1.1 OK", 200), ("HTTP/1.1\t200 OK", 200), ("HTTP/1,1 200 OK", 200),
    ("HTTP/1.1 404 200", 404), ("HTTP/1.1 2000 OK", 2000), ("HTTP/1.1 204", 204),
]  # fmt: skip


@pytest.mark.parametrize(("line", "status"), STATUS)
def test_status_lines(line, status):
    one = became(http(HTML, "Content-Type: text/html", start=line))
    assert getattr(one, "detail", "200") == str(status)


def test_what_is_no_status_line():
    for block in (b"HTTP is a protocol\n\n", b"HTTPS/1.1 200\n\n", b"200 OK\n\n", b""):
        assert read_response(block) is None
    assert became(b"HTTP is spoken here", "text/plain").body == b"HTTP is spoken here"


@pytest.mark.parametrize(
    "first",
    [
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload",
        "HTTP/1.0 200 Connection established",
        "HTTP/1.1 200 OK\r\nProxy-Agent: x",
        "HTTP/1.1 200 Connection Established\r\nContent-Type: text/html",
    ],
)
def test_responses_before_the_response(first):
    assert became(first.encode() + b"\r\n\r\n" + http(HTML, "Content-Type: text/html")).body == HTML
    gone = http(HTML, start="HTTP/1.1 404 Not Found")
    assert became(first.encode() + b"\r\n\r\n" + gone).detail == "404"


def test_a_page_about_http_is_no_second_response():
    body = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"
    assert became(http(body, "Content-Type: text/plain")).body == body
    assert became(http(b"", start="HTTP/1.1 100 Continue") * 100).detail == "100"


# ---- codings -------------------------------------------------------------------------------------


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}  # fmt: skip
PLAIN = [CHINESE, HTML, b"\xef\xbb\xbf" + HTML, "Мельница ".encode("cp1251") * 9, "磨坊。".encode("gbk") * 20,
         b"<p>" + b"x" * 300 + b"\x0b\x02", b";" * 30, "<p>é".encode("utf-16")]  # fmt: skip


@pytest.mark.parametrize("coding", [*CODINGS, "x-gzip", "utf-8", "none", "compress", "chunked", "gzip, br"])  # fmt: skip
@pytest.mark.parametrize("body", PLAIN, ids=range(len(PLAIN)))
def test_a_coding_that_does_not_match_is_ignored_in_every_script(coding, body):
    assert body_without_codings(body, "", coding, LIMIT) == body
    assert body_without_codings(body, f"{coding}, chunked", "", LIMIT) == body


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"<p>hi", HTML, CHINESE], ids=["short", "ascii", "chinese"])
def test_codings_are_taken_off_wherever_they_are_named(coding, body):
    packed = CODINGS[coding](body)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)
    for transfer, content in (("", coding), (f"{coding}, chunked", ""), ("chunked", coding.upper()),
                              (f"chunked, {coding}", ""), ("chunked", f'"{coding}"'), ("", f"{coding}, {coding}"),
                              ("chunked", f"{coding}, identity")):  # fmt: skip
        sent = chunks if "chunked" in transfer else packed
        assert body_without_codings(sent, transfer, content, LIMIT) == body, (transfer, content)
    if coding in ("gzip", "zstd"):
        assert body_without_codings(b"\r\n" + packed, "", coding, LIMIT) == body
    assert body_without_codings(b"\r\n" + chunks, "chunked", coding, LIMIT) == body
    for other in CODINGS:  # gzip and zstd say what they are
        if coding in ("gzip", "zstd"):
            assert body_without_codings(packed, "", other, LIMIT) == body


def test_codings_in_two_lines_and_a_packed_page_without_one():
    twice = gzip.compress(zlib.compress(HTML))
    lines = ["Content-Type: text/html", "Content-Encoding: deflate", "Content-Encoding: gzip"]
    assert became(http(twice, *lines)).body == HTML
    for packed in (gzip.compress(HTML), zstandard.compress(HTML)):
        assert became(http(packed, "Content-Type: text/html")).body == HTML
    bomb = http(gzip.compress(bytes(50 << 20)), "Content-Type: text/html")
    assert became(bomb).reason == "too_large"
    for body in (gzip.compress(b"%PDF-1.4 of old"), gzip.compress(HTML)[:60]):
        assert became(http(body, "Content-Type: text/html")).reason == "not_html"


@pytest.mark.parametrize("trailer", [b"", b"\0", b"\0" * 8, b"\xff" * 20])
def test_a_gzip_body_is_whole_without_its_trailer(trailer):
    named = io.BytesIO()
    with gzip.GzipFile("page.html", "wb", fileobj=named) as file:
        file.write(HTML)
    for packed in (gzip.compress(HTML), named.getvalue()):
        body = packed[:-8] + trailer
        assert body_without_codings(body, "", "gzip", LIMIT) == HTML
        with pytest.raises(ValueError, match="breaks off"):
            body_without_codings(packed[:-30], "", "gzip", LIMIT)
    assert body_without_codings(zlib.compress(HTML)[:-4], "", "deflate", LIMIT) == HTML
    assert body_without_codings(raw_deflate(HTML), "", "deflate", LIMIT) == HTML


# ---- types ---------------------------------------------------------------------------------------

NO_TYPES = ["text/html charset=utf-8", "text/html:charset=utf-8", "Content-Type: text/html", "html", "*", "*/*", "-",
            "text/html; charset=utf-8, x/", "text/html]", "text\\html", "text/html\\; charset=utf-8", "null", "text/",
            "/html", "text/ html", "text/html&charset=utf-8", '"text/html"', "text/htm", "application/html", ";", ""]  # fmt: skip


@pytest.mark.parametrize("content_type", NO_TYPES)
def test_what_is_no_type_says_nothing(content_type):
    page = became(http(CHINESE, f"Content-Type: {content_type}"))
    assert page.body == CHINESE
    if content_type != "text/html; charset=utf-8, x/":
        assert became(http(b'{"a": 1}', f"Content-Type: {content_type}")).reason == "not_html"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["text/html", "image/png"], "not_html"),
        (["image/png", "text/html"], None),
        (["text/html", "nonsense"], None),
        (["nonsense", "text/html"], None),
        (["application/pdf; x=y"], "not_html"),
        (["text/css"], "not_html"),
        (["Text/HTML ;charset=x"], None),
    ],
)
def test_of_several_types_the_last_valid_one_counts(lines, expected):
    one = became(http(HTML, *(f"Content-Type: {line}" for line in lines)))
    assert getattr(one, "reason", None) == expected


def test_the_encoding_of_several_types():
    for header in (
        "text/html; charset=koi8-r, text/html",
        "text/html, charset=koi8-r",
        "text/html; charset=koi8-r, x",
    ):
        assert "koi8-r" in media_type(header)[1]
    header = "text/plain; charset=big5, text/html; charset=koi8-r"
    assert media_type(header) == ("text/html", "text/html; charset=koi8-r")


def test_first_bytes_of_pages():
    for start in ("<iframe src=x>", " \n<!-- no end", "<!DOCTYPE html>", "<P>", "\ufeff<html>"):
        assert begins_as_html(start.encode())
        assert begins_as_html(start.encode("utf-16-le")) or start[0] == " "
    for start in ("<rss>", "a < b", "<pa>", "{}", ""):
        assert not begins_as_html(start.encode())
    assert not begins_as_html(b"<!-- x --><rss>", "text/xml")
