"""tokenize: every surviving piece of text as byte-pair tokens, each piece ended by the end-of-text
token.

Cost: the encoder's own speed (`kernels/encoding.py`). Memory: a row group and its tokens.

Trap: special tokens spelled out in a page (`<|endoftext|>`) are text like any other; they never
become the special token.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.digests import config_digest
from curation.errors import InputError
from curation.kernels import vocabularies
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.encodings import by_content, run_encoding, vocabulary_of
from curation.rundir.results import ShardResult, check_ledgers, run_once
from curation.rundir.survivors import (
    RowGroup,
    char_lengths,
    leaving,
    masked_texts,
    masks_column,
    masks_of,
    survivor_groups,
)
from curation.stages.tokenize.groups import check_column, group_identity, groups_of, write_cuts

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Recipe
    from curation.rundir.plan import Plan

VERSION = 1
Int64s = npt.NDArray[np.int64]
# What str.strip takes away.
_WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def check(rundir: RunDirectory) -> None:
    """Raise InputError where there is no such encoding, or no column that the mixture weighs by."""
    encoding_facts(rundir.recipe)
    check_column(rundir)


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[Shard, ShardResult]:
    """Write `tokens/encoding.json` and the tokens of every shard."""
    recipe = rundir.recipe
    shards = [s for s in plan.shards if recipe.dataset[recipe.place(s.dataset)].role != "reference"]
    facts = encoding_facts(recipe)
    if recipe.mix.by:
        facts["by"] = recipe.mix.by
    write_cuts(rundir, plan, engine)
    keep_vocabulary(rundir)
    store.write_json(rundir.path("tokens", "encoding.json"), facts)
    results = engine.map("tokenize", partial(tokenize_shard, rundir), shards)
    by_shard = dict(zip(shards, results, strict=True))
    check_ledgers(rundir, "tokenize", by_shard)
    return by_shard


def warnings(rundir: RunDirectory) -> list[str]:
    """Nothing yet: what this stage removes is in its ledger."""
    return []


def outside(rundir: RunDirectory, plan: Plan) -> str:
    """What tokens depend on beside the recipe: the file that they are encoded with."""
    vocabulary = vocabulary_of(rundir.recipe)
    return rundir.recipe.mix.by + (f" {vocabulary[0]}" if vocabulary else "")


def keep_vocabulary(rundir: RunDirectory) -> None:
    """Write the vocabulary's file into `tokens/`, under its name by content, and remove others."""
    vocabulary = vocabulary_of(rundir.recipe)
    for file in store.listing(rundir.path("tokens")):
        if file.name.startswith(vocabularies.NAME) and file.name != (vocabulary or ("",))[0]:
            store.delete(file.path)
    if vocabulary and not store.exists(path := rundir.path("tokens", vocabulary[0])):
        store.write_bytes(path, vocabulary[1])


def encoding_facts(recipe: Recipe) -> dict[str, Any]:
    """What a reader of the tokens must know: more than 65,536 entries need 32-bit tokens."""
    from curation.kernels.bpe import encoding

    name, vocabulary = recipe.tokenize.encoding, vocabulary_of(recipe)
    if vocabulary:
        name = vocabulary[0]
        bpe = vocabularies.load(vocabulary[1], name, recipe.tokenize.end_of_text)
    else:
        bpe = encoding(name)
    dtype = "uint16" if bpe.n_vocab <= 1 << 16 else "uint32"
    return {
        "encoding": name,
        "vocabulary": bpe.n_vocab,
        "end_of_text": bpe.eot_token,
        "dtype": dtype,
    }


