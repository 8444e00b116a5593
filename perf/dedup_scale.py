"""Time and memory of `dedup` from evidence to decisions: `python perf/dedup_scale.py`, `--engine spark` for Spark.

Documents are made up as the stage's own evidence tables (20 band keys and a sketch each) and small feature sets, three in ten of them
duplicates, and one bucket of 2 % of them (40,000 of two million) that have nothing else in common. What is timed is the stage's own code:
exact copies, candidates, shuffles, measuring, the choice, decisions. Only `text_features` is stood in for, by sets computed from the
document's number. Memory is the sum over all processes (proportional set size), sampled four times a second.

`--boilerplate` adds one huge cluster: three in ten documents are then near copies of one and the
same. For each query, which one process works on, its seconds of the processor are printed too.

`--keys` leaves out feature sets: pairs are found by their keys and not measured, since it is known
how alike they are. So large corpora are simulated: on disk it takes 300 bytes a document, and 1,000
more while keys meet.

Duplicates are near copies of an earlier document at Jaccard 0.85 or 0.92, in groups of up to seven, so that what must leave is known: the
script fails where fewer than 99 % of them left, or anything else did.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
from memory import Memory
from parts import Parts

from curation import store
from curation.kernels import minhash
from curation.pipeline.compile import compile_kernels
from curation.recipe import reading as recipes
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard, ordinal_and_row
from curation.rundir.queries import QueryResult
from curation.stages.dedup import choice
from curation.stages.dedup import stage as dedup
from curation.stages.dedup.candidates import candidate_pairs, scopes, spread
from curation.stages.dedup.index import SIGNED, IndexedShard, evidence_facts

PER_SHARD = 100_000  # at most
GROUP = 10  # documents numbered in a row, of which up to six are near copies of the first
FEATURES = 24
BOILERPLATE = 7  # the document of which three in ten may be copies
SIZES = (1_000_000, 2_000_000, 4_000_000)
KEYS_SIZES = (1_000_000, 10_000_000)
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

    def chars(self, numbers: Int64s) -> Int64s:
        """A near copy is shorter than its source."""
        own: Int64s = np.full(len(numbers), 3000) - (self.source(numbers) != numbers)
        return own

    def priorities(self, numbers: Int64s) -> Int64s:
        """As the stage gives them."""
        return dedup.priorities(0, 0, 0, self.chars(numbers))


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
        numbers = member.shard.ordinal * corpus.per_shard + rows[first : first + 8192]
        some = features(corpus, numbers)
        yield first, first + len(some), np.arange(0, some.size + 1, FEATURES), some.reshape(-1)


def ties(numbers: Int64s) -> Int64s:
    """The first bytes of what stands for the text."""
    return spread(numbers).view(np.int64)


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
            contents = pa.array([content[8 * i : 8 * i + 8] * 2 for i in range(n)], pa.binary())
            ids = pa.array([f"document-{number:09d}" for number in numbers.tolist()])
            columns = [
                member.doc(0) + rows,
                ids,
                np.zeros(n, np.int64),
                contents,
                corpus.priorities(numbers),
                ties(numbers),
                corpus.chars(numbers),
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


def removed_by_keys(
    corpus: Corpus, rundir: RunDirectory, engine: Any, members: list[IndexedShard]
) -> QueryResult:
    """As `dedup.removed_documents`, with pairs that are known in place of measured ones."""
    root, rows = rundir.path("dedup", "pairs"), scopes(rundir.recipe)
    facts = engine.map("dedup: index", evidence_facts, members)
    identities = [identity for own, _ in facts for identity in own]
    keys = rundir.recipe.dedup.banding()[0] * sum(signed for _, signed in facts)
    copies = choice.exact_copies(engine, members, rows, store.join(root, "copies"), identities)
    wanted = candidate_pairs(engine, members, keys, copies, rows, root, identities)
    known = engine.map("known pairs", partial(known_pairs, corpus, root), wanted.paths)
    table = store.Table(tuple(known), schema.PAIRS)
    minimum = rundir.recipe.dedup.min_jaccard
    return choice.settled_removals(engine, minimum, table, copies, members, root, identities)


def known_pairs(corpus: Corpus, root: str, wanted: str) -> str:
    """Write the pairs of a table of wanted ones as `verify.measure_part` would; returns its path."""
    path = store.join(root, "measured", wanted.rpartition("/")[2])
    with store.TableWriter(path, schema.PAIRS, "known") as writer:
        for batch in store.read_groups(wanted):
            center, doc = (batch.column(name).to_numpy() for name in ("center", "doc"))
            center, doc = center[center != doc], doc[center != doc]
            a, b = (
                ordinal * corpus.per_shard + row
                for ordinal, row in map(ordinal_and_row, (center, doc))
            )
            changed = np.maximum(*(np.where(corpus.source(n) == n, 0, 1 + n % 2) for n in (a, b)))
            shared = np.where(corpus.source(a) == corpus.source(b), FEATURES - changed, 0)
            ends = [column for n in (a, b) for column in (corpus.priorities(n), ties(n))]
            columns = [center, doc, *ends, shared, 2 * FEATURES - shared]
            writer.write(pa.record_batch(columns, schema=schema.PAIRS))
    return path


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
    kind: str, documents: int, workers: int, memory_gb: float, keys: bool, has_boilerplate: bool
) -> tuple[float, float, float]:
    """From evidence to decisions: seconds of the processor of all and of the query for wanted pairs,
    and gigabytes; fails unless what left is what should have."""
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
                if keys:
                    removed = removed_by_keys(corpus, rundir, engine, members)
                else:
                    texts = partial(made_up, corpus)
                    removed = dedup.removed_documents(rundir, engine, members, texts)
                root = rundir.path("dedup", "pairs")
                sizes = choice.cluster_sizes(engine, removed, members, root + "/sizes")
                tasks = [
                    (m, removed.path(m.group), sizes.path(m.group), sizes.identity) for m in members
                ]
                made = engine.map("dedup: decide", partial(dedup.decide_shard, ("web",)), tasks)
                choice.clusters(engine, removed, members, root + "/clusters", [])
                seconds, used = time.perf_counter() - start, processor_s() - begun
        finally:
            engine.close()
        check(corpus, members)
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
    return used, queries.seconds["wanted"], memory.peak / 1e9


def check(corpus: Corpus, members: list[IndexedShard]) -> None:
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
        numbers = member.ordinal * corpus.per_shard + np.arange(corpus.per_shard)
        found += int((corpus.source(numbers) != numbers).sum())
    if left < 0.99 * found:
        raise SystemExit(f"{left:,} of {found:,} near copies left")


def plot(path: str, kind: str, sizes: Sequence[int], found: Sequence[tuple[float, ...]]) -> None:
    """Microseconds of the processor a document, and gigabytes, against documents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    used, _, peaks = zip(*found, strict=True)
    each = [1e6 * seconds / size for seconds, size in zip(used, sizes, strict=True)]
    left.plot(sizes, each, "o-", color="#1f5f8b")
    left.set(
        title="processor, microseconds a document",
        xscale="log",
        xlabel="documents",
        ylim=(0, None),
    )
    right.plot(sizes, peaks, "o-", color="#8b3a1f")
    right.set(
        title="gigabytes at most, all processes",
        xscale="log",
        xlabel="documents",
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
    type=int,
    help=f"[default: {', '.join(f'{n:,}' for n in SIZES)}; with --keys {', '.join(f'{n:,}' for n in KEYS_SIZES)}]",
)
@click.option("--keys", is_flag=True, help="Only keys: pairs are known, not measured.")
@click.option("--workers", default=2, show_default=True)
@click.option("--memory-gb", default=2.0, show_default=True, help="The recipe's memory_gb.")
@click.option("--boilerplate", is_flag=True, help="Three in ten documents are near copies of one.")
@click.option("--plot", "path", help="Write a plot to this file (.svg or .png).")
def main(
    engine: str,
    sizes: tuple[int, ...],
    keys: bool,
    workers: int,
    memory_gb: float,
    boilerplate: bool,
    path: str | None,
) -> None:
    """Time `dedup` at several sizes, and say how the time of a document grows."""
    sizes = sizes or (KEYS_SIZES if keys else SIZES)
    found = [measured(engine, size, workers, memory_gb, keys, boilerplate) for size in sizes]
    used, wanted, _ = (list(column) for column in zip(*found, strict=True))
    each = [seconds / size for seconds, size in zip(used, sizes, strict=True)]
    print(
        f"processor time of a document at {sizes[-1]:,} against {sizes[0]:,}: {each[-1] / each[0]:.2f}"
    )
    if len(sizes) > 1:
        grown = np.polyfit(np.log(sizes), np.log([used, wanted]).T, 1)[0]
        print(
            f"exponents of the processor's seconds: {grown[0]:.2f}, of the query for wanted pairs {grown[1]:.2f}"
        )
    print(
        f"that query's share of the processor at {sizes[-1]:,}: {100 * wanted[-1] / used[-1]:.0f} %"
    )
    if path:
        plot(path, f"{engine}, only keys" if keys else engine, sizes, found)


if __name__ == "__main__":
    main()
