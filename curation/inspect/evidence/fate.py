"""One document's fate: the join of its rows in every stage's tables, with the evidence each decision was made from.

Cost: one row group of a few columns per stage, the document's own text and, for a duplicate, that of the one it left for.

Trap: a run may have stopped half way; a stage that has not decided yet is simply absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.inspect.evidence import frames
from curation.inspect.evidence.find import Found, find_id
from curation.stages.dedup.index import indexed_shards, new_shards
from curation.stages.mix import stage as mix

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan


@dataclass(frozen=True, slots=True)
class Quality:
    """What classify measured and decided; `keep` is None where it only scored."""

    score: float
    u: float
    draw: float | None
    chance: float | None  # P(keep | score)
    keep: bool | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """What dedup decided. Where the document left: for whom, how similar, and that one's text and URL (none where it is repetitive)."""

    keep: bool
    reason: str | None = None
    kept_id: str | None = None
    kept_dataset: str | None = None
    kept_url: str | None = None
    kept_text: str | None = None
    jaccard: float | None = None
    left_for_it: int = 0  # documents that left in this one's favour
    repeated_lines: float = 0.0  # share of its characters in lines that it said before
    repeated_paragraphs: float = 0.0


@dataclass(frozen=True, slots=True)
class Quote:
    """Hits that overlap: code points [start, end) of the text, how many grams, and whose."""

    start: int
    end: int
    grams: int
    owners: tuple[str, ...]  # "benchmark example-id", the first ten of each gram
    ignored: int  # of the grams: those in more than max_documents documents


@dataclass(frozen=True, slots=True)
class Overlap:
    """What decontaminate found and did; `keep` is None where dedup had removed the document. Spans are code points, half-open."""

    keep: bool | None
    reason: str | None
    quotes: tuple[Quote, ...]
    cuts: tuple[tuple[int, int], ...]
    pieces: tuple[tuple[int, int], ...] | None  # None: the whole text


@dataclass(frozen=True, slots=True)
class Placed:
    """Where tokens lie: `shards` maps a shard's name to how many chunks of the document it holds."""

    counts: tuple[int, ...]  # tokens of each piece, end-of-text included
    held_out: bool = False
    chunks: int = 0
    epochs: float | None = None
    shards: dict[str, int] = field(default_factory=dict)
    mixed: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """Everything the run knows of one document. Parts are None where their stage is not in the recipe, has not run, or never saw it."""

    found: Found
    dataset: str
    text: str
    quality: Quality | None = None
    duplicate: Duplicate | None = None
    overlap: Overlap | None = None
    placed: Placed | None = None


def fate(rundir: RunDirectory, plan: Plan, found: Found) -> Fate:
    """Read the fate of one document that `find` found."""
    shard = found.shard
    text = (
        frames.take(rundir.documents(shard), np.array([found.row]), ["text"]).column(0)[0].as_py()
    )
    quality = _quality(rundir, shard, found.row)
    row = _survivor_row(rundir, shard, found.row, quality)
    if row is None:
        return Fate(found, shard.dataset, text, quality)
    return Fate(
        found,
        shard.dataset,
        text,
        quality,
        _duplicate(rundir, plan, shard, row),
        _overlap(rundir, shard, row),
        _placed(rundir, shard, row),
    )


def _row(path: str, row: int) -> dict[str, Any] | None:
    """One row of a small table; None where there is no table."""
    if not store.exists(path):
        return None
    names = store.read_schema(path).names
    wanted = [name for name in names if name != "tokens"]
    found: dict[str, Any] = frames.take(path, np.array([row]), wanted).to_pylist()[0]
    return found


