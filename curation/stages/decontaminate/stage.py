"""decontaminate: what overlaps with a benchmark is cut out (GPT-3, appendix C).

A gram is 13 words in a row shared with a benchmark example; each hit and 200 characters on each
side are cut, a document that falls into more than ten pieces is removed, and pieces shorter than
200 characters are dropped. Grams that occur in more than ten distinct documents of the whole run,
as it stands after dedup, are ignored. Documents of equal text are one there, also without dedup.

Cost: one scan of every survivor's text (evidence); document frequencies by SQL; cuts from the
evidence alone. Memory: the gram table (its size is in benchmarks/card.json) once a worker, and a
row group.

Trap: offsets are code points of the original text, half-open; hits that overlap are one cut, not
several.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.recipe.tables import DecontaminateConfig
from curation.rundir import ledger, schema, sources
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.queries import QueryResult, run_query
from curation.rundir.results import ShardResult, check_ledgers, run_once
from curation.rundir.survivors import RowGroup, char_lengths, survivor_groups
from curation.stages.decontaminate import benchmarks, contamination, kept_tables

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 3
# content: the first 8 bytes of the hash of a document's text.
OCCURRENCES = pa.schema([("gram", pa.int64()), ("content", pa.int64())])
COMMON = pa.schema([("gram", pa.int64()), ("documents", pa.int64())])
MOST_NAMES = 12  # of benchmarks in a warning


def check(rundir: RunDirectory) -> None:
    """Raise what would end the stage, for all that is known before it: benchmark files on a disk,
    and the catalogue."""
    asked = rundir.recipe.decontaminate
    benchmarks.read_catalogue(asked.catalogue)
    benchmarks.benchmark_files([text for text in asked.benchmarks if not store.is_web(text)])


def check_read(rundir: RunDirectory) -> None:
    """The same for what the benchmark files hold, once all of them are here."""
    asked = rundir.recipe.decontaminate
    if store.exists(rundir.path("decontaminate", "benchmarks", "card.json")):
        return
    patterns = sources.local_patterns(rundir, asked.benchmarks)
    contents = benchmarks.contents(patterns, asked.catalogue)
    if kept_tables.is_kept(benchmarks.tables_key(contents, asked.gram_words)):
        return  # another run has read them
    for _ in benchmarks.read_benchmarks(patterns, asked.catalogue):
        pass


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[Shard, ShardResult]:
    """Read the benchmarks, find hits, count documents per gram, cut."""
    recipe = rundir.recipe
    shards = [s for s in plan.shards if recipe.dataset[recipe.place(s.dataset)].role != "reference"]
    asked = recipe.decontaminate
    patterns = sources.local_patterns(rundir, asked.benchmarks)
    read = functools.cache(lambda: tuple(benchmarks.read_benchmarks(patterns, asked.catalogue)))
    contents = benchmarks.contents(patterns, asked.catalogue)
    identity = benchmarks.prepare(rundir, read, contents)
    engine.map("decontaminate: scan", partial(scan_shard, rundir, identity), shards)
    counted = engine.map("decontaminate: count", partial(count_shard, rundir), shards)
    common = _common_grams(rundir, engine, shards, [m.identity for m in counted])
    results = engine.map("decontaminate: cut", partial(cut_shard, rundir, common), shards)
    by_shard = dict(zip(shards, results, strict=True))
    check_ledgers(rundir, "decontaminate", by_shard)
    if recipe.decontaminate.study:
        contamination.run(rundir, engine, shards, read, contents)
    return by_shard


def warnings(rundir: RunDirectory) -> list[str]:
    """What was not looked for, a line each."""
    config = rundir.recipe.decontaminate
    card = rundir.path("decontaminate", "benchmarks", "card.json")
    if "decontaminate" not in rundir.recipe.stages or not store.exists(card):
        return []
    out = []
    if without := store.read_json(card).get("without_grams"):
        out.append(
            f"decontaminate: no field has {config.gram_words} words in a row, so that nothing was "
            f"looked for to cut, in examples of {_counts(without)}"
        )
    if short := contamination.short_examples(rundir):
        out.append(
            "decontaminate: no field has N words in a row, so that nobody knows whether they are "
            f"clean, in examples of {_counts(short)} (`curation contamination` shows N)"
        )
    return out


def _counts(examples: dict[str, list[int]]) -> str:
    """Benchmarks with how many of their examples are meant."""
    parts = [f"{name} ({own:,} of {of:,})" for name, (own, of) in examples.items()]
    if len(parts) > MOST_NAMES:
        parts[MOST_NAMES:] = [f"{len(parts) - MOST_NAMES:,} more benchmarks"]
    return ", ".join(parts)


# ---- evidence ------------------------------------------------------------------------------------


def scan_shard(rundir: RunDirectory, table_identity: str, shard: Shard) -> ShardResult:
    """Write every hit in a shard's survivors, whatever dedup says of them."""
    path = rundir.table("decontaminate", shard, "evidence")
    digest = config_digest(
        "decontaminate/evidence",
        VERSION,
        table_identity,
        store.need_footer(rundir.survivors(shard)).identity,
    )

    def make() -> ShardResult:
        from curation.kernels import grams
        from curation.kernels.buffers import text_buffers

        table = benchmarks.load_table(rundir.path("decontaminate", "benchmarks"), table_identity)
        with store.TableWriter(path, schema.HITS, digest) as writer:
            for group in survivor_groups(rundir, shard, ["text"], None):
                text = group.batch.column(0)
                hits = grams.scan(*text_buffers(text), table)
                chars = char_lengths(text)[hits.document] if len(hits.document) else hits.document
                columns = [hits.document + group.start, chars, hits.start, hits.end, hits.gram]
                writer.write(pa.record_batch(columns, schema=schema.HITS))
        return ShardResult(digest)

    return run_once(path, digest, make)


