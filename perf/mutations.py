"""Damaged archives by the thousand: `python perf/mutations.py [FOLDER_OF_ARCHIVES] [--count 10000] [--seed 0]`.

Small archives of every make (and those of a folder, if one is given) are flipped, cut, spliced, swapped and filled with junk, then go
through the whole `extract` stage, a few hundred files a shard. Nothing may raise; the books must balance, and say of every file what a
second reading of it says; pages of files of one member a record (or plain) that lie before the damage must all be there. Printed too: how
many of those behind it were found again, and the slowest file.
"""

from __future__ import annotations

import collections
import gzip
import io
import random
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import brotli
import click
import numpy as np
import zstandard

from curation import store
from curation.readers.records import Page, Reject, Skipped
from curation.readers.warc import read_archive
from curation.recipe import reading as recipe
from curation.rundir import ledger, plan
from curation.rundir.directory import RunDirectory
from curation.stages.extract.stage import extract_shard

FILES_A_SHARD = 250
MAX_BYTES = 60_000  # of an archive taken from a folder
WORDS = re.findall(
    r"\S+",
    "the mill by the river turned all day and the miller told whoever asked that wheat <b>was</b> dear this year",
)


@dataclass(frozen=True)
class Seed:
    """An undamaged archive. `apart`: each of its records can be found again by itself."""

    name: str
    data: bytes
    apart: bool


def seeds(folder: str | None = None) -> list[Seed]:
    """Archives of every framing, version and body coding, and the small ones of a folder."""
    rng = random.Random("seeds")
    found = []
    for version in ("0.17", "0.18", "1.0", "1.1"):
        records = [
            _warc(b"software: x\r\n", "warcinfo", version),
            *(
                _warc(_http(_html(rng), coding, chunked), "response", version)
                for coding in _CODINGS
                for chunked in (0, 1)
            ),
            _warc(b"GET / HTTP/1.1\r\n\r\n", "request", version),
            _warc(_http(b"", "", 0), "revisit", version),
            _warc(_html(rng), "resource", version, "text/html"),
            _warc(" ".join(rng.choices(WORDS, k=60)).encode(), "conversion", version, "text/plain"),
        ]
        if version == "0.17":
            records = [one.replace(b"\r\n", b"\n") for one in records[:1] + records[-2:]] + records[
                1:
            ]
        rng.shuffle(records)
        found += [
            Seed(f"{version} {way}.warc", pack(records), way in _APART)
            for way, pack in _WAYS.items()
        ]
    lines = [_arc(f"http://a.example/{n}", _http(_html(rng), "", 0)) for n in range(8)]
    head = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"
    lines.insert(0, _arc("filedesc://x.arc", head, "text/plain"))
    found += [Seed(f"{way}.arc", pack(lines), way in _APART) for way, pack in _WAYS.items()]
    for path in sorted(Path(folder).iterdir()) if folder else []:
        if path.stat().st_size <= MAX_BYTES:
            found.append(
                Seed(
                    path.name.replace(".", "-") + (".arc" if ".arc" in path.name else ".warc"),
                    path.read_bytes(),
                    False,
                )
            )
    return found


_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
_APART = ("plain", "gzip", "zstd")
_WAYS: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "gzip": lambda records: b"".join(map(gzip.compress, records)),
    "gzip-one": lambda records: gzip.compress(b"".join(records)),
    "gzip-pairs": lambda records: b"".join(
        gzip.compress(b"".join(records[n : n + 2])) for n in range(0, len(records), 2)
    ),
    "zstd": lambda records: b"".join(
        map(zstandard.ZstdCompressor(write_checksum=True).compress, records)
    ),
    "zstd-one": lambda records: zstandard.compress(b"".join(records)),
}


def _html(rng: random.Random) -> bytes:
    return f"<html><title>Mill</title><p>{' '.join(rng.choices(WORDS, k=rng.randrange(20, 300)))} {rng.random()}</p>".encode()


def _http(body: bytes, coding: str, chunked: int) -> bytes:
    body = _CODINGS[coding](body)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: {coding or 'identity'}\r\n"
    if chunked:
        head += "Transfer-Encoding: chunked\r\n"
        body = (
            b"".join(
                b"%x\r\n%s\r\n" % (len(body[n : n + 99]), body[n : n + 99])
                for n in range(0, len(body), 99)
            )
            + b"0\r\n\r\n"
        )
    return head.encode() + b"\r\n" + body


