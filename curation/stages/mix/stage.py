"""mix: the weighted mixture without replacement, packed into token shards (GPT-3, section 2.2 and
table 2.2).

Given a budget of T tokens, dataset d gets weight_d * T / tokens_d epochs, or each group of its
documents its own (see `mixture.py`). Copy e of a chunk stands at position
(e + uniform(seed, "mix/e", content and chunk number)) / epochs of the whole; positions of 1 and
more do not take part. The shard is floor(position * shards), the order inside it that of position.
One formula: the weights hold in expectation in every shard, every complete epoch ends before the
next begins, and nothing depends on engine or order. `shards.json` says at which tokens of a shard
an epoch begins (`epochs`), so that a reader which permutes a shard can keep epochs apart.

Cost: reads the tokens once, moves them once by shuffle. Memory: a row group while emitting, one
batch while writing.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.digests import config_digest
from curation.errors import InputError
from curation.kernels import indexed
from curation.recipe.groups import in_order
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.encodings import copy_vocabulary
from curation.rundir.results import ShardResult, run_once, table_facts
from curation.stages.mix.groups import (
    check_groups,
    count_shard,
    document_epochs,
    group_columns,
    held_out,
    shares_of,
)
from curation.stages.mix.mixture import Share, epoch_starts, keys_at, mixture_warnings

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 3
CHUNK_TOKENS = 32_768  # a longer piece is placed in parts, else one book fills whole batches
BATCH_BYTES = 4 << 20


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> list[Share]:
    """Write the training and validation shards, their manifest and `shards.json`."""
    shards = [s for s in plan.shards if s.dataset in rundir.recipe.mix.weights]
    borrowed = "tokenize" not in rundir.recipe.stages
    facts = _common_encoding(rundir, shards) if borrowed else {}
    check_groups(rundir, shards)
    counted = engine.map("mix: count", partial(count_shard, rundir), shards)
    shares = shares_of(rundir, shards, counted)  # may refuse: nothing is written before
    if borrowed:
        source = shards[0].files[0].path.rpartition("/")[0].rpartition("/")[0]
        copy_vocabulary(source, facts, rundir.path("tokens"))
        store.write_json(rundir.path("tokens", "encoding.json"), facts)
        identities = tuple(engine.map("mix: gather", partial(borrow_shard, rundir), shards))
    else:
        paths = [rundir.table("tokens", shard) for shard in shards]
        identities = tuple(fact.identity for fact in table_facts(rundir, paths).values())
    recipe = rundir.recipe
    weights = recipe.mix.by_weights.items()
    grouped = [(name, in_order(keys)) for name, keys in sorted(weights)]
    parts = (VERSION, recipe.mix, recipe.seed, recipe.names(), identities, *grouped)
    digest = config_digest("mix", *parts)
    manifest = rundir.path("shards", "manifest.parquet")
    names = shard_names(rundir)
    starts = epoch_starts(shares, rundir.recipe.mix.shards)

    def make() -> ShardResult:
        for old in (manifest, rundir.path("shards", "shards.json")):
            store.delete(old)  # until the new ones are written there is no mixture to read
        _drop_others(rundir, names)
        encoding = store.read_json(rundir.path("tokens", "encoding.json"))
        rows = engine.shuffle(
            "mix",
            partial(emit_chunks, rundir, shares, encoding["dtype"]),
            shards,
            len(names),
            partial(write_shard, rundir, names, digest, encoding, starts),
            schema.CHUNKS,
            ["key", "content", "dataset", "id", "chunk", "epoch"],
        )
        copy_vocabulary(rundir.path("tokens"), encoding, rundir.path("shards"))
        store.write_json(rundir.path("shards", "shards.json"), _shards_json(encoding, shares, rows))
        with store.TableWriter(manifest, schema.SHARDS, digest) as writer:
            writer.write(pa.RecordBatch.from_pylist(rows, schema.SHARDS))  # leaves `epochs` out
        return ShardResult(digest)

    run_once(manifest, digest, make)
    return shares


def warnings(rundir: RunDirectory) -> list[str]:
    """What the mixture of a finished run leaves unused or repeats often, a line each."""
    path = rundir.path("shards", "shards.json")
    return mixture_warnings(store.read_json(path)["mixture"]) if store.exists(path) else []


def _common_encoding(rundir: RunDirectory, shards: list[Shard]) -> dict[str, Any]:
    """A recipe that does not tokenize names token tables of other runs as its files: the encoding
    that all of them have.

    Raises InputError where they are not of one encoding, or no token tables.
    """
    encodings = {}
    paths = (shard.files[0].path for shard in shards)
    for folder in dict.fromkeys(path.rpartition("/")[0].rpartition("/")[0] for path in paths):
        path = store.join(folder, "encoding.json")
        if not store.exists(path):
            raise InputError(
                f"{folder}: no tokens/ of a finished run there; make one with `curation tokenize`"
            )
        encodings[folder] = store.read_json(path)
    if len({facts["encoding"] for facts in encodings.values()}) > 1:
        encodings_found = ", ".join(
            f"{folder} has {facts['encoding']}" for folder, facts in encodings.items()
        )
        raise InputError(f"mix: token shards of one encoding expected, but {encodings_found}")
    first = next(iter(encodings.values()))
    facts: dict[str, Any] = {key: value for key, value in first.items() if key != "by"}
    by = rundir.recipe.mix.by
    return {**facts, "by": by} if by else facts


def borrow_shard(rundir: RunDirectory, shard: Shard) -> str:
    """Copy one token table from the run that made it, unless it is here; its identity."""
    source, path = shard.files[0].path, rundir.table("tokens", shard)
    source_footer = store.need_footer(source)
    if not store.done(path, source_footer.digest):
        store.write_bytes(path, store.read_bytes(source))
    return source_footer.identity


# ---- the plan ------------------------------------------------------------------------------------


def shard_names(rundir: RunDirectory) -> list[str]:
    """Training shards, then one validation shard a dataset."""
    train = [f"train-{number:05d}" for number in range(rundir.recipe.mix.shards)]
    return train + [
        f"validation-{name}-00000"
        for name in rundir.recipe.names()
        if rundir.recipe.mix.weights.get(name)
    ]


def _shards_json(
    facts: dict[str, Any], shares: list[Share], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the trainer reads first; `facts` are of the encoding."""
    return {
        **facts,
        "train": [row["name"] for row in rows if row["split"] == "train"],
        "validation": {s.dataset: [f"validation-{s.dataset}-00000"] for s in shares},
        "tokens": sum(row["tokens"] for row in rows if row["split"] == "train"),
        "epochs": {row["name"]: row["epochs"] for row in rows if row["epochs"]},
        "mixture": [
            {
                "dataset": s.dataset,
                "weight": s.weight,
                "tokens": s.tokens,
                "validation_tokens": s.validation_tokens,
                "epochs": s.epochs,
                **({"groups": [asdict(group) for group in s.groups]} if s.groups else {}),
            }
            for s in shares
        ],
    }


