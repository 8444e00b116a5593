"""One document's fate: its rows in every stage's tables, with the evidence of each decision.

Cost: one row group of a few columns per stage, the document's own text and, for a duplicate, that
of the document it duplicates.

Trap: a run may have stopped half way; the part of a stage that has not decided yet is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.inspect.evidence import frames
from curation.inspect.evidence.find import DocumentRow, find_id
from curation.kernels.pareto import keep_chance
from curation.stages.dedup.index import indexed_shards, new_shards
from curation.stages.mix import stage as mix
from curation.stages.mix.groups import document_epochs

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan


@dataclass(frozen=True, slots=True)
class Quality:
    """What classify measured and decided.

    `fold`: of the page's site, which the model that scored it has not seen; None where one model
    scored all. `u`: uniform in [0, 1), from which the Pareto `draw` is made; `chance`: P(keep |
    score). The last three are None where the dataset is not filtered.
    """

    score: float
    fold: int | None
    u: float
    draw: float | None
    chance: float | None
    keep: bool | None


@dataclass(frozen=True, slots=True)
class Ruled:
    """What filter measured and decided.

    `fired`: the rules that are true of the document, the first of them its reason; `undecided`: those
    that are null. `signals`: every signal of the evidence; spans as (start, end), code points.
    """

    keep: bool
    fired: tuple[str, ...]
    undecided: tuple[str, ...]
    signals: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """What dedup decided.

    Of a removed duplicate: the kept document that it duplicates (None where it is repetitive).
    `duplicates`: documents that were removed as duplicates of this one. `repeated_lines` and
    `repeated_paragraphs`: share of its characters in them, 0 to 1.
    """

    keep: bool
    reason: str | None = None
    kept_id: str | None = None
    kept_dataset: str | None = None
    kept_url: str | None = None
    kept_text: str | None = None
    jaccard: float | None = None
    duplicates: int = 0
    repeated_lines: float = 0.0
    repeated_paragraphs: float = 0.0


@dataclass(frozen=True, slots=True)
class Quote:
    """Hits that overlap: code points [start, end) of the text, and how many grams.

    `owners`: "benchmark example-id", the first ten of each gram. `ignored`: of the grams, those in
    more than max_documents documents.
    """

    start: int
    end: int
    grams: int
    owners: tuple[str, ...]
    ignored: int


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """What decontaminate found and did; spans are code points, half-open.

    `keep` is None where dedup had removed the document; `pieces` is None for the whole text.
    """

    keep: bool | None
    reason: str | None
    quotes: tuple[Quote, ...]
    cuts: tuple[tuple[int, int], ...]
    pieces: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a document's tokens are.

    `counts`: tokens of each piece, end-of-text included. `shards`: a shard's name -> how many
    chunks of the document it holds. `mixed`: whether there are shards to place it in.
    """

    counts: tuple[int, ...]
    held_out: bool = False
    chunks: int = 0
    epochs: float | None = None
    shards: dict[str, int] = field(default_factory=dict)
    mixed: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """Everything the run knows of one document.

    A part is None where its stage is not in the recipe, has not run, or did not get the document.
    """

    document: DocumentRow
    text: str
    ruled: Ruled | None = None
    quality: Quality | None = None
    duplicate: Duplicate | None = None
    benchmarks: Benchmarks | None = None
    placed: Placed | None = None

    @property
    def dataset(self) -> str:
        return self.document.shard.dataset


def fate(rundir: RunDirectory, plan: Plan, document: DocumentRow) -> Fate:
    """Read the fate of a document."""
    shard = document.shard
    text = frames.take_one(rundir.documents(shard), document.row, ["text"])["text"]
    ruled, quality = _ruled(rundir, shard, document.row), _quality(rundir, shard, document.row)
    row = _survivor_row(rundir, shard, document.row)
    if row is None:
        return Fate(document, text, ruled, quality)
    return Fate(
        document,
        text,
        ruled,
        quality,
        _duplicate(rundir, plan, shard, row),
        _benchmarks(rundir, shard, row),
        _placed(rundir, shard, row),
    )


def _row(path: str, row: int) -> dict[str, Any] | None:
    """One row of a small table; None where there is no table."""
    if not store.exists(path):
        return None
    names = [name for name in store.read_schema(path).names if name != "tokens"]
    return frames.take_one(path, row, names)


def _quality(rundir: RunDirectory, shard: Shard, row: int) -> Quality | None:
    if "classify" not in rundir.recipe.stages:
        return None
    measured = _row(rundir.table("classify", shard, "evidence"), row)
    if measured is None:
        return None
    scored = measured["score"], measured["fold"], measured["u"]
    if not rundir.recipe.classified(shard.dataset):
        return Quality(*scored, None, None, None)
    decided = _row(rundir.decision("classify", shard), row) or {}
    chance = float(keep_chance(np.array([measured["score"]]), rundir.recipe.classify.alpha)[0])
    return Quality(*scored, decided.get("pareto_draw"), chance, decided.get("keep"))


