"""Time and memory of `dedup` from evidence to decisions: `python perf/dedup_scale.py`, `--engine spark` for Spark.

`--boilerplate` adds one huge cluster: three in ten documents are then near copies of one and the same. For each query, which one
process works on, its seconds of the processor are printed too.

Documents are made up as the stage's own evidence tables (20 band keys and a sketch each) and small feature sets, three in ten of them
duplicates, and one bucket of 2 % of them (40,000 of two million) that have nothing else in common. What is timed is the stage's own code:
exact copies, candidates, shuffles, measuring, the choice, decisions. Only `text_features` is stood in for, by sets computed from the
document's number. Memory is the sum over all processes (proportional set size), sampled four times a second.

Duplicates are near copies of an earlier document at Jaccard 0.85 or 0.92, in groups of up to seven, so that what must leave is known: the
script fails where fewer than 99 % of them left, or anything else did.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
from parts import Parts

from curation import store
from curation.kernels import minhash
from curation.pipeline.compile import compile_kernels
from curation.recipe import reading as recipes
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard
from curation.stages.dedup import choice
from curation.stages.dedup import stage as dedup
from curation.stages.dedup.candidates import spread
from curation.stages.dedup.index import SIGNED, IndexedShard

PER_SHARD = 100_000  # at most
GROUP = 10  # documents numbered in a row, of which up to six are near copies of the first
FEATURES = 24
BOILERPLATE = 7  # the document of which three in ten may be copies
BUCKET = 50  # every 50th document is in the one large bucket
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """How many documents a shard has, and whether the last three of each group are copies of document `BOILERPLATE`."""

    per_shard: int
    has_boilerplate: bool

    def source(self, docs: Int64s) -> Int64s:
        """The document that each is a near copy of, itself for most: groups of ten hold 0 to 6 copies, 3 on average."""
        copies = (spread(docs // GROUP) % np.uint64(7)).astype(np.int64)
        out = np.where(docs % GROUP <= copies, docs - docs % GROUP, docs)
        return (
            np.where(docs % GROUP >= BOILERPLATE, BOILERPLATE, out) if self.has_boilerplate else out
        )


def features(corpus: Corpus, numbers: Int64s) -> Int64s:
    """int64[n, FEATURES], ascending: those of the source, of which a near copy has up to two others of its own."""
    base = corpus.source(numbers)
    at = np.arange(FEATURES, dtype=np.int64)
    sets = spread(base[:, None] * 64 + at).view(np.int64)
    changed = np.where(base == numbers, 0, 1 + numbers % 2)[:, None] > at
    return np.sort(
        np.where(changed, spread(numbers[:, None] * 64 + at + 32).view(np.int64), sets), axis=1
    )


def made_up(
    corpus: Corpus, member: IndexedShard, rows: Int64s
) -> Iterator[tuple[int, int, Int64s, Int64s]]:
    """What stands in for `text_features`."""
    for first in range(0, len(rows), 8192):
        some = features(
            corpus, member.shard.ordinal * corpus.per_shard + rows[first : first + 8192]
        )
        yield first, first + len(some), np.arange(0, some.size + 1, FEATURES), some.reshape(-1)


def evidence(corpus: Corpus, member: IndexedShard) -> None:
    """A shard's evidence, as `dedup.sign_shard` writes it."""
    config, seed = member.rundir.recipe.dedup, member.rundir.recipe.seed
    each, rows_of_a_band = config.banding()
    k = each * rows_of_a_band
    permutations = minhash.permutations(seed, k + minhash.PIECES)
    digest = f"perf{member.ordinal}"
    with store.TableWriter(member.documents, schema.DEDUP_DOCUMENTS, digest) as documents:
        documents.notes = {SIGNED: corpus.per_shard}
        for start in range(0, corpus.per_shard, 8192):
            rows = np.arange(start, min(start + 8192, corpus.per_shard))
            numbers, n = member.shard.ordinal * corpus.per_shard + rows, len(rows)
            values = features(corpus, numbers)
            signed = minhash.signatures(
                np.arange(0, values.size + 1, FEATURES), values.reshape(-1), *permutations
            )
            keys = minhash.band_keys(signed[:, :k], each, rows_of_a_band)
            keys[numbers % BUCKET == 7, 0] = 7
            content = spread(numbers).astype(">u8").tobytes()
            tie = np.frombuffer(content, ">i8").astype(np.int64)
            chars = np.full(n, 3000) - (corpus.source(numbers) != numbers)
            priority = dedup.priorities(0, 0, 0, chars)
            contents = pa.array([content[8 * i : 8 * i + 8] * 2 for i in range(n)], pa.binary())
            ids = pa.array([f"document-{number:09d}" for number in numbers.tolist()])
            columns = [
                member.doc(0) + rows,
                ids,
                np.zeros(n, np.int64),
                contents,
                priority,
                tie,
                chars,
                np.full(n, FEATURES),
                signed[:, 0].copy().view(np.int64),
                *np.zeros((2, n)),
                np.zeros(n, np.int64),  # not repetitive
                minhash.sketches(signed[:, k:]),
                pa.ListArray.from_arrays(
                    np.arange(0, keys.size + 1, each, dtype=np.int32), keys.reshape(-1)
                ),
            ]
            documents.write(pa.record_batch(columns, schema=schema.DEDUP_DOCUMENTS))


