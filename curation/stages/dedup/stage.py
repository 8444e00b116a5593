"""dedup: near duplicates are removed, each with a measured similarity to a document that stays
(GPT-3, appendix A.2).

Bands of MinHash signatures propose pairs, and the exact Jaccard of the full feature sets decides: a
document is removed iff a verified pair links it to one of higher priority that is *kept*. So every
removal names its survivor, documents that are not alike are never joined by a chain of others, and
the result is unique given the pairs. Exact copies are found first, by the hash of their text, and
only the first of each text takes part.

Cost: signatures once per survivor; pairs linear in the size of a bucket; texts are read again only
for candidates, whose feature sets meet by shuffle at the pair's centre and are dropped after
comparison. The order of work is in `run`; `candidates.py` has the pairs, `verify.py` measures them,
`choice.py` decides.

Trap: `across = "all"` compares all documents of all datasets. A list of pairs of datasets compares
the documents of the right one with those of the left one; with `within`, also the documents of each
dataset with each other, except those of role `reference`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import AlarmError, RecipeError
from curation.recipe.tables import DedupConfig
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.queries import QueryResult
from curation.rundir.results import ShardResult, check_ledgers, run_once
from curation.rundir.survivors import char_lengths, survivor_groups
from curation.stages.dedup import choice
from curation.stages.dedup import index as dedup_index
from curation.stages.dedup.candidates import candidate_pairs, scopes
from curation.stages.dedup.verify import measured_pairs

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan
    from curation.stages.dedup.index import IndexedShard
    from curation.stages.dedup.verify import Features

VERSION = 5
REMOVES = ("exact_duplicate", "duplicate", "repetitive")
ALARM_FROM = 1000  # documents of a dataset


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[Shard, ShardResult]:
    """Sign, propose, verify, choose, decide."""
    all_shards = dedup_index.indexed_shards(rundir, plan)
    shards = dedup_index.new_shards(all_shards)
    signed = engine.map("dedup: sign", sign_shard, shards)
    removed = removed_documents(rundir, engine, all_shards, signed=signed)
    sizes = choice.cluster_sizes(engine, removed, all_shards, store.join(_pairs(rundir), "sizes"))
    tasks = [
        (member, removed.path(member.group), sizes.path(member.group), sizes.identity)
        for member in shards
    ]
    decided = engine.map(
        "dedup: decide", partial(decide_shard, dedup_index.dataset_names(rundir)), tasks
    )
    results = dict(zip(plan.shards, decided, strict=True))
    check_ledgers(rundir, "dedup", results)
    clusters = choice.clusters(
        engine, removed, all_shards, store.join(_pairs(rundir), "clusters"), []
    )
    _raise_alarm(rundir, results, clusters)
    return results


def _pairs(rundir: RunDirectory) -> str:
    return rundir.path("dedup", "pairs")


def removed_documents(
    rundir: RunDirectory,
    engine: Engine,
    all_shards: Sequence[IndexedShard],
    features: Features | None = None,
    signed: Sequence[ShardResult] = (),
) -> QueryResult:
    """The documents that are removed, from the evidence of all shards.

    `features` stands in for texts where there are none. `signed`: what signing the last shards
    returned; of the others it is read by tasks.
    """
    config, root = rundir.recipe.dedup, _pairs(rundir)
    others = all_shards[: len(all_shards) - len(signed)]
    facts = engine.map("dedup: index", dedup_index.evidence_facts, others)
    facts += [([result.identity], result.notes[dedup_index.SIGNED]) for result in signed]
    identities = [identity for own, _ in facts for identity in own]
    keys = config.banding()[0] * sum(rows for _, rows in facts)
    rows = scopes(rundir.recipe, dedup_index.dataset_names(rundir))
    copies = choice.exact_copies(engine, all_shards, rows, store.join(root, "copies"), identities)
    wanted = candidate_pairs(engine, all_shards, keys, copies, rows, root, identities)
    measured = measured_pairs(engine, all_shards, wanted, root, shape(config), features)
    return choice.settled_removals(
        engine, config.min_jaccard, measured, copies, all_shards, root, identities
    )


def _raise_alarm(
    rundir: RunDirectory, results: dict[Shard, ShardResult], clusters: store.Table
) -> None:
    """Write the alarms to dedup/alarms.json; raise AlarmError for them unless the recipe says to
    go on."""
    ledgers = {
        name: ledger.total(
            result.ledger for shard, result in results.items() if shard.dataset == name
        )
        for name in rundir.recipe.names()
    }
    largest = dict.fromkeys(ledgers, 0)
    for path in clusters.paths:
        for row in store.read_table(path).to_pylist():
            name = rundir.recipe.names()[row["dataset"]]
            largest[name] = max(largest[name], row["documents"])
    lines = alarms(ledgers, largest, rundir.recipe.dedup)
    store.write_json(rundir.path("dedup", "alarms.json"), lines)
    if lines and rundir.recipe.dedup.alarm == "stop":
        raise AlarmError(
            f"dedup: {lines[0]}. `curation clusters {rundir.out}` shows what the largest clusters "
            'hold; where that is right, run again with alarm = "warn" in [dedup] (--alarm warn) and '
            "--update, and it goes on from here"
        )


def alarms(
    ledgers: Mapping[str, ledger.Ledger], largest: Mapping[str, int], config: DedupConfig
) -> list[str]:
    """The datasets that would lose too much, a line each.

    `ledgers`: dataset -> its ledger. `largest`: dataset -> how many of its documents are removed as
    duplicates of one and the same.

    Datasets of fewer than 1,000 documents raise none: their shares say little.

    >>> alarms({"web": {"in": [2000, 0, 0], "duplicate": [1520, 0, 0]}}, {"web": 60}, DedupConfig())
    ['web loses 76.0 % of its documents (dedup.max_removed is 70 %)']
    >>> alarms({"web": {"in": [2000, 0, 0], "duplicate": [200, 0, 0]}}, {"web": 160}, DedupConfig())
    ['one document stands for 8.0 % of web (dedup.max_cluster is 5 %)']
    """
    out = []
    for name, counts in ledgers.items():
        documents = ledger.documents(counts, ledger.IN)
        if documents < ALARM_FROM:
            continue
        removed = sum(ledger.documents(counts, reason) for reason in REMOVES)
        if removed > config.max_removed * documents:
            limit = f"dedup.max_removed is {100 * config.max_removed:g} %"
            out.append(f"{name} loses {100 * removed / documents:.1f} % of its documents ({limit})")
        if largest[name] > config.max_cluster * documents:
            limit = f"dedup.max_cluster is {100 * config.max_cluster:g} %"
            share = 100 * largest[name] / documents
            out.append(f"one document stands for {share:.1f} % of {name} ({limit})")
    return out


def warnings(rundir: RunDirectory) -> list[str]:
    """The alarms of a finished run's deduplication, a line each."""
    path = rundir.path("dedup", "alarms.json")
    return [f"dedup: {line}" for line in store.read_json(path)] if store.exists(path) else []