def count_shard(rundir: RunDirectory, shard: Shard) -> ShardResult:
    """Write which grams occur in which distinct texts of a shard, of those that dedup keeps."""
    path = rundir.table("decontaminate", shard, "frequency")
    evidence = rundir.table("decontaminate", shard, "evidence")
    before = rundir.decided_before("decontaminate", shard)
    made_from = [store.need_footer(p).identity for p in (evidence, before) if p]
    digest = config_digest("decontaminate/frequency", VERSION, made_from)

    def make() -> ShardResult:
        hits = store.read_table(evidence, ["row", "gram"])
        rows, gram = (hits.column(name).to_numpy() for name in ("row", "gram"))
        if before:
            keep = store.read_table(before, ["keep"]).column(0).combine_chunks().fill_null(False)
            stays = keep.to_numpy(zero_copy_only=False)[rows]
            rows, gram = rows[stays], gram[stays]
        documents, document_of = np.unique(rows, return_inverse=True)
        contents = store.read_table(rundir.survivors(shard), ["content"]).column(0).take(documents)
        first_bytes = [int.from_bytes(c[:8], "big", signed=True) for c in contents.to_pylist()]
        pairs = np.stack([gram, np.array(first_bytes, np.int64)[document_of]])
        with store.TableWriter(path, OCCURRENCES, digest) as writer:
            writer.write(pa.record_batch(list(np.unique(pairs, axis=1)), schema=OCCURRENCES))
        return ShardResult(digest)

    return run_once(path, digest, make)


def _common_grams(
    rundir: RunDirectory, engine: Engine, shards: list[Shard], identities: list[str]
) -> QueryResult:
    """The grams that occur in more distinct texts than `max_documents`: they are ignored."""
    most = rundir.recipe.decontaminate.max_documents
    paths = tuple(rundir.table("decontaminate", shard, "frequency") for shard in shards)
    return run_query(
        engine,
        f"""SELECT gram, documents FROM (
            SELECT gram, CAST(COUNT(DISTINCT content) AS BIGINT) AS documents
            FROM frequency GROUP BY gram
        ) f WHERE documents > {most}""",
        {"frequency": store.Table(paths, OCCURRENCES)},
        rundir.path("decontaminate", "common"),
        COMMON,
        identities,
        sort_by=["gram"],
    )


# ---- decisions -----------------------------------------------------------------------------------