def tokenize_shard(rundir: RunDirectory, shard: Shard) -> ShardResult:
    """Write one row a survivor: its pieces' tokens, or nulls where an earlier stage removed it."""
    path = rundir.table("tokens", shard)
    before = rundir.decided_before("tokenize", shard)
    made_from = [store.need_footer(p).identity for p in (rundir.survivors(shard), before) if p]
    grouped = group_identity(rundir, shard)
    settings, end = by_content(rundir.recipe)
    parts = (VERSION, settings, made_from, *grouped, *end)
    digest = config_digest("tokenize", *parts)

    def make() -> ShardResult:
        facts = store.read_json(rundir.path("tokens", "encoding.json"))
        name, dtype = facts["encoding"], np.dtype(facts["dtype"]).newbyteorder("<")
        vocabulary = run_encoding(rundir) if vocabularies.is_file(name) else None
        pieces = None
        if before and "decontaminate" in rundir.recipe.stages:
            pieces = store.read_table(before, ["pieces"]).column(0).combine_chunks()
        groups = groups_of(rundir, shard)
        columns = schema.TOKENS if groups is None else schema.GROUPED_TOKENS
        shard_ledger: ledger.Ledger = {}
        with store.TableWriter(path, columns, digest, shard_ledger) as writer:
            names = ["id", "text", "content", *masks_column(rundir, shard)]
            for group in survivor_groups(rundir, shard, names, before):
                encoded = _encode_group(name, vocabulary, dtype, group, pieces, shard_ledger)
                writer.write(encoded if groups is None else _grouped(encoded, groups, group.start))
        return ShardResult(digest, shard_ledger)

    return run_once(path, digest, make)


