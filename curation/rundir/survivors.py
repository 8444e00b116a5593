"""The survivors of a shard: written by the last stage that decides on documents, and read a row group
at a time beside what later stages decided on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def survivor_groups(
    rundir: RunDirectory, shard: Shard, columns: Sequence[str], before: str | None
) -> Iterator[RowGroup]:
    """The survivors of a shard, a row group at a time, each with what the decision table
    `before` says of its rows."""
    decided = _column(before, "keep") if before else None
    start = 0
    for batch in store.read_groups(rundir.survivors(shard), columns):
        keep = None if decided is None else decided.slice(start, batch.num_rows)
        yield RowGroup(start, batch, keep)
        start += batch.num_rows


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Consecutive rows of a survivors table; `keep` (bool[n], nulls for rows removed before) is
    None where all are in."""

    start: int
    batch: pa.RecordBatch
    keep: Any

    def remaining(self) -> Any:
        """Which rows are still in: bool numpy [n]."""
        import numpy as np

        if self.keep is None:
            return np.ones(self.batch.num_rows, bool)
        return self.keep.fill_null(False).to_numpy(zero_copy_only=False)


_DECISION = re.compile(r"(.+)/(?:dedup|decontaminate)/decision/([^/]+)/(\d+\.parquet)")
_ROWS = re.compile(r"(.+)/(?:survivors|documents)/([^/]+)/(\d+\.parquet)")


def decided_table(path: str) -> str | None:
    """The table of documents that a table of a run is about, row by row: a decision table, or the
    survivors or documents themselves; None where `path` is none of them.

    >>> decided_table("corpus/part.parquet")
    """
    if _ROWS.fullmatch(path):
        there = store.footer(path)
        return path if there and "record_id" in store.read_schema(path).names else None
    match = _DECISION.fullmatch(path)
    if match is None:
        return None
    run, *place = match.groups()
    survivors = store.join(run, "survivors", *place)
    # A dataset on which nothing decides before dedup has no survivors but its documents.
    there = store.footer(survivors)
    is_about = there is not None and there.rows == store.need_footer(path).rows
    return survivors if is_about else store.join(run, "documents", *place)


# ---- the text that leaves the line ---------------------------------------------------------------


def masks_column(rundir: RunDirectory, shard: Shard) -> list[str]:
    """The name of the column of masks, where the survivors of a shard have it."""
    asked = rundir.recipe.filter.mask and rundir.decides("filter", shard.dataset)
    return [schema.MASKS.name] if asked else []


def masks_of(batch: pa.RecordBatch) -> list[Any]:
    """The masks of each row, None where it has none."""
    if schema.MASKS.name not in batch.schema.names:
        return [None] * batch.num_rows
    return list(batch.column(schema.MASKS.name).to_pylist())


def masked_texts(texts: pa.Array, masks: pa.Array) -> pa.Array:
    """The texts with what stands for their masks (`schema.MASKS`)."""
    from curation.kernels.masks import masked

    flat = masks.flatten()
    encoded = flat.field("replacement").dictionary_encode()
    fields = [flat.field("start"), flat.field("end"), encoded.indices.cast(pa.int16())]
    spans = pa.StructArray.from_arrays(fields, ["start", "end", "mask"])
    offsets = pc.subtract(masks.offsets, masks.offsets[0])
    numbered = pa.ListArray.from_arrays(offsets, spans, mask=masks.is_null())
    return masked(texts, numbered, encoded.dictionary.to_pylist())


