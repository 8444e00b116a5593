"""Archives of every make, whole and broken: nothing raises, nothing hangs, every undamaged record
is found."""

import base64
import bz2
import collections
import gzip
import hashlib
import io
import random
import re
import zlib

import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeadersParserException

from curation.readers import unpack
from curation.readers.records import Damage, Page, Reject, Skipped
from curation.readers.warc import read_archive

LIMIT = 1 << 20


class Pipe(io.RawIOBase):
    """A stream that cannot seek and gives what it likes at a time, as a socket does."""

    def __init__(self, data: bytes, most: int = 7000) -> None:
        self._data, self._most = io.BytesIO(data), most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._data.read(self._most if size < 0 else min(size, self._most))


def read(data: bytes, name: str = "a.warc.gz", limit: int = LIMIT) -> list[Page | Reject | Skipped]:
    found = list(read_archive(io.BytesIO(data), name, max_page_bytes=limit))
    assert list(read_archive(Pipe(data), name, max_page_bytes=limit)) == found, (
        "the same from a pipe"
    )
    offsets = [(one.offset, one.place) for one in found if isinstance(one, Page)]
    assert offsets == sorted(set(offsets))
    return found


def http(
    body: bytes, *headers: str, status: str = "200 OK", content_type: str | None = "text/html"
) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        *([f"Content-Type: {content_type}"] if content_type else []),
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def record(number: int, block: bytes, kind: str = "response", *, length: int | None = None, version: str = "1.0",
           mime: str = "application/http; msgtype=response", extra: str = "", end: str = "\r\n") -> bytes:  # fmt: skip
    head = (
        f"WARC/{version}\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Date: 2019-08-17T00:00:01Z\r\n"
        f"WARC-Target-URI: http://a.example/{number}\r\nContent-Type: {mime}\r\n{extra}"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return head.replace("\r\n", end).encode() + block + (end + end).encode()


def page_body(number: int, size: int = 3000) -> bytes:
    letters = random.Random(number).choices(b"abcdefgh <>\n", k=size)
    return b"<html><p>" + bytes(letters) + f"page {number}".encode()


BODIES = [page_body(n) for n in range(8)]
RECORDS = [record(n, http(body)) for n, body in enumerate(BODIES)]
WAYS = {
    "plain": lambda records: b"".join(records),
    "gzip": lambda records: b"".join(map(gzip.compress, records)),
    "gzip one": lambda records: gzip.compress(b"".join(records)),
    "gzip pairs": lambda records: b"".join(
        gzip.compress(b"".join(records[n : n + 2])) for n in range(0, len(records), 2)
    ),
    "gzip blocks": lambda records: b"".join(
        gzip.compress(b"".join(records)[n : n + 5000])
        for n in range(0, sum(map(len, records)), 5000)
    ),
    "zstd": lambda records: b"".join(map(zstandard.compress, records)),
    "zstd one": lambda records: zstandard.compress(b"".join(records)),
    "bzip2": lambda records: bz2.compress(b"".join(records)),
}


def bodies(found: list[Page | Reject | Skipped]) -> list[bytes]:
    return [one.body for one in found if isinstance(one, Page)]


def reasons(found: list[Page | Reject | Skipped]) -> list[str]:
    return [one.reason for one in found if isinstance(one, Reject)]


@pytest.mark.parametrize("way", WAYS)
def test_every_packing_gives_every_page(way):
    found = read(WAYS[way](RECORDS))
    assert bodies(found) == BODIES
    assert len(found) == len(RECORDS)
    first = found[0]
    assert (first.url, first.record_id, first.date) == (
        "http://a.example/0",
        "<urn:uuid:0>",
        "2019-08-17T00:00:01Z",
    )
    assert (first.content_type, first.is_text) == ("text/html", False)
    assert len({(one.offset, one.place) for one in found}) == len(found), (
        "places tell records apart"
    )


@pytest.mark.parametrize("way", WAYS)
def test_an_offset_is_where_the_record_or_its_member_stands(way):
    data = WAYS[way](RECORDS)
    for number, one in enumerate(read(data)):
        assert not one.offset or data[one.offset :].startswith((data[:3], b"WARC/"))
        assert one.place == 0 or way not in ("plain", "gzip", "zstd")
        assert bodies(again(data, one)) == BODIES[number:]


def again(data: bytes, page: Page, name: str = "a.warc.gz") -> list[Page | Reject | Skipped]:
    """What is read of an archive from a page on."""
    where = {"offset": page.offset, "place": page.place}
    return list(read_archive(io.BytesIO(data), name, max_page_bytes=LIMIT, **where))


@pytest.mark.parametrize("version", ["0.17", "0.18", "1.0", "1.1"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_versions_and_line_ends(version, end):
    data = b"".join(
        record(n, http(body), version=version, end=end) for n, body in enumerate(BODIES)
    )
    assert bodies(read(data)) == bodies(read(gzip.compress(data))) == BODIES


def test_zero_padding_and_empty_files_are_no_loss():
    assert len(read(WAYS["gzip"](RECORDS) + bytes(3000))) == len(RECORDS)
    assert read(b"") == read(gzip.compress(b"")) == read(b"\r\n\r\n") == []


def test_kinds_of_records():
    data = b"".join(
        [
            record(0, b"software: x\r\n", "warcinfo", mime="application/warc-fields"),
            record(1, b"GET / HTTP/1.1\r\n\r\n", "request"),
            record(2, http(b"<p>one"), "response"),
            record(3, b"fetchTimeMs: 1", "metadata", mime="application/warc-fields"),
            record(4, b"{}", "metadata", mime="application/json"),
            record(5, http(b""), "revisit"),
            record(6, "Grüße".encode(), "conversion", mime="text/plain"),
            record(7, b"<html>two", "resource", mime="text/html"),
            record(8, b"\x89PNG....", "resource", mime="image/png"),
            record(9, b"rest", "continuation"),
            record(10, b"?", "novelty"),
        ]
    )
    found = read(data)
    assert [getattr(one, "kind", None) or getattr(one, "reason", None) or one.body for one in found] == [
        "warcinfo", "request", b"<p>one", "metadata", "wat", "revisit", "Grüße".encode(), b"<html>two", "not_html",
        "truncated", "unknown",
    ]  # fmt: skip
    assert [one.is_text for one in found if isinstance(one, Page)] == [False, True, False]


def chunked(body: bytes, size: int = 700) -> bytes:
    parts = [body[n : n + size] for n in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def brotli_compressed(body: bytes) -> bytes:
    brotli = pytest.importorskip("brotli")
    return brotli.compress(body)


def raw_deflate(body: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(body) + engine.flush()


HTML = b"<html><p>" + b"some words of a page " * 300
CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "br": brotli_compressed,
    "zstd": zstandard.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "identity": bytes,
    "utf-8": bytes,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_encoded_bodies(coding, is_chunked):
    body = CODINGS[coding](HTML)
    headers = [
        f"Content-Encoding: {coding}",
        *(["Transfer-Encoding: chunked"] if is_chunked else []),
    ]
    found = read(record(0, http(chunked(body) if is_chunked else body, *headers)))
    assert bodies(found) == [HTML]


@pytest.mark.parametrize("coding", CODINGS)
def test_bodies_decoded_by_the_crawler_under_old_headers(coding):
    block = http(HTML, f"Content-Encoding: {coding}", "Transfer-Encoding: chunked")
    assert bodies(read(record(0, block))) == [HTML]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_cut_bodies(coding):
    body = CODINGS[coding](b"<html>" + random.Random(0).randbytes(300_000).hex().encode())
    block = http(body[: len(body) // 2], f"Content-Encoding: {coding}")
    assert reasons(read(record(0, block))) == ["malformed"]
    cut = read(record(0, block, extra="WARC-Truncated: length\r\n"))
    assert bodies(cut)[0].startswith(b"<html>")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_bombs_are_too_large_and_cost_little(coding):
    body = CODINGS[coding](bytes(50_000_000))
    assert reasons(read(record(0, http(body, f"Content-Encoding: {coding}")))) == ["too_large"]


def test_blocks_over_the_limit_are_passed_over():
    big = record(1, http(b"<p>" + b"x" * 3_000_000))
    for way in ("plain", "gzip", "gzip one", "zstd"):
        found = read(WAYS[way]([RECORDS[0], big, RECORDS[2]]))
        assert bodies(found) == [BODIES[0], BODIES[2]]
        assert reasons(found) == ["too_large"]
    assert reasons(read(record(0, http(b"<p>" + b"x" * 1000)), limit=500)) == ["too_large"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (http(b"<p>x", status="404 Not Found"), "http_status"),
        (http(b"", status="301 Moved"), "http_status"),
        (http(b"  \r\n "), "empty"),
        (http(b"{}", content_type="application/json"), "not_html"),
        (http(b"%PDF-1.4 ..."), "not_html"),
        (http(b"just words", content_type=None), "not_html"),
        (http(b"<?xml version='1.0'?><rss>", content_type="text/xml"), "not_html"),
        (b"garbage", "malformed"),
        (b"HTTP/1.1 OK\r\n\r\n<p>", None),
        (b"", "empty"),
        (http(b"\n<!-- x --> <!DOCTYPE html><p>x", content_type=None), None),
        (http(b"<html><p>x", content_type="application/octet-stream"), None),
        (http(b"<?xml version='1.0'?><html xmlns=x>", content_type="application/xml"), None),
        (http(b"<p>x", content_type='TEXT/HTML; charset="x"'), None),
        (http(b"words", content_type="text/plain"), None),
        (b"<html><body>no header at all", None),
        (b"HTTP/1.0 200\nContent-type: text/html\n\n<p>line feeds", None),
    ],
)
def test_what_becomes_of_a_response(block, expected):
    (one,) = read(record(0, block))
    assert getattr(one, "reason", None) == expected


@pytest.mark.parametrize("way", ["gzip", "zstd"])
@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_flipped_bit_costs_one_record(way, number):
    packed = [WAYS[way]([one]) for one in RECORDS]
    wrong = bytearray(packed[number])
    wrong[len(wrong) // 2] ^= 4
    packed[number] = bytes(wrong)
    found = read(b"".join(packed))
    lost = [body for body in BODIES if body not in bodies(found)]
    assert lost in (
        [],
        [BODIES[number]],
    )  # zstd frames carry no checksum here: the page itself may differ
    assert len(found) == len(RECORDS)


@pytest.mark.parametrize("way", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_record_cut_short_costs_one_record(way, number):
    packed = [WAYS[way]([one]) for one in RECORDS]
    packed[number] = packed[number][: len(packed[number]) // 2]
    found = read(b"".join(packed))
    assert bodies(found) == [body for body in BODIES if body != BODIES[number]]
    assert len(reasons(found)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_an_archive_cut_anywhere_gives_its_whole_records(way):
    data = WAYS[way](RECORDS)
    for cut in range(1, len(data), 501):
        found = read(data[:cut])
        got = bodies(found)
        assert got == BODIES[: len(got)]
        if way in ("plain", "gzip", "zstd"):
            whole = sum(1 for n in range(1, 9) if len(WAYS[way](RECORDS[:n])) <= cut)
            assert len(got) in (
                whole,
                whole + 1,
            )  # without its last line ends a plain record is whole
            assert len(reasons(found)) <= 1


@pytest.mark.parametrize("length", [0, 100, 3200, 4000, 9000, 10**9])
def test_a_length_that_lies_costs_no_other_record(length):
    wrong = record(3, http(BODIES[3]), length=length)
    for way in WAYS:
        found = read(WAYS[way]([*RECORDS[:3], wrong, *RECORDS[4:]]))
        assert [body for body in bodies(found) if body in BODIES] == [
            b for b in BODIES if b != BODIES[3]
        ]
        assert reasons(found)


@pytest.mark.parametrize("junk", [b"garbage\nmore " * 100, b"\x1f\x8b\x08\x00 not gzip", b"WARC/1.0\r\nX: y\r\n\r\n",
                                  b"\0" * 5000 + b"x", b"HTTP/1.1 200 OK\r\n" * 9000])  # fmt: skip
def test_junk_between_records_is_one_loss(junk):
    for way in ("plain", "gzip", "zstd"):
        packed = [WAYS[way]([one]) for one in RECORDS]
        for place in (0, 4, 8):
            found = read(b"".join([*packed[:place], junk, *packed[place:]]))
            # A record in front of a packed file says that the file is not packed.
            is_record = junk.startswith(b"WARC") and not place and way != "plain"
            assert bodies(found) == ([] if is_record else BODIES)
            assert len(reasons(found)) == 1


ARC_HEAD = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"


def arc(url: str, block: bytes, mime: str = "text/html") -> bytes:
    return f"{url} 127.0.0.1 20080430204825 {mime} {len(block)}\n".encode() + block + b"\n"


def test_arc():
    records = [
        f"filedesc://x.arc 0.0.0.0 20080430204825 text/plain {len(ARC_HEAD)}\n".encode() + ARC_HEAD,
        arc("dns:a.example", b"20080430204825\na.example. 1 IN A 1.2.3.4", "text/dns"),
        *(arc(f"http://a.example/with space {n}", http(body)) for n, body in enumerate(BODIES)),
        arc("http://a.example/none", http(b"<p>x", status="404 No")),
    ]
    for way in ("plain", "gzip", "gzip one"):
        found = read(WAYS[way](records), "x.arc.gz")
        assert [one.kind for one in found[:2]] == ["warcinfo", "dns"]
        assert bodies(found) == BODIES
        assert found[2].date == "2008-04-30T20:48:25Z"
        assert found[2].url == "http://a.example/with space 0"
        assert reasons(found) == ["http_status"]
    records = [
        one.replace(b"with space ", b"") for one in records
    ]  # a lost place is found by addresses without blanks
    broken = [*records[:4], records[4][:1000], *records[5:]]
    for way in ("plain", "gzip"):
        assert bodies(read(WAYS[way](broken), "x.arc")) == [b for b in BODIES if b != BODIES[2]]


def test_a_zstd_dictionary_in_front():
    samples = [one + bytes([n]) for n, one in enumerate(RECORDS * 20)]
    trained = zstandard.train_dictionary(4000, samples)
    engine = zstandard.ZstdCompressor(dict_data=trained)
    for payload in (trained.as_bytes(), zstandard.compress(trained.as_bytes())):
        front = b"\x5d\x2a\x4d\x18" + len(payload).to_bytes(4, "little") + payload
        assert bodies(read(front + b"".join(map(engine.compress, RECORDS)))) == BODIES


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Some flips, cuts, splices, swaps and insertions."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at, to = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
        act = rng.randrange(6)
        if act == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif act == 1:
            del data[at:to]
        elif act == 2:
            data[at:at] = data[to : to + 3000]
        elif act == 3:
            data[at:at] = rng.randbytes(rng.randrange(300))
        elif act == 4:
            del data[to:]
        else:
            data[at : at + 4] = b"\xff\xff\xff\xff"
    return bytes(data)


@pytest.mark.parametrize("way", WAYS)
def test_mutated_archives_neither_raise_nor_hang(way):
    rng = random.Random(f"mutate {way}")
    records = [
        record(0, b"x: y\r\n", "warcinfo"),
        *RECORDS[:4],
        record(9, http(CODINGS["br"](HTML), "Content-Encoding: br")),
    ]
    data = WAYS[way](records)
    for _ in range(60):
        found = read(mutated(data, rng))
        assert len(found) < 100


def test_real_archives_agree_with_warcio(shared_data):
    """Every record that warcio sees in the undamaged archives, ours sees; nothing raises on any
    file."""
    totals = collections.Counter()
    for path in sorted((shared_data / "archives").iterdir()) + sorted(
        (shared_data / "archives-broken").iterdir()
    ):
        with path.open("rb") as stream:
            ours = list(read_archive(stream, path.name, max_page_bytes=10_000_000))
        totals.update(type(one).__name__ for one in ours)
        is_hurt = any(
            isinstance(one, Reject) and one.reason in ("malformed", "truncated") for one in ours
        )
        if "broken" in path.parent.name or is_hurt:
            continue
        with path.open("rb") as stream:
            try:
                theirs = sum(1 for _ in WarcioIterator(stream, arc2warc=True))
            except (ArchiveLoadFailed, StatusAndHeadersParserException, EOFError):
                continue
        assert len(ours) >= theirs, path.name
    assert totals["Page"] > 390


def test_real_crawl(shared_data):
    found = []
    for path in sorted((shared_data / "crawl").glob("*.warc.gz"))[:1]:
        with path.open("rb") as stream:
            found += read_archive(stream, path.name, max_page_bytes=10_000_000)
    counts = collections.Counter(
        getattr(one, "kind", None) or getattr(one, "reason", "page") for one in found
    )
    assert counts == {"warcinfo": 1, "request": 484, "page": 484, "metadata": 484}


@pytest.mark.parametrize("in_gzip", [True, False])
def test_a_record_that_does_not_fit_its_own_digest(in_gzip: bool) -> None:
    body = b"<p>" + b"A mill stands by the river. " * 9
    plain, chunked = (
        http(body),
        http(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked"),
    )

    def sha1(data: bytes) -> str:
        return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()

    other = sha1(b"something else")
    cases = [
        (plain, f"WARC-Block-Digest: {sha1(plain)}\r\nWARC-Payload-Digest: {sha1(body)}\r\n", True),
        (plain, f"WARC-Block-Digest: {other}\r\n", False),
        (plain, f"WARC-Payload-Digest: {other}\r\n", False),
        (plain, f"WARC-Block-Digest: sha1:{hashlib.sha1(plain).hexdigest()}\r\n", True),
        (chunked, f"WARC-Payload-Digest: {sha1(body)}\r\n", True),
        (plain, f"WARC-Payload-Digest: {other}\r\nWARC-Truncated: length\r\n", True),
        (plain, "WARC-Block-Digest: md5:0123\r\n", True),
        (plain, "", True),
    ]
    records = [record(i, block, extra=extra) for i, (block, extra, _) in enumerate(cases)]
    data = b"".join(map(gzip.compress, records)) if in_gzip else b"".join(records)
    found = read(data, "a.warc.gz" if in_gzip else "a.warc")
    fits = [page.fits_digest for page in found if isinstance(page, Page)]
    assert fits == [fits for _, _, fits in cases]


# ---- damage costs only what is damaged -----------------------------------------------------------


def cut_header(one: bytes, rng: random.Random) -> bytes:
    return one[: rng.randrange(12, one.index(b"\r\n\r\n"))]


def other_length(one: bytes, length: int) -> bytes:
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % length, one, count=1)


HURT = {  # a record in, what stands in its place
    "header": cut_header,
    "body": lambda one, rng: one[: rng.randrange(one.index(b"\r\n\r\n") + 4, len(one))],
    "huge": lambda one, rng: other_length(one, rng.choice([50_000, 99_999_999, 10**14])),
    "small": lambda one, rng: other_length(one, rng.randrange(400)),
    "little": lambda one, rng: other_length(one, 3074 + rng.choice([-40, -5, 1, 5, 12, 40, 400])),
    "junk": lambda one, rng: one + rng.randbytes(rng.randrange(1, 3000)),
    "no end": lambda one, rng: one[:-4],
}
HURT_FILE = {  # a file in, a damaged one out
    "first byte": lambda data, rng: data[1:],
    "front": lambda data, rng: rng.choice([b"\r\n", bytes(512), rng.randbytes(40)]) + data,
    "gzip magic": lambda data, rng: b"\x1f\x8b\x08\x00" + data,
    "head cut": lambda data, rng: data[rng.randrange(1, len(data) // 2) :],
    "flip": lambda data, rng: bytes([data[0] ^ 1 << rng.randrange(8)]) + data[1:],
    "hole": lambda data, rng: (at := rng.randrange(len(data))) and data[:at] + data[at + 700 :],
}


@pytest.mark.parametrize("way", ["plain", "gzip", "zstd", "gzip one", "zstd one", "bzip2", "arc"])
@pytest.mark.parametrize("hurt", [*HURT, *HURT_FILE])
def test_every_untouched_record_is_found_under_its_address_and_can_be_read_again(way, hurt):
    rng = random.Random(f"{way} {hurt}")
    pack = WAYS.get(way, b"".join)
    if way == "arc" and hurt not in ("body", "junk", "no end", *HURT_FILE):
        return
    for _ in range(4):
        stored = list(RECORDS)
        if way == "arc":
            stored = [arc(f"http://a.example/{n}", http(body)) for n, body in enumerate(BODIES)]
        whole = dict(enumerate(stored))
        if hurt in HURT:
            number = rng.randrange(len(stored))
            stored[number] = HURT[hurt](whole.pop(number), rng)
        parts = {n: pack([one]) if way in ("gzip", "zstd") else one for n, one in whole.items()}
        data = pack(stored) if way in ("gzip", "zstd") else b"".join(stored)
        if hurt in HURT_FILE:
            data = HURT_FILE[hurt](data, rng)
        untouched = [n for n, part in parts.items() if part in data]
        if way in ("gzip one", "zstd one", "bzip2"):
            data = pack([data])
        name = "a.arc" if way == "arc" else "a.warc"
        pages = {one.url: one for one in read(data, name) if isinstance(one, Page)}
        for n in untouched:
            page = pages[f"http://a.example/{n}"]
            assert page.body == BODIES[n]
            assert again(data, page, name)[0] == page
            assert (
                page.place
                or way not in ("plain", "gzip", "zstd")
                or parts[n][:50] in (data[page.offset :][:50])
            )
        for url, page in pages.items():
            assert not any(
                body in page.body for body in BODIES if f"/{BODIES.index(body)}" not in url
            )


def test_a_header_ends_where_the_next_record_begins():
    for cut in (30, 100, 150, 190):
        for end in (b"", b"\r\n"):
            for way in ("plain", "gzip"):
                data = WAYS[way]([RECORDS[0], RECORDS[1][:cut] + end, RECORDS[2]])
                found = read(data)
                assert [one.url for one in found if isinstance(one, Page)] == [
                    "http://a.example/0",
                    "http://a.example/2",
                ]
                assert len(reasons(found)) == 1
    line = b"http://a.example/old 127.0.0.1 2008"
    (page,) = (
        one for one in read(line + arc("http://a.example/new", http(HTML))) if hasattr(one, "body")
    )
    assert page.url == "http://a.example/new"


class Counted(io.BytesIO):
    """A file that counts the bytes read from it."""

    count = 0

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def linear(data: bytes, name: str = "a.warc", limit: int = LIMIT) -> collections.Counter[str]:
    """What an archive gives, read at most twice."""
    stream = Counted(data)
    found = list(read_archive(stream, name, max_page_bytes=limit))
    assert stream.count <= 2 * len(data) + (1 << 18)
    return collections.Counter(getattr(one, "reason", "page") for one in found)


@pytest.mark.parametrize("length", [900_000, 99_999_999])
@pytest.mark.parametrize("way", ["plain", "gzip", "gzip one", "bzip2", "zstd one"])
def test_thousands_of_lengths_that_lie(way, length):
    lies = [record(n, http(b"<p>"), length=length + n) for n in range(3000)]
    counts = linear(WAYS[way]([*RECORDS, *lies, *RECORDS]))
    assert counts["page"] == 2 * len(RECORDS)
    assert counts["malformed"] + counts["truncated"] == len(lies)


def test_what_never_ends_costs_what_it_has_in_bytes():
    """Each of these took time by the square of its size."""
    line = b"http://a.example/%d 127.0.0.1 20190817000001 text/html 999999\n"
    for data in (
        gzip.compress(b"WARC/1.0\r\nA" * 100_000),
        gzip.compress(b"WARC/1.0\r\nA:" * 5000),
        b"WARC/1.0\r\nA: b\r\n" + b" c\r\n" * 100_000,
        b"http:" * 200_000,
        b"http://" * 100_000,
        (b" 127.0.0.1 20190817000001 " + b";" * 400) * 500,
        b"".join(line % n for n in range(3000)),
        b"".join(gzip.compress(b"x") for _ in range(3000)),
        b"\x1f\x8b\x08\x00" * 3000,
    ):
        counts = linear(data + RECORDS[0] if data[0] != 0x1F else data, "a.arc")
        assert set(counts) <= {"malformed", "truncated", "page"}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "gzip pairs"])
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_record_in_a_record_is_no_page(way, size):
    inner = record(7, http(b"<p>inner" + b"x" * size)) * 2
    outer = record(1, inner, "resource", mime="application/warc")
    found = read(WAYS[way]([RECORDS[0], outer, RECORDS[2]]))
    assert bodies(found) == [BODIES[0], BODIES[2]]
    assert len(found) == 3


def test_a_member_at_the_border_of_a_large_block():
    """Behind a block over the limit the next member begins exactly where the block ends."""
    big = record(1, http(b"<p>" + bytes(3_000_000)))[:-4]
    for pack in (gzip.compress, zstandard.compress, bz2.compress):
        found = read(b"".join(map(pack, [RECORDS[0], big, *RECORDS[2:]])))
        assert bodies(found) == [BODIES[0], *BODIES[2:]]
        assert reasons(found) == ["too_large"]


@pytest.mark.parametrize("more", [1, 5, 16, 40, 400, 2000])
def test_an_arc_length_some_bytes_too_long_loses_no_other_record(more):
    records = [arc(f"http://a.example/{n}", http(body)) for n, body in enumerate(BODIES)]
    size = len(http(BODIES[3]))
    records[3] = records[3].replace(b" %d\n" % size, b" %d\n" % (size + more), 1)
    for way in ("plain", "gzip", "gzip one"):
        got = bodies(read(WAYS[way](records), "a.arc"))
        assert [body for body in BODIES if body != BODIES[3]] == [b for b in got if b in BODIES][
            -7:
        ]


def test_damaged_members_in_a_row_are_counted_each():
    packed = list(map(gzip.compress, RECORDS))
    for number in (2, 3, 4):
        packed[number] = packed[number][:10] + b"\xff" * 20 + packed[number][30:]
    found = read(b"".join(packed))
    assert bodies(found) == [*BODIES[:2], *BODIES[5:]]
    lost = [one for one in found if isinstance(one, Reject)]
    assert [one.offset for one in lost] == [sum(map(len, packed[:n])) for n in (2, 3, 4)]
    assert all(one.is_damage for one in lost)


def test_a_damaged_zstd_dictionary_costs_its_file_and_raises_nothing():
    trained = zstandard.train_dictionary(
        4000, [one + bytes([n]) for n, one in enumerate(RECORDS * 20)]
    )
    frames = list(map(zstandard.ZstdCompressor(dict_data=trained).compress, RECORDS))
    payload = trained.as_bytes()
    for broken in (
        payload[:4] + b"\xff" * 60 + payload[64:],
        b"\x37\xa4\x30\xecrubbish",
        b"nothing of the kind",
        b"\x28\xb5\x2f\xfdnothing of the kind",
        b"",
    ):
        front = b"\x5d\x2a\x4d\x18" + len(broken).to_bytes(4, "little") + broken
        assert len(reasons(read(front + b"".join(frames)))) == len(frames)
    good = b"\x5d\x2a\x4d\x18" + len(payload).to_bytes(4, "little") + payload
    for front in (good[1:], good[3:], b"\0\0" + good):
        assert bodies(read(front + b"".join(frames))) == BODIES


def test_what_is_damaged_is_said_of_the_page():
    def fits(data: bytes) -> list[bool]:
        return [one.fits_digest for one in read(data) if isinstance(one, Page)]

    block = http(HTML)
    digest = "sha1:" + base64.b32encode(hashlib.sha1(block).digest()).decode()
    sure = record(1, block, extra=f"WARC-Block-Digest: {digest}\r\n")
    doubtful = record(1, block)
    for way in ("plain", "gzip", "zstd", "gzip one"):
        assert fits(WAYS[way]([doubtful, RECORDS[2]])) == [True, True]
        assert fits(WAYS[way]([doubtful + b"junk", RECORDS[2]])) == [False, True]
        assert fits(WAYS[way]([sure + b"junk", RECORDS[2]])) == [True, True]
    wrong = bytearray(gzip.compress(doubtful))
    wrong[-8] ^= 1  # of the checksum
    assert reasons(read(bytes(wrong) + gzip.compress(RECORDS[2]))) == ["malformed"]


def test_members_that_cut_across_records_are_read_as_one():
    whole = b"".join(RECORDS)
    for size in (50, 333, 3000, 65_000):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        for pack in (gzip.compress, zstandard.compress):
            data = b"".join(map(pack, pieces))
            found = read(data)
            assert bodies(found) == BODIES
            assert [bodies(again(data, one))[0] for one in found] == BODIES


@pytest.mark.parametrize("seed", range(40))
def test_damaged_members_are_the_same_without_isal(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ISA-L unpacks what is whole; whatever is damaged is told by zlib, in the same words."""
    pytest.importorskip("isal", reason="the extra `fast` is not installed")
    rng = random.Random(seed)
    members = [
        gzip.compress(bytes(rng.choices(range(97), k=rng.randrange(90_000))), rng.randrange(10))
        for _ in range(4)
    ]
    data = bytearray(b"".join(members))
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(2)] = rng.randbytes(rng.randrange(1, 3))
    data = data[: rng.choice([len(data), rng.randrange(1, len(data))])]

    def unpacked() -> list[tuple[int | None, bytes | str]]:
        out: list[tuple[int | None, bytes | str]] = []
        for piece in unpack.Unpacker(io.BytesIO(bytes(data))).pieces(0):
            if isinstance(piece, Damage):
                out.append((piece.offset, f"{piece.reason}: {piece.detail}"))
            elif piece.start is None and out:
                out[-1] = (out[-1][0], bytes(out[-1][1]) + piece.data)  # type: ignore[arg-type]
            else:
                out.append((piece.start, piece.data))
        return out

    fast = unpacked()
    monkeypatch.setattr(unpack, "isal_zlib", None)
    assert fast == unpacked()


@pytest.mark.parametrize("seed", range(40))
def test_records_of_unusual_members_are_the_same_without_isal(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What zlib unpacks goes through the window; a member that ISA-L has unpacked whole does not."""
    pytest.importorskip("isal", reason="the extra `fast` is not installed")
    rng = random.Random(seed)

    def unusual(one: bytes) -> bytes:
        cut = rng.randrange(len(one))
        inner = one.replace(b"WARC/1.0", b"WARC/1.0\r\nX: 1\r\n\r\nWARC/1.0", 1)
        longer = one.replace(b"Content-Length: ", b"Content-Length: 1", 1)
        shorter = one.replace(b"Content-Length: 3", b"Content-Length: ", 1)
        ends = one + b"\r\n" * rng.randrange(300) + b"junk" * rng.randrange(2)
        others = [b"\r\n\r\n" + one, one.rstrip(), one + one, one[:cut], one[cut:], b"\r\n"]
        return rng.choice([*others, inner, longer, shorter, ends, arc("http://a.example/", one)])

    pieces = [unusual(one) if rng.random() < 0.4 else one for one in RECORDS]
    data = b"".join(map(gzip.compress, pieces))
    limit = rng.choice([LIMIT, 2000])
    fast = read(data, limit=limit)
    monkeypatch.setattr(unpack, "isal_zlib", None)
    assert fast == read(data, limit=limit)
