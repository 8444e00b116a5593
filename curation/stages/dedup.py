"""dedup: near duplicates leave, each with a measured similarity to a document that stays (GPT-3, appendix A.2).

Bands of MinHash signatures propose pairs, the exact Jaccard of the full feature sets disposes: a document is removed iff a verified pair
links it to one of higher priority that is *kept*. So every removal names its survivor, no chain merges strangers, and the result is unique
given the pairs. Exact copies are found first, by the hash of their text, and only one of them takes part.

Cost: signatures once per survivor; pairs linear in the size of a bucket; texts are read again only for candidates, whose feature sets meet
by shuffle at the pair's centre and are dropped after comparison. The order of work is in `run`; the pairs and the choice are in
`dedup_choice.py`.

Trap: `across = "all"` compares every dataset with every other; a list of pairs compares within each dataset, and from left to right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, ledger, schema, store
from curation.context import Context, Shard
from curation.errors import RunError
from curation.stages import dedup_choice as choice
from curation.stages.common import Made, char_lengths, close_books, once, survivors

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.plan import Plan

VERSION = 1
ALARM_FROM = 1000  # documents of a dataset
SETS = pa.schema(
    [
        ("part", pa.int64()),
        ("center", pa.int64()),
        ("member", pa.int64()),  # 0 for the centre's own set, which comes first
        ("doc", pa.int64()),
        ("priority", pa.binary()),
        ("features", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True, slots=True)
class DedupConfig:
    """Signatures, bands and threshold. Defaults: word 5-grams, 20 bands of 6; `gpt3.toml` has the paper's 10 hashes on unigrams."""

    features: Literal["unigram", "shingle"] = "shingle"
    shingle_words: int = 5
    bands: int = 20
    rows: int = 6
    min_jaccard: float = 0.8
    across: Literal["all"] | tuple[tuple[str, str], ...] = "all"
    within: bool = True  # with a list in `across`: also within the second of each pair and every dataset not named
    max_removed: float = 0.7  # share of a dataset that may leave before the alarm
    max_cluster: float = 0.05  # share of a dataset that may leave for one document before the alarm
    alarm: Literal["stop", "warn"] = "stop"

    def __post_init__(self) -> None:
        for name in ("shingle_words", "bands", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: at least 1 expected, got {getattr(self, name)}")
        for name, what in (("min_jaccard", "similarity"), ("max_removed", "share"), ("max_cluster", "share")):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}: a {what} in (0, 1] expected, got {getattr(self, name)}")


def run(context: Context, plan: Plan, engine: Engine) -> dict[Shard, Made]:
    """Sign, propose, verify, choose, decide."""
    recipe = context.recipe
    shards = list(plan.shards)
    signed = engine.map("dedup: sign", partial(sign_shard, context), shards)
    identities = [m.identity for m in signed]
    documents = [context.table("dedup", shard, "evidence") for shard in shards]
    bands = [context.table("dedup", shard, "bands") for shard in shards]
    scopes = choice.scopes(recipe)
    root = context.path("dedup", "pairs")
    copies = choice.exact_copies(engine, documents, scopes, store.join(root, "copies"), identities)
    wanted = choice.candidates(engine, bands, copies, scopes, root, identities)
    verified = _verify(context, plan, engine, wanted, root)
    removed = choice.choose(engine, recipe.dedup.min_jaccard, verified, copies, documents, root, identities)
    tasks = [(shard, removed.path(shard.ordinal), removed.identity) for shard in shards]
    made = dict(zip(shards, engine.map("dedup: decide", partial(decide_shard, context), tasks), strict=True))
    close_books(context, "dedup", plan, made)
    clusters = choice.clusters(engine, removed, documents, store.join(root, "clusters"), identities)
    _raise_alarm(context, made, clusters)
    return made


def _raise_alarm(context: Context, made: dict[Shard, Made], clusters: store.Table) -> None:
    """Write what is alarming to dedup/alarms.json; raise RunError for it unless the recipe says to go on."""
    books: dict[str, ledger.Ledger] = {}
    for name in context.recipe.names():
        books[name] = ledger.total(result.ledger for shard, result in made.items() if shard.dataset == name)
    largest = dict.fromkeys(books, 0)
    for path in clusters.paths:
        for row in store.read_table(path).to_pylist():
            name = context.recipe.names()[row["dataset"]]
            largest[name] = max(largest[name], row["documents"])
    found = alarms(books, largest, context.recipe.dedup)
    store.write_json(context.path("dedup", "alarms.json"), found)
    if found and context.recipe.dedup.alarm == "stop":
        raise RunError(
            f"dedup: {found[0]}. `curation clusters {context.out}` shows what the largest clusters hold; where that is right, "
            'run again with dedup.alarm = "warn" (--alarm warn) and --update, and it goes on from here'
        )


