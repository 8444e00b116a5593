"""A small internet on one port, with the manners and the faults of the real one."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.server
import re
import threading
import time
from collections.abc import Iterator

SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
STALL_S = 1.5


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the n-th request for a path by the n-th of the server's `acts` for it, then properly."""

    server: Internet

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.seen.append((self.path, asked))
        acts = self.server.acts.get(self.path, [])
        act = acts.pop(0) if acts else "serve"
        body = self.server.files.get(self.path)
        refusals = {
            "slow_down": (503, {}),
            "forbidden": (403, {}),
            "too_many": (429, {"Retry-After": "0"}),
        }
        later = {"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)}
        refusals["too_many_until"] = (429, later)
        if act in refusals:
            return self.answer(
                refusals[act][0], SLOW_DOWN, {"Content-Type": "application/xml", **refusals[act][1]}
            )
        if self.path in self.server.redirects:
            return self.answer(302, b"", {"Location": self.server.redirects[self.path]})
        if body is None:
            return self.answer(404, self.server.missing)
        if act == "page":
            return self.answer(
                200, b"<html>Sorry, we are busy</html>", {"Content-Type": "text/html"}
            )
        return self.serve(act, body, asked)

    def serve(self, act: str, body: bytes, asked: str | None) -> None:
        headers = {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        if act == "changed":
            headers = {"ETag": '"other"'}
        if (date := self.server.dates.get(self.path)) is not None:
            headers = {"Last-Modified": date} if date else {}
        if self.path in self.server.codings:
            headers["Content-Encoding"] = self.server.codings[self.path]
        if act in ("drip", "endless"):
            return self.trickle(act, body, headers)
        rest, status = body, 200
        if asked and act not in ("ignore_range", "hide"):
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()  # type: ignore[union-attr]
            start = int(first) + (7 if act == "wrong_range" else 0)
            if start >= len(body):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            end = min(int(last) + 1 if last else len(body), len(body))
            rest, status = body[start:end], 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
        if act == "flip":
            rest = (
                rest[: len(rest) // 2]
                + bytes([rest[len(rest) // 2] ^ 255])
                + rest[len(rest) // 2 + 1 :]
            )
        length = -1 if act == "hide" else len(rest) + (1000 if act == "lie" else 0)
        part = rest[: len(rest) // 2] if act in ("cut", "stall") else rest
        self.answer(status, part, headers, length)
        if act == "stall":
            self.wfile.flush()
            time.sleep(STALL_S)

    def trickle(self, act: str, body: bytes, headers: dict[str, str]) -> None:
        """A byte now and then, or bytes without end."""
        self.answer(200, b"", headers, len(body) if act == "drip" else -1)
        with contextlib.suppress(ConnectionError):
            for _ in range(10_000):
                self.wfile.write(body[:1] if act == "drip" else body)
                self.wfile.flush()
                time.sleep(0.05 if act == "drip" else 0)

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a reader may have had enough
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Internet(http.server.ThreadingHTTPServer):
    """`files` by path, `acts` by path, in `seen` every request with its range, and in `missing`
    what it says where there is no file. A path in `dates` has no ETag, and no date if it is empty;
    one in `redirects` is elsewhere; one in `codings` is labelled with that Content-Encoding."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.acts: dict[str, list[str]] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.dates: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.codings: dict[str, str] = {}
        self.missing = b"<html>no such key</html>"
        self.url = f"http://127.0.0.1:{self.server_port}/"


@contextlib.contextmanager
def internet() -> Iterator[Internet]:
    server = Internet()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
