"""What a document costs in each stage, from few documents to many: `python perf/document_scale.py`.

Makes Parquet files of small documents (60 words of a vocabulary of 5,000, 350 characters; every tenth is
a near copy of the one before) and runs the line from `extract` to `mix` over them, stage by stage,
each size in a process of its own. Prints microseconds of the processor a document and stage, how they
grow between the two largest sizes (1: linear), and the most memory. One thread, so that nothing waits.

Trap: at 10,000 documents what a stage costs once (compiling is done before) is most of it, and above
100,000 the classifier is fitted to no more documents of the crawl than that. Ten million are made only
where `--documents` says so.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from scale import exponent

from curation.costs import processor
from curation.engine.inline import InlineEngine
from curation.pipeline import compile as compiled
from curation.pipeline import line
from curation.recipe import reading
from curation.recipe.tables import Recipe

STAGES = ("extract", "filter", "classify", "dedup", "decontaminate", "tokenize", "mix")
WORDS = 60
VOCABULARY = 5000
PER_FILE = 100_000
TRUSTED = 100  # one document of so many is of the trusted dataset


def texts(numbers: np.ndarray, word: str = "w") -> list[str]:
    """The texts of some documents, by their numbers alone; `word` begins each word."""
    source = np.where(numbers % 10 == 1, numbers - 1, numbers)
    at = np.arange(WORDS)
    drawn = _mixed(source[:, None] * WORDS + at) % VOCABULARY
    drawn[source != numbers, 30] = 0  # a near copy has another word
    # Common words are most of a text, as in a language.
    ranks = drawn * drawn // VOCABULARY
    return [" ".join(f"{word}{rank}" for rank in row) + "." for row in ranks.tolist()]


def _mixed(numbers: np.ndarray) -> np.ndarray:
    from curation.kernels.words import mixed

    return (mixed(numbers.astype(np.uint64)) >> np.uint64(20)).astype(np.int64)


def corpus(folder: Path, documents: int) -> Recipe:
    """A recipe of the line over made-up tables."""
    datasets = []
    for name, role, count in (
        ("trusted", "trusted", max(200, documents // TRUSTED)),
        ("web", "crawl", documents),
    ):
        (folder / name).mkdir()
        for first in range(0, count, PER_FILE):
            numbers = np.arange(first, min(first + PER_FILE, count))
            made = texts(numbers, "w" if name == "web" else "longer")
            table = pa.table({"id": list(map(str, numbers)), "text": made})
            pq.write_table(table, folder / name / f"{first:09d}.parquet")
        datasets.append({"name": name, "role": role, "files": [str(folder / name)]})
    rows = [{"id": str(n), "text": text} for n, text in enumerate(texts(np.arange(0, 1000, 10)))]
    (folder / "benchmark.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return reading.parse(
        {
            "dataset": datasets,
            "stages": list(STAGES),
            "filter": {"rule": [{"name": "short", "drop": "words < 3"}]},
            "classify": {"alpha": 0.01},  # keeps nearly all, for later stages to have work
            "dedup": {"alarm": "warn"},
            "decontaminate": {"benchmarks": [str(folder / "benchmark.jsonl")]},
            "mix": {"shards": 4, "weights": {"trusted": 1, "web": 99}},
        }
    )


def costs(documents: int) -> tuple[dict[str, float], float]:
    """Processor seconds of each stage, and the peak memory (MB) of this process."""
    with tempfile.TemporaryDirectory() as folder:
        made, out = corpus(Path(folder), documents), folder + "/run"
        engine = InlineEngine()
        seconds = {}
        try:
            compiled.compile_kernels(engine, list(STAGES))
            for stage in STAGES:
                began = time.process_time()
                line.run(made, out, engine, until=stage, say=lambda text: None)
                seconds[stage] = time.process_time() - began
                print(f"{documents:,} documents, {stage}: {seconds[stage]:.2f} s", flush=True)
        finally:
            engine.close()
    return seconds, processor.peak_mb()


@click.command()
@click.option("--documents", default="10000,100000,1000000", show_default=True, help="Ascending.")
def main(documents: str) -> None:
    """Processor time a document and stage."""
    sizes = sorted(map(int, documents.split(",")))
    measured = []
    for size in sizes:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            measured.append(alone.submit(costs, size).result())
    table = Table(title="microseconds of the processor a document", title_justify="left")
    for head in ("stage", *(f"{size:,}" for size in sizes), "exponent"):
        table.add_column(head, justify="left" if head == "stage" else "right")
    rows = {stage: [seconds[stage] for seconds, _ in measured] for stage in STAGES}
    rows["all"] = [sum(seconds.values()) for seconds, _ in measured]
    for name, values in rows.items():
        each = [f"{1e6 * value / size:,.1f}" for value, size in zip(values, sizes, strict=True)]
        table.add_row(name, *each, exponent(sizes[-2:], values[-2:]))
    memory = [peak for _, peak in measured]
    table.add_row(
        "memory, MB", *(f"{peak:,.0f}" for peak in memory), exponent(sizes[-2:], memory[-2:])
    )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
