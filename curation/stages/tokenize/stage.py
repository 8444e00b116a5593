"""tokenize: every surviving piece of text as byte-pair tokens, each piece ended by the end-of-text
token.

Cost: tiktoken's own speed, 4 to 5 MB of text a second and core. Memory: a row group and its tokens.

Trap: special tokens spelled out in a page (`<|endoftext|>`) are text like any other; they never
become the special token.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, check_ledgers, run_once
from curation.rundir.survivors import (
    RowGroup,
    leaving,
    masks_column,
    masks_of,
    survivor_groups,
)
from curation.stages.tokenize.groups import check_column, group_identity, groups_of, write_cuts

if TYPE_CHECKING:
    import tiktoken

    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 1


def check(rundir: RunDirectory) -> None:
    """Raise InputError where there is no such encoding, or no column that the mixture weighs by."""
    encoding_facts(rundir.recipe.tokenize.encoding)
    check_column(rundir)


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[Shard, ShardResult]:
    """Write `tokens/encoding.json` and the tokens of every shard."""
    recipe = rundir.recipe
    shards = [s for s in plan.shards if recipe.dataset[recipe.place(s.dataset)].role != "reference"]
    facts = encoding_facts(recipe.tokenize.encoding)
    if recipe.mix.by:
        facts["by"] = recipe.mix.by
    write_cuts(rundir, plan, engine)
    store.write_json(rundir.path("tokens", "encoding.json"), facts)
    results = engine.map("tokenize", partial(tokenize_shard, rundir), shards)
    by_shard = dict(zip(shards, results, strict=True))
    check_ledgers(rundir, "tokenize", by_shard)
    return by_shard


def warnings(rundir: RunDirectory) -> list[str]:
    """Nothing yet: what this stage removes is in its ledger."""
    return []


def encoding_facts(name: str) -> dict[str, Any]:
    """What a reader of the tokens must know: more than 65,536 entries need 32-bit tokens."""
    from curation.kernels.bpe import encoding

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
    parts = (VERSION, rundir.recipe.tokenize, made_from, *grouped)
    digest = config_digest("tokenize", *parts)

    def make() -> ShardResult:
        from curation.kernels.bpe import encoding

        name = rundir.recipe.tokenize.encoding
        tokens = _Encoder(encoding(name), np.dtype(encoding_facts(name)["dtype"]).newbyteorder("<"))
        pieces = None
        if before and "decontaminate" in rundir.recipe.stages:
            pieces = store.read_table(before, ["pieces"]).column(0).combine_chunks()
        groups = groups_of(rundir, shard)
        columns = schema.TOKENS if groups is None else schema.GROUPED_TOKENS
        shard_ledger: ledger.Ledger = {}
        with store.TableWriter(path, columns, digest, shard_ledger) as writer:
            names = ["id", "text", "content", *masks_column(rundir, shard)]
            for group in survivor_groups(rundir, shard, names, before):
                encoded = _encode_group(tokens, group, pieces, shard_ledger)
                writer.write(encoded if groups is None else _grouped(encoded, groups, group.start))
        return ShardResult(digest, shard_ledger)

    return run_once(path, digest, make)


def _grouped(encoded: pa.RecordBatch, groups: pa.Array, start: int) -> pa.RecordBatch:
    """Tokens with the group of each document that stays."""
    kept = encoded.column("keep").fill_null(False)
    values = pc.if_else(kept, groups.slice(start, encoded.num_rows), None)
    return pa.record_batch([*encoded.columns, values], schema=schema.GROUPED_TOKENS)


@dataclass(frozen=True, slots=True)
class _Encoder:
    """An encoding and the little-endian type its tokens are stored in."""

    encoding: tiktoken.Encoding
    dtype: npt.DTypeLike

    def __call__(self, text: str) -> npt.NDArray[np.integer[Any]]:
        """Tokens of one piece, the end-of-text token last."""
        from curation.kernels import bpe

        encoded = bpe.document_tokens(self.encoding, text)
        tokens = np.empty(len(encoded) + 1, self.dtype)
        tokens[:-1], tokens[-1] = encoded, self.encoding.eot_token
        return tokens


def _encode_group(
    encoder: _Encoder, group: RowGroup, pieces: Any, shard_ledger: ledger.Ledger
) -> pa.RecordBatch:
    """The tokens of a row group; null `pieces` of an open row mean its whole text."""
    n = group.batch.num_rows
    remaining = group.remaining()
    spans: Sequence[Any] = (
        [None] * n if pieces is None else pieces.slice(group.start, n).to_pylist()
    )
    columns: dict[str, list[Any]] = {
        name: [None] * n for name in ("keep", "reason", "counts", "tokens")
    }
    texts = group.batch.column("text").to_pylist()
    masks = masks_of(group.batch)
    for row in np.flatnonzero(remaining).tolist():
        originals, parts, masked = leaving(texts[row], spans[row], masks[row])
        chars = sum(map(len, originals))
        ledger.add(shard_ledger, ledger.IN, 1, chars)
        if masked:
            ledger.add(shard_ledger, ledger.MASKED, 1, masked)
        if not parts:
            columns["keep"][row], columns["reason"][row] = False, "no_tokens"
            ledger.add(shard_ledger, "no_tokens", 1, chars)
            continue
        try:
            encoded = [encoder(part) for part in parts]
        except ValueError as error:  # a pattern that gives up, of another encoding than GPT-2's
            raise InputError(
                f"document {group.batch.column('id')[row]}: tokens expected, and tiktoken says "
                f"{error}; leave the document out, or use the encoding gpt2"
            ) from error
        columns["keep"][row] = True
        columns["counts"][row] = [len(tokens) for tokens in encoded]
        columns["tokens"][row] = [tokens.tobytes() for tokens in encoded]
        ledger.add(shard_ledger, ledger.KEPT, 1, chars, sum(columns["counts"][row]))
    columns |= {name: group.batch.column(name) for name in ("id", "content")}
    arrays = [
        c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type)
        for f in schema.TOKENS
    ]
    return pa.record_batch(arrays, schema=schema.TOKENS)
