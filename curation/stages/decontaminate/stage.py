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
from collections.abc import Iterator, Mapping, Sequence
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
from curation.rundir.results import ShardResult, check_ledgers, run_once, table_facts
from curation.rundir.survivors import RowGroup, char_lengths, survivor_groups
from curation.stages.decontaminate import benchmarks, contamination, kept_tables

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 4
OCCURRENCES = pa.schema([(name, pa.int64()) for name in ("part", "gram", "content")])
COMMON = pa.schema([("gram", pa.int64()), ("documents", pa.int64())])
SHARDS_OF_A_PART = 1000
NO_HITS = {name: np.zeros(0, np.int64) for name in ("row", "start", "end")}
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
    study = contamination.prepare(rundir, read, contents) if asked.study else ""
    decided = _decided_before(rundir, shards)
    scan = partial(scan_shard, rundir, identity, study)
    scanned = engine.map(
        "decontaminate: scan", scan, [(shard, decided.get(shard, "")) for shard in shards]
    )
    common = _common_grams(rundir, engine, shards, scanned, decided)
    tasks = [
        (shard, result.identity, bool(result.notes), decided.get(shard, ""))
        for shard, result in zip(shards, scanned, strict=True)
    ]
    results = engine.map("decontaminate: cut", partial(cut_shard, rundir, common, study), tasks)
    by_shard = dict(zip(shards, results, strict=True))
    check_ledgers(rundir, "decontaminate", by_shard)
    if study:
        contamination.conclude(rundir, engine, study, by_shard)
    return by_shard


def _decided_before(rundir: RunDirectory, shards: Sequence[Shard]) -> dict[Shard, str]:
    """The identity of each shard's decision before this stage, where there is one."""
    paths = {shard: rundir.decided_before("decontaminate", shard) for shard in shards}
    known = table_facts(rundir, [path for path in paths.values() if path])
    return {shard: known[path].identity for shard, path in paths.items() if path}


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


def scan_shard(
    rundir: RunDirectory, table_identity: str, study: str, task: tuple[Shard, str]
) -> ShardResult:
    """Write every hit in a shard's survivors, whatever dedup says of them. With a study, the grams
    that were seen in those without a hit that are still in are attached.

    `study`: the identity of its grams, empty without one. `task`: the shard, and the identity of
    what was decided before.
    """
    shard, decided_identity = task
    path = rundir.table("decontaminate", shard, "evidence")
    identity = config_digest(
        "decontaminate/evidence",
        VERSION,
        table_identity,
        store.need_footer(rundir.survivors(shard)).identity,
    )
    digest = identity
    if study:
        digest = config_digest(identity, contamination.VERSION, study, decided_identity)

    def make() -> ShardResult:
        from curation.kernels import grams
        from curation.kernels.buffers import text_buffers

        table = benchmarks.load_table(rundir.path("decontaminate", "benchmarks"), table_identity)
        seen = contamination.Seen.begun(rundir, study) if study else None
        before = rundir.decided_before("decontaminate", shard) if study else None
        with store.TableWriter(path, schema.HITS, digest, identity=identity) as writer:
            for group in survivor_groups(rundir, shard, ["text", "content"], before):
                text, contents = group.batch.columns
                marked = (seen.table, group.remaining(), seen.same) if seen else ()
                hits = grams.scan(*text_buffers(text), table, *marked)
                if not len(hits.document):
                    continue
                chars = char_lengths(text)[hits.document]
                columns = [hits.document + group.start, chars, hits.start, hits.end, hits.gram]
                columns.append(_first_bytes(contents)[hits.document])
                writer.write(pa.record_batch(columns, schema=schema.HITS))
                writer.notes = {"hits": writer.notes.get("hits", 0) + len(hits.document)}
            if seen and seen.grams:
                writer.attached = seen.packed()
        return ShardResult(identity, notes=writer.notes)

    return run_once(path, digest, make)


def _first_bytes(contents: pa.Array) -> npt.NDArray[np.int64]:
    """The first 8 bytes of each text's hash, as a number."""
    values = contents.to_pylist()
    return np.array([int.from_bytes(each[:8], "big", signed=True) for each in values], np.int64)


def _common_grams(
    rundir: RunDirectory,
    engine: Engine,
    shards: Sequence[Shard],
    scanned: Sequence[ShardResult],
    decided: Mapping[Shard, str],
) -> tuple[str, str]:
    """The grams that occur in more distinct texts than `max_documents`, of those that stay: they
    are ignored. The path of their table, and its identity."""
    most = rundir.recipe.decontaminate.max_documents
    path = rundir.path("decontaminate", "common", "00000.parquet")
    identities = ([result.identity for result in scanned], list(decided.values()))
    digest = config_digest("decontaminate/common", VERSION, most, identities)
    items = [s for s, result in zip(shards, scanned, strict=True) if result.notes]
    parts = len(items) // SHARDS_OF_A_PART + 1

    def make() -> ShardResult:
        common = engine.shuffle(
            "decontaminate: count",
            partial(emit_hits, rundir, parts),
            items,
            parts,
            partial(common_part, most),
            OCCURRENCES,
            ["gram", "content"],
        )
        store.delete(rundir.path("decontaminate", "common"))  # of an earlier version
        grams = sorted(row for rows in common for row in rows)
        with store.TableWriter(path, COMMON, digest) as writer:
            columns = np.array(grams, np.int64).reshape(-1, 2).T
            writer.write(pa.record_batch(list(columns), schema=COMMON))
        return ShardResult(digest)

    run_once(path, digest, make)
    return path, digest


