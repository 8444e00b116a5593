"""The checks of token shards: against manifest and index, documents, and the planned mixture.

Cost: every shard's bytes are read twice (hash, tokens), the content and counts of every document
twice. Each check yields its problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.inspect.evidence import frames
from curation.inspect.evidence.fate import place
from curation.kernels.indexed import read_index
from curation.stages.mix import mixture as theory
from curation.stages.mix import stage as mix
from curation.stages.mix.groups import document_epochs, group_columns, held_out

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

BLOCK_TOKENS = 4 << 20
SAMPLED = 20  # documents of each shard whose tokens are looked at one by one
Problems = Iterator[str]


def pieces_left(rundir: RunDirectory, shard: Shard, rows: Any) -> list[Any]:
    """The spans of each row that decontaminate kept; None for a whole text."""
    if "decontaminate" not in rundir.recipe.stages:
        return [None] * len(rows)
    table = frames.take(rundir.decision("decontaminate", shard), rows, ["pieces"])
    pieces: list[Any] = table.column(0).to_pylist()
    return pieces


def shard_index(
    rundir: RunDirectory, name: str
) -> tuple[npt.NDArray[np.int64], np.dtype[Any]] | None:
    """Sequence lengths and token type of a shard, from its index; None where there is none.

    Raises ValueError where it is no index.
    """
    path = rundir.path("shards", name + ".idx")
    return read_index(store.read_bytes(path)) if store.exists(path) else None


# ---- shards


@dataclass(frozen=True, slots=True)
class _Scan:
    """One reading of a token shard: bytes, largest token, and places of its end-of-text tokens."""

    bytes: int
    highest: int
    ends: Any


def shard_problems(rundir: RunDirectory, rows: list[dict[str, Any]]) -> list[tuple[str, Problems]]:
    """The checks of each shard for itself, by name; a damaged file is read once."""
    facts = store.read_json(rundir.path("tokens", "encoding.json"))
    width = np.dtype(facts["dtype"]).itemsize
    scans: dict[str, _Scan] = {}
    for row in rows:
        path = rundir.path("shards", row["name"] + ".bin")
        if store.exists(path):
            scans[row["name"]] = _scan(path, facts)

    def each(problem: Callable[[dict[str, Any], _Scan], str]) -> Problems:
        for row in rows:
            if row["name"] in scans and (what := problem(row, scans[row["name"]])):
                yield f"{row['name']}: {what}"

    def manifest() -> Problems:
        for row in rows:
            path = rundir.path("shards", row["name"] + ".bin")
            if row["name"] not in scans:
                yield f"{row['name']}.bin is missing; run again from mix"
            elif store.sha256(path) != row["sha256"]:
                yield (
                    f"{row['name']}.bin: its sha256 is not that of the manifest; run again from mix"
                )
        yield from each(lambda row, scan: _differs("tokens", scan.bytes / width, row["tokens"]))
        yield from each(
            lambda row, _: _differs(
                "tokens of its datasets", sum(row["dataset_tokens"]), row["tokens"]
            )
        )

    vocabulary, most = facts["vocabulary"], max(0, facts["vocabulary"] - 1)
    high = each(
        lambda _, s: (
            f"token {s.highest:,}, but the vocabulary ends at {most:,}"
            if s.highest >= vocabulary
            else ""
        )
    )
    ends = each(lambda row, scan: _differs("end-of-text tokens", len(scan.ends), row["ends"]))
    return [
        ("shards are what the manifest says", manifest()),
        ("tokens within the vocabulary", high),
        ("end-of-text tokens", ends),
        ("indexes fit the shards", _indexes(rundir, rows, scans, facts)),
    ]


def _differs(what: str, count: float, expected: float) -> str:
    return "" if count == expected else f"{count:,.10g} {what}, but the manifest says {expected:,}"


def _scan(path: str, facts: dict[str, Any]) -> _Scan:
    dtype = np.dtype(facts["dtype"]).newbyteorder("<")
    size, highest, start = 0, -1, 0
    ends = [np.zeros(0, np.int64)]
    with store.open_input(path) as stream:
        while block := stream.read(BLOCK_TOKENS * dtype.itemsize):
            size += len(block)
            tokens = np.frombuffer(block, dtype, len(block) // dtype.itemsize)
            if len(tokens):
                highest = max(highest, int(tokens.max()))
            ends.append(np.flatnonzero(tokens == facts["end_of_text"]) + start)
            start += len(tokens)
    return _Scan(size, highest, np.concatenate(ends))


def _indexes(
    rundir: RunDirectory, rows: list[dict[str, Any]], scans: dict[str, _Scan], facts: dict[str, Any]
) -> Problems:
    """Lengths add up to the shard; every chunk ends with end-of-text or is full."""
    for row in rows:
        name = row["name"]
        try:
            index = shard_index(rundir, name)
        except ValueError as error:
            yield f"{name}.idx: {error}"
            continue
        if index is None:
            yield f"{name}.idx is missing; run again from mix"
            continue
        lengths, dtype = index
        if what := _differs("sequences", len(lengths), row["sequences"]):
            yield f"{name}.idx: {what}"
        if dtype.itemsize != np.dtype(facts["dtype"]).itemsize:
            yield f"{name}.idx: tokens of type {dtype}, but {facts['dtype']} expected"
        scan = scans.get(name)
        if scan is None:
            continue
        if lengths.sum() * dtype.itemsize != scan.bytes:
            tokens = scan.bytes // dtype.itemsize
            yield f"{name}.idx: {int(lengths.sum()):,} tokens, but the shard has {tokens:,}"
            continue
        last = np.cumsum(lengths) - 1
        whole = np.isin(last, scan.ends) | (lengths == mix.CHUNK_TOKENS)
        if not whole.all():
            sequence = int(np.argmin(whole))
            yield f"{name}.idx: sequence {sequence:,} does not end where a piece or chunk ends"


# ---- mixture


def apart(rundir: RunDirectory, plan: Plan, rows: list[dict[str, Any]]) -> Problems:
    """Every chunk counted in its shard, and held-out documents looked for in training shards.

    Held-out documents are sampled. One that decontaminate cut is not looked for: the rest of it may
    be the whole of another document.
    """
    parts = mixture(rundir)
    sequences = Counter({row["name"]: 0 for row in rows})
    held_out: dict[bytes, str] = {}
    for shard in plan.of(*parts):
        chosen: list[int] = []
        for number, content, counts, epochs in _documents(rundir, shard, parts[shard.dataset]):
            placed = place(rundir, shard.dataset, content, counts, epochs)
            sequences.update(placed.shards)
            if placed.held_out and placed.chunks == 1 and len(chosen) < SAMPLED:
                chosen.append(number)
        held_out |= _held_out(rundir, shard, np.array(chosen, np.int64))
    for row in rows:
        name, chunks = row["name"], sequences[row["name"]]
        if chunks != row["sequences"]:
            yield f"{name}: {row['sequences']:,} chunks, but {chunks:,} belong there"
        if row["split"] == "train":
            yield from _held_out_in_training(rundir, name, held_out)


def mixture(rundir: RunDirectory) -> dict[str, dict[str, Any]]:
    """The planned mixture by dataset."""
    return {
        p["dataset"]: p for p in store.read_json(rundir.path("shards", "shards.json"))["mixture"]
    }


def _documents(
    rundir: RunDirectory, shard: Shard, part: dict[str, Any]
) -> Iterator[tuple[int, bytes, tuple[int, ...], float]]:
    """Row, content, tokens of each piece, and epochs of the documents that have tokens."""
    start = 0
    names = ["content", "counts", *group_columns(part)]
    for batch in store.read_groups(rundir.table("tokens", shard), names):
        columns = (column.to_pylist() for column in batch.columns[:2])
        epochs = document_epochs(part, batch).tolist()
        for row, (content, counts, times) in enumerate(zip(*columns, epochs, strict=True), start):
            if counts:
                yield row, content, tuple(counts), times
        start += batch.num_rows


def _held_out(rundir: RunDirectory, shard: Shard, rows: Any) -> dict[bytes, str]:
    """The tokens of those of some held-out documents that were not cut, and their names."""
    pieces = pieces_left(rundir, shard, rows)
    whole = np.array([spans is None for spans in pieces], bool)
    table = frames.take(rundir.table("tokens", shard), rows[whole], ["id", "tokens"])
    return {row["tokens"][0]: f"{shard.dataset} {row['id']}" for row in table.to_pylist()}


def _held_out_in_training(rundir: RunDirectory, name: str, held_out: dict[bytes, str]) -> Problems:
    """Held-out documents that are in a training shard: only sequences of their lengths are read."""
    path, index = rundir.path("shards", name + ".bin"), shard_index(rundir, name)
    if not held_out or not store.exists(path) or index is None:
        return
    lengths, dtype = index
    ends = np.cumsum(lengths) * dtype.itemsize
    sizes = lengths * dtype.itemsize
    with store.open_input(path) as stream:
        for i in np.flatnonzero(np.isin(sizes, [len(tokens) for tokens in held_out])).tolist():
            stream.seek(int(ends[i] - sizes[i]))
            document = held_out.get(bytes(stream.read(int(sizes[i]))))
            if document is not None:
                yield f"{name}: sequence {i:,} is {document}, which is held out for validation"


def shares(rundir: RunDirectory, plan: Plan, rows: list[dict[str, Any]]) -> Problems:
    """Tokens of each dataset, in every training shard and in all, against those planned.

    They may differ within the bounds of chance.
    """
    train = [row for row in rows if row["split"] == "train"]
    parts = mixture(rundir)
    comparisons = len(parts) * (len(train) + 1)
    for name, part in parts.items():
        chunks, longest = _chunks_of(rundir, plan, part)
        at, planned = rundir.recipe.place(name), part["epochs"] * part["tokens"]
        placed = [row["dataset_tokens"][at] for row in train]
        for shard in (None, *range(len(train))):
            got = sum(placed) if shard is None else placed[shard]
            mean = planned if shard is None else planned / len(train)
            spread = sum(
                squares * theory.spread(epochs, len(train), shard)
                for epochs, squares in chunks.items()
            )
            allowed = theory.bound(spread, longest, comparisons)
            if abs(got - mean) > allowed:
                where = "all training shards" if shard is None else train[shard]["name"]
                tokens = f"{got:,} tokens, {mean:,.0f} planned"
                yield f"{name} in {where}: {tokens}; more than {allowed:,.0f} apart"


def _chunks_of(
    rundir: RunDirectory, plan: Plan, part: dict[str, Any]
) -> tuple[dict[float, float], float]:
    """The sum of the squared lengths of a dataset's training chunks by how often they are read, and
    the longest, in tokens.

    Documents of the same text (where dedup did not run) share their draws, so m of them count as
    one chunk of m times the length.
    """
    squares, longest, contents = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, "V16")]
    times_read = [np.zeros(0)]
    names = ["content", "counts", *group_columns(part)]
    for shard in plan.of(part["dataset"]):
        for batch in store.read_groups(rundir.table("tokens", shard), names):
            is_held_out = held_out(rundir, batch.column(0))
            counts = batch.column(1)
            epochs = document_epochs(part, batch)
            rows = np.flatnonzero(np.asarray(counts.is_valid()) & ~is_held_out & (epochs > 0))
            counts = counts.take(pa.array(rows))
            tokens = counts.flatten().to_numpy().astype(np.float64)
            full, rest = np.divmod(tokens, mix.CHUNK_TOKENS)
            starts = np.concatenate(
                [[0], np.cumsum(counts.value_lengths().to_numpy(zero_copy_only=False))]
            )[:-1]
            if not len(rows):
                continue
            squares.append(
                np.add.reduceat(full * mix.CHUNK_TOKENS**2 + rest**2, starts.astype(np.int64))
            )
            longest.append(
                np.minimum(np.maximum.reduceat(tokens, starts.astype(np.int64)), mix.CHUNK_TOKENS)
            )
            contents.append(np.array(batch.column(0).take(pa.array(rows)).to_pylist(), "V16"))
            times_read.append(epochs[rows])
    _, inverse, copies = np.unique(
        np.concatenate(contents), return_inverse=True, return_counts=True
    )
    times = copies[inverse]
    lengths, epochs = np.concatenate(squares) * times, np.concatenate(times_read)
    by_epochs = {
        value: float(lengths[epochs == value].sum()) for value in np.unique(epochs).tolist()
    }
    return by_epochs, float((np.concatenate(longest) * times).max(initial=0))
