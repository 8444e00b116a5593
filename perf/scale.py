"""What the driver costs for each shard, however small the shard: `python perf/scale.py [--shards 100,1000]`.

Makes a crawl of stub archives (one WET archive of one page a shard) and runs the whole line over it, then once
more with nothing to do. Prints the processor time of the driver a shard, by what it was spent on: maps, queries
and shuffles, and the rest; that of its workers; the largest memory; and how each grows with the number of shards
(1: linear).

With `--map`, only `LocalEngine.map` over tasks that do nothing. With `--idle`, the plan of many stub archives,
and a run with nothing to do over them: its run directory is made from a small one, whose tables are linked
under other names.
"""

from __future__ import annotations

import gzip
import math
import multiprocessing
import operator
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from curation import store
from curation.costs import processor
from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading
from curation.recipe.tables import Recipe
from curation.rundir import manifest as manifests
from curation.rundir import plan as plans
from curation.stages.classify.shipped import SHIPPED

WORDS = [f"w{number}" for number in range(3000)]
MOST_LINKS = 50_000  # to one file
PARTS = ("maps", "queries", "shuffles", "rest")


class Measured(LocalEngine):
    """The local engine, with the processor time of its own process by verb, and what was mapped."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, 1.0)
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.by_label: dict[str, list[float]] = {}
        self.depth = 0

    @contextmanager
    def _timed(self, part: str, label: str, items: int) -> Iterator[None]:
        began, self.depth = time.process_time(), self.depth + 1
        try:
            yield
        finally:
            self.depth -= 1
            if not self.depth:
                spent = time.process_time() - began
                self.seconds[part] += spent
                row = self.by_label.setdefault(label, [0.0, 0])
                row[0], row[1] = row[0] + spent, row[1] + items

    def map(self, label: str, task: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        with self._timed("maps", label, len(items)):
            return super().map(label, task, items)

    def sql(self, query: str, tables: Any, out: str, *rest: Any, **options: Any) -> Any:
        with self._timed("queries", "sql " + os.path.basename(out), 1):
            return super().sql(query, tables, out, *rest, **options)

    def shuffle(self, label: str, emit: Any, items: Sequence[Any], *rest: Any) -> list[Any]:
        with self._timed("shuffles", label, len(items)):
            return super().shuffle(label, emit, items, *rest)


def archive(number: int) -> bytes:
    """A WET archive of one page of a few lines."""
    chance = random.Random(number - number % 10 * (number % 100 == 7))
    text = "\n".join(" ".join(chance.choices(WORDS, k=12)) + "." for _ in range(6)).encode()
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:uuid:"
        f"{number:08d}-0000-4000-8000-000000000000>\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"WARC-Target-URI: http://site{number}.example/a\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(text)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + text + b"\r\n\r\n", 1)


def corpus(folder: Path, shards: int, model: str = "") -> Recipe:
    """A recipe of the line from archives to token shards, and its inputs; `model`: of the classifier."""
    crawl = folder / "crawl"
    crawl.mkdir(parents=True)
    for number in range(shards):
        (crawl / f"{number:06d}.warc.wet.gz").write_bytes(archive(number))
    chance = random.Random(-1)
    good = [f"g{number}" for number in range(500)] + WORDS[:200]
    rows = [{"id": str(n), "text": " ".join(chance.choices(good, k=80))} for n in range(150)]
    (folder / "books.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    (folder / "benchmark.jsonl").write_bytes(orjson.dumps({"id": "1", "text": rows[0]["text"]}))
    datasets = [
        {"name": "books", "files": [str(folder / "books.jsonl")]},
        {"name": "web", "role": "crawl", "files": [str(crawl)]},
    ]
    return reading.parse(
        {
            "dataset": datasets,
            "stages": [
                "extract",
                "filter",
                "classify",
                "dedup",
                "decontaminate",
                "tokenize",
                "mix",
            ],
            "filter": {"rule": [{"name": "short", "drop": "words < 3"}]},
            "classify": {"alpha": 1.0, "max_documents": 300, "model": model},
            "dedup": {"alarm": "warn"},
            "decontaminate": {"benchmarks": [str(folder / "benchmark.jsonl")]},
            "mix": {"shards": 4, "weights": {"books": 1, "web": 1}, "tokens": 4_000},
        }
    )


def whole(shards: int, workers: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Driver seconds of a run and of one with nothing to do, by part; and of the run by label."""
    with tempfile.TemporaryDirectory() as folder:
        made, out = corpus(Path(folder), shards), folder + "/run"
        engine = Measured(workers)
        try:
            began, wall, before = time.process_time(), time.perf_counter(), processor.core_s()
            pipeline.run(made, out, engine, say=lambda line: None)
            total = time.process_time() - began
            row = {**engine.seconds, "rest": total - sum(engine.seconds.values()), "all": total}
            row["wall"] = time.perf_counter() - wall
            row["workers"] = processor.core_s() - before - total
            labels = dict(engine.by_label)
            row["items"] = sum(n for name, (_, n) in labels.items() if not name.startswith("sql "))
            began = time.process_time()
            pipeline.run(made, out, engine, say=lambda line: None)
            row["nothing to do"] = time.process_time() - began
        finally:
            engine.close()
        row["files"] = sum(
            file.name.rpartition("/")[2] == f"{shards // 2:05d}.parquet"
            for file in store.listing(out, hidden=True)
        )
        row["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        shown = {name: round(value, 3) for name, value in row.items()}
        print(f"{shards:,} shards, seconds of the driver: {shown}", flush=True)
        return row, labels


def maps(shards: int, workers: int) -> float:
    """Driver seconds of one map over tasks that do nothing."""
    engine = Measured(workers)
    try:
        engine.map("start", operator.neg, range(workers))
        began = time.process_time()
        engine.map("nothing", operator.neg, range(shards))
        return time.process_time() - began
    finally:
        engine.close()


def idle(shards: int, small: Path, made: Recipe) -> dict[str, float]:
    """Driver seconds of planning `shards` shards, and of a run with nothing to do over their run
    directory."""
    with tempfile.TemporaryDirectory() as folder:
        crawl, out = Path(folder) / "crawl", Path(folder) / "run"
        crawl.mkdir()
        for number in range(shards):
            (crawl / f"{number:06d}.warc.wet.gz").write_bytes(b"stub")
        table = reading.as_dict(made)
        table["dataset"][1]["files"] = [str(crawl)]
        big = reading.parse(table)
        began = time.process_time()
        plan = plans.make(big, str(out))
        plans.commit(plans.RunDirectory(str(out), big), plan)
        planned = time.process_time() - began
        _multiply(small, out, shards)
        _keys(big, str(out), plan)
        # In a process of its own, whose memory is not that of what was made up here.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            spent, memory = alone.submit(idle_run, table, str(out)).result()
        print(
            f"{shards:,} shards, planned in {planned:.2f} s; nothing to do: {spent:.2f} s, "
            f"{memory:,} MB",
            flush=True,
        )
        return {"planning": planned, "nothing to do": spent, "MB": memory}


def idle_run(table: dict[str, Any], out: str) -> tuple[float, int]:
    """Processor seconds and peak memory (MB) of a run with nothing to do."""
    engine = Measured(1)
    try:
        began = time.process_time()
        pipeline.run(reading.parse(table), out, engine, say=lambda line: None)
        spent = time.process_time() - began
    finally:
        engine.close()
    assert not engine.by_label, engine.by_label  # it mapped nothing
    # What `getrusage` tells of a new process counts the memory of the one that started it.
    return spent, round(processor.peak_mb())


def _multiply(small: Path, out: Path, shards: int) -> None:
    """Copy a run of one shard of `web`, that shard's tables and rows in manifests `shards` times."""
    skip = shutil.ignore_patterns("plan.json")
    shutil.copytree(small, out, ignore=skip, dirs_exist_ok=True)
    for path in set((out / manifests.FOLDER).glob("*.json")) - {out / manifests.PLANS[1]}:
        data = orjson.loads(path.read_bytes())
        files = data.get("files", {})
        for name in [name for name in files if name.endswith("/web/00000.parquet")]:
            source = out / name
            for number in range(1, shards):
                new = name.replace("00000", f"{number:05d}")
                files[new] = files[name]
                if number % MOST_LINKS:
                    os.link(source, out / new)
                else:
                    source = Path(shutil.copyfile(source, out / new))
        store.write_json(str(path), {**data, **({"files": files} if files else {})})


def _keys(made: Recipe, out: str, plan: plans.Plan) -> None:
    """Give the manifests the keys that such a run would have given them."""
    rundir, identities = plans.RunDirectory(out, made), []
    for stage in made.stages:
        path = manifests.path(out, stage)
        key = pipeline.step_key(rundir, plan, stage, identities)
        store.write_json(path, {**store.read_json(path), "key": key})
        manifest = manifests.read(out, stage)
        assert manifest
        identities.append(manifest.identity)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> str:
    """How a value grows from the smallest size to the largest: 1 where it is linear."""
    if len(sizes) < 2 or not min(values):
        return ""
    grows = math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])
    return f"{grows:.2f}"


