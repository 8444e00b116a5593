"""The checks of token shards: bytes against manifest and index, documents against shards, mixture against plan.

Cost: every shard's bytes are read twice (hash, tokens), the content and counts of every document twice. Each check yields its problems.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curation import store
from curation.inspect import frames
from curation.inspect.fate import place
from curation.kernels.indexed import read_index
from curation.stages import mix

if TYPE_CHECKING:
    from curation.context import Context, Shard
    from curation.plan import Plan

BLOCK_TOKENS = 4 << 20
SAMPLED = 20  # documents of each shard whose tokens are looked at one by one
SIGMAS = 5.0  # what an achieved share may differ from the planned one, in standard deviations of the chunk draw
Problems = Iterator[str]


def pieces_left(context: Context, shard: Shard, rows: Any) -> list[Any]:
    """The spans that decontaminate left of each row; None for a whole text."""
    if "decontaminate" not in context.recipe.stages:
        return [None] * len(rows)
    found: list[Any] = frames.take(context.decision("decontaminate", shard), rows, ["pieces"]).column(0).to_pylist()
    return found


# ---- shards ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scan:
    """One reading of a token shard: its size, largest token, and where its end-of-text tokens stand."""

    bytes: int
    highest: int
    ends: Any


def shard_problems(context: Context, rows: list[dict[str, Any]]) -> list[tuple[str, Problems]]:
    """The checks of each shard for itself, by name; a damaged file is read once."""
    facts = store.read_json(context.path("tokens", "encoding.json"))
    width = np.dtype(facts["dtype"]).itemsize
    scans: dict[str, _Scan] = {}
    for row in rows:
        path = context.path("shards", row["name"] + ".bin")
        if store.exists(path):
            scans[row["name"]] = _scan(path, facts)

    def each(problem: Callable[[dict[str, Any], _Scan], str]) -> Problems:
        for row in rows:
            if row["name"] in scans and (said := problem(row, scans[row["name"]])):
                yield f"{row['name']}: {said}"

    def manifest() -> Problems:
        for row in rows:
            path = context.path("shards", row["name"] + ".bin")
            if row["name"] not in scans:
                yield f"{row['name']}.bin is missing; run again from mix"
            elif store.sha256(path) != row["sha256"]:
                yield f"{row['name']}.bin: not the bytes that the manifest names (sha256 differs); run again from mix"
        yield from each(lambda row, scan: _differs("tokens", scan.bytes / width, row["tokens"]))
        yield from each(lambda row, _: _differs("tokens of its datasets", sum(row["dataset_tokens"]), row["tokens"]))

    vocabulary, most = facts["vocabulary"], max(0, facts["vocabulary"] - 1)
    high = each(
        lambda _, s: f"token {s.highest:,}, but the vocabulary ends at {most:,}" if s.highest >= vocabulary else ""
    )
    ends = each(lambda row, scan: _differs("end-of-text tokens", len(scan.ends), row["ends"]))
    return [
        ("shards are what the manifest says", manifest()),
        ("tokens within the vocabulary", high),
        ("end-of-text tokens", ends),
        ("indexes fit the shards", _indexes(context, rows, scans, facts)),
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


def _indexes(context: Context, rows: list[dict[str, Any]], scans: dict[str, _Scan], facts: dict[str, Any]) -> Problems:
    """Lengths add up to the shard, and every chunk ends with end-of-text or is a full part of a longer piece."""
    for row in rows:
        name = row["name"]
        path = context.path("shards", name + ".idx")
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


def apart(context: Context, plan: Plan, rows: list[dict[str, Any]]) -> Problems:
    """Every chunk counted where its draws put it, and sampled held-out documents looked for in the training shards.

    A held-out document that decontaminate cut is not looked for: what is left of it may be all of another.
    """
    parts = mixture(context)
    sequences = Counter({row["name"]: 0 for row in rows})
    held: dict[bytes, str] = {}
    for shard in plan.of(*parts):
        chosen: list[int] = []
        for row, content, counts in _documents(context, shard):
            put = place(context, shard.dataset, content, counts, parts[shard.dataset]["epochs"])
            sequences.update(put.shards)
            if put.held_out and put.chunks == 1 and len(chosen) < SAMPLED:
                chosen.append(row)
        held |= _held_out(context, shard, np.array(chosen, np.int64))
    for told in rows:
        if sequences[told["name"]] != told["sequences"]:
            yield f"{told['name']}: {told['sequences']:,} chunks, but {sequences[told['name']]:,} belong there"
        if told["split"] == "train":
            yield from _found(context, told["name"], held)


def mixture(context: Context) -> dict[str, dict[str, Any]]:
    """The planned mixture by dataset."""
    return {p["dataset"]: p for p in store.read_json(context.path("shards", "shards.json"))["mixture"]}


def _documents(context: Context, shard: Shard) -> Iterator[tuple[int, bytes, tuple[int, ...]]]:
    """Row, content and tokens of each piece of the documents that have tokens."""
    start = 0
    for batch in store.read_groups(context.table("tokens", shard), ["content", "counts"]):
        columns = (column.to_pylist() for column in batch.columns)
        for row, (content, counts) in enumerate(zip(*columns, strict=True), start):
            if counts:
                yield row, content, tuple(counts)
        start += batch.num_rows


def _held_out(context: Context, shard: Shard, rows: Any) -> dict[bytes, str]:
    """Tokens of some documents that stand whole in validation, by name."""
    pieces = pieces_left(context, shard, rows)
    whole = np.array([spans is None for spans in pieces], bool)
    found = frames.take(context.table("tokens", shard), rows[whole], ["id", "tokens"]).to_pylist()
    return {row["tokens"][0]: f"{shard.dataset} {row['id']}" for row in found}


def _found(context: Context, name: str, held: dict[bytes, str]) -> Problems:
    """Held-out documents that stand in a training shard: only sequences of their lengths are read."""
    path, index = (context.path("shards", name + ending) for ending in (".bin", ".idx"))
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


def shares(context: Context, plan: Plan, rows: list[dict[str, Any]]) -> Problems:
    """Achieved tokens of each dataset against epochs x tokens: the chunk draws' own spread is what is allowed."""
    train = [row["dataset_tokens"] for row in rows if row["split"] == "train"]
    placed = [sum(column) for column in zip(*train, strict=True)]
    for name, part in mixture(context).items():
        got, wanted = placed[context.recipe.place(name)], part["epochs"] * part["tokens"]
        allowed = _tolerance(context, plan, name, part["epochs"])
        if abs(got - wanted) > allowed:
            yield f"{name}: {got:,} tokens placed, {wanted:,.0f} planned; more than {allowed:,.0f} apart"


def _tolerance(context: Context, plan: Plan, dataset: str, epochs: float) -> float:
    """SIGMAS standard deviations of the tokens placed, and one longest chunk.

    Only the last, incomplete epoch is a matter of chance: each chunk of n tokens is in it with probability f, variance n^2 f (1 - f).
    Documents of the same text (where dedup did not run) share their draws, so m of them count m times m.
    """
    fraction = epochs - math.floor(epochs)
    squares, contents = [np.zeros(0)], [np.zeros(0, "V16")]
    longest = 0
    for shard in plan.of(dataset):
        for _, content, counts in _documents(context, shard):
            tokens = np.array(counts, np.float64)
            full, rest = np.divmod(tokens, mix.CHUNK_TOKENS)
            squares.append(np.array([(full * mix.CHUNK_TOKENS**2 + rest**2).sum()]))
            contents.append(np.frombuffer(content, "V16"))
            longest = max(longest, int(min(tokens.max(), mix.CHUNK_TOKENS)))
    _, inverse, copies = np.unique(np.concatenate(contents), return_inverse=True, return_counts=True)
    variance = float((np.concatenate(squares) * copies[inverse]).sum()) * fraction * (1 - fraction)
    return SIGMAS * math.sqrt(variance) + longest
