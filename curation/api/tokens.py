"""`curation.tokenize`: byte-pair tokens of texts, in memory or as a run directory for `mix`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa

from curation import store
from curation.api import files, memory
from curation.api.data import Batches, Columns, given
from curation.api.memory import Dataset, Finished
from curation.api.results import INPUT, Side, Tokenized
from curation.pipeline import line
from curation.rundir import schema

TOKENS = "tokens"


def tokenize(
    data: Any,
    *,
    encoding: str = "gpt2",
    by: str = "",
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    update: bool = False,
) -> Tokenized:
    """Byte-pair tokens of every document, the end-of-text token last.

    In memory `kept` has your columns and `tokens`. With `out=` the tokens are in the run directory,
    for `mix`, and `kept` has id and tokens.

    Args:
        data: texts, a table, a DataFrame, an iterator, or a path.
        encoding: a name that tiktoken knows ("gpt2" needs no network), or the path of a
            tokenizer.json or of a SentencePiece model (.model).
        by: with `out=`: also keep this column of each document, for `mix(..., by=...)`.
        text_column, id_column, url_column: columns of `data`; ids are made where there are none.
        out: a run directory to write, which stays; without it nothing does.
        workers: processes; by default none below 20 MB of text, and one a core above.
        update: run again where `out` was made with other settings.

    Raises:
        InputError: data that cannot be used, or an unknown encoding.

    >>> tokenize(["The tide turns."]).kept.column("tokens").to_pylist()
    [[464, 20013, 4962, 13, 50256]]
    """
    columns = Columns(text_column, id_column, url_column)
    own = Dataset(INPUT, "trusted", given(data, "data", text_column), columns)
    settings: dict[str, Any] = {"tokenize": {"encoding": encoding}, "mix": {"by": by}}
    if by.startswith("language"):
        settings["extract"] = {"table_languages": True}
    if out is None and isinstance(own.data, Batches):
        with memory.finished("tokenize", [own], settings, workers) as done:
            facts = store.read_json(done.rundir.path(TOKENS, "encoding.json"))
            sides = _sides(done, facts["dtype"])
            return Tokenized("tokenize", done.ledger, done.warnings, None, sides, facts)
    with files.directory(out) as folder:
        rundir, plan = files.run_step(
            "tokenize", [own], settings, folder, workers=workers, update=update, export=False
        )
        facts = store.read_json(rundir.path(TOKENS, "encoding.json"))
        paths = tuple(rundir.table(TOKENS, shard) for shard in plan.of(INPUT))
        rejects = tuple(rundir.table("rejects", shard) for shard in plan.of(INPUT))
        tables: dict[str, Side] = {
            "kept": _kept(paths, facts["dtype"]),
            "removed": pa.table(
                {"id": pa.nulls(0, pa.string()), "reason": pa.nulls(0, pa.string())}
            ),
            "rejects": files.loaded(store.Table(rejects, schema.REJECTS)),
        }
        told = (files.ledger_of(rundir, plan), tuple(line.warnings(rundir)))
        return Tokenized("tokenize", *told, folder if out is not None else None, tables, facts)


def _kept(paths: tuple[str, ...], dtype: str) -> pa.Table:
    """The ids and tokens of some token tables."""
    parts = [store.read_table(path, ["id", "keep", TOKENS]) for path in paths]
    table = pa.concat_tables(parts)
    table = table.filter(table.column("keep").fill_null(False)).combine_chunks()
    return pa.table({"id": table.column("id"), TOKENS: token_lists(table.column(TOKENS), dtype)})


def _sides(done: Finished, dtype: str) -> dict[str, Side]:
    """The user's rows that have tokens, with them, and the others."""
    rundir = done.rundir
    names = {
        name: name if name != TOKENS else f"input_{TOKENS}" for name in done.table.column_names
    }
    rows, tokens = [], []
    for shard in done.plan.of(INPUT):
        table = store.read_table(rundir.table(TOKENS, shard), ["keep", TOKENS])
        offset = store.read_table(rundir.documents(shard), ["offset"]).column(0)
        keep = table.column("keep").fill_null(False)
        rows.append(offset.filter(keep))
        tokens.append(token_lists(table.column(TOKENS).filter(keep), dtype))
    chosen = pa.chunked_array([c for column in rows for c in column.chunks], pa.int64())
    kept = done.table.take(chosen).rename_columns(list(names.values()))
    rejects = memory.rejected(done)
    others = done.table.take(rejects.column("offset")).rename_columns(list(names.values()))
    lists = pa.chunked_array(tokens, tokens[0].type)
    return {
        "kept": kept.append_column(TOKENS, lists),
        "removed": others.append_column("reason", rejects.column("reason")),
        "rejects": rejects,
    }


def token_lists(column: pa.ChunkedArray, dtype: str) -> pa.Array:
    """The tokens of each document as a list of numbers, from the bytes of its pieces.

    >>> pieces = pa.chunked_array([[[b"\\x01\\x00\\x02\\x00"], [b"\\x03\\x00", b"\\x04\\x00"]]])
    >>> token_lists(pieces, "uint16").to_pylist()
    [[1, 2], [3, 4]]
    """
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], column.type)
    pieces = array.flatten()
    kind = np.dtype(dtype)
    ends = np.cumsum(
        [0, *(len(piece) for piece in (p.as_buffer() for p in pieces))], dtype=np.int64
    )
    counts = array.value_lengths().to_numpy(zero_copy_only=False)
    at = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    data = b"".join(piece.as_buffer() for piece in pieces)
    offsets = pa.array((ends[at] // kind.itemsize).astype(np.int64))
    return pa.LargeListArray.from_arrays(
        offsets, pa.array(np.frombuffer(data, kind.newbyteorder("<")))
    )