def emit_hits(rundir: RunDirectory, parts: int, shard: Shard) -> Iterator[pa.RecordBatch]:
    """Which grams occur in which distinct texts of a shard, of those that stay."""
    evidence = rundir.table("decontaminate", shard, "evidence")
    hits = store.read_table(evidence, ["row", "gram", "content"])
    rows, gram, content = (column.to_numpy() for column in hits.columns)
    if before := rundir.decided_before("decontaminate", shard):
        keep = store.read_table(before, ["keep"]).column(0).combine_chunks().fill_null(False)
        stays = keep.to_numpy(zero_copy_only=False)[rows]
        gram, content = gram[stays], content[stays]
    gram, content = np.unique(np.stack([gram, content]), axis=1)
    yield pa.record_batch([gram % parts, gram, content], schema=OCCURRENCES)


def common_part(most: int, part: int, batches: Iterator[pa.RecordBatch]) -> list[list[int]]:
    """The grams of a part that occur in more than `most` texts, and in how many."""
    counts: dict[int, int] = {}
    last = None
    for batch in batches:
        gram, content = (batch.column(name).to_numpy() for name in ("gram", "content"))
        new = np.ones(len(gram), bool)
        new[1:] = (gram[1:] != gram[:-1]) | (content[1:] != content[:-1])
        new[0] = last != (gram[0], content[0])
        last = (gram[-1], content[-1])
        for number, texts in zip(*np.unique(gram[new], return_counts=True), strict=True):
            counts[int(number)] = counts.get(int(number), 0) + int(texts)
    return [[number, texts] for number, texts in counts.items() if texts > most]


# ---- decisions -----------------------------------------------------------------------------------


def cut_shard(
    rundir: RunDirectory,
    common: tuple[str, str],
    study: str,
    task: tuple[Shard, str, bool, str],
) -> ShardResult:
    """Write the decision of one shard: what is cut from each document, and what is left. With a
    study, the grams that were seen are attached to it.

    `common`: the grams that are ignored, and their identity. `study`: the identity of its grams,
    empty without one. `task`: the shard, the identity of its evidence, whether that has hits, and
    the identity of what was decided before (empty where nothing was).
    """
    shard, evidence_identity, has_hits, decided_identity = task
    config = rundir.recipe.decontaminate
    path = rundir.decision("decontaminate", shard)
    before = rundir.decided_before("decontaminate", shard)
    made_from = [evidence_identity, *([decided_identity] if before else [])]
    rule = (config.margin_chars, config.min_piece_chars, config.max_pieces)
    identity = config_digest("decontaminate/decision", VERSION, rule, common[1], made_from)
    # The study changes nothing that later stages read.
    digest = config_digest(identity, contamination.VERSION, study) if study else identity

    def make() -> ShardResult:
        hits, hit_rows = _hits(rundir, shard, common[0]) if has_hits else (NO_HITS, NO_HITS["row"])
        seen = None
        if study:
            scanned = store.read_attached(rundir.table("decontaminate", shard, "evidence"))
            seen = contamination.Seen.begun(rundir, study, scanned)
        shard_ledger: ledger.Ledger = {}
        with store.TableWriter(
            path, schema.DECONTAMINATED, digest, shard_ledger, identity
        ) as writer:
            for group in survivor_groups(rundir, shard, ["text"], before):
                batch = _cut_group(config, group, hits, shard_ledger)
                writer.write(batch)
                if seen:
                    seen.add(group.batch.column(0), batch, hit_rows - group.start)
            if seen and (grams := seen.grams):
                writer.attached, writer.notes = seen.packed(), {contamination.SEEN: grams}
        return ShardResult(identity, shard_ledger, writer.notes)

    return run_once(path, digest, make)


def _hits(
    rundir: RunDirectory, shard: Shard, common: str
) -> tuple[dict[str, npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Rows and spans of a shard's hits, without those of grams that are ignored; and the rows with
    any."""
    hits = store.read_table(rundir.table("decontaminate", shard, "evidence"))
    rows = np.unique(hits.column("row").to_numpy())
    ignored = store.read_table(common, ["gram"]).column(0).to_numpy()
    hits = hits.filter(pa.array(~np.isin(hits.column("gram").to_numpy(), ignored)))
    return {name: hits.column(name).to_numpy() for name in NO_HITS}, rows


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