def _quality(rundir: RunDirectory, shard: Shard, row: int) -> Quality | None:
    if "classify" not in rundir.recipe.stages:
        return None
    measured = _row(rundir.table("classify", shard, "evidence"), row)
    if measured is None:
        return None
    if not rundir.recipe.filtered(shard.dataset):
        return Quality(measured["score"], measured["u"], None, None, None)
    decided = _row(rundir.decision("classify", shard), row) or {}
    chance = float(
        frames.keep_chance(np.array([measured["score"]]), rundir.recipe.classify.alpha)[0]
    )
    return Quality(
        measured["score"], measured["u"], decided.get("pareto_draw"), chance, decided.get("keep")
    )


def _survivor_row(
    rundir: RunDirectory, shard: Shard, row: int, quality: Quality | None
) -> int | None:
    """The document's row in the survivors table, None where it is not there (or not yet)."""
    if not rundir.recipe.filtered(shard.dataset):
        return row
    if quality is None or not quality.keep or not store.exists(rundir.survivors(shard)):
        return None
    rows = frames.column(rundir.survivors(shard), "row").to_numpy()
    at = int(np.searchsorted(rows, row))
    return at if at < len(rows) and rows[at] == row else None


# ---- dedup -----------------------------------------------------------------------------------------------------------------------------


def _duplicate(rundir: RunDirectory, plan: Plan, shard: Shard, row: int) -> Duplicate | None:
    if "dedup" not in rundir.recipe.stages:
        return None
    decided = _row(rundir.decision("dedup", shard), row)
    if decided is None:
        return None
    measured = _row(rundir.table("dedup", shard, "evidence"), row) or {}
    repeated = {
        name: measured[name]
        for name in ("repeated_lines", "repeated_paragraphs")
        if name in measured
    }
    if decided["keep"]:
        left = _left_for(rundir, new_shards(indexed_shards(rundir, plan))[shard.ordinal].doc(row))
        return Duplicate(True, left_for_it=left, **repeated)
    if decided["kept_id"] is None:
        return Duplicate(False, decided["reason"], **repeated)
    path, kept_row = find_id(rundir, plan, decided["kept_dataset"], decided["kept_id"])
    kept = frames.take(path, np.array([kept_row]), ["url", "text"]).to_pylist()[0]
    return Duplicate(
        False,
        decided["reason"],
        decided["kept_id"],
        decided["kept_dataset"],
        kept["url"],
        kept["text"],
        decided["jaccard"],
        **repeated,
    )


def _left_for(rundir: RunDirectory, doc: int) -> int:
    """How many documents left in favour of this one."""
    folder = rundir.path("dedup", "pairs", "removed")
    if not store.exists(folder):
        return 0
    paths = [file.path for file in store.listing(folder)]
    return sum(int((frames.column(path, "kept").to_numpy() == doc).sum()) for path in paths)


# ---- decontaminate ---------------------------------------------------------------------------------------------------------------------


def _overlap(rundir: RunDirectory, shard: Shard, row: int) -> Overlap | None:
    if "decontaminate" not in rundir.recipe.stages:
        return None
    decided = _row(rundir.decision("decontaminate", shard), row)
    if decided is None:
        return None
    cuts = tuple((span["start"], span["end"]) for span in decided["cuts"] or ())
    pieces = decided["pieces"]
    spans = None if pieces is None else tuple((span["start"], span["end"]) for span in pieces)
    return Overlap(decided["keep"], decided["reason"], _quotes(rundir, shard, row), cuts, spans)


def _quotes(rundir: RunDirectory, shard: Shard, row: int) -> tuple[Quote, ...]:
    """The document's hits, those that overlap as one quotation."""
    path = rundir.table("decontaminate", shard, "evidence")
    rows = np.flatnonzero(frames.column(path, "row").to_numpy() == row)
    if not len(rows):
        return ()
    hits = frames.take(path, rows, ["start", "end", "gram"])
    starts, ends, grams = (hits.column(name).to_numpy() for name in ("start", "end", "gram"))
    ignored = np.isin(grams, common_grams(rundir))
    owners = owners_of(rundir, grams)
    quotes = []
    first = 0
    for i in range(1, len(starts) + 1):
        if i == len(starts) or starts[i] > ends[first:i].max():
            names = dict.fromkeys(name for gram in grams[first:i].tolist() for name in owners[gram])
            span = int(starts[first]), int(ends[first:i].max())
            quotes.append(Quote(*span, i - first, tuple(names), int(ignored[first:i].sum())))
            first = i
    return tuple(quotes)