def _ruled(rundir: RunDirectory, shard: Shard, row: int) -> Ruled | None:
    if not rundir.decides("filter", shard.dataset):
        return None
    signals = _row(rundir.table("filter", shard, "evidence"), row)
    decided = _row(rundir.decision("filter", shard), row)
    if signals is None or decided is None:
        return None
    names = rundir.recipe.filter.reasons()
    fired, undecided = (
        tuple(names[place] for place in decided[column]) for column in ("fired", "undecided")
    )
    return Ruled(decided["keep"], fired, undecided, signals)


def _survivor_row(rundir: RunDirectory, shard: Shard, row: int) -> int | None:
    """The document's row in the survivors table, None where it is not there (or not yet)."""
    survivors = rundir.survivors(shard)
    if survivors == rundir.documents(shard):
        return row
    if not store.exists(survivors):
        return None
    rows = frames.column(survivors, "row").to_numpy()
    at = int(np.searchsorted(rows, row))
    return at if at < len(rows) and rows[at] == row else None


# ---- dedup


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
        doc = new_shards(indexed_shards(rundir, plan))[shard.ordinal].doc(row)
        return Duplicate(True, duplicates=_duplicate_count(rundir, doc), **repeated)
    if decided["kept_id"] is None:
        return Duplicate(False, decided["reason"], **repeated)
    place = find_id(rundir, plan, decided["kept_dataset"], decided["kept_id"])
    kept = frames.take_one(*place, ["url", "text"])
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


def _duplicate_count(rundir: RunDirectory, doc: int) -> int:
    """How many documents were removed as duplicates of this one."""
    folder = rundir.path("dedup", "pairs", "removed")
    if not store.exists(folder):
        return 0
    paths = [file.path for file in store.listing(folder)]
    return sum(int((frames.column(path, "kept").to_numpy() == doc).sum()) for path in paths)


# ---- decontaminate


def _benchmarks(rundir: RunDirectory, shard: Shard, row: int) -> Benchmarks | None:
    if "decontaminate" not in rundir.recipe.stages:
        return None
    decided = _row(rundir.decision("decontaminate", shard), row)
    if decided is None:
        return None
    cuts = tuple((span["start"], span["end"]) for span in decided["cuts"] or ())
    pieces = decided["pieces"]
    spans = None if pieces is None else tuple((span["start"], span["end"]) for span in pieces)
    return Benchmarks(decided["keep"], decided["reason"], _quotes(rundir, shard, row), cuts, spans)


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
    return {
        gram: [names[number] for number in examples_of_gram.tolist()]
        for gram, examples_of_gram in numbers.items()
    }


def gram_examples(rundir: RunDirectory) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(indptr int64[grams + 1], example numbers) of the gram table; the rest of it is not read."""
    folder = rundir.path("decontaminate", "benchmarks")
    indptr, examples = (
        store.read_array(store.join(folder, f"{name}.npy"))
        for name in ("example_indptr", "examples")
    )
    return indptr, examples


# ---- tokens and shards


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
    parts = {part["dataset"]: part for part in store.read_json(path)["mixture"]}
    if shard.dataset not in parts:
        return Placed(counts)
    group = pa.record_batch({"group": pa.array([tokens.get("group")], pa.string())})
    epochs = float(document_epochs(parts[shard.dataset], group)[0])
    return place(rundir, shard.dataset, tokens["content"], counts, epochs)


def place(
    rundir: RunDirectory, dataset: str, content: bytes, counts: tuple[int, ...], epochs: float
) -> Placed:
    """Where a document's chunks are, by the formula of `stages/mix/stage.py`."""
    config, seed = rundir.recipe.mix, rundir.recipe.seed
    chunks = sum(-(-count // mix.CHUNK_TOKENS) for count in counts)
    if not epochs:  # its value has weight 0
        return Placed(counts, False, chunks, epochs, {}, True)
    if draws.uniform(seed, "validation", content) < config.validation:
        return Placed(counts, True, chunks, epochs, {f"validation-{dataset}-00000": chunks}, True)
    keys = [content + number.to_bytes(4, "little") for number in range(chunks)]
    chunks_of = np.zeros(config.shards, np.int64)
    for epoch in range(int(np.ceil(epochs))):
        at = mix.positions(seed, epoch, keys, epochs)
        at = at[at < 1.0]
        np.add.at(
            chunks_of, np.minimum((at * config.shards).astype(np.int64), config.shards - 1), 1
        )
    shards = {
        f"train-{number:05d}": int(chunks_of[number])
        for number in np.flatnonzero(chunks_of).tolist()
    }
    return Placed(counts, False, chunks, epochs, shards, True)
