"""The documents that a run keeps, with their text as it leaves the run: what the last stage that
decides let stay, in the pieces that `decontaminate` left.

Cost: one reading of the survivors' columns that are asked for, a row group at a time. Memory: a row
group, and of each shard the decisions.

Trap: datasets have columns of their own. All batches have one schema: a column that a dataset lacks
is null there, and one that has other types in two datasets is JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.errors import InputError, RunError, did_you_mean
from curation.recipe.line import DECIDING
from curation.rundir import plan as plans
from curation.rundir import schema
from curation.rundir.survivors import (
    RowGroup,
    leaving,
    masked_texts,
    masks_column,
    survivor_groups,
)

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

# Columns of every run; those of the input follow, and an input's own one of another of these names
# stands in its place.
FIRST = ("id", "dataset", "url", "text")
OURS = (*FIRST, "date", "language", "language_score")
FURTHER = ("record_id", "crawl_language", "crawl_language_share", "crawl_language_reliable",
           "robots", "license", "license_from", "archive", "offset", "place")  # fmt: skip
# No column of the input is called so: there it is input_<name>.
RESERVED = (*FIRST, "piece", "quality", "content", "masks")
Types = dict[str, pa.DataType]


def kept_documents(
    rundir: RunDirectory,
    plan: Plan,
    columns: Sequence[str] | None = None,
    shards: Sequence[Shard] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The documents that a finished run keeps, dataset by dataset, in the order of its inputs.

    `columns`: names of `kept_schema`, or "content" (the digest of the whole text); by default
    `default_columns`. `shards`: only documents of these. A document that was cut is several rows:
    `id` is then `<id>/<piece>`, and `piece` the number of the piece (null for a whole text).

    Raises RunError where the run has no texts or is not finished, InputError for a column that
    there is not.
    """
    need_texts(rundir)
    known = kept_schema(rundir, plan)
    names = default_columns(known) if columns is None else list(columns)
    check_columns(rundir, known, names)
    wanted = pa.schema([known.field(name) for name in names])
    for shard in kept_shards(rundir, plan) if shards is None else shards:
        yield from shard_documents(rundir, shard, wanted)


def need_texts(rundir: RunDirectory) -> None:
    """Raise RunError unless a run has texts, and every stage that decides on them has ended."""
    stages = rundir.recipe.stages
    if "extract" not in stages:
        raise RunError(
            f"{rundir.out}: this run has tokens of other runs and no texts; name the runs that the "
            "tokens are from"
        )
    last = [stage for stage in ("extract", *DECIDING) if stage in stages][-1]
    plans.need_finished(rundir, last)


def kept_shards(rundir: RunDirectory, plan: Plan) -> list[Shard]:
    """The shards whose documents may be kept: those of no `reference` dataset."""
    return [s for s in plan.shards if rundir.recipe.named(s.dataset).role != "reference"]


def check_columns(rundir: RunDirectory, known: pa.Schema, names: Sequence[str]) -> None:
    """Raise InputError where a column is asked for that the documents do not have, or twice."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(f"the column {name!r} is named twice; name it once")
        if name not in known.names:
            shown = [known_name for known_name in known.names if known_name != "content"]
            raise InputError(
                f"{rundir.out}: its documents have no column {name!r}{did_you_mean(name, shown)}"
            )


def default_columns(known: pa.Schema) -> list[str]:
    """The columns that people want of `kept_schema`: all but evidence about where a page lay."""
    return [name for name in known.names if name not in (*FURTHER, "quality", "content")]


def kept_schema(rundir: RunDirectory, plan: Plan) -> pa.Schema:
    """Every column that kept documents can have, over all datasets."""
    types: Types = {}
    for name, extra in _extra_types(rundir, plan).items():
        for column, kind in _column_types(extra).items():
            types[column] = _common(types[column], kind) if column in types else kind
        types.setdefault("dataset", pa.string())
        if rundir.decides("decontaminate", name):
            types["piece"] = pa.int64()
    if "classify" in rundir.recipe.stages:
        types["quality"] = pa.float64()
    ours = [name for name in OURS if name in types]
    further = [name for name in (*FURTHER, "quality", "content") if name in types]
    own = [name for name in types if name not in (*ours, *further, "piece")]
    piece = ["piece"] if "piece" in types else []
    return pa.schema([(name, types[name]) for name in (*ours, *piece, *own, *further)])


def _extra_types(rundir: RunDirectory, plan: Plan) -> dict[str, pa.DataType | None]:
    """Dataset -> the struct of its input's other columns, None where it has none."""
    types: dict[str, pa.DataType | None] = {}
    for shard in kept_shards(rundir, plan):
        if shard.dataset not in types:
            columns = store.read_schema(rundir.documents(shard))
            is_there = "extra" in columns.names
            types[shard.dataset] = columns.field("extra").type if is_there else None
    return types


