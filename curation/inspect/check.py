"""`curation check`: is a run whole, and is what stands in its shards what its books say?

Cost: every token shard's bytes are read and hashed once; other tables column by column; texts of a few sampled documents.

Trap: a check that has nothing to look at (its stage has not run) is left out, not passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from rich.table import Table
from rich.text import Text

from curation import draws, ledger, store
from curation.context import DECIDING
from curation.errors import BooksError, CurationError
from curation.inspect import frames
from curation.inspect.fate import place
from curation.kernels.bpe import encoding
from curation.kernels.indexed import read_index
from curation.stages import mix
from curation.stages.common import before_ledger

if TYPE_CHECKING:
    from curation.context import Context, Shard
    from curation.plan import Plan

BLOCK_TOKENS = 4 << 20
SAMPLED = 20  # documents of each shard whose tokens are looked at one by one
SIGMAS = 5.0  # what an achieved share may differ from the planned one, in standard deviations of the chunk draw
Problems = Iterator[str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a check looked at (a count and a noun) and what it found wrong."""

    name: str
    looked_at: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def check(context: Context, plan: Plan) -> list[Result]:
    """Run every check that has something to look at, in the order of the line."""
    results = [_books(context, plan), _rows(context, plan)]
    manifest = context.path("shards", "manifest.parquet")
    if store.exists(context.path("tokens", "encoding.json")):
        results.append(_round_trips(context, plan))
    if "mix" in context.recipe.stages and store.exists(manifest):
        rows = store.read_table(manifest).to_pylist()
        results += _shards(context, rows)
        results += [_apart(context, plan, rows), _shares(context, plan, rows)]
    return results