class Memory:
    """The most that this process and all its descendants held at once, in bytes (shared pages by halves), while the block runs."""

    def __enter__(self) -> Memory:
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(0.25):
            held = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    held += process.memory_full_info().pss
                except psutil.Error:  # it ended meanwhile
                    continue
            self.peak = max(self.peak, held)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def processor_s() -> float:
    """Seconds of processor that this process and its workers used; what others do at the same time matters less to it than to the clock."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def engine_of(kind: str, workers: int, memory_gb: float, parts: Parts) -> Any:
    if kind == "spark":
        from curation.engine.spark import SparkEngine

        return SparkEngine(f"local[{workers}]", workers, memory_gb, progress=parts)
    from curation.engine.local import LocalEngine

    return LocalEngine(workers, memory_gb, progress=parts)


class Queries:
    """Seconds of the processor of an engine's queries, by the folder that each writes."""

    def __init__(self, engine: Any) -> None:
        self.seconds: dict[str, float] = {}
        self._sql = engine.sql
        engine.sql = self

    def __call__(self, text: str, tables: Any, out: str, *more: Any, **options: Any) -> Any:
        begun = processor_s()
        result = self._sql(text, tables, out, *more, **options)
        name = out.partition("/pairs/")[2].partition("/")[0]
        self.seconds[name] = self.seconds.get(name, 0.0) + processor_s() - begun
        return result