# ---- signatures ----------------------------------------------------------------------------------


def shape(config: DedupConfig) -> tuple[str, int]:
    """The kind of feature set, and the words of a shingle."""
    return (config.features, config.shingle_words if config.features == "shingle" else 1)


def sign_shard(member: IndexedShard) -> ShardResult:
    """Write a shard's evidence: one row a survivor, with band keys where it has features."""
    rundir, shard = member.rundir, member.shard
    config = rundir.recipe.dedup
    path = member.documents
    upstream = store.need_footer(rundir.survivors(shard)).identity
    role = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)].role
    allowed = (config.max_repeated_lines, config.max_repeated_paragraphs, role)
    settings = (shape(config), *config.banding(), rundir.recipe.seed, allowed)
    place = (member.level, rundir.recipe.place(shard.dataset), shard.batch, member.ordinal)
    digest = config_digest("dedup/evidence", VERSION, settings, place, upstream)

    def make() -> ShardResult:
        signed = 0
        with store.TableWriter(path, schema.DEDUP_DOCUMENTS, digest) as writer:
            for group in survivor_groups(rundir, shard, ["id", "text", "content"], None):
                batch = _sign(member, group.start, group.batch)
                writer.write(batch)
                signed += batch.num_rows - batch.column("keys").null_count
            writer.notes = {dedup_index.SIGNED: signed}
        return ShardResult(digest, notes=writer.notes)

    return run_once(path, digest, make)