def check_table(results: list[Result]) -> Table:
    """One line a check; the first problems of those that fail."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for result in results:
        mark = Text("pass", style="green") if result.ok else Text("FAIL", style="bold red")
        detail = (
            result.looked_at if result.ok else f"{len(result.problems)} of {result.looked_at}: {result.problems[0]}"
        )
        table.add_row(mark, Text(result.name), Text(detail, style="dim" if result.ok else ""))
        for problem in result.problems[1:5]:
            table.add_row("", "", Text(problem))
    return table


def _result(name: str, looked_at: str, problems: Problems) -> Result:
    try:
        return Result(name, looked_at, tuple(problems))
    except (
        CurationError,
        pa.ArrowInvalid,
        OSError,
        ValueError,
    ) as error:  # a damaged file is a finding, not the end of the check
        return Result(name, looked_at, (str(error).splitlines()[0],))


# ---- tables ----------------------------------------------------------------------------------------------------------------------------


def _tables(context: Context, plan: Plan) -> list[tuple[str, Shard, str, str]]:
    """(stage, shard, the stage's table, the table it is row-aligned to) of every table that is there."""
    out = []
    for stage in (*DECIDING, "tokenize"):
        for shard in plan.shards if stage in context.recipe.stages else ():
            path = frames.decision_path(context, stage, shard)
            if store.exists(path):
                aligned = context.documents(shard) if stage == "classify" else context.survivors(shard)
                out.append((stage, shard, path, aligned))
    return out


def _books(context: Context, plan: Plan) -> Result:
    extracted = [("extract", s, context.documents(s), "") for s in plan.shards if store.exists(context.documents(s))]
    tables = extracted + _tables(context, plan)

    def problems() -> Problems:
        for stage, shard, path, _ in tables:
            try:
                own = store.need_footer(path).ledger
                ledger.check(stage, str(shard), own)
                before = before_ledger(context, stage, shard)
                if before is not None:
                    ledger.check_chain(stage, str(shard), before, own)
                yield from _kept_rows(context, stage, path, own)
            except BooksError as error:
                yield str(error)

    return _result("books balance", f"{len(tables)} tables", problems())


def _kept_rows(context: Context, stage: str, path: str, own: ledger.Ledger) -> Problems:
    """The rows themselves against the ledger in the footer."""
    if stage == "extract":
        rows = store.need_footer(path).rows
        if rows != ledger.documents(own, ledger.KEPT):
            yield f"{path}: {rows} rows, but the books say {ledger.documents(own, ledger.KEPT)} documents"
        return
    table = store.read_table(path, ["keep", "reason"])
    kept = int(np.sum(table.column("keep").fill_null(False).to_numpy()))
    if kept != ledger.documents(own, ledger.KEPT):
        yield f"{path}: {kept} rows say keep, but the books say {ledger.documents(own, ledger.KEPT)}"
    counts = {p["values"]: p["counts"] for p in table.column("reason").drop_null().value_counts().to_pylist()}
    said = {reason: n[0] for reason, n in ledger.removed(own).items() if n[0]}
    if counts != said:
        yield f"{path}: reasons {counts}, but the books say {said}"


def _rows(context: Context, plan: Plan) -> Result:
    tables = _tables(context, plan)

    def problems() -> Problems:
        for stage, shard, path, aligned in tables:
            have, need = store.need_footer(path).rows, store.need_footer(aligned).rows
            if have != need:
                yield f"{stage} {shard}: {have} rows for {need} documents"

    return _result("a row for every document", f"{len(tables)} tables", problems())


# ---- tokens ----------------------------------------------------------------------------------------------------------------------------


def _round_trips(context: Context, plan: Plan) -> Result:
    """Tokens of sampled documents, decoded, against the pieces of their texts."""
    facts = store.read_json(context.path("tokens", "encoding.json"))
    coder, dtype = encoding(facts["encoding"]), np.dtype(facts["dtype"]).newbyteorder("<")
    shards = [s for s in plan.shards if store.exists(context.table("tokens", s))]

    def problems() -> Problems:
        for shard in shards:
            path = context.table("tokens", shard)
            kept = np.flatnonzero(frames.column(path, "keep").fill_null(False).to_numpy(zero_copy_only=False))
            order = np.argsort(
                draws.uniforms(0, "inspect/check", (int(r).to_bytes(8, "little") for r in kept)), kind="stable"
            )
            rows = kept[order[:SAMPLED]]
            found = frames.take(path, rows, ["id", "tokens"]).to_pylist()
            texts = frames.take(context.survivors(shard), rows, ["text"]).column(0).to_pylist()
            pieces = _pieces(context, shard, rows)
            for row, text, spans in zip(found, texts, pieces, strict=True):
                parts = [text] if spans is None else [text[s["start"] : s["end"]] for s in spans]
                decoded = [np.frombuffer(tokens, dtype).tolist() for tokens in row["tokens"]]
                if any(not tokens or tokens[-1] != facts["end_of_text"] for tokens in decoded):
                    yield f"{shard} {row['id']}: a piece does not end with the end-of-text token"
                elif max(map(max, decoded)) >= facts["vocabulary"]:
                    yield f"{shard} {row['id']}: a token is outside the vocabulary of {facts['vocabulary']:,}"
                elif [coder.decode(tokens[:-1]) for tokens in decoded] != [part for part in parts if part]:
                    yield f"{shard} {row['id']}: its tokens do not decode to its text"

    return _result("tokens decode to texts", f"{SAMPLED} documents of each of {len(shards)} tables", problems())


def _pieces(context: Context, shard: Shard, rows: Any) -> list[Any]:
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


def _shards(context: Context, rows: list[dict[str, Any]]) -> list[Result]:
    facts = store.read_json(context.path("tokens", "encoding.json"))
    width = np.dtype(facts["dtype"]).itemsize
    what = f"{len(rows)} token shards"
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
        _result("shards are what the manifest says", what, manifest()),
        _result("tokens within the vocabulary", what, high),
        _result("end-of-text tokens", what, ends),
        _result("indexes fit the shards", what, _indexes(context, rows, scans, facts)),
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


def _apart(context: Context, plan: Plan, rows: list[dict[str, Any]]) -> Result:
    """Every chunk counted where its draws put it, and sampled held-out documents looked for in the training shards.

    A held-out document that decontaminate cut is not looked for: what is left of it may be all of another.
    """
    parts = {p["dataset"]: p for p in store.read_json(context.path("shards", "shards.json"))["mixture"]}
    shards = [s for s in plan.shards if s.dataset in parts]

    def problems() -> Problems:
        sequences = {row["name"]: 0 for row in rows}
        held: dict[bytes, str] = {}
        for shard in shards:
            chosen: list[int] = []
            start = 0
            for batch in store.read_groups(context.table("tokens", shard), ["content", "counts"]):
                columns = zip(*(column.to_pylist() for column in batch.columns), strict=True)
                for row, (content, counts) in enumerate(columns, start):
                    if not counts:
                        continue
                    put = place(context, shard.dataset, content, tuple(counts), parts[shard.dataset]["epochs"])
                    for name, chunks in put.shards.items():
                        sequences[name] = sequences.get(name, 0) + chunks
                    if put.held_out and put.chunks == 1 and len(chosen) < SAMPLED:
                        chosen.append(row)
                start += batch.num_rows
            held |= _held_out(context, shard, np.array(chosen, np.int64))
        for row in rows:
            if sequences[row["name"]] != row["sequences"]:
                yield f"{row['name']}: {row['sequences']:,} chunks, but {sequences[row['name']]:,} belong there"
            if row["split"] == "train":
                yield from _found(context, row["name"], held)

    return _result("train and validation apart", f"{len(shards)} tables", problems())


def _held_out(context: Context, shard: Shard, rows: Any) -> dict[bytes, str]:
    """Tokens of some documents that stand whole in validation, by name."""
    pieces = _pieces(context, shard, rows)
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


def _shares(context: Context, plan: Plan, rows: list[dict[str, Any]]) -> Result:
    """Achieved tokens of each dataset against epochs x tokens: the chunk draws' own spread is what is allowed."""
    parts = store.read_json(context.path("shards", "shards.json"))["mixture"]
    train = [row["dataset_tokens"] for row in rows if row["split"] == "train"]
    placed = [sum(column) for column in zip(*train, strict=True)]

    def problems() -> Problems:
        for part in parts:
            name = part["dataset"]
            got, wanted = placed[context.recipe.place(name)], part["epochs"] * part["tokens"]
            allowed = _tolerance(context, plan, name, part["epochs"])
            if abs(got - wanted) > allowed:
                yield f"{name}: {got:,} tokens placed, {wanted:,.0f} planned; more than {allowed:,.0f} apart"

    return _result(f"mixture as planned (within {SIGMAS:g} sigma)", f"{len(parts)} datasets", problems())


def _tolerance(context: Context, plan: Plan, dataset: str, epochs: float) -> float:
    """SIGMAS standard deviations of the tokens placed, and one longest chunk.

    Only the last, incomplete epoch is a matter of chance: each chunk of n tokens is in it with probability f, variance n^2 f (1 - f).
    Documents of the same text (where dedup did not run) share their draws, so m of them count m times m.
    """
    fraction = epochs - math.floor(epochs)
    squares, contents = [np.zeros(0)], [np.zeros(0, "V16")]
    longest = 0
    for shard in plan.of(dataset):
        for batch in store.read_groups(context.table("tokens", shard), ["content", "counts"]):
            for content, counts in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                tokens = np.array(counts or [0], np.float64)
                full, rest = np.divmod(tokens, mix.CHUNK_TOKENS)
                squares.append(np.array([(full * mix.CHUNK_TOKENS**2 + rest**2).sum()]))
                contents.append(np.frombuffer(content, "V16"))
                longest = max(longest, int(min(tokens.max(), mix.CHUNK_TOKENS)))
    _, inverse, copies = np.unique(np.concatenate(contents), return_inverse=True, return_counts=True)
    variance = float((np.concatenate(squares) * copies[inverse]).sum()) * fraction * (1 - fraction)
    return SIGMAS * math.sqrt(variance) + longest