def measured(
    kind: str, documents: int, workers: int, memory_gb: float, has_boilerplate: bool
) -> tuple[float, float, float, float]:
    """From evidence to decisions: seconds, gigabytes, seconds of the processor of all and of the query for wanted pairs. Fails unless
    what left is what should have."""
    corpus = Corpus(min(PER_SHARD, documents // 2), has_boilerplate)
    dataset = [{"name": "web", "files": ["none"]}]
    tables = {"stages": ["dedup"], "memory_gb": memory_gb, "dataset": dataset}
    parts = Parts()
    with tempfile.TemporaryDirectory() as out:
        rundir = RunDirectory(out, recipes.parse(tables))
        shards = [Shard("web", i, i, 0, ()) for i in range(documents // corpus.per_shard)]
        members = [IndexedShard(rundir, shard, shard.ordinal, 0, 0, False) for shard in shards]
        engine = engine_of(kind, workers, memory_gb, parts)
        try:
            compile_kernels(engine, ["dedup"])
            engine.map("made up", partial(evidence, corpus), members)
            queries = Queries(engine)
            with Memory() as memory:
                start, begun = time.perf_counter(), processor_s()
                removed = dedup.removed_documents(rundir, engine, members, partial(made_up, corpus))
                root = store.join(out, "dedup", "pairs", "sizes")
                sizes = choice.cluster_sizes(engine, removed, members, root)
                tasks = [
                    (one, removed.path(one.ordinal), sizes.path(one.ordinal), sizes.identity)
                    for one in members
                ]
                made = engine.map("dedup: decide", partial(dedup.decide_shard, ("web",)), tasks)
                seconds, used = time.perf_counter() - start, processor_s() - begun
        finally:
            engine.close()
        check(corpus, members, documents)
        left = sum(one.ledger["duplicate"][0] for one in made)
    for name, own in queries.seconds.items():
        print(f"    query {name:18}            processor {own:6.1f} s")
    for label, (clock, own) in parts.seconds().items():
        print(f"    {label:24} {clock:6.1f} s    processor {own:6.1f} s")
    print(
        f"{kind}: {documents:,} documents, {left:,} left, {seconds:.1f} s, {1e6 * seconds / documents:.1f} µs a document "
        f"({1e6 * used / documents:.1f} of the processor), "
        f"{memory.peak / 1e9:.2f} GB at most; memory_gb = {memory_gb:g}, {workers} workers, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return seconds, memory.peak / 1e9, used, queries.seconds["wanted"]


def check(corpus: Corpus, members: list[IndexedShard], documents: int) -> None:
    """Fail unless what left are near copies, for their source, and nearly all of them."""
    left = found = 0
    for member in members:
        table = store.read_table(member.decision, ["keep", "kept_id"])
        rows = np.flatnonzero(~table.column("keep").to_numpy())
        numbers = member.ordinal * corpus.per_shard + rows
        kept = [
            int(name.removeprefix("document-"))
            for name in table.column("kept_id").take(pa.array(rows)).to_pylist()
        ]
        if (corpus.source(np.array(kept, np.int64)) != corpus.source(numbers)).any() or (
            corpus.source(numbers) == numbers
        ).any():
            raise SystemExit("a document left that is no near copy, or for a stranger")
        left += len(rows)
    numbers = np.arange(documents)
    found = int((corpus.source(numbers) != numbers).sum())
    if left < 0.99 * found:
        raise SystemExit(f"{left:,} of {found:,} near copies left")


def plot(path: str, kind: str, sizes: list[int], seconds: list[float], peaks: list[float]) -> None:
    """Seconds and gigabytes against documents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    million = [size / 1e6 for size in sizes]
    left.plot(million, seconds, "o-", color="#1f5f8b")
    left.plot([0, million[-1]], [0, seconds[0] / million[0] * million[-1]], ":", color="grey")
    left.set(
        title="seconds (dotted: linear from the first)",
        xlabel="million documents",
        xlim=(0, None),
        ylim=(0, None),
    )
    right.plot(million, peaks, "o-", color="#8b3a1f")
    right.set(
        title="gigabytes at most, all processes",
        xlabel="million documents",
        xlim=(0, None),
        ylim=(0, None),
    )
    figure.suptitle(f"dedup from evidence to decisions, {kind}", fontsize=10)
    figure.savefig(path)


@click.command()
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True)
@click.option(
    "--documents",
    "sizes",
    multiple=True,
    default=(1_000_000, 2_000_000, 4_000_000),
    show_default=True,
)
@click.option("--workers", default=2, show_default=True)
@click.option("--memory-gb", default=2.0, show_default=True, help="The recipe's memory_gb.")
@click.option("--boilerplate", is_flag=True, help="Three in ten documents are near copies of one.")
@click.option("--plot", "path", help="Write a plot to this file (.svg or .png).")
def main(
    engine: str,
    sizes: tuple[int, ...],
    workers: int,
    memory_gb: float,
    boilerplate: bool,
    path: str | None,
) -> None:
    """Time `dedup` at several sizes, and say how the time of a document grows."""
    found = [measured(engine, size, workers, memory_gb, boilerplate) for size in sizes]
    seconds, peaks, used, wanted = (list(column) for column in zip(*found, strict=True))
    each = [s / size for s, size in zip(seconds, sizes, strict=True)]
    print(f"time of a document at {sizes[-1]:,} against {sizes[0]:,}: {each[-1] / each[0]:.2f}")
    if len(sizes) > 1:
        grown = np.polyfit(np.log(sizes), np.log([used, wanted]).T, 1)[0]
        print(
            f"exponents of the processor's seconds: {grown[0]:.2f}, of the query for wanted pairs {grown[1]:.2f}"
        )
    print(
        f"that query's share of the processor at {sizes[-1]:,}: {100 * wanted[-1] / used[-1]:.0f} %"
    )
    if path:
        plot(path, engine, list(sizes), seconds, peaks)


if __name__ == "__main__":
    main()