def show(title: str, sizes: Sequence[int], rows: dict[str, list[float]], per_shard: bool) -> None:
    """Print values by size, and how they grow."""
    table = Table(title=title, title_justify="left")
    for name in ("", *(f"{size:,} shards" for size in sizes), "exponent"):
        table.add_column(name, justify="right" if name else "left")
    for name, values in rows.items():
        unit = per_shard and name not in ("wall", "files", "MB")
        cells = [
            f"{1000 * v / n:,.3f} ms" if unit else f"{v:,.1f}"
            for n, v in zip(sizes, values, strict=True)
        ]
        table.add_row(name, *cells, exponent(sizes, values))
    Console(width=120).print(table)


@click.command()
@click.option("--shards", default="100,1000", show_default=True, help="Sizes, ascending.")
@click.option("--workers", default=os.cpu_count(), show_default=True)
@click.option("--map", "only_map", is_flag=True, help="Only a map over tasks that do nothing.")
@click.option("--idle", "only_idle", is_flag=True, help="Only runs with nothing to do.")
@click.option("--labels", is_flag=True, help="Also by map and query, of the largest run.")
def main(shards: str, workers: int, only_map: bool, only_idle: bool, labels: bool) -> None:
    """Processor time of the driver a shard."""
    sizes = sorted(map(int, shards.split(",")))
    if only_map:
        rows = {"a map": [maps(size, workers) for size in sizes]}
    elif only_idle:
        with tempfile.TemporaryDirectory() as folder:
            made = corpus(Path(folder), 1, SHIPPED)
            engine = LocalEngine(1, 1.0)
            pipeline.run(made, folder + "/run", engine, say=lambda line: None)
            engine.close()
            told = [idle(n, Path(folder) / "run", made) for n in sizes]
            rows = {name: [row[name] for row in told] for name in told[0]}
    else:
        measured = [whole(size, workers) for size in sizes]
        rows = {name: [row[name] for row, _ in measured] for name in measured[0][0]}
        items = rows.pop("items")
        each = [spent / n * size for spent, n, size in zip(rows["maps"], items, sizes, strict=True)]
        rows = {"a map": each, **rows}
        for label, (spent, n) in measured[-1][1].items() if labels else ():
            print(f"{label:<32} {spent:8.3f} s {n:7} items {1000 * spent / max(1, n):8.3f} ms")
    show("processor time of the driver, a shard", sizes, rows, True)


if __name__ == "__main__":
    main()
