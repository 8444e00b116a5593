"""pyarrow.fs, as `store` uses it, beside obstore: `PYTHONPATH=FOLDER python perf/object_stores.py [--latency 50]`.

obstore is no dependency: `pip install --target FOLDER obstore`. Both ask an S3 server of this machine (moto) that
waits before each answer. Prints requests and seconds of: small objects, each read whole; a large one read whole;
two columns of a Parquet table; a large put; a listing.
"""

from __future__ import annotations

import collections
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from storage import faulty_storage

from curation import store

SMALL, SMALL_BYTES, LARGE_BYTES, LISTED = 20, 20_000, 32_000_000, 1_200


def ours() -> dict[str, Callable[[], Any]]:
    """What `store` does."""

    def columns() -> None:
        for _ in store.read_groups("s3://peer/table.parquet", ["c0", "c1"]):
            pass

    def put() -> None:
        with store.atomic("s3://peer/put/ours") as file:
            file.write(bytes(LARGE_BYTES))

    return {
        "small objects": lambda: [store.read_bytes(f"s3://peer/small/{i}") for i in range(SMALL)],
        "large object": lambda: store.read_bytes("s3://peer/large"),
        "two columns of ten": columns,
        "put": put,
        "listing": lambda: store.listing("s3://peer/listed"),
    }


class _Ranges(io.RawIOBase):
    """An object of obstore that can seek, a request for each read."""

    def __init__(self, bucket: Any, key: str) -> None:
        import obstore

        self._bucket, self._key, self._at = bucket, key, 0
        self._size = int(obstore.head(bucket, key)["size"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        import obstore

        end = self._size if size < 0 else min(self._size, self._at + size)
        data = bytes(obstore.get_range(self._bucket, self._key, start=self._at, end=end))
        self._at = end
        return data


def theirs() -> dict[str, Callable[[], Any]]:
    """The same by obstore: one request for a small object, ranges of a large one side by side."""
    import obstore
    from obstore.store import S3Store

    address = os.environ["AWS_ENDPOINT_URL"]
    bucket = S3Store("peer", endpoint=address, client_options={"allow_http": True})

    def large() -> None:
        size = obstore.head(bucket, "large")["size"]
        starts = list(range(0, size, 8_000_000))
        ends = [min(size, start + 8_000_000) for start in starts]
        obstore.get_ranges(bucket, "large", starts=starts, ends=ends, coalesce=0)

    def columns() -> None:
        file = pq.ParquetFile(pa.PythonFile(_Ranges(bucket, "table.parquet"), mode="r"))
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=["c0", "c1"])

    return {
        "small objects": lambda: [obstore.get(bucket, f"small/{i}").bytes() for i in range(SMALL)],
        "large object": large,
        "two columns of ten": columns,
        "put": lambda: obstore.put(bucket, "put/theirs", bytes(LARGE_BYTES)),
        "listing": lambda: [row for rows in obstore.list(bucket, "listed/") for row in rows],
    }


def fill(client: Any) -> None:
    """Make the bucket, and put what is read."""
    client.create_bucket(Bucket="peer")
    for i in range(SMALL):
        client.put_object(Bucket="peer", Key=f"small/{i}", Body=bytes(SMALL_BYTES))
    for i in range(LISTED):
        client.put_object(Bucket="peer", Key=f"listed/{i:05d}", Body=b"x")
    client.put_object(Bucket="peer", Key="large", Body=bytes(LARGE_BYTES))
    chance = np.random.default_rng(0)
    table = pa.table({f"c{i}": chance.integers(0, 1 << 60, 100_000) for i in range(10)})
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=25_000)
    client.put_object(Bucket="peer", Key="table.parquet", Body=stream.getvalue())


def measured(work: Callable[[], Any], asked: collections.Counter[str]) -> tuple[float, int]:
    """The fewest seconds of three times, and the requests of one."""
    best = float("inf")
    for _ in range(3):
        asked.clear()
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best, sum(asked.values())


@click.command()
@click.option("--latency", default=50.0, show_default=True, help="Milliseconds before an answer.")
def main(latency: float) -> None:
    """Requests and seconds of both."""
    import boto3

    asked: collections.Counter[str] = collections.Counter()
    waits = [0.0]

    def draw(command: str, path: str) -> str:
        time.sleep(waits[0])
        asked[command] += 1
        return ""

    table = Table(title=f"{latency:g} ms before each answer", title_justify="left")
    for name in ("", "pyarrow.fs, s", "requests", "obstore, s", "requests"):
        table.add_column(name, justify="right" if name else "left")
    with faulty_storage() as server:
        fill(boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]))
        server.draw = draw  # type: ignore[method-assign]
        waits[0] = latency / 1000
        peer = theirs()
        for name, work in ours().items():
            cells = [*measured(work, asked), *measured(peer[name], asked)]
            table.add_row(name, f"{cells[0]:.2f}", f"{cells[1]}", f"{cells[2]:.2f}", f"{cells[3]}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