def _column_types(extra: pa.DataType | None) -> Types:
    """The columns of one dataset's documents, its own in place of ours of the same name."""
    names = [name for name in (*OURS, *FURTHER, "content") if name != "dataset"]
    types = {name: schema.DOCUMENTS.field(name).type for name in names}
    for field in extra or ():
        name = _own_name(field.name, extra)
        types[name] = _common(types[name], field.type) if name in types else field.type
    return types


def _own_name(name: str, extra: pa.DataType) -> str:
    """What a column of the input is called: input_<name> where the name is one of ours."""
    new = name
    while new in RESERVED or (new != name and extra.get_field_index(new) >= 0):
        new = f"input_{new}"
    return new


def _common(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """One type for the columns of two datasets, text (JSON) where they do not go together."""
    if a == b:
        return a
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        types = {field.name: field.type for field in a}
        for field in b:
            known = types.get(field.name, field.type)
            types[field.name] = _common(known, field.type)
        return pa.struct(list(types.items()))
    if pa.types.is_list(a) and pa.types.is_list(b):
        return pa.list_(_common(a.value_type, b.value_type))
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (a, b)]
    if all(numbers) and pa.uint64() not in (a, b):
        whole = pa.types.is_integer(a) and pa.types.is_integer(b)
        return pa.int64() if whole else pa.float64()
    return pa.string()


# ---- rows ----------------------------------------------------------------------------------------