def _grouped(encoded: pa.RecordBatch, groups: pa.Array, start: int) -> pa.RecordBatch:
    """Tokens with the group of each document that stays."""
    kept = encoded.column("keep").fill_null(False)
    values = pc.if_else(kept, groups.slice(start, encoded.num_rows), None)
    return pa.record_batch([*encoded.columns, values], schema=schema.GROUPED_TOKENS)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What leaves of a row group: texts, none of them empty, in the order of their rows; `chars`
    and `hidden` count the code points of each row that are in, and that masks stand for."""

    texts: pa.Array
    rows: Int64s
    chars: Int64s
    hidden: Int64s


def _encode_group(
    name: str,
    vocabulary: vocabularies.Vocabulary | None,
    dtype: npt.DTypeLike,
    group: RowGroup,
    pieces: Any,
    shard_ledger: ledger.Ledger,
) -> pa.RecordBatch:
    """The tokens of a row group; null `pieces` of an open row mean its whole text."""
    from curation.kernels import encoding

    n = group.batch.num_rows
    remaining = group.remaining()
    parts = _parts(group.batch, remaining, None if pieces is None else pieces.slice(group.start, n))
    try:
        offsets, tokens = encoding.encode(name, parts.texts, vocabulary)
    except (
        encoding.RefusedText
    ) as error:  # a pattern that gives up, of another encoding than GPT-2's
        document = group.batch.column("id")[parts.rows[error.row]]
        raise InputError(
            f"document {document}: tokens expected, and tiktoken says {error.why}; leave the "
            "document out, or use the encoding gpt2"
        ) from error
    per_row = np.bincount(parts.rows, minlength=n)
    keep = per_row > 0
    _count(shard_ledger, remaining, keep, parts, len(tokens))
    of_rows = np.concatenate([np.zeros(1, np.int64), np.cumsum(per_row)])
    kinds = {name: schema.TOKENS.field(name).type for name in ("counts", "tokens")}
    counts = pa.array(np.diff(offsets), pa.int32())
    counts = pa.ListArray.from_arrays(pa.array(of_rows, pa.int32()), counts, type=kinds["counts"])
    stored = encoding.binary_lists(offsets, tokens, dtype, of_rows, kinds["tokens"])
    columns = {
        "keep": pa.array(keep, mask=~remaining),
        "reason": pc.if_else(pa.array(remaining & ~keep), "no_tokens", None),
        "counts": pc.if_else(pa.array(keep), counts, None),
        "tokens": pc.if_else(pa.array(keep), stored, None),
        **{name: group.batch.column(name) for name in ("id", "content")},
    }
    return pa.record_batch([columns[f.name] for f in schema.TOKENS], schema=schema.TOKENS)


def _count(
    shard_ledger: ledger.Ledger, remaining: Any, keep: Any, parts: _Parts, tokens: int
) -> None:
    """Count a row group in the ledger."""
    outcomes = {
        ledger.IN: (remaining, parts.chars, 0),
        ledger.MASKED: (parts.hidden > 0, parts.hidden, 0),
        "no_tokens": (remaining & ~keep, parts.chars, 0),
        ledger.KEPT: (keep, parts.chars, tokens),
    }
    for outcome, (rows, chars, of_tokens) in outcomes.items():
        if rows.any():
            ledger.add(shard_ledger, outcome, int(rows.sum()), int(chars[rows].sum()), of_tokens)


def _parts(batch: pa.RecordBatch, remaining: npt.NDArray[np.bool_], pieces: Any) -> _Parts:
    """The texts that leave. Rows that are whole pass as they are, masks of whole rows are applied
    at once; only rows that were cut are taken apart one by one, and they are few."""
    from curation.kernels.encoding import of_rows

    texts = batch.column("text")
    chars = np.where(remaining, char_lengths(texts), 0)
    hidden = np.zeros(len(texts), np.int64)
    cut = np.zeros(len(texts), bool)
    if pieces is not None:
        cut = remaining & pieces.is_valid().to_numpy(zero_copy_only=False)
    masked = np.zeros(len(texts), bool)
    if schema.MASKS.name in batch.schema.names:
        lengths = pc.fill_null(batch.column(schema.MASKS.name).value_lengths(), 0)
        masked = remaining & ~cut & (lengths.to_numpy(zero_copy_only=False) > 0)
    whole = np.flatnonzero(remaining & ~cut & ~masked & (chars > 0))
    found = [(texts if len(whole) == len(texts) else texts.take(pa.array(whole)), whole)]
    if masked.any():
        found.append(_masked_rows(batch, np.flatnonzero(masked), hidden))
    if cut.any():
        found.append(_cut_rows(batch, np.flatnonzero(cut), pieces, chars, hidden))
    joined, rows = of_rows(*zip(*found, strict=True))
    return _Parts(joined, rows, chars, hidden)


def _masked_rows(batch: pa.RecordBatch, rows: Int64s, hidden: Int64s) -> tuple[pa.Array, Int64s]:
    """The texts of these rows with their masks, those left out that are white space then, and their
    rows; what masks stand for goes to `hidden`."""
    masks = batch.column(schema.MASKS.name).take(pa.array(rows))
    texts = masked_texts(batch.column("text").take(pa.array(rows)), masks)
    spans, owners = masks.flatten(), pc.list_parent_indices(masks).to_numpy()
    sizes = pc.subtract(spans.field("end"), spans.field("start")).to_numpy()
    np.add.at(hidden, rows[owners], sizes)
    trimmed = pc.utf8_trim(texts, characters=_WHITE_SPACE)
    filled = np.flatnonzero(pc.binary_length(trimmed).to_numpy(zero_copy_only=False))
    return texts.take(pa.array(filled)), rows[filled]


def _cut_rows(
    batch: pa.RecordBatch, rows: Int64s, pieces: Any, chars: Int64s, hidden: Int64s
) -> tuple[pa.Array, Int64s]:
    """The pieces of these rows, with their masks, and the row of each; `chars` and `hidden` are set
    to theirs."""
    few = batch.take(pa.array(rows))
    texts, spans = few.column("text").to_pylist(), pieces.take(pa.array(rows)).to_pylist()
    found, owners = [], []
    for row, text, places, masks in zip(rows.tolist(), texts, spans, masks_of(few), strict=True):
        originals, parts, hidden[row] = leaving(text, places, masks)
        chars[row] = sum(map(len, originals))
        found += parts
        owners += [row] * len(parts)
    return pa.array(found, batch.column("text").type), np.array(owners, np.int64)
