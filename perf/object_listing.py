"""What listing very many keys costs: `python perf/object_listing.py [--keys 100000] [--latency 50]`.

A server of this machine answers as S3 does, a thousand keys a page (moto looks at all keys for each page). Lists
them with `store.listing`, and as a manifest does that compares sizes. Prints requests, seconds and processor time.
"""

from __future__ import annotations

import http.server
import os
import threading
import time
from urllib.parse import parse_qs, urlsplit

import click

from curation import store

PAGE = 1000
KEY = "run/tokens/web/{:06d}.parquet"
ROW = (
    "<Contents><Key>{}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
    '<ETag>"0123456789abcdef0123456789abcdef"</ETag><Size>{}</Size></Contents>'
)


class Keys(http.server.BaseHTTPRequestHandler):
    """A bucket of `keys` objects below one folder."""

    protocol_version = "HTTP/1.1"
    keys, latency_s, asked = 0, 0.0, 0

    def do_GET(self) -> None:
        Keys.asked += 1
        time.sleep(self.latency_s)
        query = parse_qs(urlsplit(self.path).query)
        start = int(query.get("continuation-token", ["0"])[0])
        page = min(PAGE, int(query.get("max-keys", [PAGE])[0]))
        end = min(self.keys, start + page)
        rows = "".join(ROW.format(KEY.format(number), number) for number in range(start, end))
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < self.keys else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>b</Name>'
            f"<KeyCount>{end - start}</KeyCount><MaxKeys>{page}</MaxKeys>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{rows}</ListBucketResult>"
        ).encode()
        self.answer(200, body)

    def do_HEAD(self) -> None:
        Keys.asked += 1
        self.answer(404 if self.path.count("/") > 1 else 200, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.send_header("x-amz-bucket-region", "us-east-1")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@click.command()
@click.option("--keys", default=100_000, show_default=True)
@click.option("--latency", default=50.0, show_default=True, help="Milliseconds before an answer.")
def main(keys: int, latency: float) -> None:
    """Requests and seconds of a listing."""
    Keys.keys, Keys.latency_s = keys, latency / 1000
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, work in {
        "listing": lambda: len(store.listing("s3://b/run/tokens")),
        "sizes": lambda: sum(1 for _ in store.sizes("s3://b/run/tokens")),
    }.items():
        Keys.asked, began, spent = 0, time.perf_counter(), time.process_time()
        count = work()
        seconds = time.perf_counter() - began
        spent = time.process_time() - spent
        print(f"{name}: {count:,} keys, {Keys.asked} requests, {seconds:.1f} s by the clock, "
              f"{spent:.1f} s of the processor, the server's too")  # fmt: skip
    server.shutdown()


if __name__ == "__main__":
    main()
