"""Requests that a run in object storage sends for each shard: `python perf/object_requests.py [--shards 2,6]`.

Runs the whole line over stub archives (those of `scale.py`) with its run directory in an S3 server of this
machine (moto), once more with nothing to do, and divides the difference between two sizes by their shards.
`--latency` waits so many milliseconds before each answer. `--folders` says where the requests went. With
`--faults 0.1` a tenth of the answers is a 503 or a connection that is reset, and the objects are compared with
those of a run without faults.
"""

from __future__ import annotations

import collections
import hashlib
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import scale
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from storage import FaultyStorage, faulty_storage

from curation.engine.inline import InlineEngine
from curation.pipeline import line as pipeline
from curation.recipe.tables import Recipe
from curation.rundir import metrics

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


def run(
    made: Recipe, out: str, server: FaultyStorage, latency_s: float, share: float = 0.0
) -> list[collections.Counter[str]]:
    """Requests of a run, and of one with nothing to do, by method and by folder."""
    counts: collections.Counter[str] = collections.Counter()
    chance = random.Random(1)

    def draw(command: str, path: str) -> str:
        time.sleep(latency_s)
        counts[method(command, path)] += 1
        counts[f"{method(command, path):5} {folder(path)}"] += 1
        counts["faults"] += (failed := chance.random() < share)
        return chance.choice(("SlowDown", "reset")) if failed else ""

    server.draw = draw  # type: ignore[method-assign]
    told = []
    engine = InlineEngine(1.0)
    for what in ("a whole run", "nothing to do"):
        counts.clear()
        began = time.perf_counter()
        pipeline.run(made, out, engine, say=lambda line: None)
        seconds = time.perf_counter() - began
        total = sum(counts[name] for name in METHODS)
        print(
            f"{out}, {what}: {seconds:.1f} s, {total:,} requests, {counts['faults']} of them failed"
        )
        told.append(counts.copy())
    engine.close()
    server.draw = lambda command, path: ""  # type: ignore[method-assign]
    return told


def digests(client: Any, out: str) -> dict[str, str]:
    """Key -> digest of the objects of a run that are results."""
    bucket, _, prefix = out.removeprefix("s3://").partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    keys = [row["Key"] for page in pages for row in page.get("Contents", ())]
    bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    print(f"{out}: {len(keys)} objects, {sum(map(len, bodies.values())) / 1e6:.2f} MB")
    return {
        key.removeprefix(prefix): hashlib.sha256(body).hexdigest()
        for key, body in bodies.items()
        if not key.endswith((metrics.NAME, "run.lock"))
    }


@click.command()
@click.option("--shards", default="2,6", show_default=True, help="Two sizes, ascending.")
@click.option("--latency", default=0.0, show_default=True, help="Milliseconds before an answer.")
@click.option("--faults", default=0.0, show_default=True, help="Share of answers that are none.")
@click.option("--folders", is_flag=True, help="Also by folder of the run directory.")
def main(shards: str, latency: float, faults: float, folders: bool) -> None:
    """Requests a shard."""
    small, large = map(int, shards.split(","))
    with faulty_storage() as server, tempfile.TemporaryDirectory() as place:
        import boto3

        client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="runs")
        recipes = [
            scale.corpus(Path(place) / str(size), size, scale.SHIPPED) for size in (small, large)
        ]
        outs = [f"s3://runs/{size}" for size in (small, large)]
        first, second = (
            run(recipe, out, server, latency / 1000)
            for recipe, out in zip(recipes, outs, strict=True)
        )
        if faults:
            run(recipes[1], "s3://runs/faults", server, latency / 1000, faults)
            same = digests(client, outs[1]) == digests(client, "s3://runs/faults")
            print("equal bytes" if same else "the bytes differ")
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
