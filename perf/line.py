"""Speed and memory of each stage of the line on one machine: `python perf/line.py RECIPE [--workers N]`.

Runs the recipe stage by stage into a fresh folder and prints a table: seconds, megabytes of text and documents a second, and the peak
resident memory of the largest worker and of the parent (sampled ten times a second). Without RECIPE: perf/crawl.toml, archives to shards.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import click
import psutil
from rich.console import Console
from rich.table import Table

from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.rundir.ledger import total


class Memory:
    """Peak resident memory of this process and of its largest child since the last `take`, in MB."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._parent = self._child = 0
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self._parent = max(self._parent, self._own.memory_info().rss)
            for child in self._own.children(recursive=True):
                try:
                    self._child = max(self._child, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def take(self) -> tuple[int, int]:
        peaks = self._child >> 20, self._parent >> 20
        self._child = self._parent = 0
        return peaks


@click.command()
@click.argument(
    "recipe_path", metavar="[RECIPE]", default=str(Path(__file__).parent / "crawl.toml")
)
@click.option("--workers", default=os.cpu_count(), show_default=True)
def main(recipe_path: str, workers: int) -> None:
    """Time the line stage by stage."""
    made = recipe.load(recipe_path)
    table = Table(
        title=f"{Path(recipe_path).name}, local engine, {workers} workers", title_justify="left"
    )
    for name in (
        "stage",
        "s",
        "documents in",
        "documents/s",
        "MB in",
        "MB/s",
        "worker MB",
        "parent MB",
    ):
        table.add_column(name, justify="left" if name == "stage" else "right")
    memory = Memory()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        engine = LocalEngine(workers, made.memory_gb)
        try:
            for stage in made.stages:
                start = time.perf_counter()
                rundir, plan = pipeline.run(
                    made, out + "/run", engine, until=stage, say=lambda line: None
                )
                seconds = time.perf_counter() - start
                books = total(pipeline.ledgers(rundir, plan).get(stage, {}).values())
                documents, chars, _ = books.get("in", [0, 0, 0])
                if stage == "extract":  # what it reads is archives, not text
                    chars = sum(file.size for shard in plan.shards for file in shard.files)
                worker, parent = memory.take()
                rates = [
                    f"{documents:,}",
                    f"{documents / seconds:,.0f}",
                    f"{chars / 1e6:.1f}",
                    f"{chars / 1e6 / seconds:.1f}",
                ]
                table.add_row(
                    stage,
                    f"{seconds:.1f}",
                    *(rates if documents else ["", "", "", ""]),
                    str(worker),
                    str(parent),
                )
        finally:
            engine.close()
    table.add_section()
    table.add_row("all", f"{time.perf_counter() - began:.1f}")
    table.caption = "MB: input files for extract, characters of text after it. Stages that run in seconds are mostly start-up."
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