def _drop_others(rundir: RunDirectory, names: list[str]) -> None:
    """Remove shards, and a vocabulary, that this mixture does not have: a reader of the folder must
    not find them."""
    folder = rundir.path("shards")
    for file in store.listing(folder):
        stem, _, kind = file.name.rpartition(".")
        if stem not in names or (kind == "parquet" and not rundir.recipe.mix.parquet):
            store.delete(file.path)


# ---- placing chunks ------------------------------------------------------------------------------


def positions(
    seed: int, epoch: int, keys: list[bytes], epochs: float | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Where copy `epoch` of each chunk stands in [0, 1): 1 and more means that it takes no part.
    float64[n]. `epochs` of all, or of each."""
    return (epoch + draws.uniforms(seed, f"mix/{epoch}", keys)) / epochs


def emit_chunks(
    rundir: RunDirectory, shares: list[Share], dtype: str, shard: Shard
) -> Iterator[pa.RecordBatch]:
    """Every copy of every chunk of a shard that takes part, with its place."""
    share = {s.dataset: s for s in shares}.get(shard.dataset)
    if share is None:
        return
    width = np.dtype(dtype).itemsize
    place = rundir.recipe.place(shard.dataset)
    training = rundir.recipe.mix.shards
    validation_part = training + [s.dataset for s in shares].index(shard.dataset)
    part_of = asdict(share)
    columns = ["id", "content", "tokens", *group_columns(part_of)]
    for batch in store.read_groups(rundir.table("tokens", shard), columns):
        is_held_out = held_out(rundir, batch.column("content"))
        epochs_of = document_epochs(part_of, batch)
        for out in (False, True):
            chosen = (is_held_out == out) & (epochs_of > 0)
            chunks = _chunks(batch.filter(pa.array(chosen)), width)
            if not chunks.keys:
                continue
            if out:
                at = draws.uniforms(rundir.recipe.seed, "mix/validation", chunks.keys)
                yield from _rows(
                    chunks, np.arange(len(at)), at, np.full(len(at), validation_part), place, 0
                )
                continue
            epochs = np.repeat(epochs_of[chosen], chunks.per_document)
            for epoch in range(int(np.ceil(epochs.max()))):
                rows = np.flatnonzero(epochs > epoch)
                keys = [chunks.keys[row] for row in rows.tolist()]
                at = positions(rundir.recipe.seed, epoch, keys, epochs[rows])
                inside = at < 1.0
                part = np.minimum((at[inside] * training).astype(np.int64), training - 1)
                yield from _rows(chunks, rows[inside], at[inside], part, place, epoch)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Chunks of some documents: parallel lists; `keys` are content and chunk number, what a draw
    is made for; and how many chunks each document has."""

    keys: list[bytes]
    ids: list[str]
    content: list[bytes]
    numbers: list[int]
    tokens: list[bytes]
    per_document: list[int]


def _chunks(batch: pa.RecordBatch, width: int) -> _Chunks:
    chunks = _Chunks([], [], [], [], [], [])
    step = CHUNK_TOKENS * width
    for id_, content, pieces in zip(
        *(batch.column(n).to_pylist() for n in ("id", "content", "tokens")), strict=True
    ):
        number = 0
        for piece in pieces or ():
            for start in range(0, len(piece), step):
                chunks.keys.append(content + number.to_bytes(4, "little"))
                chunks.ids.append(id_)
                chunks.content.append(content)
                chunks.numbers.append(number)
                chunks.tokens.append(piece[start : start + step])
                number += 1
        chunks.per_document.append(number)
    return chunks


def _rows(
    chunks: _Chunks,
    chosen: npt.NDArray[np.int64],
    at: npt.NDArray[np.float64],
    part: npt.NDArray[np.int64],
    place: int,
    epoch: int,
) -> Iterator[pa.RecordBatch]:
    """Rows of schema.CHUNKS, a few megabytes at a time."""
    key = keys_at(at)
    sizes = np.cumsum([len(chunks.tokens[i]) for i in chosen.tolist()], dtype=np.int64)
    total = int(sizes[-1]) if len(sizes) else 0
    bounds = np.searchsorted(sizes, np.arange(BATCH_BYTES, total + BATCH_BYTES, BATCH_BYTES))
    start = 0
    for bound in bounds:
        end = min(int(bound) + 1, len(chosen))
        if end <= start:
            continue
        rows = chosen[start:end].tolist()
        n = len(rows)
        columns = [
            part[start:end].astype(np.int64),
            key[start:end],
            [chunks.content[i] for i in rows],
            np.full(n, place, np.int64),
            [chunks.ids[i] for i in rows],
            [chunks.numbers[i] for i in rows],
            np.full(n, epoch, np.int64),
            [chunks.tokens[i] for i in rows],
        ]
        yield pa.record_batch(
            [pa.array(c, f.type) for c, f in zip(columns, schema.CHUNKS, strict=True)],
            schema=schema.CHUNKS,
        )
        start = end


# ---- writing shards ------------------------------------------------------------------------------


def write_shard(
    rundir: RunDirectory,
    names: list[str],
    digest: str,
    facts: dict[str, Any],
    starts: Sequence[npt.NDArray[np.int64]],
    part: int,
    batches: Iterator[pa.RecordBatch],
) -> dict[str, Any]:
    """Write one shard's `.bin` (and `.parquet`, where asked for), then its `.idx`; returns its
    manifest row, and the tokens at which epochs begin (`starts` has their keys). `facts`:
    tokens/encoding.json."""
    dtype = np.dtype(facts["dtype"]).newbyteorder("<")
    name = names[part]
    datasets = np.zeros(len(rundir.recipe.dataset), np.int64)
    lengths: list[npt.NDArray[np.int64]] = []
    keys = starts[part] if part < len(starts) else np.zeros(0, np.int64)
    places = np.zeros(len(keys), np.int64)
    ends = 0
    state = hashlib.sha256()
    with contextlib.ExitStack() as files:
        file = files.enter_context(store.atomic(rundir.path("shards", name + ".bin")))
        table = None
        if rundir.recipe.mix.parquet:
            path = rundir.path("shards", name + ".parquet")
            table = files.enter_context(
                store.TableWriter(path, schema.packed(facts["dtype"]), digest)
            )
        for batch in batches:
            data, sizes = _bytes_of(batch.column("tokens"), dtype)
            file.write(data)
            state.update(data)
            lengths.append(sizes)
            before = np.searchsorted(batch.column("key").to_numpy(), keys)
            places += np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])[before]
            np.add.at(datasets, batch.column("dataset").to_numpy(), sizes)
            tokens = np.frombuffer(data, dtype)
            ends += int((tokens == facts["end_of_text"]).sum())
            if table is not None:
                table.write(_packed(rundir, batch, tokens, sizes))
    sequences = np.concatenate([np.zeros(0, np.int64), *lengths])
    store.write_bytes(rundir.path("shards", name + ".idx"), indexed.index_bytes(sequences, dtype))
    return {
        "name": name,
        "split": "train" if part < rundir.recipe.mix.shards else "validation",
        "tokens": int(sequences.sum()),
        "sequences": len(sequences),
        "ends": ends,
        "dataset_tokens": datasets.tolist(),
        "sha256": state.hexdigest(),
        "epochs": np.unique(places).tolist(),
    }


def _bytes_of(column: pa.Array, dtype: npt.DTypeLike) -> tuple[memoryview, npt.NDArray[np.int64]]:
    """The chunks of a batch end to end, and how many tokens each has."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[
        column.offset : column.offset + len(column) + 1
    ]
    data = memoryview(column.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    return data, np.diff(offsets).astype(np.int64) // np.dtype(dtype).itemsize


def _packed(
    rundir: RunDirectory,
    batch: pa.RecordBatch,
    tokens: npt.NDArray[Any],
    sizes: npt.NDArray[np.int64],
) -> pa.RecordBatch:
    """The same chunks as rows that name their documents."""
    names = pa.array(rundir.recipe.names()).take(batch.column("dataset"))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    values = pa.array(tokens.astype(tokens.dtype.newbyteorder("="), copy=False))
    columns = [
        names,
        *(batch.column(n) for n in ("id", "chunk", "epoch")),
        pa.ListArray.from_arrays(offsets, values),
    ]
    return pa.record_batch(columns, schema=schema.packed(str(values.type)))
