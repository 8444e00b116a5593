"""Reading and fetching from a server with the manners, and the faults, of the real one."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from internet import Internet, internet

from curation import store
from curation.errors import InputError, Unreachable
from curation.store import patience, remote, web

BODY = gzip.compress(random.Random(1).randbytes(300_000))
FAULTS = [
    ["slow_down", "slow_down"],
    ["forbidden", "forbidden", "forbidden"],
    ["too_many"],
    ["too_many_until"],
    ["page"],
    ["cut"],
    ["cut", "cut", "slow_down", "cut"],
    ["cut", "ignore_range"],
    ["cut", "wrong_range"],
    ["cut", "page"],
    ["lie"],
    ["lie", "lie"],
    ["hide"],
    ["stall"],
]
PATIENCE = store.Patience(max_attempts=6, timeout_s=30.0)
IMPATIENT = store.Patience(
    max_attempts=9, timeout_s=0.7
)  # where a server stalls, for twice as long


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    with internet() as server:
        server.files["/a.warc.gz"] = BODY
        yield server


def fetch(
    server: Internet, target: Path, name: str = "a.warc.gz", patient: store.Patience = PATIENCE
) -> int:
    return store.fetch(store.address(server.url + name), str(target), patient)


def test_a_good_file_arrives_whole_and_nothing_else_is_left(
    server: Internet, tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "a.warc.gz"
    assert fetch(server, target) == len(BODY)
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]
    assert fetch(server, target) == len(BODY)
    assert len(server.seen) == 1, "a file that is there is not fetched again"


@pytest.mark.parametrize("acts", FAULTS, ids="-".join)
def test_faults_that_pass_are_survived(server: Internet, tmp_path: Path, acts: list[str]) -> None:
    server.acts["/a.warc.gz"] = list(acts)
    patient = IMPATIENT if "stall" in acts else PATIENCE
    assert fetch(server, tmp_path / "a.warc.gz", patient=patient) == len(BODY)
    assert (tmp_path / "a.warc.gz").read_bytes() == BODY
    assert not server.acts["/a.warc.gz"], "every fault was met"


@pytest.mark.parametrize("acts", FAULTS, ids="-".join)
def test_a_stream_survives_them_too_with_the_same_bytes(server: Internet, acts: list[str]) -> None:
    server.acts["/a.warc.gz"] = list(acts)
    with store.RemoteFile(
        server.url + "a.warc.gz", IMPATIENT if "stall" in acts else PATIENCE
    ) as file:
        assert file.readall() == BODY
        assert file.failure is None
        assert file.tell() == len(BODY)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
@pytest.mark.parametrize("acts", [[], ["cut"]], ids=["whole", "cut"])
def test_a_packed_file_is_stored_as_it_is_sent_however_it_is_labelled(
    server: Internet, tmp_path: Path, coding: str, acts: list[str]
) -> None:
    server.files |= {"/get": BODY, "/b.TGZ": BODY}
    server.redirects = {"/c.gz": "/get"}
    for path in ("/a.warc.gz", "/get", "/b.TGZ", "/c.gz"):
        server.codings[path], server.acts[path] = coding, list(acts)
        target = tmp_path / f"{path[1:]}.gz"
        assert fetch(server, target, f"{path[1:]}#name=a.jsonl.gz") == len(BODY)
        assert target.read_bytes() == BODY
    with store.RemoteFile(server.url + "a.warc.gz", PATIENCE, 10, 500) as file:
        assert file.readall() == BODY[10:500]


@pytest.mark.parametrize("acts", [[], ["cut"], ["cut", "cut", "hide"]], ids="-".join)
def test_a_file_that_the_server_packs_on_the_way_arrives_unpacked(
    server: Internet, tmp_path: Path, acts: list[str]
) -> None:
    text = random.Random(2).randbytes(200_000).hex().encode()
    server.files["/b.jsonl"], server.codings["/b.jsonl"] = gzip.compress(text), "gzip"
    server.acts["/b.jsonl"] = list(acts)
    assert fetch(server, tmp_path / "b.jsonl", "b.jsonl") == len(text)
    assert (tmp_path / "b.jsonl").read_bytes() == text


def test_a_cut_file_is_resumed_and_not_begun_again(server: Internet, tmp_path: Path) -> None:
    server.acts["/a.warc.gz"] = ["cut"]
    fetch(server, tmp_path / "a.warc.gz")
    (_, first), (_, second) = server.seen
    assert first is None
    start = int(re.fullmatch(r"bytes=(\d+)-", second or "")[1])  # type: ignore[index]
    assert len(BODY) // 2 - 65_536 <= start <= len(BODY) // 2


def test_the_part_of_a_run_that_ended_is_continued(server: Internet, tmp_path: Path) -> None:
    server.acts["/a.warc.gz"] = ["cut", *["slow_down"] * 9]
    with pytest.raises(Unreachable, match="given up after 3"):
        fetch(server, tmp_path / "a.warc.gz", patient=store.Patience(3, 30.0))
    left = (tmp_path / "a.warc.gz.part").stat().st_size
    assert left > len(BODY) // 3
    server.acts.clear()
    server.seen.clear()
    fetch(server, tmp_path / "a.warc.gz")
    assert (tmp_path / "a.warc.gz").read_bytes() == BODY
    assert server.seen[-1] == ("/a.warc.gz", f"bytes={left}-")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_part_of_another_file_is_not_continued(server: Internet, tmp_path: Path) -> None:
    server.files["/dump.xml.bz2"] = b"BZh9" + b"old" * 50_000
    server.acts["/dump.xml.bz2"] = ["cut", *["slow_down"] * 9]
    with pytest.raises(Unreachable):
        fetch(server, tmp_path / "d", "dump.xml.bz2", store.Patience(2, 30.0))
    new = server.files["/dump.xml.bz2"] = b"BZh9" + b"new" * 50_000
    server.acts.clear()
    fetch(server, tmp_path / "d", "dump.xml.bz2")
    assert (tmp_path / "d").read_bytes() == new


@pytest.mark.parametrize("part", [BODY[:1000], BODY + b"more"], ids=["short", "long"])
def test_a_part_of_unknown_origin_is_thrown_away(
    server: Internet, tmp_path: Path, part: bytes
) -> None:
    (tmp_path / "a.warc.gz.part").write_bytes(part)
    fetch(server, tmp_path / "a.warc.gz")
    assert (tmp_path / "a.warc.gz").read_bytes() == BODY


def test_a_file_that_changes_under_the_reading_is_no_mixture(server: Internet) -> None:
    server.acts["/a.warc.gz"] = ["cut", *["changed"] * 9]
    with store.RemoteFile(server.url + "a.warc.gz", store.Patience(3, 30.0)) as file:
        assert len(file.readall() or b"") <= len(BODY) // 2
        assert "changed while it was read" in str(file.failure)


@pytest.mark.parametrize("dates", [("", ""), ("Mon", "Tue"), ("Mon", "Mon")], ids="-".join)
@pytest.mark.parametrize("new", ["new", "much newer"])
def test_a_part_of_a_server_without_tags_is_continued_only_if_date_and_size_agree(
    server: Internet, tmp_path: Path, dates: tuple[str, str], new: str
) -> None:
    old = server.files["/d.xml.bz2"] = b"BZh9" + b"old" * 50_000
    server.dates["/d.xml.bz2"] = dates[0]
    server.acts["/d.xml.bz2"] = ["cut", *["slow_down"] * 9]
    with pytest.raises(Unreachable):
        fetch(server, tmp_path / "d", "d.xml.bz2", store.Patience(2, 30.0))
    same = dates == ("Mon", "Mon") and new == "new"
    now = old if same else b"BZh9" + new.encode() * 50_000
    server.files["/d.xml.bz2"], server.dates["/d.xml.bz2"] = now, dates[1]
    server.acts.clear()
    server.seen.clear()
    fetch(server, tmp_path / "d", "d.xml.bz2")
    assert (tmp_path / "d").read_bytes() == now
    assert (server.seen[-1][1] not in (None, "bytes=0-0")) == same, "the part was continued"


@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("changed", [False, True])
def test_a_stream_of_a_server_without_tags_is_taken_up_and_compared(
    server: Internet, changed: bool, start: int
) -> None:
    server.dates["/a.bin"] = ""
    old, new = (random.Random(n).randbytes(300_000) for n in range(2))
    server.files["/a.bin"] = old
    server.acts["/a.bin"] = ["cut", "serve" if start else "ignore_range"]
    with store.RemoteFile(server.url + "a.bin", PATIENCE, start) as file:
        begun = file.read(100_000) or b""
        server.files["/a.bin"] = new if changed else old
        whole = begun + (file.readall() or b"")
    if changed:
        assert "changed while it was read" in str(file.failure)
        assert old[start:].startswith(whole)
    else:
        assert file.failure is None
        assert whole == old[start:]


@pytest.mark.parametrize("name", ["e.jsonl.gz", "e.txt#name=e.gz", "e.parquet", "e.bz2"])
def test_an_empty_answer_is_no_packed_file(server: Internet, tmp_path: Path, name: str) -> None:
    server.files["/" + name.partition("#")[0]] = b""
    with pytest.raises(Unreachable, match=r"given up after 2 .*(an empty file|no \.)"):
        fetch(server, tmp_path / "e", name, store.Patience(2, 30.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["file:///etc/passwd", "/loop", "http://a..b/", "http://[::1/"])
def test_what_no_patience_mends_is_asked_for_once(
    server: Internet, tmp_path: Path, to: str
) -> None:
    server.redirects["/loop"] = to
    with pytest.raises(Unreachable, match="is the address right") as caught:
        fetch(server, tmp_path / "a", "loop#name=a")
    assert "attempts" not in str(caught.value)
    assert len(server.seen) == (31 if to == "/loop" else 1)
    assert list(tmp_path.iterdir()) == []


def test_a_body_without_an_end_is_left(
    server: Internet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MOST_UNTOLD_BYTES", 10 << 20)
    server.files["/a.bin"] = bytes(1 << 20)
    server.acts["/a.bin"] = ["endless"]
    with pytest.raises(
        Unreachable, match=r"no end after 1\d,\d\d\d,\d\d\d bytes, and the server told"
    ):
        fetch(server, tmp_path / "a.bin", "a.bin")
    assert len(server.seen) == 1


def test_a_body_that_drips_is_a_failure(server: Internet, tmp_path: Path) -> None:
    server.acts["/a.warc.gz"] = ["drip"] * 99
    with pytest.raises(Unreachable, match=r"given up after 2 attempts: .* which is too slow"):
        fetch(server, tmp_path / "a.warc.gz", patient=store.Patience(2, 0.2))
    assert len(server.seen) <= 4


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", " \n<html lang=en>", '<?xml version="1.0"?>'])
def test_a_page_is_no_table_whatever_the_server_calls_it(
    server: Internet, tmp_path: Path, start: str
) -> None:
    for name in ("t.jsonl", "t", "t.parquet"):
        server.files["/" + name] = start.encode() + b"<p>Sorry"
        with pytest.raises(Unreachable, match="a page of type  where a file was expected"):
            fetch(server, tmp_path / name, name, store.Patience(2, 30.0))
    for name in ("t.html", "dump.xml", "t.txt"):
        server.files["/" + name] = start.encode() + b"<p>Sorry"
        fetch(server, tmp_path / name, name)


@pytest.mark.parametrize("act", ["slow_down", "page", "lie", "flip"])
def test_what_stays_broken_is_reported_and_never_saved(
    server: Internet, tmp_path: Path, act: str
) -> None:
    server.acts["/a.warc.gz"] = [act] * 50
    if act == "lie":
        server.files["/a.warc.gz"] = b""
    with pytest.raises(Unreachable, match=r"given up after 3 attempts"):
        fetch(server, tmp_path / "a.warc.gz", patient=store.Patience(3, 30.0))
    assert not (tmp_path / "a.warc.gz").exists()
    assert len(server.seen) == 3


def test_one_flipped_bit_is_found_and_mended(server: Internet, tmp_path: Path) -> None:
    server.acts["/a.warc.gz"] = ["flip"]
    fetch(server, tmp_path / "a.warc.gz")
    assert (tmp_path / "a.warc.gz").read_bytes() == BODY


def test_a_missing_file_is_an_error_at_once(server: Internet, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="status 404"):
        fetch(server, tmp_path / "b.warc.gz", "b.warc.gz")
    assert len(server.seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    with pytest.raises(Unreachable, match="given up after 2"):
        store.fetch(
            store.address("http://127.0.0.1:9/a.gz"),
            str(tmp_path / "a.gz"),
            store.Patience(2, 30.0),
        )


def test_size_and_digest_of_the_address_are_tested(server: Internet, tmp_path: Path) -> None:
    data = server.files["/t.jsonl"] = b'{"text": "x"}\n'
    good = hashlib.sha256(data).hexdigest()
    fetch(server, tmp_path / "a", f"t.jsonl#sha256={good}&bytes={len(data)}&name=b.jsonl")
    assert (tmp_path / "a").read_bytes() == data
    impatient = store.Patience(2, 30.0)
    with pytest.raises(Unreachable, match="its sha256 is"):
        fetch(server, tmp_path / "b", f"t.jsonl#sha256={'0' * 64}", impatient)
    with pytest.raises(Unreachable, match="14 bytes arrived, 13 expected"):
        fetch(server, tmp_path / "c", "t.jsonl#bytes=13", impatient)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    "wrong", ["#sha256=12", "#sum=1", "#sha256", "#bytes=x", "#name=a/b", "#name=.x"]
)
def test_a_wrong_word_behind_the_address_is_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        store.address("https://example.org/a" + wrong)
    with pytest.raises(InputError, match="no file name"):
        store.address("https://example.org/")


@pytest.mark.parametrize(
    "acts", [[], ["ignore_range"], ["cut"], ["slow_down", "cut", "ignore_range"]]
)
def test_a_range_is_exactly_that(server: Internet, acts: list[str]) -> None:
    server.acts["/a.warc.gz"] = list(acts)
    assert store.read_range(server.url + "a.warc.gz", 1000, 5000, PATIENCE) == BODY[1000:6000]
    with store.RemoteFile(server.url + "a.warc.gz", PATIENCE, end=70_000) as file:
        assert file.readall() == BODY[:70_000]
        assert file.size == len(BODY)


def test_a_place_that_was_read_is_asked_for_again(server: Internet) -> None:
    with store.RemoteFile(server.url + "a.warc.gz", PATIENCE) as file:
        assert file.read(9) == BODY[:9]
        file.seek(9)  # no request
        assert file.read(9) == BODY[9:18]
        file.seek(5)
        assert file.readall() == BODY[5:]
        assert file.seek(10**9) == len(BODY)
        assert (file.read(9), file.failure) == (b"", None)
    assert len(server.seen) == 3


def test_a_range_beyond_the_end_is_an_error_and_a_prefix_beyond_it_is_the_file(
    server: Internet,
) -> None:
    url = server.url + "a.warc.gz"
    with pytest.raises(Unreachable):
        store.read_range(url, len(BODY) - 10, 20, PATIENCE)
    with pytest.raises(Unreachable):
        store.read_range(url, len(BODY) + 10, 20, PATIENCE)
    with store.RemoteFile(url, PATIENCE, end=10**9) as file:
        assert file.readall() == BODY


@pytest.mark.parametrize("act", ["serve", "ignore_range", "slow_down"])
def test_size_and_tag_are_told_without_fetching(server: Internet, act: str) -> None:
    server.acts["/a.warc.gz"] = [act]
    size, tag = store.describe(server.url + "a.warc.gz", PATIENCE)
    assert size == len(BODY)
    assert tag == f'"{hashlib.md5(BODY).hexdigest()}"'


@pytest.mark.parametrize(
    ("act", "least", "most"), [("too_many", 0, 0), ("too_many_until", 25, 30), ("slow_down", 0, 0)]
)
def test_what_the_server_asks_for_is_heard(
    server: Internet, act: str, least: float, most: float
) -> None:
    server.acts["/a.warc.gz"] = [act]
    with pytest.raises(patience.TryAgain) as caught:
        web.respond("GET", server.url + "a.warc.gz", {}, PATIENCE)
    assert least <= caught.value.wait_s <= most


@pytest.mark.parametrize(
    ("attempt", "asked", "least", "most"),
    [(1, 0, 0.5, 1), (5, 0, 8, 16), (20, 0, 30, 60), (1, 30, 30, 30), (3, 1e6, 120, 120)],
)
def test_waits_double_with_jitter_and_are_never_shorter_than_asked(
    attempt: int, asked: float, least: float, most: float
) -> None:
    state = SimpleNamespace(
        attempt_number=attempt,
        outcome=SimpleNamespace(exception=lambda: patience.TryAgain("busy", asked)),
    )
    waits = {patience._wait_s(state) for _ in range(20)}
    assert least <= min(waits)
    assert max(waits) <= most
    assert len(waits) > 1 or least == most


def test_requests_keep_their_distance(server: Internet) -> None:
    import time

    slow = store.Patience(interval_s=0.05)
    began = time.monotonic()
    for _ in range(5):
        store.describe(server.url + "a.warc.gz", slow)
    assert time.monotonic() - began >= 4 * 0.05
