"""One file of 100 MB beside ten of 1 MB, whole and in parts: `python perf/huge_file.py TEXTS.parquet...`, or the
same of archives of one member a record: `python perf/huge_file.py ARCHIVE.warc.gz...`.

Both sides take turns and do the same: `extract` and `tokenize`, with two workers. Prints seconds by the clock, of
the processors, and how long the longest task took: where a file is whole, no worker can take part of it.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from curation.costs import processor
from curation.engine.local import LocalEngine
from curation.pipeline import line
from curation.recipe import reading
from curation.rundir import metrics


def write(path: Path, mb: float, pieces: Iterator[bytes]) -> None:
    """A file of about so many megabytes."""
    size = 0
    with open(path, "wb") as file:
        while size < mb * 1e6:
            size += file.write(next(pieces))


def lines(files: Sequence[str]) -> Iterator[bytes]:
    """The texts of tables as lines of JSON, over and over."""
    columns = [pq.read_table(file, columns=["text"])[0].to_pylist() for file in files]
    for text in itertools.cycle(text for column in columns for text in column if text):
        yield json.dumps({"text": text}).encode() + b"\n"


def members(files: Sequence[str]) -> Iterator[bytes]:
    """The compressed members of archives, over and over."""
    archives = [Path(file).read_bytes() for file in files]
    for data in itertools.cycle(archives):
        rest = data
        while rest:
            member = zlib.decompressobj(31)
            member.decompress(rest)
            yield rest[: len(rest) - len(member.unused_data)]
            rest = member.unused_data


def run(folder: Path, out: Path, keys: dict[str, Any]) -> list[float]:
    """Seconds by the clock, of the processors, of all tasks, and of the longest task."""
    table = {"dataset": [{"name": "a", "files": str(folder), **keys}]}
    table |= {"stages": ["extract", "tokenize"]}
    engine = LocalEngine(2)
    try:
        engine.map("start", len, ["", ""])
        began, spent = time.perf_counter(), processor.core_s()
        line.run(reading.parse(table), str(out), engine, say=lambda _: None)
        clock, spent = time.perf_counter() - began, processor.core_s() - spent
    finally:
        engine.close()
    told = [json.loads(row) for row in (out / metrics.NAME).read_text().splitlines()]
    tasks = [row for row in told if "shard" in row and row["label"] in ("extract", "tokenize")]
    seconds = [row["seconds"] for row in tasks]
    return [clock, spent, sum(seconds), max(seconds)]


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--rounds", default=2, show_default=True)
@click.option("--mb", default=100.0, show_default=True, help="Of the large file.")
def main(files: tuple[str, ...], rounds: int, mb: float) -> None:
    """Whole, and in parts of 32 MB."""
    is_archive = files[0].endswith(".warc.gz")
    pieces, ending = (members(files), "warc.gz") if is_archive else (lines(files), "jsonl")
    sides = {"whole": {"first_pages": 1_000_000_000}, "in parts": {}}
    table = Table()
    for name in ("", "by the clock, s", "of processors, s", "all tasks, s", "longest task, s"):
        table.add_column(name, justify="right" if name else "left")
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "in"
        inputs.mkdir()
        write(inputs / f"large.{ending}", mb, pieces)
        for number in range(10):
            write(inputs / f"small{number}.{ending}", 1, pieces)
        for turn in range(rounds):
            for name, keys in sides.items():
                cells = run(inputs, Path(folder) / f"{name}-{turn}", keys)
                table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