def alarms(books: Mapping[str, ledger.Ledger], largest: Mapping[str, int], config: DedupConfig) -> list[str]:
    """What would be a corpus eaten, a line each: dataset -> its books, dataset -> documents that left for one and the same.

    Datasets of fewer than 1,000 documents raise none: their shares say little.

    >>> alarms({"web": {"in": [2000, 0, 0], "duplicate": [1520, 0, 0]}}, {"web": 60}, DedupConfig())
    ['web loses 76.0 % of its documents (dedup.max_removed is 70 %)']
    >>> alarms({"web": {"in": [2000, 0, 0], "duplicate": [200, 0, 0]}}, {"web": 160}, DedupConfig())
    ['one document stands for 8.0 % of web (dedup.max_cluster is 5 %)']
    """
    out = []
    for name, found in books.items():
        came = ledger.documents(found, ledger.IN)
        if came < ALARM_FROM:
            continue
        left = sum(ledger.documents(found, reason) for reason in ("exact_duplicate", "duplicate"))
        if left > config.max_removed * came:
            limit = f"dedup.max_removed is {100 * config.max_removed:g} %"
            out.append(f"{name} loses {100 * left / came:.1f} % of its documents ({limit})")
        if largest[name] > config.max_cluster * came:
            limit = f"dedup.max_cluster is {100 * config.max_cluster:g} %"
            out.append(f"one document stands for {100 * largest[name] / came:.1f} % of {name} ({limit})")
    return out


def warnings(context: Context) -> list[str]:
    """What a careful person would want to know of a finished run's deduplication, a line each."""
    path = context.path("dedup", "alarms.json")
    return [f"dedup: {line}" for line in store.read_json(path)] if store.exists(path) else []


# ---- signatures ------------------------------------------------------------------------------------------------------------------------


def _shape(config: DedupConfig) -> tuple[Any, ...]:
    return (config.features, config.shingle_words if config.features == "shingle" else 1)


def sign_shard(context: Context, shard: Shard) -> Made:
    """Write a shard's document table (one row a survivor) and its band keys (documents with features only)."""
    config = context.recipe.dedup
    path = context.table("dedup", shard, "evidence")
    upstream = store.need_footer(context.survivors(shard)).identity
    settings = (_shape(config), config.bands, config.rows, context.recipe.seed)
    place = context.recipe.place(shard.dataset)
    digest = draws.digest("dedup/evidence", VERSION, settings, place, shard.batch, shard.ordinal, upstream)
    bands_path = context.table("dedup", shard, "bands")

    def make() -> Made:
        with (  # the bands are committed first, the documents that vouch for them last
            store.TableWriter(path, schema.DEDUP_DOCUMENTS, digest) as documents,
            store.TableWriter(bands_path, schema.BANDS, digest) as bands,
        ):
            for group in survivors(context, shard, ["id", "text", "content"], None):
                table, keys = _sign(context, shard, place, group.start, group.batch)
                documents.write(table)
                bands.write(keys)
        return Made(digest)

    return once(path, digest, make, bands_path)


