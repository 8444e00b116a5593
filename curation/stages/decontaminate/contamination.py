"""The study of appendix C.2: which examples of each benchmark are dirty, that is, share an n-gram
with the training text.

N is the 5th percentile of the benchmark's example lengths in words, at least 8 (1 for sets made by
a program), at most 13. The length of an example is that of its longest field, as grams never cross
fields. An example is dirty if any of its N-grams occurs in any training document; said once for the
text as dedup left it and once for the pieces that the cuts left. An example without N words in a
row in any field has no gram: it is counted as short, and nobody knows whether it is clean.

Cost: the scan for hits looks all N up too, and documents with hits are scanned again when they are
cut; two bits a gram, packed, in the footers of a shard's evidence and decisions. Memory: the n-gram
table (mapped, about that of the cuts), three bytes a gram.

Trap: the same gram may make examples of several benchmarks dirty; grams ignored for being common
(`max_documents`) count here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, run_once
from curation.stages.decontaminate import benchmarks, kept_tables

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.kernels.ngrams import NgramTable

VERSION = 5
PERCENTILE, LEAST, MOST = 5, 8, 13
TABLE = ("widths", "pool", "starts", "ends", "hashes", "slots")
ARRAYS = (*TABLE, "filter", "first_filter", "short_filter")
EXAMPLE_ARRAYS = ("example_indptr", "example_grams", "example_n", "example_words")
SEEN = "seen"  # the note of decisions that says how many grams were seen
MARKS = pa.schema(
    [("part", pa.int64()), ("gram", pa.int64()), ("before", pa.bool_()), ("after", pa.bool_())]
)
STUDIED = pa.schema(
    [
        ("benchmark", pa.string()),
        ("id", pa.string()),
        ("n", pa.int64()),
        ("words", pa.int64()),  # of its longest field
        ("before", pa.list_(pa.int64())),  # datasets (places in the recipe) that make it dirty
        ("after", pa.list_(pa.int64())),
    ]
)
Int64s = npt.NDArray[np.int64]


def short_examples(rundir: RunDirectory) -> dict[str, list[int]]:
    """Benchmark -> examples without a gram, and all; only those that have some. Empty without a
    study."""
    path = rundir.path("decontaminate", "contamination.json")
    rows = store.read_json(path) if store.exists(path) else []
    return {r["benchmark"]: [r["short"], r["examples"]] for r in rows if r["short"]}


def gram_length(lengths: Int64s, synthetic: bool) -> int:
    """N for examples of these lengths in words.

    >>> gram_length(np.array([3, 40, 50]), False), gram_length(np.array([10, 11]), False)
    (8, 10)
    >>> gram_length(np.array([2]), True)
    2
    """
    percentile = int(np.percentile(lengths, PERCENTILE, method="lower"))
    return min(max(percentile, 1 if synthetic else LEAST), MOST)


# ---- the table -----------------------------------------------------------------------------------


def prepare(
    rundir: RunDirectory, read: Callable[[], Sequence[benchmarks.Example]], contents: str
) -> str:
    """Write the n-gram table and, for each example, its N, length and grams; the card last. Its name
    is in `benchmarks/examples.parquet`.

    Returns an identity.
    """
    rule = (VERSION, PERCENTILE, LEAST, MOST)
    folder = rundir.path("decontaminate", "study")
    card = kept_tables.prepared(
        folder,
        config_digest("contamination", rule[0], benchmarks.asked(rundir), *rule[1:]),
        config_digest("study", contents, rule),
        [f"{name}.npy" for name in (*ARRAYS, *EXAMPLE_ARRAYS)],
        lambda: _make(folder, read()),
    )
    return str(card["identity"])


def _make(folder: str, examples: Sequence[benchmarks.Example]) -> dict[str, Any]:
    """Write the arrays; returns what their card says."""
    from curation.kernels import ngrams

    texts = ngrams.normalised_texts([field for example in examples for field in example.fields])
    owners = np.repeat(np.arange(len(examples)), [len(example.fields) for example in examples])
    lengths = np.zeros(len(examples), np.int64)
    np.maximum.at(lengths, owners, texts.words)
    n = np.zeros(len(examples), np.int64)
    for rows in _rows_by_benchmark([example.benchmark for example in examples]).values():
        n[rows] = gram_length(lengths[rows], examples[rows[0]].synthetic)
    table, grams, fields = ngrams.build_ngrams(texts, n[owners])
    indptr = np.searchsorted(owners[fields], np.arange(len(examples) + 1))
    arrays = {name: getattr(table, name) for name in ARRAYS}
    arrays |= dict(zip(EXAMPLE_ARRAYS, (indptr, grams.astype(np.int32), n, lengths), strict=True))
    identity = benchmarks.write_arrays(folder, arrays)
    size = sum(getattr(table, name).nbytes for name in ARRAYS)
    return {"identity": identity, "grams": len(table), "bytes": size}


def _rows_by_benchmark(benchmarks: Sequence[str] | pa.Array) -> dict[str, Int64s]:
    """Name of a benchmark, by first appearance -> its examples, ascending.

    >>> {name: rows.tolist() for name, rows in _rows_by_benchmark(["b", "a", "b"]).items()}
    {'b': [0, 2], 'a': [1]}
    """
    encoded = pa.array(benchmarks, pa.string()).dictionary_encode()
    codes = encoded.indices.to_numpy()
    names = encoded.dictionary.to_pylist()
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    order = np.argsort(codes, kind="stable")
    return dict(zip(names, np.split(order, ends[:-1]), strict=True)) if names else {}


@functools.lru_cache(maxsize=1)
def load_ngrams(folder: str, identity: str) -> NgramTable:
    """The n-gram table, once a worker; mapped where the folder is local."""
    from curation.kernels.ngrams import NgramTable

    return NgramTable(
        **{name: store.read_array(store.join(folder, f"{name}.npy")) for name in ARRAYS}
    )


# ---- a shard -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """Which grams occur in a shard's documents (bool[grams]): in uncut ones, in cut ones, and in
    the pieces of these."""

    table: NgramTable
    same: npt.NDArray[np.bool_]
    changed: npt.NDArray[np.bool_]
    after: npt.NDArray[np.bool_]

    @staticmethod
    def begun(rundir: RunDirectory, identity: str, scanned: bytes = b"") -> Seen:
        """Of the grams of this identity those seen that are attached to evidence, `scanned`."""
        table = load_ngrams(rundir.path("decontaminate", "study"), identity)
        sides = [np.zeros(len(table), bool) for _ in range(3)]
        if scanned:
            sides[0] = unpacked(scanned, len(table))[0]
        return Seen(table, *sides)

    def add(self, text: pa.Array, decided: pa.RecordBatch, rows: Int64s) -> None:
        """Mark the grams of those documents that have hits, in these rows, of which it was decided
        what stays."""
        from curation.kernels import ngrams
        from curation.kernels.buffers import text_buffers

        rows = rows[(rows >= 0) & (rows < len(text))]
        few = decided.take(pa.array(rows))
        keep, cuts = few.column("keep"), few.column("cuts")
        whole = rows[np.asarray(keep.is_valid()) & np.asarray(cuts.is_null())]
        cut = rows[np.asarray(cuts.is_valid())]
        left = pa.array(_pieces(text, cut, decided.column("pieces")), pa.string())
        for texts, seen in (
            (text.take(pa.array(whole)), self.same),
            (text.take(pa.array(cut)), self.changed),
            (left, self.after),
        ):
            ngrams.mark_seen(*text_buffers(texts), self.table, seen)

    @property
    def grams(self) -> int:
        """How many were seen, before the cuts or after them."""
        return int((self.same | self.changed | self.after).sum())

    def packed(self) -> bytes:
        """A bit a gram: those before the cuts, then those after them."""
        marks = np.stack([self.same | self.changed, self.same | self.after])
        packed: bytes = pa.compress(np.packbits(marks, axis=1).tobytes(), "zstd", asbytes=True)
        return packed


def unpacked(data: bytes, grams: int) -> npt.NDArray[np.bool_]:
    """What `Seen.packed` packed: bool[2, grams]."""
    width = (grams + 7) // 8
    bits = np.frombuffer(pa.decompress(data, 2 * width, "zstd", asbytes=True), np.uint8)
    return np.unpackbits(bits.reshape(2, width), axis=1, count=grams).astype(bool)


def _pieces(text: pa.Array, rows: Int64s, pieces: Any) -> list[str]:
    """The texts of the pieces that stay of some documents."""
    out = []
    for row in rows.tolist():
        whole = text[row].as_py()
        out += [whole[span["start"] : span["end"]] for span in pieces[row].as_py() or ()]
    return out


# ---- all of them ---------------------------------------------------------------------------------


def conclude(
    rundir: RunDirectory, engine: Engine, identity: str, results: Mapping[Shard, ShardResult]
) -> None:
    """Which examples are dirty, by whom, from what is attached to the decisions of all shards.

    Writes `contamination.json`, `dirty.jsonl` and, last, `study/examples.parquet`, which says that
    all is written, under decontaminate/.
    """
    names, folder = rundir.recipe.names(), rundir.path("decontaminate", "study")
    made_from = [result.identity for result in results.values()]
    digest = config_digest("contamination/examples", VERSION, identity, names, made_from)
    path = store.join(folder, "examples.parquet")
    for name in ("contamination.json", "dirty.jsonl"):
        if not store.exists(rundir.path("decontaminate", name)):
            store.delete(path)
    datasets = list(dict.fromkeys(shard.dataset for shard in results))

    def make() -> ShardResult:
        dirty = engine.shuffle(
            "decontaminate: study",
            partial(emit_seen, rundir, tuple(datasets)),
            [shard for shard, result in results.items() if SEEN in result.notes],
            len(datasets),
            partial(dirty_examples, folder),
            MARKS,
            ["gram"],
        )
        _write_examples(rundir, datasets, dirty, path, digest)
        return ShardResult(digest)

    run_once(path, digest, make)


def emit_seen(
    rundir: RunDirectory, datasets: Sequence[str], shard: Shard
) -> Iterator[pa.RecordBatch]:
    """The grams that were seen in a shard; a part is a dataset."""
    card = store.read_json(rundir.path("decontaminate", "study", "card.json"))
    seen = unpacked(store.read_attached(rundir.decision("decontaminate", shard)), card["grams"])
    grams = np.flatnonzero(seen.any(axis=0))
    part = np.full(len(grams), datasets.index(shard.dataset), np.int64)
    yield pa.record_batch([part, grams, *seen[:, grams]], schema=MARKS)


def dirty_examples(folder: str, part: int, batches: Iterator[pa.RecordBatch]) -> list[list[int]]:
    """The examples (numbers, ascending) that a dataset makes dirty, before the cuts and after."""
    size = int(store.read_json(store.join(folder, "card.json"))["grams"])
    seen = np.zeros((2, size), bool)
    for batch in batches:
        for side, name in enumerate(("before", "after")):
            grams = batch.column("gram").filter(batch.column(name))
            seen[side, grams.to_numpy()] = True
    indptr, grams = (store.read_array(store.join(folder, f"{n}.npy")) for n in EXAMPLE_ARRAYS[:2])
    out = []
    for marks in seen:
        places = np.flatnonzero(marks[grams])  # few, of all the grams of all examples
        out.append(np.unique(np.searchsorted(indptr, places, "right") - 1).tolist())
    return out


def _write_examples(
    rundir: RunDirectory,
    datasets: list[str],
    examples: Sequence[list[list[int]]],
    path: str,
    digest: str,
) -> None:
    folder = rundir.path("decontaminate", "study")
    indptr, _, n, lengths = (
        store.read_array(store.join(folder, f"{name}.npy")) for name in EXAMPLE_ARRAYS
    )
    dirty = np.zeros((2, len(datasets), len(n)), bool)  # before and after
    for at, sides in enumerate(examples):
        for side in (0, 1):
            dirty[side, at, sides[side]] = True
    path_of_names = rundir.path("decontaminate", "benchmarks", "examples.parquet")
    names = store.read_table(path_of_names, ["benchmark", "id"]).combine_chunks()
    _write_conclusion(rundir, datasets, dirty, names, n, np.diff(indptr) == 0)
    places = np.array([rundir.recipe.place(name) for name in datasets], np.int64)
    columns = [
        *(column.chunk(0) for column in names.columns),
        pa.array(n),
        pa.array(lengths),
        *(_lists(dirty[side].T, places) for side in (0, 1)),
    ]
    with store.TableWriter(path, STUDIED, digest) as writer:
        writer.write(pa.record_batch(columns, schema=STUDIED))


def _lists(marks: npt.NDArray[np.bool_], values: Int64s) -> pa.ListArray:
    """Of each row of marks (bool[n, values]) the values that are marked."""
    offsets = np.concatenate([[0], np.cumsum(marks.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values[np.nonzero(marks)[1]]))


def _write_conclusion(
    rundir: RunDirectory,
    datasets: list[str],
    dirty: npt.NDArray[np.bool_],
    names: pa.Table,
    n: Int64s,
    short: npt.NDArray[np.bool_],
) -> None:
    """contamination.json: a row for each benchmark; dirty.jsonl: an object for each dirty
    example."""
    benchmark, ids = names.columns
    rows = []
    for name, examples in _rows_by_benchmark(benchmark.chunk(0)).items():
        counts = dirty[:, :, examples]
        without = examples[short[examples]]
        rows.append(
            {
                "benchmark": name,
                "n": int(n[examples[0]]),
                "examples": len(examples),
                "short": len(without),
                "short_ids": ids.take(pa.array(without)).to_pylist(),
                "dirty_before": int(counts[0].any(axis=0).sum()),
                "dirty_after": int(counts[1].any(axis=0).sum()),
                "datasets": {
                    dataset: {"before": int(counts[0, at].sum()), "after": int(counts[1, at].sum())}
                    for at, dataset in enumerate(datasets)
                },
            }
        )
    store.write_json(rundir.path("decontaminate", "contamination.json"), rows)
    lines = []
    for i in np.flatnonzero(dirty.any(axis=(0, 1))).tolist():
        before, after = (
            [d for at, d in enumerate(datasets) if dirty[side, at, i]] for side in (0, 1)
        )
        row = {"benchmark": benchmark[i].as_py(), "id": ids[i].as_py()}
        lines.append(orjson.dumps({**row, "before": before, "after": after}))
    store.write_bytes(
        rundir.path("decontaminate", "dirty.jsonl"), b"".join(line + b"\n" for line in lines)
    )
