"""The parts of an archive together are the archive: the same records, losses and offsets in order."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from curation.readers import archive_parts, framing
from curation.readers.archive_parts import ArchivePart
from curation.readers.records import Page, Reject, Skipped
from curation.readers.unpack import has_members
from curation.readers.warc import read_archive

Outcome = Page | Reject | Skipped
WORDS = [f"word{n}" for n in range(300)]


def record(
    block: bytes, kind: str = "response", mime: str = "application/http", more: str = ""
) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:{zlib.crc32(block)}>\r\n"
    head += (
        f"WARC-Target-URI: http://a.example/{zlib.crc32(block)}\r\nContent-Type: {mime}\r\n{more}"
    )
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def page(chance: random.Random) -> bytes:
    text = " ".join(chance.choices(WORDS, k=chance.randrange(5, 120)))
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><p>" + text.encode()


def crawl(count: int, seed: int = 0) -> list[bytes]:
    """Records as a crawler writes them: each page behind its request and before its metadata; now
    and then in segments."""
    chance = random.Random(seed)
    out = [record(b"software: x\r\n", "warcinfo")]
    for number in range(count):
        block = page(chance)
        if number % 9 == 4:
            first = record(block[:80], more="WARC-Segment-Number: 1\r\n")
            origin = f"<urn:{zlib.crc32(block[:80])}>"
            last = f"WARC-Segment-Number: 2\r\nWARC-Segment-Origin-ID: {origin}\r\n"
            last += f"WARC-Segment-Total-Length: {len(block)}\r\n"
            out += [first, record(block[80:], "continuation", more=last)]
            continue
        whole = record(block)
        told = b'languages-cld2: {"reliable":true,"text-bytes":900,"languages":[{"code":"en",'
        told += b'"code-iso-639-3":"eng","text-covered":1.0}]}\r\n'
        refers = f"WARC-Concurrent-To: <urn:{zlib.crc32(block)}>\r\n"
        out.append(record(b"GET / HTTP/1.1\r\n\r\n", "request"))
        out += [whole, record(told, "metadata", "application/warc-fields", refers)]
    return out


def arc(count: int) -> list[bytes]:
    chance = random.Random(3)
    blocks = [page(chance) for _ in range(count)]
    line = "http://a.example/{} 127.0.0.1 20080430204825 text/html {}\n"
    return [line.format(n, len(b)).encode() + b + b"\n" for n, b in enumerate(blocks)]


PACKINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "a.warc": b"".join,
    "a.warc.gz": lambda records: b"".join(map(gzip.compress, records)),
    "pairs.warc.gz": lambda records: b"".join(
        gzip.compress(b"".join(records[n : n + 2])) for n in range(0, len(records), 2)
    ),
    "one.warc.gz": lambda records: gzip.compress(b"".join(records)),
    "a.warc.zst": lambda records: b"".join(map(zstandard.compress, records)),
}
ARCHIVES = {name: pack(crawl(40)) for name, pack in PACKINGS.items()}
ARCHIVES |= {name.replace("warc", "arc"): pack(arc(30)) for name, pack in PACKINGS.items()}


def read(data: bytes, name: str, part: ArchivePart | None = None) -> list[Outcome]:
    return list(read_archive(io.BytesIO(data), name, max_page_bytes=1 << 20, part=part))


def in_parts(data: bytes, name: str, cuts: list[int]) -> tuple[list[Outcome], int]:
    """What the parts give, those that do not fit read again from the beginning; and how many these
    were."""
    borders = [0, *sorted(cuts), len(data)]
    parts = [ArchivePart(a, b if b < len(data) else 0) for a, b in pairwise(borders)]
    found = [read(data, name, part) for part in parts]
    again: set[int] = set()
    while True:
        ends = [part.ends for part in parts]
        wrong = [n for n in range(1, len(parts)) if parts[n].begins != ends[n - 1]]
        if not set(wrong) - again:
            assert not wrong
            return [one for part in found for one in part], len(again)
        for n in set(wrong) - again:
            parts[n] = ArchivePart(parts[n].start, parts[n].end, from_beginning=True)
            found[n] = read(data, name, parts[n])
        again |= set(wrong)


def damaged(data: bytes, cuts: list[int], chance: random.Random) -> bytes:
    """Bytes broken at every border and over it, and in some other places."""
    out = bytearray(data)
    for at in [*cuts, *(chance.randrange(len(out)) for _ in range(2))]:
        size = chance.choice([1, 3, 60, 900])
        start = max(0, at - chance.randrange(size + 1))
        size = min(size, len(out) - start)
        out[start : start + size] = chance.choice([bytes(size), chance.randbytes(size)])
    return bytes(out)


@pytest.mark.parametrize("name", ARCHIVES)
@given(
    cuts=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=7),
    is_damaged=st.booleans(),
    read_back=st.sampled_from([0, 300, 4000]),
    seed=st.integers(0, 1000),
)
def test_parts_are_the_archive(
    name: str, cuts: list[float], is_damaged: bool, read_back: int, seed: int
) -> None:
    data = ARCHIVES[name]
    places = sorted({int(cut * len(data)) for cut in cuts})
    if is_damaged:
        data = damaged(data, places, random.Random(seed))
    whole = read(data, name)
    offsets = [one.offset or 0 for one in whole]
    assert offsets == sorted(offsets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_parts, "READ_BACK", read_back)
        assert in_parts(data, name, places)[0] == whole


@pytest.mark.parametrize("name", ARCHIVES)
def test_whole_archives_are_not_read_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few records before each part are enough, wherever the border is."""
    data = ARCHIVES[name]
    monkeypatch.setattr(archive_parts, "READ_BACK", 4000)
    cuts = [len(data) * n // 7 for n in range(1, 7)]
    found, again = in_parts(data, name, cuts)
    assert found == read(data, name)
    assert again == 0
    assert {type(one) for one in found} >= ({Page} if ".arc" in name else {Page, Skipped})


def nested(count: int = 30) -> bytes:
    """An archive of which one page is an archive, stored as it is in its member."""
    inner = PACKINGS["a.warc.gz"](crawl(count, seed=1))
    block = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n\r\n" + inner
    records = [*crawl(5), record(block), *crawl(5, seed=2)]
    return b"".join(gzip.compress(one, 0) for one in records)


def test_an_archive_in_an_archive_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from a border inside it, its records look like those of the archive itself."""
    data = nested()
    monkeypatch.setattr(archive_parts, "READ_BACK", 500)
    whole = read(data, "a.warc.gz")
    cuts = [len(data) * n // 7 for n in range(1, 7)]
    alone = read(data, "a.warc.gz", ArchivePart(cuts[2], cuts[3]))
    assert any(isinstance(one, Page) for one in alone)
    found, again = in_parts(data, "a.warc.gz", cuts)
    assert found == whole
    assert again > 0


def test_what_can_be_read_from_its_middle_on() -> None:
    for name, data in ARCHIVES.items():
        assert has_members(io.BytesIO(data)) == ("one" not in name), name
    dictionary = zstandard.train_dictionary(1000, crawl(60))
    packer = zstandard.ZstdCompressor(dict_data=dictionary)
    frame = b"\x5d\x2a\x4d\x18" + len(dictionary.as_bytes()).to_bytes(4, "little")
    frame += dictionary.as_bytes()
    records = crawl(20)
    assert has_members(io.BytesIO(frame + b"".join(map(packer.compress, records))))
    assert not has_members(io.BytesIO(frame + packer.compress(b"".join(records))))
    assert not has_members(io.BytesIO(gzip.compress(b"")))


def test_what_is_remembered_of_records_before_leaves_room_for_those_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a part would find large pages far behind a first one that the whole archive loses."""
    monkeypatch.setattr(framing, "_MAX_MARKS", 5)
    large = record(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + bytes(300_000))
    records = [large, *crawl(20), large, *crawl(3)]
    data = b"".join(records)
    found = list(read_archive(io.BytesIO(data), "a.warc", max_page_bytes=1000))
    rejects = [one.reason for one in found if isinstance(one, Reject)]
    assert rejects == ["too_large", "too_large"]
