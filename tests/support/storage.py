"""Object storage on this machine (moto's S3), and one before it that fails as a real one does."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import random
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{0}</Code><Message>{0}: we failed, please '
    "try again.</Message><RequestId>0123456789ABCDEF</RequestId></Error>"
)


class Faulty(http.server.BaseHTTPRequestHandler):
    """Hands requests on; a share of the answers, drawn by a seed, is one of the server's `faults`."""

    protocol_version = "HTTP/1.1"
    server: FaultyStorage

    def handle_request(self) -> None:
        body = self.body()
        fault = self.server.draw(self.command, self.path)
        if fault in ("InternalError", "SlowDown"):
            return self.answer(
                500 if fault == "InternalError" else 503, ERROR.format(fault).encode()
            )
        if fault == "reset":
            return self.reset()
        connection = http.client.HTTPConnection(*self.server.behind)
        left_out = ("connection", "transfer-encoding", "expect", "content-length")
        headers = {k: v for k, v in self.headers.items() if k.lower() not in left_out}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if fault == "lost":  # what was asked for is done, and nobody hears of it
            return self.reset()
        cut = len(data) // 2 if fault == "cut" else None
        self.answer(response.status, data, response.getheaders(), cut)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_request

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        out = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            out += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return out

    def answer(self, status: int, data: bytes, headers: Any = (), cut: int | None = None) -> None:
        self.send_response_only(status)
        length = str(len(data))
        for key, value in headers:
            if key.lower() == "content-length":
                length = value
            elif key.lower() not in ("transfer-encoding", "connection"):
                self.send_header(key, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
        if cut is not None:
            self.close_connection = True

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


class FaultyStorage(http.server.ThreadingHTTPServer):
    """`faults`: what may happen; `share`: how often; `only`: to requests whose path has it in them."""

    daemon_threads = True

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Faulty)
        self.behind = behind
        self.faults: tuple[str, ...] = ()
        self.share = 0.0
        self.only = ""
        self.met: list[str] = []
        self.asked = 0
        self._random = random.Random(1)
        self._lock = threading.Lock()

    def draw(self, command: str, path: str) -> str:
        with self._lock:
            self.asked += 1
            if not self.faults or self.only not in path or self._random.random() >= self.share:
                return ""
            self.met.append(self._random.choice(self.faults))
            return self.met[-1]

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what is being tested."""


@contextlib.contextmanager
def faulty_storage() -> Iterator[FaultyStorage]:
    """An S3 server that everything in this process and its children takes for the only one."""
    from moto.server import ThreadedMotoServer

    from curation.store import paths

    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    server = FaultyStorage(moto.get_host_and_port())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for key, value in settings.items():
                patch.setenv(key, value)
            paths._connected.cache_clear()
            yield server
    finally:
        paths._connected.cache_clear()
        server.shutdown()
        server.server_close()
        thread.join()
        moto.stop()
