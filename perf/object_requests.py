"""Requests that a run in object storage sends for each shard: `python perf/object_requests.py [--shards 2,6]`.

Runs the whole line over stub archives (those of `scale.py`) with its run directory in an S3 server of this
machine (moto), once more with nothing to do, and divides the difference between two sizes by their shards.
`--latency` waits so many milliseconds before each answer. `--folders` says where the requests went.
"""

from __future__ import annotations

import collections
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import click
import scale
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from storage import FaultyStorage, faulty_storage

from curation.engine.inline import InlineEngine
from curation.pipeline import line as pipeline

METHODS = ("GET", "HEAD", "PUT", "LIST", "other")


def method(command: str, path: str) -> str:
    """What a request does; a listing is a GET of the bucket."""
    if command == "GET" and re.search(r"[?&]list-type=|[?&]prefix=", path):
        return "LIST"
    return command if command in METHODS else "other"


def folder(path: str) -> str:
    """The folder of a run directory that a request is about."""
    inner = path.partition("?")[0].strip("/").split("/")[2:]
    return "/".join(part for part in inner if not re.search(r"\d{5}|\.", part)) or "/"


def run(shards: int, server: FaultyStorage, latency_s: float) -> list[collections.Counter[str]]:
    """Requests of a run, and of one with nothing to do, by method and by folder."""
    counts: collections.Counter[str] = collections.Counter()

    def draw(command: str, path: str) -> str:
        time.sleep(latency_s)
        counts[method(command, path)] += 1
        counts[f"{method(command, path):5} {folder(path)}"] += 1
        return ""

    server.draw = draw  # type: ignore[method-assign]
    out = []
    with tempfile.TemporaryDirectory() as place:
        made = scale.corpus(Path(place), shards, scale.SHIPPED)
        engine = InlineEngine(1.0)
        for _ in range(2):
            counts.clear()
            began = time.perf_counter()
            pipeline.run(made, f"s3://runs/{shards}", engine, say=lambda line: None)
            total = sum(count for name, count in counts.items() if name in METHODS)
            print(f"{shards} shards: {time.perf_counter() - began:.1f} s, {total:,} requests")
            out.append(counts.copy())
        engine.close()
    return out


@click.command()
@click.option("--shards", default="2,6", show_default=True, help="Two sizes, ascending.")
@click.option("--latency", default=0.0, show_default=True, help="Milliseconds before an answer.")
@click.option("--folders", is_flag=True, help="Also by folder of the run directory.")
def main(shards: str, latency: float, folders: bool) -> None:
    """Requests a shard."""
    small, large = map(int, shards.split(","))
    with faulty_storage() as server:
        import boto3

        boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket="runs")
        first, second = (run(size, server, latency / 1000) for size in (small, large))
    table = Table(title="requests a shard", title_justify="left")
    for name in ("", "a whole run", "nothing to do"):
        table.add_column(name, justify="right" if name else "left")
    for name in METHODS:
        grown = [(b[name] - a[name]) / (large - small) for a, b in zip(first, second, strict=True)]
        table.add_row(name, *(f"{each:.1f}" for each in grown))
    Console(width=100).print(table)
    names = sorted({name for name in second[0] if " " in name}) if folders else []
    for name in names:
        print(f"{(second[0][name] - first[0][name]) / (large - small):6.1f}  {name}")


if __name__ == "__main__":
    main()