def cut_shard(rundir: RunDirectory, common: QueryResult, shard: Shard) -> ShardResult:
    """Write the decision of one shard: what is cut from each document, and what is left."""
    config = rundir.recipe.decontaminate
    path = rundir.decision("decontaminate", shard)
    evidence = rundir.table("decontaminate", shard, "evidence")
    before = rundir.decided_before("decontaminate", shard)
    made_from = [store.need_footer(p).identity for p in (evidence, before) if p]
    rule = (config.margin_chars, config.min_piece_chars, config.max_pieces)
    digest = config_digest("decontaminate/decision", VERSION, rule, common.identity, made_from)

    def make() -> ShardResult:
        ignored = np.concatenate(
            [store.read_table(p, ["gram"]).column(0).to_numpy() for p in common.paths]
        )
        hits = store.read_table(evidence)
        hits = hits.filter(pa.array(~np.isin(hits.column("gram").to_numpy(), ignored)))
        columns = {name: hits.column(name).to_numpy() for name in ("row", "start", "end")}
        shard_ledger: ledger.Ledger = {}
        with store.TableWriter(path, schema.DECONTAMINATED, digest, shard_ledger) as writer:
            for group in survivor_groups(rundir, shard, ["text"], before):
                writer.write(_cut_group(config, group, columns, shard_ledger))
        return ShardResult(digest, shard_ledger)

    return run_once(path, digest, make)


def _cut_group(
    config: DecontaminateConfig,
    group: RowGroup,
    hits: dict[str, npt.NDArray[np.int64]],
    shard_ledger: ledger.Ledger,
) -> pa.RecordBatch:
    chars = char_lengths(group.batch.column(0))
    remaining = group.remaining()
    n = group.batch.num_rows
    columns = {name: np.full(n, None, object) for name in ("keep", "reason", "cuts", "pieces")}
    columns["keep"][remaining] = True
    first, last = np.searchsorted(hits["row"], [group.start, group.start + n])
    rows = hits["row"][first:last]
    lost = 0
    for row in np.unique(rows):
        at = int(row) - group.start
        if not remaining[at]:
            continue
        a, b = first + np.searchsorted(rows, row), first + np.searchsorted(rows, row, "right")
        outcome = cut(config, hits["start"][a:b], hits["end"][a:b], int(chars[at]))
        columns["cuts"][at] = outcome.cuts
        if outcome.reason:
            columns["keep"][at], columns["reason"][at] = False, outcome.reason
            ledger.add(shard_ledger, outcome.reason, 1, int(chars[at]))
        else:
            columns["pieces"][at] = outcome.pieces
            lost += int(chars[at]) - sum(p["end"] - p["start"] for p in outcome.pieces)
    stays = columns["keep"] == True  # noqa: E712  an object array: None is neither
    ledger.add(shard_ledger, ledger.IN, int(remaining.sum()), int(chars[remaining].sum()))
    ledger.add(shard_ledger, ledger.KEPT, int(stays.sum()), int(chars[stays].sum()) - lost)
    if lost:
        ledger.add(shard_ledger, ledger.CUT, 0, lost)
    arrays = [pa.array(columns[f.name], f.type, from_pandas=False) for f in schema.DECONTAMINATED]
    return pa.record_batch(arrays, schema=schema.DECONTAMINATED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a document's hits lead to: spans cut, spans that stay, and the reason where it is
    removed."""

    cuts: list[dict[str, int]]
    pieces: list[dict[str, int]]
    reason: str | None


def cut(
    config: DecontaminateConfig,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    chars: int,
) -> Outcome:
    """Appendix C.1 for one document with hits [starts, ends) in `chars` code points.

    >>> cut(DecontaminateConfig(), np.array([1000]), np.array([1070]), 3000).pieces
    [{'start': 0, 'end': 800}, {'start': 1270, 'end': 3000}]
    """
    from curation.kernels import grams

    cut_starts, cut_ends = grams.merge_cuts(starts, ends, chars, config.margin_chars)
    piece_starts, piece_ends = grams.pieces(cut_starts, cut_ends, chars)
    cuts = _spans(cut_starts, cut_ends)
    if len(piece_starts) > config.max_pieces:
        return Outcome(cuts, [], "too_many_pieces")
    long = piece_ends - piece_starts >= config.min_piece_chars
    if not long.any():
        return Outcome(cuts, [], "no_piece_left")
    return Outcome(cuts, _spans(piece_starts[long], piece_ends[long]), None)


def _spans(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[dict[str, int]]:
    return [{"start": a, "end": b} for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