def leaving(text: str, spans: Any, masks: Any) -> tuple[list[str], list[str], int]:
    """The pieces of a text as they are; as they leave the line, masked and none of them empty; and
    the code points that masks stand for.

    `spans`: those of the pieces, None for the whole text. `masks`: rows of `schema.MASKS`, or None.

    >>> leaving("mail me@a.example now", None, [{"start": 5, "end": 17, "replacement": "X"}])
    (['mail me@a.example now'], ['mail X now'], 12)
    """
    places = [{"start": 0, "end": len(text)}] if spans is None else spans
    originals = [text[place["start"] : place["end"]] for place in places]
    if not masks:
        return originals, [part for part in originals if part], 0
    from curation.kernels.masks import masked_pieces

    numbered = [{**mask, "mask": i} for i, mask in enumerate(masks)]
    parts = masked_pieces(text, places, numbered, [mask["replacement"] for mask in masks])
    hidden = sum(
        max(0, min(mask["end"], place["end"]) - max(mask["start"], place["start"]))
        for mask in masks
        for place in places
    )
    return originals, [part for part in parts if part.strip()], hidden


# ---- writing -------------------------------------------------------------------------------------


def write_survivors(
    rundir: RunDirectory, shard: Shard, digest: str, keep: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Write the documents of a shard that stay, with their masks; returns the code points of every
    document, int64[n]."""
    import numpy as np

    documents = rundir.documents(shard)
    columns = store.read_schema(documents).append(schema.ROW)
    masks = shard_masks(rundir, shard)
    columns = columns if masks is None else columns.append(schema.MASKS)
    start, chars = 0, [np.zeros(0, np.int64)]
    with store.TableWriter(rundir.survivors(shard), columns, digest) as writer:
        for batch in store.read_groups(documents):
            rows = pa.array(np.flatnonzero(keep[start : start + batch.num_rows]))
            chars.append(char_lengths(batch.column("text")))
            arrays = [*batch.take(rows).columns, pc.add(rows, pa.scalar(start, pa.int64()))]
            if masks is not None:
                arrays.append(masks.slice(start, batch.num_rows).take(rows))
            writer.write(pa.RecordBatch.from_arrays(arrays, schema=columns))
            start += batch.num_rows
    return np.concatenate(chars)


def shard_masks(rundir: RunDirectory, shard: Shard) -> pa.Array | None:
    """What stands for which spans of each document's text (`schema.MASKS`); None where no mask is
    asked for."""
    replacements = rundir.recipe.filter.mask
    if not replacements or not rundir.decides("filter", shard.dataset):
        return None
    from curation.kernels.masks import merged

    evidence = store.read_table(rundir.table("filter", shard, "evidence"), list(replacements))
    spans = {name: _one_piece(evidence.column(name)) for name in replacements}
    return schema.with_replacements(merged(spans, list(spans)), list(replacements.values()))


def remaining_rows(before: str | None, rows: int) -> npt.NDArray[np.bool_]:
    """Which of the documents that a decision table is about are still in: bool[rows]; all where there
    is no such table."""
    import numpy as np

    if before is None:
        return np.ones(rows, bool)
    keep = _column(before, "keep").fill_null(False)
    return np.asarray(keep.to_numpy(zero_copy_only=False), bool)


def counted(
    chars: npt.NDArray[np.int64], remaining: npt.NDArray[np.bool_], reasons: pa.Array
) -> ledger.Ledger:
    """The ledger of a decision: code points of each document, which of them entered, and why they
    were removed (null: kept)."""
    import numpy as np

    counts: ledger.Ledger = {}
    ledger.add(counts, ledger.IN, int(remaining.sum()), int(chars[remaining].sum()))
    encoded = reasons.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    for code, reason in enumerate([ledger.KEPT, *encoded.dictionary.to_pylist()], -1):
        rows = remaining & (codes == code)
        if reason == ledger.KEPT or rows.any():
            ledger.add(counts, reason, int(np.sum(rows)), int(chars[rows].sum()))
    return counts


def _one_piece(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _column(path: str, name: str) -> pa.Array:
    return _one_piece(store.read_table(path, [name]).column(0))


def char_lengths(column: pa.Array) -> Any:
    """Code points of each text, int64 numpy [n]; nulls count nothing."""
    import numpy as np

    return pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
