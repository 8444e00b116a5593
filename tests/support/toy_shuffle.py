"""A toy emit and reduce, in a module of their own because workers must be able to import them."""

from __future__ import annotations

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