def common_grams(rundir: RunDirectory) -> npt.NDArray[np.int64]:
    """Grams that decontaminate ignores, being in too many documents."""
    path = rundir.path("decontaminate", "common", "00000.parquet")
    return frames.column(path, "gram").to_numpy() if store.exists(path) else np.zeros(0, np.int64)


def owners_of(rundir: RunDirectory, grams: npt.NDArray[np.int64]) -> dict[int, list[str]]:
    """The benchmark and id of the first ten examples that hold each gram."""
    indptr, examples = gram_examples(rundir)
    distinct = np.unique(grams).tolist()
    numbers = {gram: examples[indptr[gram] : indptr[gram + 1]] for gram in distinct}
    wanted = np.unique(np.concatenate(list(numbers.values())))
    rows = frames.take(
        rundir.path("decontaminate", "benchmarks", "examples.parquet"), wanted, ["benchmark", "id"]
    )
    names = {
        n: f"{r['benchmark']} {r['id']}"
        for n, r in zip(wanted.tolist(), rows.to_pylist(), strict=True)
    }
    return {gram: [names[number] for number in found.tolist()] for gram, found in numbers.items()}


def gram_examples(rundir: RunDirectory) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(indptr int64[grams + 1], example numbers): two arrays of the gram table, the rest of which stays on disk."""
    folder = rundir.path("decontaminate", "benchmarks")
    indptr, examples = (
        store.read_array(store.join(folder, f"{name}.npy"))
        for name in ("example_indptr", "examples")
    )
    return indptr, examples


# ---- tokens and shards -----------------------------------------------------------------------------------------------------------------


def _placed(rundir: RunDirectory, shard: Shard, row: int) -> Placed | None:
    if "tokenize" not in rundir.recipe.stages:
        return None
    tokens = _row(rundir.table("tokens", shard), row)
    if tokens is None or tokens["keep"] is None:
        return None
    if not tokens["keep"]:
        return Placed((), reason=tokens["reason"])
    counts = tuple(tokens["counts"])
    path = rundir.path("shards", "shards.json")
    if "mix" not in rundir.recipe.stages or not store.exists(path):
        return Placed(counts)
    shares = {part["dataset"]: part["epochs"] for part in store.read_json(path)["mixture"]}
    if shard.dataset not in shares:
        return Placed(counts)
    return place(rundir, shard.dataset, tokens["content"], counts, shares[shard.dataset])


def place(
    rundir: RunDirectory, dataset: str, content: bytes, counts: tuple[int, ...], epochs: float
) -> Placed:
    """Where a document's chunks lie, by the formula of `stages/mix.py`: nothing is scanned."""
    config, seed = rundir.recipe.mix, rundir.recipe.seed
    chunks = sum(-(-count // mix.CHUNK_TOKENS) for count in counts)
    if draws.uniform(seed, "validation", content) < config.validation:
        return Placed(counts, True, chunks, epochs, {f"validation-{dataset}-00000": chunks}, True)
    keys = [content + number.to_bytes(4, "little") for number in range(chunks)]
    held = np.zeros(config.shards, np.int64)
    for epoch in range(int(np.ceil(epochs))):
        at = mix.positions(seed, epoch, keys, epochs)
        at = at[at < 1.0]
        np.add.at(held, np.minimum((at * config.shards).astype(np.int64), config.shards - 1), 1)
    shards = {f"train-{number:05d}": int(held[number]) for number in np.flatnonzero(held).tolist()}
    return Placed(counts, False, chunks, epochs, shards, True)
