"""The rows of one file of the index that a dataset selects.

Row groups whose statistics exclude what is asked for are not read. Of the others the columns that
the expression reads come first, and the place and the address of records only where it is true of
some row. DuckDB evaluates the expression, as it does those of rules.

Memory: those columns of one row group, and the annotations that are read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import draws, store
from curation.errors import InputError, RecipeError
from curation.kernels.ranges import MOST_BYTES
from curation.recipe import selection
from curation.rundir import schema
from curation.stages.download.index_files import IndexFile

OUT = ("url", "warc_filename", "warc_record_offset", "warc_record_length", "content_digest")
SLICE_ROWS = 1 << 16
MOST_RECORD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the index, and how: a task's part of the recipe.

    `annotations` is the table's path and its identity, empty without one.
    """

    dataset: str
    select: str
    sample: float
    seed: int
    annotations: tuple[str, ...]
    annotations_by: str
    archives: tuple[str, ...]
    patience: store.Patience


@dataclass
class Seen:
    """What a reading of the index cost, and found: rows, stored bytes of the records selected."""

    rows: int = 0
    selected: int = 0
    bytes: int = 0
    groups: int = 0
    groups_read: int = 0
    requests: int = 0
    received: int = 0
    size: int = 0

    def notes(self) -> dict[str, int]:
        """The same by name."""
        return dict(vars(self))


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a file: those to evaluate, by where they are from, and the bounds of them."""

    first: tuple[str, ...]
    parts: dict[str, str]
    annotations: tuple[str, ...]
    bounds: Sequence[selection.Bound] = field(default_factory=tuple)


def selected_rows(asked: Asked, file: IndexFile, seen: Seen) -> Iterator[pa.Table]:
    """The rows that are selected, as `schema.SELECTED`; counts in `seen`.

    Raises RecipeError where the expression does not fit the file, or fails on a row.
    """
    stream = store.RangedFile(file.path, asked.patience)
    with stream:
        try:
            reader = pq.ParquetFile(stream, pre_buffer=True)
        except pa.ArrowInvalid as error:
            raise InputError(f"{file.path}: a Parquet file expected, got {error}") from error
        columns = _columns(asked, file, reader.schema_arrow)
        seen.rows += reader.metadata.num_rows
        seen.groups += reader.num_row_groups
        for group in range(reader.num_row_groups):
            if _may_hold(reader.metadata.row_group(group), columns.bounds):
                seen.groups_read += 1
                yield from _group(asked, file, columns, reader, group, seen)
        seen.requests, seen.received = (
            seen.requests + stream.requests,
            seen.received + stream.received,
        )
        seen.size += stream.size()


def _columns(asked: Asked, file: IndexFile, known: pa.Schema) -> _Columns:
    if missing := [name for name in OUT if name not in known.names]:
        raise InputError(
            f"{file.path}: no column {missing[0]!r}; Common Crawl's columnar index expected"
        )
    types = {f.name: f.type for f in known}
    parts = {name: value for name, value in file.parts if name not in types}
    types |= dict.fromkeys(parts, pa.string())
    notes = annotation_schema(asked)
    if twice := [name for name in notes.names if name in types]:
        raise RecipeError(
            f"dataset {asked.dataset!r}: annotations have the column {twice[0]!r}, as the index has; "
            "rename it"
        )
    types |= {f.name: f.type for f in notes}
    try:
        used = selection.checked(asked.dataset, asked.select, types, file.crawl)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    of_notes = tuple(name for name in notes.names if name in used)
    first = {name for name in used if name in known.names}
    if of_notes:
        first.add(selection.JOINED[asked.annotations_by])
    ordered = tuple(name for name in known.names if name in first)
    return _Columns(
        ordered,
        {name: value for name, value in parts.items() if name in used},
        of_notes,
        [bound for bound in selection.bounds(asked.select) if bound.column in known.names],
    )


def _may_hold(group: pq.RowGroupMetaData, bounds: Sequence[selection.Bound]) -> bool:
    """Whether a row group may have a row within all bounds, as far as its statistics tell."""
    if not bounds:
        return True
    places = {group.column(i).path_in_schema: i for i in range(group.num_columns)}
    for bound in bounds:
        statistics = group.column(places[bound.column]).statistics
        if statistics is None or not statistics.has_min_max:
            continue
        if not bound.may_hold(statistics.min, statistics.max):
            return False
    return True


def _group(
    asked: Asked, file: IndexFile, columns: _Columns, reader: pq.ParquetFile, group: int, seen: Seen
) -> Iterator[pa.Table]:
    """The selected rows of one row group."""
    rows = reader.metadata.row_group(group).num_rows
    chosen = np.ones(rows, bool)
    table = reader.read_row_group(group, columns=list(columns.first)) if columns.first else None
    if asked.select:
        chosen = _fires(asked, file, _with_others(asked, columns, table, rows))
        if not chosen.any():
            return
    have = {name: table.column(name) for name in columns.first} if table is not None else {}
    rest = reader.read_row_group(group, columns=[name for name in OUT if name not in have])
    have |= {name: rest.column(name) for name in rest.column_names}
    out = pa.table({name: have[name] for name in OUT}).filter(pa.array(chosen))
    out = _sampled(asked, _whole(asked, out))
    seen.selected += out.num_rows
    seen.bytes += pc.sum(out.column("size")).as_py() or 0
    if out.num_rows:
        yield out


def _with_others(asked: Asked, columns: _Columns, table: pa.Table | None, rows: int) -> pa.Table:
    """The columns of the expression: those of the file, of its folders, and of annotations."""
    out = {name: table.column(name) for name in columns.first} if table is not None else {}
    out |= {n: pa.array(np.full(rows, v, object), pa.string()) for n, v in columns.parts.items()}
    if columns.annotations:
        keys, notes = annotation_table(asked, columns.annotations)
        column = out[selection.JOINED[asked.annotations_by]].combine_chunks()
        places = pc.index_in(column.cast(pa.string()), value_set=keys, skip_nulls=True)
        out |= {name: notes.column(name).take(places) for name in columns.annotations}
    return pa.table(out)


def _fires(asked: Asked, file: IndexFile, table: pa.Table) -> np.ndarray:
    """Where the expression is true: bool[n]."""
    from curation.store.query import expression_values

    parts = []
    for start in range(0, table.num_rows, SLICE_ROWS):
        try:
            values = expression_values([asked.select], table.slice(start, SLICE_ROWS))
        except ValueError as error:
            raise RecipeError(
                f"dataset {asked.dataset!r}: select fails on a row of {file.path}: {error}; "
                "TRY_CAST(... AS ...) or TRY(...) give null instead, which selects nothing"
            ) from error
        parts.append(pc.fill_null(values.column(0), False).to_numpy())
    return np.concatenate(parts) if parts else np.empty(0, bool)


def _whole(asked: Asked, table: pa.Table) -> pa.Table:
    """The rows as `schema.SELECTED` without those that say no place, or of archives not asked for."""
    values = [
        table.column("url"),
        table.column("warc_filename"),
        table.column("warc_record_offset").cast(pa.int64()),
        table.column("warc_record_length").cast(pa.int64()),
        table.column("content_digest"),
    ]
    out = pa.Table.from_arrays(
        [v.cast(kind) for v, kind in zip(values, schema.SELECTED.types, strict=True)],
        schema=schema.SELECTED,
    )
    start, size = out.column("start"), out.column("size")
    placed = pc.and_(pc.greater_equal(start, 0), pc.less(start, MOST_BYTES))
    placed = pc.and_(placed, pc.and_(pc.greater(size, 0), pc.less(size, MOST_RECORD_BYTES)))
    placed = pc.and_(placed, pc.is_valid(out.column("filename")))
    if asked.archives:
        wanted = pa.array(asked.archives, pa.string())
        placed = pc.and_(placed, pc.is_in(out.column("filename"), value_set=wanted))
    return out.filter(pc.fill_null(placed, False))


def _sampled(asked: Asked, table: pa.Table) -> pa.Table:
    """Those rows whose address is drawn."""
    if asked.sample >= 1:
        return table
    urls = ((url or "").encode() for url in table.column("url").to_pylist())
    return table.filter(pa.array(draws.uniforms(asked.seed, "select", urls) < asked.sample))


# ---- annotations ---------------------------------------------------------------------------------


def annotation_schema(asked: Asked) -> pa.Schema:
    """The columns of the annotations beside the one by which they are joined."""
    if not asked.annotations:
        return pa.schema([])
    return _annotation_schema(asked.annotations, asked.annotations_by)


@functools.lru_cache(maxsize=4)
def _annotation_schema(annotations: tuple[str, ...], by: str) -> pa.Schema:
    known = store.read_schema(annotations[0])
    if by not in known.names:
        raise RecipeError(
            f"{annotations[0]}: annotations_by = {by!r}, so a column {by!r} expected, got "
            f"{', '.join(known.names[:8])}"
        )
    return pa.schema([f for f in known if f.name != by])


def annotation_table(asked: Asked, columns: tuple[str, ...]) -> tuple[pa.Array, pa.Table]:
    """The keys of the annotations, and some of their columns, read once a process.

    Raises InputError where a key is there twice.
    """
    return _annotations(asked.annotations, asked.annotations_by, columns)


@functools.lru_cache(maxsize=2)
def _annotations(
    where: tuple[str, ...], by: str, columns: tuple[str, ...]
) -> tuple[pa.Array, pa.Table]:
    table = store.read_table(where[0], [by, *columns]).combine_chunks()
    keys = table.column(by).cast(pa.string()).combine_chunks()
    counts = pc.value_counts(keys)
    if len(counts) < len(keys):
        twice = counts.filter(pc.greater(counts.field("counts"), 1))[0]
        raise InputError(
            f"{where[0]}: each {by} once expected, got {twice['values'].as_py()!r} "
            f"{twice['counts'].as_py()} times"
        )
    return keys, table.select(list(columns))
