"""A toy emit and reduce, in a module of their own because workers must be able to import them."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("part", pa.int64()),
        ("key", pa.int64()),
        ("item", pa.int64()),
        ("many", pa.list_(pa.int64())),
    ]
)


def emit(factor: int, item: int) -> Iterator[pa.RecordBatch]:
    for start in (0, 20):
        keys = [(i * factor + item) % 40 for i in range(start, start + 20)]
        yield pa.record_batch(
            [[k % 4 for k in keys], keys, [item] * 20, [[k] for k in keys]], schema=SCHEMA
        )


def reduce(part: int, batches: Iterator[pa.RecordBatch]) -> tuple[int, list[list[int]]]:
    rows = [
        [r["key"], r["item"]]
        for batch in batches
        for r in batch.to_pylist()
        if r["many"] == [r["key"]]
    ]
    return part, rows


def emit_or_fail(item: tuple[str, int]) -> Iterator[pa.RecordBatch]:
    """`emit`, but for the item called "web/00001"."""
    name, number = item
    if name == "web/00001":
        raise ValueError("no such row")
    yield from emit(7, number)


def reduce_or_fail(part: int, batches: Iterator[pa.RecordBatch]) -> int:
    if part == 3:
        raise KeyError("lost")
    return sum(batch.num_rows for batch in batches)


def root(item: tuple[str, float]) -> float:
    return math.sqrt(item[1])


def sleep_long(path: str) -> None:
    """Write the worker's process number to `path`, and sleep for a minute."""
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)


def mark_or_die(folder: str, item: tuple[str, str]) -> str:
    """Leave a mark for an item; "raise" raises, "die" ends its worker, "die once" the first time."""
    name, what = item
    mark = os.path.join(folder, name)
    if what == "raise":
        raise ValueError(f"no {name}")
    if what == "die" or (what == "die once" and not os.path.exists(mark + ".died")):
        open(mark + ".died", "a").close()
        os.kill(os.getpid(), signal.SIGKILL)
    open(mark, "w").close()
    return name
