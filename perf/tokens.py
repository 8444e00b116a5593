"""Speed of `tokenize`: `python perf/tokens.py FILES...`.

Takes the texts of the files, and times in turn: the stage with gigatoken (ours), gigatoken alone
(one call for each document, objects of the same life), and the stage with tiktoken. The stage is
the making of one shard's table, in this process, from a table of documents to a table of tokens.
Prints megabytes a second of processor time, the best of `--rounds`, and the ratios. The ranks are
loaded before, on all sides; caches are empty at each start.

`--memory MB` encodes so many megabytes of text that never repeats and prints the resident memory.
`--runs` times runs of one character, of 10^6 and of 10^7, with both encoders.
"""

from __future__ import annotations

import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

import click
import pyarrow as pa

from curation import store
from curation.engine.local import LocalEngine
from curation.kernels import encoding
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.stages.tokenize import stage


@click.command()
@click.argument("files", nargs=-1)
@click.option("--rounds", default=3, help="How often each is timed.")
@click.option("--memory", default=0, help="Megabytes of text to encode for the memory figure.")
@click.option("--runs", is_flag=True, help="Time runs of a million and ten million characters.")
@click.option("--profile", is_flag=True, help="Where the time of the stage goes.")
def main(files: tuple[str, ...], rounds: int, memory: int, runs: bool, profile: bool) -> None:
    """Time `tokenize` against gigatoken alone and with tiktoken."""
    if not encoding.is_fast():
        raise click.ClickException("gigatoken is needed; pip install 'curation[fast]'")
    if memory:
        show_memory(memory)
    if runs:
        show_runs(rounds)
    for file in files:
        with tempfile.TemporaryDirectory() as out:
            compare(file, out, rounds, profile)


def compare(file: str, out: str, rounds: int, profile: bool) -> None:
    """Print the speeds of all three on one file."""
    datasets = [{"name": "d", "files": os.path.abspath(file)}]
    made = recipe.parse({"stages": ["extract", "tokenize"], "dataset": datasets})
    engine = LocalEngine(1)
    try:
        rundir, plan = pipeline.run(made, out + "/run", engine, say=lambda _: None)
    finally:
        engine.close()
    tables = [rundir.documents(shard) for shard in plan.shards]
    texts = [t for path in tables for t in store.read_table(path, ["text"]).column(0).to_pylist()]
    data = [text.encode() for text in texts]
    size = sum(map(len, data)) / 1e6

    def whole() -> None:
        encoding._reader.cache_clear()
        encoding._reader()
        for shard in plan.shards:
            store.delete(rundir.table("tokens", shard))
        start(lambda: [stage.tokenize_shard(rundir, shard) for shard in plan.shards])

    def alone() -> None:
        reader = encoding._new_tokenizer()
        start(lambda: [reader.encode(text) for text in data])

    def slow() -> None:
        fast, encoding.is_fast = encoding.is_fast, lambda: False  # type: ignore[assignment]
        try:
            whole()
        finally:
            encoding.is_fast = fast

    def start(work: Callable[[], Any]) -> None:
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)

    best = {}
    for _ in range(rounds):
        for name, side in {"ours": whole, "gigatoken": alone, "tiktoken stage": slow}.items():
            seconds: list[float] = []
            side()
            best[name] = min(best.get(name, 1e9), seconds[0])
    click.echo(f"{os.path.basename(file)}: {size:.1f} MB of text, {len(texts):,} documents")
    for name, taken in best.items():
        click.echo(f"{name:15} {taken:7.2f} s of processor {size / taken:7.2f} MB/s")
    click.echo(f"ours has {best['gigatoken'] / best['ours']:.0%} of the speed of gigatoken alone, ")
    click.echo(f"and {best['tiktoken stage'] / best['ours']:.1f} times that of the tiktoken stage")
    if profile:
        show_profile(whole)


def show_profile(work: Callable[[], None]) -> None:
    """Print the functions that take the most time themselves."""
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(work)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(14)


def show_runs(rounds: int) -> None:
    """Print the processor time for runs of one character, the best of some rounds."""
    encoding.encode("gpt2", pa.array(["loads the kernels"]))
    for name, encode in {"gigatoken": encoding._fast, "tiktoken": slowly}.items():
        for character in (" ", "\n", "a", "\u00e9"):
            taken = []
            for length in (1_000_000, 10_000_000):
                text, best = pa.array([character * length]), 1e9
                for _ in range(rounds):
                    encoding._reader.cache_clear()  # gigatoken remembers words
                    encoding._reader()
                    before = time.process_time()
                    encode(text)
                    best = min(best, time.process_time() - before)
                taken.append(best)
            click.echo(
                f"{name:9} {character!r:5} 10^6 in {taken[0]:.3f} s, 10^7 in {taken[1]:.3f} s: "
                f"{taken[1] / taken[0]:.1f} times"
            )


def slowly(texts: pa.Array) -> None:
    """Encode with tiktoken."""
    encoding._slow("gpt2", texts)


def show_memory(megabytes: int) -> None:
    """Print the resident memory while text with ever new words is encoded."""
    rng = random.Random(1)
    done, step, shown = 0, 4 << 20, 0
    while done < megabytes * 1_000_000:
        words = rng.randbytes(step // 2).hex()
        text = " ".join(words[i : i + 7] for i in range(0, len(words), 7))
        encoding.encode("gpt2", pa.array([text]))
        done += len(text)
        if done >= shown:
            with open("/proc/self/statm") as file:
                resident = int(file.read().split()[1]) * resource.getpagesize() / 1e6
            click.echo(f"{done / 1e6:8.0f} MB of text, {resident:6.0f} MB resident")
            shown += megabytes * 1_000_000 // 16
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    click.echo(f"most: {most:.0f} MB")


if __name__ == "__main__":
    main()