def _sign(
    context: Context, shard: Shard, place: int, start: int, batch: pa.RecordBatch
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers

    config = context.recipe.dedup
    indptr, values = minhash.feature_sets(*text_buffers(batch.column("text")), *_shape(config))
    a, b = minhash.permutations(context.recipe.seed, config.bands * config.rows)
    keys = minhash.band_keys(minhash.signatures(indptr, values, a, b), config.bands, config.rows)
    sizes = np.diff(indptr)
    n = batch.num_rows
    doc = shard.doc(0) + start + np.arange(n, dtype=np.int64)
    content = batch.column("content").cast(pa.binary())
    priority = _priorities(place, shard.batch, char_lengths(batch.column("text")), batch.column("content"))
    datasets = np.full(n, place, np.int64)
    documents = pa.record_batch(
        [doc, batch.column("id"), datasets, content, priority, sizes.astype(np.int64)],
        schema=schema.DEDUP_DOCUMENTS,
    )
    rows = np.repeat(np.flatnonzero(sizes > 0), config.bands)
    flat = pa.record_batch(
        [keys[sizes > 0].reshape(-1), doc[rows], datasets[rows], priority.take(pa.array(rows))],
        schema=schema.BANDS,
    )
    return documents, flat


def _priorities(place: int, batch: int, chars: npt.NDArray[np.int64], content: pa.Array) -> pa.Array:
    """24 bytes that sort as documents do: dataset, batch, longer text first, content."""
    n = len(chars)
    head = np.zeros(n, np.dtype([("place", ">u2"), ("batch", ">u2"), ("shorter", ">u4"), ("content", "V16")]))
    head["place"], head["batch"] = place, batch
    head["shorter"] = np.uint32(0xFFFFFFFF) - np.minimum(chars, 0xFFFFFFFF).astype(np.uint32)
    width = 16 * content.offset
    raw = np.frombuffer(content.buffers()[1], np.uint8, 16 * n, width) if n else np.zeros(0, np.uint8)
    head["content"] = raw.view("V16")
    return _binary(head.tobytes(), 24)


def _binary(data: bytes, width: int) -> pa.Array:
    n = len(data) // width
    offsets = pa.py_buffer(np.arange(0, len(data) + 1, width, dtype=np.int32).tobytes())
    return pa.BinaryArray.from_buffers(pa.binary(), n, [None, offsets, pa.py_buffer(data)])


# ---- verification ----------------------------------------------------------------------------------------------------------------------


def _verify(context: Context, plan: Plan, engine: Engine, wanted: Any, root: str) -> store.Table:
    """Measure every candidate pair: feature sets meet at the centre of their pair. Returns the table of measured pairs."""
    parts = max(1, min(4096, wanted.rows // 200_000 + 1))
    out = store.join(root, "measured")
    config = context.recipe.dedup
    digest = draws.digest("dedup/measured", VERSION, _shape(config), wanted.identity, parts)
    paths = tuple(store.join(out, f"{part:05d}.parquet") for part in range(parts))
    if not all(store.done(path, digest) for path in paths):
        store.delete(out)
        items = [(shard, wanted.path(shard.ordinal)) for shard in plan.shards if wanted.path(shard.ordinal)]
        engine.shuffle(
            "dedup: verify",
            partial(emit_sets, context, parts),
            items,
            parts,
            partial(measure_part, out, digest),
            SETS,
            ["center", "member", "doc"],
        )
    return store.Table(paths, schema.PAIRS)


def emit_sets(context: Context, parts: int, item: tuple[Shard, str]) -> Iterator[pa.RecordBatch]:
    """The feature sets of a shard's candidate documents, once for each centre they are compared at."""
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers

    shard, path = item
    wanted = store.read_table(path).sort_by([("doc", "ascending"), ("center", "ascending")])
    docs, centers = (wanted.column(name).to_numpy() for name in ("doc", "center"))
    rows = docs - shard.doc(0)
    priorities = store.read_table(context.table("dedup", shard, "evidence"), ["priority"]).column(0)
    for group in survivors(context, shard, ["text"], None):
        first, last = np.searchsorted(rows, [group.start, group.start + group.batch.num_rows])
        if first == last:
            continue
        distinct, inverse = np.unique(rows[first:last] - group.start, return_inverse=True)
        texts = group.batch.take(pa.array(distinct)).column(0)
        indptr, values = minhash.feature_sets(*text_buffers(texts), *_shape(context.recipe.dedup))
        sets = pa.ListArray.from_arrays(pa.array(indptr.astype(np.int32)), pa.array(values))
        center, doc = centers[first:last], docs[first:last]
        part = (_spread(center) % np.uint64(parts)).astype(np.int64)
        member = (center != doc).astype(np.int64)
        priority = priorities.take(pa.array(rows[first:last])).combine_chunks()
        for start in range(0, len(doc), 256):  # a book's set is a megabyte, and may be wanted at many centres
            end = min(start + 256, len(doc))
            yield pa.record_batch(
                [
                    *(pa.array(column[start:end]) for column in (part, center, member, doc)),
                    priority.slice(start, end - start),
                    sets.take(pa.array(inverse[start:end])),
                ],
                schema=SETS,
            )


def _spread(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Well-mixed 64 bits of each number (the finaliser of splitmix64), so that parts are even."""
    z = numbers.astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def measure_part(out: str, digest: str, part: int, batches: Iterator[pa.RecordBatch]) -> int:
    """Compare each centre with its members, as they stream by; write the pairs with the sizes of intersection and union."""
    from curation.kernels import minhash

    own: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    center, center_priority = -1, b""
    with store.TableWriter(store.join(out, f"{part:05d}.parquet"), schema.PAIRS, digest) as writer:
        for batch in batches:
            pairs = []
            sets, priorities = batch.column("features"), batch.column("priority")
            columns = [batch.column(name).to_pylist() for name in ("center", "member", "doc")]
            for i, (at, member, doc) in enumerate(zip(*columns, strict=True)):
                features = sets[i].values.to_numpy()
                if not member:
                    own, center, center_priority = features, at, priorities[i].as_py()
                elif at == center:
                    shared, union = minhash.overlap(own, features)
                    pairs.append((center, doc, center_priority, priorities[i].as_py(), shared, union))
            if pairs:
                columns = [pa.array(c, f.type) for c, f in zip(zip(*pairs, strict=True), schema.PAIRS, strict=True)]
                writer.write(pa.record_batch(columns, schema=schema.PAIRS))
        return writer.rows


# ---- decisions -------------------------------------------------------------------------------------------------------------------------


def decide_shard(context: Context, task: tuple[Shard, str | None, str]) -> Made:
    """Write the decision of one shard, row-aligned to its survivors."""
    shard, removed_path, removed_identity = task
    path = context.decision("dedup", shard)
    upstream = store.need_footer(context.survivors(shard)).identity
    digest = draws.digest("dedup/decision", VERSION, removed_identity, shard.ordinal, upstream)

    def make() -> Made:
        books: ledger.Ledger = {}
        removed = _Removed.read(context, shard, removed_path)
        with store.TableWriter(path, schema.DEDUPED, digest, books) as writer:
            for group in survivors(context, shard, ["text"], None):
                batch, reasons = removed.decide(group.start, group.batch.num_rows)
                writer.write(batch)
                chars = char_lengths(group.batch.column(0))
                for reason in (None, "exact_duplicate", "duplicate"):
                    these = reasons == reason
                    ledger.add(books, reason or ledger.KEPT, int(these.sum()), int(chars[these].sum()))
                ledger.add(books, ledger.IN, len(chars), int(chars.sum()))
            for reason in ("exact_duplicate", "duplicate"):
                if not books.get(reason, [0])[0]:
                    books.pop(reason, None)
        return Made(digest, books)

    return once(path, digest, make)


@dataclass(frozen=True, slots=True)
class _Removed:
    """The removed rows of one shard: row (int64, ascending) and the columns of the decision."""

    rows: npt.NDArray[np.int64]
    table: pa.Table

    @classmethod
    def read(cls, context: Context, shard: Shard, path: str | None) -> _Removed:
        if path is None:
            return cls(np.zeros(0, np.int64), pa.Table.from_batches([], choice.REMOVED))
        table = store.read_table(path)
        names = pa.array(context.recipe.names())
        table = table.append_column("kept_name", names.take(table.column("kept_dataset")))
        return cls(table.column("doc").to_numpy() - shard.doc(0), table)

    def decide(self, start: int, n: int) -> tuple[pa.RecordBatch, npt.NDArray[np.object_]]:
        first, last = np.searchsorted(self.rows, [start, start + n])
        some = self.table.slice(first, last - first)
        at = self.rows[first:last] - start
        keep = np.ones(n, bool)
        keep[at] = False
        columns: dict[str, npt.NDArray[np.object_]] = {
            name: np.full(n, None, object) for name in ("reason", "kept_id", "kept_name", "jaccard")
        }
        if len(at):
            exact = some.column("exact").to_numpy()
            columns["reason"][at] = np.where(exact == 1, "exact_duplicate", "duplicate")
            columns["jaccard"][at] = some.column("shared").to_numpy() / some.column("total").to_numpy()
            for name in ("kept_id", "kept_name"):
                columns[name][at] = some.column(name).to_pylist()
        return pa.record_batch([pa.array(keep), *columns.values()], schema=schema.DEDUPED), columns["reason"]