def shard_documents(
    rundir: RunDirectory, shard: Shard, wanted: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The documents of one shard that are kept, with the columns `wanted` of `kept_schema`."""
    path = rundir.survivors(shard)
    before = rundir.decided_before("tokenize", shard)
    pieces = None
    if before and rundir.decides("decontaminate", shard.dataset):
        pieces = store.read_table(before, ["pieces"]).column(0).combine_chunks()
    available = store.read_schema(path)
    extra = available.field("extra").type if "extra" in available.names else None
    own = {_own_name(field.name, extra): field.name for field in extra or ()}
    read = _read_columns(wanted.names, own, available.names)
    read += [n for n in masks_column(rundir, shard) if "text" in read]
    quality = _quality(rundir, shard) if "quality" in wanted.names else None
    for group in survivor_groups(rundir, shard, read, before):
        columns = _columns(group.batch, own, wanted.names)
        columns["dataset"] = pa.array([shard.dataset] * group.batch.num_rows, pa.string())
        if quality is not None:
            columns["quality"] = quality.take(_document_rows(group))
        spans = None if pieces is None else pieces.slice(group.start, group.batch.num_rows)
        rows = _rows(columns, group, spans)
        if count := len(rows["id"]):
            arrays = [_fitted(rows.get(field.name), field.type, count) for field in wanted]
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)


def _read_columns(names: Sequence[str], own: Mapping[str, str], there: Sequence[str]) -> list[str]:
    """The columns of the survivors that these columns are made from."""
    ours = (*OURS, *FURTHER, "content")
    read = dict.fromkeys(["id", *(name for name in names if name in there and name in ours)])
    if any(name in own for name in names):
        read["extra"] = None
    if "quality" in names and "row" in there:
        read["row"] = None
    return list(read)


def _columns(
    batch: pa.RecordBatch, own: Mapping[str, str], names: Sequence[str]
) -> dict[str, pa.Array]:
    columns = {name: batch.column(name) for name in batch.schema.names if name != "extra"}
    if "extra" not in batch.schema.names:
        return columns
    struct = batch.column("extra")
    fields = dict(zip([f.name for f in struct.type], struct.flatten(), strict=True))
    for name in names:
        if name in own:
            values, ours = fields[own[name]], columns.get(name)
            known = name in OURS or name in FURTHER
            same = known and ours is not None and ours.type == values.type
            columns[name] = pc.coalesce(values, ours) if same else values
    return columns


def _quality(rundir: RunDirectory, shard: Shard) -> pa.Array:
    return (
        store.read_table(rundir.table("classify", shard, "evidence"), ["score"])
        .column(0)
        .combine_chunks()
    )


def _document_rows(group: RowGroup) -> pa.Array:
    """The rows in documents/ of a group of survivors."""
    if "row" in group.batch.schema.names:
        return group.batch.column("row")
    return pa.array(range(group.start, group.start + group.batch.num_rows), pa.int64())


def _rows(columns: dict[str, pa.Array], group: RowGroup, spans: Any) -> dict[str, pa.Array]:
    """The rows that stay, a row for each piece."""
    import numpy as np

    kept = np.flatnonzero(group.remaining())
    if spans is None:
        taken = {name: column.take(pa.array(kept)) for name, column in columns.items()}
        if masks := taken.pop("masks", None):
            taken["text"] = masked_texts(taken["text"], masks)
        return taken
    spans = spans.take(pa.array(kept))
    counts = pc.fill_null(pc.list_value_length(spans), 1).to_numpy(zero_copy_only=False)
    whole = spans.is_null().to_numpy(zero_copy_only=False)
    rows = np.repeat(kept, counts)
    taken = {name: column.take(pa.array(rows)) for name, column in columns.items()}
    masks = taken.pop("masks", None)
    if "text" in taken and masks is not None:
        originals, taken["text"] = taken["text"], masked_texts(taken["text"], masks)
    elif "text" in taken:
        originals = taken["text"]
    if whole.all():
        return taken
    first = np.cumsum(counts) - counts
    number = np.arange(len(rows)) - np.repeat(first, counts)
    is_cut = np.repeat(~whole, counts)
    taken["piece"] = pa.array(number, pa.int64(), mask=~is_cut)
    places = spans.drop_null().flatten()
    ids = pc.binary_join_element_wise(
        taken["id"], pc.cast(taken["piece"], pa.string()), "/", null_handling="skip"
    )
    taken["id"] = ids
    if "text" in taken:
        texts = taken["text"].to_pylist()
        at = np.flatnonzero(is_cut).tolist()
        for row, span in zip(at, places.to_pylist(), strict=True):
            of_row = None if masks is None else masks[row].as_py()
            texts[row] = "".join(leaving(originals[row].as_py(), [span], of_row)[1])
        taken["text"] = pa.array(texts, pa.string())
    return taken


def _fitted(column: pa.Array | None, kind: pa.DataType, rows: int) -> pa.Array:
    """A column in the type that all datasets share; nulls where this one has none."""
    if column is None:
        return pa.nulls(rows, kind)
    if column.type == kind:
        return column
    if pa.types.is_string(kind):
        return pa.array([_json_text(value) for value in column.to_pylist()], kind)
    if pa.types.is_nested(kind):
        return pa.array([_as(value, kind) for value in column.to_pylist()], kind)
    return column.cast(kind)


def _json_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _as(value: Any, kind: pa.DataType) -> Any:
    """A nested value as a type that holds more has it: JSON text where it has that."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: _as(value.get(field.name), field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_as(item, kind.value_type) for item in value]
    return _json_text(value) if pa.types.is_string(kind) else value


def merged(batches: Iterator[pa.RecordBatch], most_bytes: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about `most_bytes` of values, as tables want them."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= most_bytes:
            yield _one(waiting)
            waiting, size = [], 0
    if waiting:
        yield _one(waiting)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