def _warc(
    block: bytes, kind: str, version: str, mime: str = "application/http; msgtype=response"
) -> bytes:
    number = zlib.crc32(block)
    head = (
        f"WARC/{version}\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Date: 2019-08-17T00:00:01Z\r\n"
        f"WARC-Target-URI: http://a.example/{number}\r\nContent-Type: {mime}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def _arc(url: str, block: bytes, mime: str = "text/html") -> bytes:
    return f"{url} 127.0.0.1 20080430204825 {mime} {len(block)}\n".encode() + block + b"\n"


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to four flips, cuts, splices with another archive, swaps, or insertions of junk."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not out:
            break
        at, to = sorted((rng.randrange(len(out)), rng.randrange(len(out))))
        near = min(to, at + rng.choice((1, 30, 3000)))
        act = rng.randrange(8)
        if act == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif act == 1:
            del out[at:near]
        elif act == 2:
            out[at:at] = out[to : to + 3000]
        elif act == 3:
            out[at:at] = rng.randbytes(rng.randrange(300))
        elif act == 4:
            start = rng.randrange(len(other))
            out[at:near] = other[start : start + rng.randrange(3000)]
        elif act == 5:
            out[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\r\n\r\n", b"WARC", b"9999")
            )
        elif act == 6:
            out[at:to] = out[at:to][::-1][: rng.randrange(2000)]
        elif rng.randrange(4) == 0:
            del out[to:]
    return bytes(out)


def unhurt(seed: Seed, data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Bodies of a seed's pages that lie before and behind what differs in `data`."""
    a, b = np.frombuffer(seed.data, np.uint8), np.frombuffer(data, np.uint8)
    size = min(len(a), len(b))
    differ = np.flatnonzero(a[:size] != b[:size])
    before = int(differ[0]) if len(differ) else size
    differ = np.flatnonzero(a[len(a) - size :][::-1] != b[len(b) - size :][::-1])
    behind = len(a) - min(int(differ[0]) if len(differ) else size, size - before)
    pages = [one for one in read(seed.data, seed.name) if isinstance(one, Page)]
    ends = [one.offset for one in pages[1:]] + [len(a)]
    first = [one.body for one, end in zip(pages, ends, strict=True) if end <= before]
    return first, [one.body for one in pages if one.offset >= behind and one.body not in first]


def read(data: bytes, name: str) -> list[Page | Reject | Skipped]:
    return list(read_archive(io.BytesIO(data), name, max_page_bytes=1 << 20))


@dataclass
class Outcome:
    """What came of all mutants: records by outcome, pages behind the damage there were and were found, the slowest file."""

    records: collections.Counter[str]
    files: int = 0
    behind: int = 0
    found: int = 0
    slowest: tuple[float, str] = (0.0, "")


def run(some: list[Seed], count: int, seed: int, where: str) -> Iterator[Outcome]:
    """Check `count` mutants; the outcome so far after each shard. Raises AssertionError where a law is broken."""
    rng = random.Random(f"mutations {seed}")
    out = Outcome(collections.Counter())
    while out.files < count:
        folder = Path(tempfile.mkdtemp(dir=where))
        for n in range(min(FILES_A_SHARD, count - out.files)):
            one, other = rng.choice(some), rng.choice(some)
            data = mutated(one.data, other.data, rng)
            name = f"{out.files + n:06}-{one.name}"
            (folder / name).write_bytes(data)
            began = time.perf_counter()
            found = read(data, name)
            out.slowest = max(out.slowest, (time.perf_counter() - began, name))
            if one.apart:
                bodies = [page.body for page in found if isinstance(page, Page)]
                first, last = unhurt(one, data)
                assert bodies[: len(first)] == first, (
                    f"{folder / name}: a page before the damage is lost"
                )
                out.behind += len(last)
                out.found += sum(body in bodies for body in last)
        out.files += n + 1
        out.records.update(_extracted(folder))
        yield out


def _extracted(folder: Path) -> collections.Counter[str]:
    """Run the stage on a folder of archives as one shard, and compare its books with a reading of every file."""
    config = {
        "name": "a",
        "files": [str(folder / "*arc")],
        "format": "archive",
        "target_shard_mb": 1_000_000,
    }
    made = recipe.parse(
        {"stages": ["extract"], "extract": {"max_page_bytes": 1 << 20}, "dataset": [config]}
    )
    rundir = RunDirectory(str(folder / "run"), made)
    (shard,) = plan.make(made, str(folder / "run")).shards
    books = extract_shard(rundir, {"a": None}, made.download.patience(1), None, shard).ledger
    ledger.check("extract", str(shard), books)
    documents = store.read_table(rundir.documents(shard)).column("archive").to_pylist()
    rejects = store.read_table(rundir.table("rejects", shard)).to_pylist()
    listed = collections.Counter(documents) + collections.Counter(row["archive"] for row in rejects)
    skipped = 0
    for file in shard.files:
        again = read(Path(file.path).read_bytes(), file.name)
        assert sum(not isinstance(one, Skipped) for one in again) == listed[file.name], file.path
        skipped += sum(isinstance(one, Skipped) for one in again)
    counts = collections.Counter(
        {name: numbers[0] for name, numbers in books.items() if name != ledger.IN}
    )
    assert counts["kept"] == len(documents)
    assert counts["not_a_page"] == skipped
    assert counts["kept"] + len(rejects) + skipped == ledger.documents(books, ledger.IN)
    assert all(row["offset"] is not None and row["reason"] for row in rejects)
    return counts


@click.command()
@click.argument("folder", required=False)
@click.option("--count", default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(folder: str | None, count: int, seed: int) -> None:
    """Break archives and see what is left of them."""
    some = seeds(folder)
    click.echo(f"{len(some)} archives to break")
    with tempfile.TemporaryDirectory() as where:
        for out in run(some, count, seed, where):
            click.echo(f"{out.files} files, slowest {out.slowest[0]:.2f} s ({out.slowest[1]})")
    click.echo(
        f"{out.records.total()} records: "
        + ", ".join(f"{n} {name}" for name, n in out.records.most_common())
    )
    click.echo(f"pages before the damage: all; behind it: {out.found} of {out.behind} found again")


if __name__ == "__main__":
    main()
