"""The checks of token shards: bytes against manifest and index, documents against shards, mixture against plan.

Cost: every shard's bytes are read twice (hash, tokens), the content and counts of every document twice. Each check yields its problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curation import store
from curation.inspect.evidence import frames
from curation.inspect.evidence.fate import place
from curation.kernels.indexed import read_index
from curation.stages.mix import mixture as theory
from curation.stages.mix import stage as mix

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

BLOCK_TOKENS = 4 << 20
SAMPLED = 20  # documents of each shard whose tokens are looked at one by one
Problems = Iterator[str]


def pieces_left(rundir: RunDirectory, shard: Shard, rows: Any) -> list[Any]:
    """The spans that decontaminate left of each row; None for a whole text."""
    if "decontaminate" not in rundir.recipe.stages:
        return [None] * len(rows)
    found: list[Any] = (
        frames.take(rundir.decision("decontaminate", shard), rows, ["pieces"]).column(0).to_pylist()
    )
    return found


# ---- shards ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scan:
    """One reading of a token shard: its size, largest token, and where its end-of-text tokens stand."""

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
            if row["name"] in scans and (said := problem(row, scans[row["name"]])):
                yield f"{row['name']}: {said}"

    def manifest() -> Problems:
        for row in rows:
            path = rundir.path("shards", row["name"] + ".bin")
            if row["name"] not in scans:
                yield f"{row['name']}.bin is missing; run again from mix"
            elif store.sha256(path) != row["sha256"]:
                yield f"{row['name']}.bin: not the bytes that the manifest names (sha256 differs); run again from mix"
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


def _differs(what: str, have: float, said: float) -> str:
    return "" if have == said else f"{have:,.10g} {what}, but the manifest says {said:,}"


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
    """Lengths add up to the shard, and every chunk ends with end-of-text or is a full part of a longer piece."""
    for row in rows:
        name = row["name"]
        path = rundir.path("shards", name + ".idx")
        if not store.exists(path):
            yield f"{name}.idx is missing; run again from mix"
            continue
        try:
            lengths, dtype = read_index(store.read_bytes(path))
        except ValueError as error:
            yield f"{name}.idx: {error}"
            continue
        if len(lengths) != row["sequences"]:
            yield f"{name}.idx: {len(lengths):,} sequences, but the manifest says {row['sequences']:,}"
        if dtype.itemsize != np.dtype(facts["dtype"]).itemsize:
            yield f"{name}.idx: tokens of type {dtype}, but {facts['dtype']} expected"
        scan = scans.get(name)
        if scan is None:
            continue
        if lengths.sum() * dtype.itemsize != scan.bytes:
            yield f"{name}.idx: {int(lengths.sum()):,} tokens, but the shard has {scan.bytes // dtype.itemsize:,}"
            continue
        last = np.cumsum(lengths) - 1
        whole = np.isin(last, scan.ends) | (lengths == mix.CHUNK_TOKENS)
        if not whole.all():
            yield f"{name}.idx: sequence {int(np.argmin(whole)):,} does not end where a piece or chunk ends"


# ---- mixture ---------------------------------------------------------------------------------------------------------------------------


def apart(rundir: RunDirectory, plan: Plan, rows: list[dict[str, Any]]) -> Problems:
    """Every chunk counted where its draws put it, and sampled held-out documents looked for in the training shards.

    A held-out document that decontaminate cut is not looked for: what is left of it may be all of another.
    """
    parts = mixture(rundir)
    sequences = Counter({row["name"]: 0 for row in rows})
    held: dict[bytes, str] = {}
    for shard in plan.of(*parts):
        chosen: list[int] = []
        for row, content, counts in _documents(rundir, shard):
            put = place(rundir, shard.dataset, content, counts, parts[shard.dataset]["epochs"])
            sequences.update(put.shards)
            if put.held_out and put.chunks == 1 and len(chosen) < SAMPLED:
                chosen.append(row)
        held |= _held_out(rundir, shard, np.array(chosen, np.int64))
    for told in rows:
        if sequences[told["name"]] != told["sequences"]:
            yield f"{told['name']}: {told['sequences']:,} chunks, but {sequences[told['name']]:,} belong there"
        if told["split"] == "train":
            yield from _found(rundir, told["name"], held)


def mixture(rundir: RunDirectory) -> dict[str, dict[str, Any]]:
    """The planned mixture by dataset."""
    return {
        p["dataset"]: p for p in store.read_json(rundir.path("shards", "shards.json"))["mixture"]
    }


def _documents(rundir: RunDirectory, shard: Shard) -> Iterator[tuple[int, bytes, tuple[int, ...]]]:
    """Row, content and tokens of each piece of the documents that have tokens."""
    start = 0
    for batch in store.read_groups(rundir.table("tokens", shard), ["content", "counts"]):
        columns = (column.to_pylist() for column in batch.columns)
        for row, (content, counts) in enumerate(zip(*columns, strict=True), start):
            if counts:
                yield row, content, tuple(counts)
        start += batch.num_rows


def _held_out(rundir: RunDirectory, shard: Shard, rows: Any) -> dict[bytes, str]:
    """Tokens of some documents that stand whole in validation, by name."""
    pieces = pieces_left(rundir, shard, rows)
    whole = np.array([spans is None for spans in pieces], bool)
    found = frames.take(rundir.table("tokens", shard), rows[whole], ["id", "tokens"]).to_pylist()
    return {row["tokens"][0]: f"{shard.dataset} {row['id']}" for row in found}


def _found(rundir: RunDirectory, name: str, held: dict[bytes, str]) -> Problems:
    """Held-out documents that stand in a training shard: only sequences of their lengths are read."""
    path, index = (rundir.path("shards", name + ending) for ending in (".bin", ".idx"))
    if not held or not (store.exists(path) and store.exists(index)):
        return
    lengths, dtype = read_index(store.read_bytes(index))
    ends = np.cumsum(lengths) * dtype.itemsize
    sizes = lengths * dtype.itemsize
    with store.open_input(path) as stream:
        for i in np.flatnonzero(np.isin(sizes, [len(tokens) for tokens in held])).tolist():
            stream.seek(int(ends[i] - sizes[i]))
            document = held.get(bytes(stream.read(int(sizes[i]))))
            if document is not None:
                yield f"{name}: sequence {i:,} is {document}, which is held out for validation"


def shares(rundir: RunDirectory, plan: Plan, rows: list[dict[str, Any]]) -> Problems:
    """Tokens of each dataset, in every training shard and in all, against what the plan has there, within the bounds of chance."""
    train = [row for row in rows if row["split"] == "train"]
    parts = mixture(rundir)
    comparisons = len(parts) * (len(train) + 1)
    for name, part in parts.items():
        chunks, longest = _chunks_of(rundir, plan, name)
        at, wanted = rundir.recipe.place(name), part["epochs"] * part["tokens"]
        placed = [row["dataset_tokens"][at] for row in train]
        for shard in (None, *range(len(train))):
            got = sum(placed) if shard is None else placed[shard]
            mean = wanted if shard is None else wanted / len(train)
            spread = chunks * theory.spread(part["epochs"], len(train), shard)
            allowed = theory.bound(spread, longest, comparisons)
            if abs(got - mean) > allowed:
                where = "all training shards" if shard is None else train[shard]["name"]
                yield f"{name} in {where}: {got:,} tokens, {mean:,.0f} planned; more than {allowed:,.0f} apart"


def _chunks_of(rundir: RunDirectory, plan: Plan, dataset: str) -> tuple[float, float]:
    """The sum of the squared lengths of a dataset's training chunks, and the longest, in tokens.

    Documents of the same text (where dedup did not run) share their draws, so m of them are one chunk of m times the length.
    """
    squares, longest, contents = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, "V16")]
    for shard in plan.of(dataset):
        for batch in store.read_groups(rundir.table("tokens", shard), ["content", "counts"]):
            held = mix.held_out(rundir, batch.column(0))
            counts = batch.column(1)
            rows = np.flatnonzero(np.asarray(counts.is_valid()) & ~held)
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
    _, inverse, copies = np.unique(
        np.concatenate(contents), return_inverse=True, return_counts=True
    )
    times = copies[inverse]
    return float((np.concatenate(squares) * times).sum()), float(
        (np.concatenate(longest) * times).max(initial=0)
    )