def _sign(member: IndexedShard, start: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers

    recipe = member.rundir.recipe
    config = recipe.dedup
    bands, rows = config.banding()
    k = bands * rows
    texts = text_buffers(batch.column("text"))
    indptr, values = minhash.feature_sets(*texts, *shape(config))  # type: ignore[arg-type]
    signed = minhash.signatures(
        indptr, values, *minhash.permutations(recipe.seed, k + minhash.PIECES + 1)
    )
    sizes = np.diff(indptr)
    n = batch.num_rows
    doc = member.doc(start) + np.arange(n, dtype=np.int64)
    chars = char_lengths(batch.column("text"))
    dataset = recipe.place(member.shard.dataset)
    priority = priorities(member.level, dataset, member.shard.batch, chars)
    contents = batch.column("content").cast(pa.binary())
    tie = np.array(
        [int.from_bytes(content[:8], "big", signed=True) for content in contents.to_pylist()],
        np.int64,
    )
    lines, paragraphs, repetitive = _repeats(
        config, batch.column("text"), recipe.dataset[dataset].role
    )
    least = signed[:, -1].copy().view(np.int64)
    columns = (
        np.full(n, dataset, np.int64),
        contents,
        priority,
        tie,
        chars,
        sizes.astype(np.int64),
        least,
    )
    has_keys = (sizes > 0) & (repetitive == 0)
    keys = minhash.band_keys(signed[has_keys, :k], bands, rows)
    ends = np.concatenate([[0], np.cumsum(has_keys * bands)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(
        pa.array(ends), pa.array(keys.reshape(-1)), mask=pa.array(~has_keys)
    )
    sketch = pa.array(minhash.sketches(signed[:, k:-1]), mask=~has_keys)
    return pa.record_batch(
        [doc, batch.column("id"), *columns, lines, paragraphs, repetitive, sketch, lists],
        schema=schema.DEDUP_DOCUMENTS,
    )


def _repeats(config: DedupConfig, texts: pa.Array, role: str) -> tuple[npt.NDArray[Any], ...]:
    """Shares of each text's characters in repeated lines and in repeated paragraphs, and 1 where
    one is more than allowed.

    Documents that are only compared with (`reference`) are never removed.
    """
    from curation.kernels.buffers import text_buffers
    from curation.kernels.repeats import repeated_chars

    chars, *repeated = repeated_chars(*text_buffers(texts)).T
    lines, paragraphs = (part / np.maximum(chars, 1) for part in repeated)
    over = (lines > config.max_repeated_lines) | (paragraphs > config.max_repeated_paragraphs)
    return lines, paragraphs, (over & (role != "reference")).astype(np.int64)


def priorities(
    level: int, dataset: int, batch: int, chars: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Numbers that sort as documents do: run of the index, dataset, batch, longer text first; 7,
    12, 12 and 32 bits.

    >>> priorities(0, 0, 0, np.array([5, 6])) > priorities(0, 0, 0, np.array([6, 5]))
    array([ True, False])
    """
    for what, number in (("datasets", dataset), ("crawls of a dataset", batch)):
        if number >= 4096:
            raise RecipeError(
                f"dedup: at most 4,096 {what} can be told apart, and this is number {number + 1:,}"
            )
    head = level << 56 | dataset << 44 | batch << 32
    return head + (0xFFFFFFFF - np.minimum(chars, 0xFFFFFFFF)).astype(np.int64)


# ---- decisions -----------------------------------------------------------------------------------


def decide_shard(
    names: Sequence[str], task: tuple[IndexedShard, str | None, str | None, str]
) -> ShardResult:
    """Write the decision of one shard, row-aligned to its survivors."""
    member, removed_path, sizes_path, made_from = task
    upstream = store.need_footer(member.documents).identity
    digest = config_digest(
        "dedup/decision", VERSION, made_from, tuple(names), member.ordinal, upstream
    )

    def make() -> ShardResult:
        shard_ledger: ledger.Ledger = {}
        removed = _Removed.read(names, member, removed_path, sizes_path)
        start = 0
        with store.TableWriter(member.decision, schema.DEDUPED, digest, shard_ledger) as writer:
            for group in store.read_groups(member.documents, ["chars", "repetitive"]):
                batch, reasons = removed.decide(start, group.column(1).to_numpy() == 1)
                writer.write(batch)
                start += group.num_rows
                chars = group.column(0).to_numpy()
                for reason in (None, *REMOVES):
                    these = reasons == reason
                    ledger.add(
                        shard_ledger,
                        reason or ledger.KEPT,
                        int(these.sum()),
                        int(chars[these].sum()),
                    )
                ledger.add(shard_ledger, ledger.IN, len(chars), int(chars.sum()))
            for reason in REMOVES:
                if not shard_ledger.get(reason, [0])[0]:
                    shard_ledger.pop(reason, None)
        return ShardResult(digest, shard_ledger)

    return run_once(member.decision, digest, make)


@dataclass(frozen=True, slots=True)
class _Removed:
    """The removed rows of one shard: row (int64, ascending) and the columns of the decision; and
    the rows that they, or those of other shards, are duplicates of, with how many."""

    rows: npt.NDArray[np.int64]
    table: pa.Table
    sizes: dict[str, npt.NDArray[np.int64]]

    @classmethod
    def read(
        cls,
        datasets: Sequence[str],
        member: IndexedShard,
        path: str | None,
        sizes_path: str | None,
    ) -> _Removed:
        def table_at(path: str | None, columns: pa.Schema) -> pa.Table:
            return member.rows(path) if path else pa.Table.from_batches([], columns)

        table = table_at(path, choice.REMOVED)
        counted = table_at(sizes_path, choice.SIZES)
        sizes = {
            "rows": counted.column("doc").to_numpy() - member.doc(0),
            "documents": counted.column("documents").to_numpy(),
        }
        table = table.append_column(
            "kept_name", pa.array(datasets).take(table.column("kept_dataset"))
        )
        return cls(table.column("doc").to_numpy() - member.doc(0), table, sizes)

    def decide(
        self, start: int, repetitive: npt.NDArray[np.bool_]
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.object_]]:
        n = len(repetitive)
        first, last = np.searchsorted(self.rows, [start, start + n])
        removed = self.table.slice(first, last - first)
        at = self.rows[first:last] - start
        keep = ~repetitive
        keep[at] = False
        columns: dict[str, npt.NDArray[np.object_]] = {
            name: np.full(n, None, object) for name in ("reason", "kept_id", "kept_name", "jaccard")
        }
        columns["reason"][repetitive] = "repetitive"
        if len(at):
            exact = removed.column("exact").to_numpy()
            columns["reason"][at] = np.where(exact == 1, "exact_duplicate", "duplicate")
            columns["jaccard"][at] = (
                removed.column("shared").to_numpy() / removed.column("total").to_numpy()
            )
            for name in ("kept_id", "kept_name"):
                columns[name][at] = removed.column(name).to_pylist()
        reason, *others = columns.values()
        arrays = [pa.array(keep), reason, self._cluster_sizes(start, keep), *others]
        return pa.record_batch(arrays, schema=schema.DEDUPED), reason

    def _cluster_sizes(self, start: int, keep: npt.NDArray[np.bool_]) -> pa.Array:
        """How many documents each kept row stands for; null where it is removed."""
        size = np.ones(len(keep), np.int64)
        first, last = np.searchsorted(self.sizes["rows"], [start, start + len(keep)])
        size[self.sizes["rows"][first:last] - start] += self.sizes["documents"][first:last]
        return pa.array(size, mask=~keep)
