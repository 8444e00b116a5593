"""Downloads against a local server with the manners of the real one."""

import gzip
import http.server
import random
import re
import threading
from collections.abc import Iterator

import pytest

from curation.errors import InputError
from curation.readers import commoncrawl
from curation.readers.commoncrawl import archive_paths, fetch, select

SLOW_DOWN = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
)
BODY = gzip.compress(random.Random(1).randbytes(300_000))


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the n-th request for a path by the n-th of the server's `acts` for it, then properly."""

    def do_GET(self) -> None:
        server = self.server
        server.seen.append((self.path, self.headers.get("Range")))
        acts = server.acts.get(self.path, [])
        act = acts.pop(0) if acts else "serve"
        body = server.files.get(self.path)
        if act == "slow_down":
            return self.answer(503, SLOW_DOWN, {"Retry-After": "0"})
        if act == "forbidden":
            return self.answer(403, SLOW_DOWN)
        if body is None:
            return self.answer(404, b"<html>no such key</html>")
        if act == "page":
            return self.answer(200, b"<html>Sorry, we are busy</html>")
        start = int(re.match(r"bytes=(\d+)-", self.headers["Range"])[1]) if self.headers.get("Range") else None
        if act == "ignore_range" or start is None:
            rest, status, headers = body, 200, {}
        elif start >= len(body):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        else:
            rest, status = body[start:], 206
            headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        length = len(rest) + (1000 if act == "lie" else 0)
        self.answer(status, rest[: len(rest) // 2] if act == "cut" else rest, headers, length)

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/a.warc.gz": BODY}
        self.acts: dict[str, list[str]] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(commoncrawl, "_MAX_WAIT_S", 0.01)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_good_file_arrives_whole_and_no_part_is_left(server, tmp_path):
    target = tmp_path / "deep" / "a.warc.gz"
    assert fetch(server.url + "a.warc.gz", target) == len(BODY)
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]
    assert fetch(server.url + "a.warc.gz", target) == len(BODY)
    assert len(server.seen) == 1, "a file that is there is not fetched again"


@pytest.mark.parametrize(
    "acts",
    [
        ["slow_down", "slow_down"],
        ["forbidden"],
        ["page"],
        ["cut"],
        ["cut", "cut", "slow_down", "cut"],
        ["cut", "ignore_range"],
        ["lie"],
        ["lie", "lie"],
        ["cut", "page"],
    ],
)
def test_faults_that_pass_are_survived(server, tmp_path, acts):
    server.acts["/a.warc.gz"] = list(acts)
    target = tmp_path / "a.warc.gz"
    assert fetch(server.url + "a.warc.gz", target, max_attempts=8, timeout_s=5) == len(BODY)
    assert target.read_bytes() == BODY


def test_a_cut_file_is_resumed_and_not_begun_again(server, tmp_path):
    server.acts["/a.warc.gz"] = ["cut"]
    fetch(server.url + "a.warc.gz", tmp_path / "a.warc.gz", timeout_s=5)
    first, second = (seen[1] for seen in server.seen)
    assert first is None
    start = int(re.fullmatch(r"bytes=(\d+)-", second)[1])
    assert len(BODY) // 2 - 65_536 <= start <= len(BODY) // 2


def test_a_part_of_an_earlier_run_is_continued(server, tmp_path):
    (tmp_path / "a.warc.gz.part").write_bytes(BODY[:1000])
    fetch(server.url + "a.warc.gz", tmp_path / "a.warc.gz")
    assert (tmp_path / "a.warc.gz").read_bytes() == BODY
    assert server.seen == [("/a.warc.gz", "bytes=1000-")]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "a.warc.gz.part").write_bytes(BODY + b"more")
    fetch(server.url + "a.warc.gz", tmp_path / "a.warc.gz")
    assert (tmp_path / "a.warc.gz").read_bytes() == BODY


@pytest.mark.parametrize("act", ["slow_down", "page", "lie"])
def test_what_stays_broken_is_reported_and_never_saved(server, tmp_path, act):
    server.acts["/a.warc.gz"] = [act] * 50
    if act == "lie":  # ignoring ranges, so that the lie is never found out
        server.acts["/a.warc.gz"] = ["lie"] * 50
        server.files["/a.warc.gz"] = b""
    with pytest.raises(InputError, match=r"given up after 3 attempts"):
        fetch(server.url + "a.warc.gz", tmp_path / "a.warc.gz", max_attempts=3, timeout_s=5)
    assert not (tmp_path / "a.warc.gz").exists()
    assert len(server.seen) == 3


def test_a_missing_file_is_an_error_at_once(server, tmp_path):
    with pytest.raises(InputError, match="status 404"):
        fetch(server.url + "b.warc.gz", tmp_path / "b.warc.gz")
    assert len(server.seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setattr(commoncrawl, "_MAX_WAIT_S", 0.01)
    with pytest.raises(InputError, match="given up after 2"):
        fetch("http://127.0.0.1:9/a.gz", tmp_path / "a.gz", max_attempts=2, timeout_s=2)


def test_paths_of_a_crawl(server):
    paths = [f"crawl-data/CC-MAIN-2019-35/segments/{i}.warc.gz" for i in range(5)]
    key = "/crawl-data/CC-MAIN-2019-35/warc.paths.gz"
    server.files[key] = gzip.compress("\n".join([*paths, ""]).encode())
    server.acts[key] = ["slow_down", "cut", "page"]
    assert archive_paths("CC-MAIN-2019-35", "warc", base_url=server.url) == paths
    with pytest.raises(InputError, match="404"):
        archive_paths("CC-MAIN-2019-35", "wet", base_url=server.url)
    with pytest.raises(InputError, match="CC-MAIN-2019-35"):
        archive_paths("../etc", "warc", base_url=server.url)


PATHS = [f"segments/{i:05}.warc.gz" for i in range(1000)]


@pytest.mark.parametrize(
    ("shards", "expected"),
    [("", PATHS), ("0:100", PATHS[:100]), ("990:", PATHS[990:]), (":3", PATHS[:3]), ("998:2000", PATHS[998:])],
)
def test_slices(shards, expected):
    assert select(PATHS, shards, 0) == expected


def test_a_sample_depends_on_the_seed_and_not_on_the_order():
    sample = select(PATHS, "sample:20", 1)
    assert len(sample) == 20
    assert sample == sorted(sample)
    assert sorted(select(PATHS[::-1], "sample:20", 1)) == sample
    assert select(PATHS, "sample:20", 2) != sample
    assert set(sample) < set(select(PATHS, "sample:40", 1))


@pytest.mark.parametrize("shards", ["2000:", "sample:0", "sample", "a:b", "5", "-1:3"])
def test_a_bad_selection_says_what_is_expected(shards):
    with pytest.raises(InputError, match="shards"):
        select(PATHS, shards, 0)
