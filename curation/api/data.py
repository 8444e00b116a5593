"""What may be given as data, and the Arrow batches that it comes to.

A `str` or `Path` names files. A list of `str` is texts, a list of `Path` files. Everything else is a
table, or is iterated: rows are `dict`, or `str` for a text alone.

Trap: a `datasets.Dataset` after `select` or `filter` keeps all its rows in its table and a list of
those that count beside it, so it is asked for Arrow batches and its table is not touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import pyarrow as pa

from curation.errors import CurationError, InputError
from curation.shown import brief

BATCH_ROWS = 1024  # of an iterator of dicts or texts
DATASET_ROWS = 1000  # of a batch of a datasets.Dataset
KINDS = (
    "a path, a list of texts, an Arrow table or reader, a DataFrame, a datasets.Dataset, or an "
    "iterator of texts or dicts"
)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that mean something; the others are only kept."""

    text: str = "text"
    id: str = "id"
    url: str = "url"

    def as_keys(self) -> dict[str, str]:
        """As a dataset of a recipe has them."""
        return {"text_column": self.text, "id_column": self.id, "url_column": self.url}

    def of_files(self, paths: Sequence[str]) -> Columns:
        """The same; where none is named, those of the runs that the paths may be."""
        from curation.rundir.sources import column_names

        if self != Columns():
            return self
        names = column_names(paths)
        return Columns(**{key.removesuffix("_column"): name for key, name in names.items()})


@dataclass(frozen=True, slots=True)
class Files:
    """Data that is in files: paths, patterns, folders or addresses."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batches:
    """Data as Arrow tables and batches, that can be read once."""

    source: Iterable[pa.RecordBatch | pa.Table] = field(repr=False)
    name: str

    def __iter__(self) -> Iterator[pa.Table]:
        with reading(self.name) as place:
            for part in self.source:
                place.rows += part.num_rows
                yield part if isinstance(part, pa.Table) else pa.Table.from_batches([part])

    def table(self, columns: Columns) -> pa.Table:
        """All rows as one table, its columns checked. Raises InputError where they are no rows."""
        parts = [checked(part, columns, self.name) for part in self]
        if not parts:
            return pa.table({columns.text: pa.array([], pa.string())})
        return joined(parts, self.name)


def given(data: Any, name: str = "data", text_column: str = "text") -> Files | Batches:
    """What data is: files, or batches of rows. Nothing is read yet. Texts alone are a column
    `text_column`.

    >>> given("s3://bucket/crawl/*.warc.gz")
    Files(paths=('s3://bucket/crawl/*.warc.gz',))
    >>> given(["a text", "another"]).table(Columns()).column("text").to_pylist()
    ['a text', 'another']

    Raises InputError for anything else, naming what was given.
    """
    if isinstance(data, Files | Batches):
        return data
    if isinstance(data, str | os.PathLike):
        return Files((path_of(data),))
    if isinstance(data, Sequence) and data and all(isinstance(p, os.PathLike) for p in data):
        return Files(tuple(map(path_of, data)))
    if isinstance(run := getattr(data, "run_directory", None), str):
        return Files((run,))
    if (arrow := _arrow(data, name, text_column)) is not None:
        return arrow
    if hasattr(data, "with_format") and hasattr(data, "iter"):
        return Batches(data.with_format("arrow").iter(DATASET_ROWS), name)
    if isinstance(data, Mapping):
        return _mapping(data, name)
    if isinstance(data, Iterable) and not isinstance(data, bytes | bytearray):
        return Batches(_tables_of(data, name, text_column), name)
    raise InputError(f"{name}: {KINDS} expected, got {brief(data)}")


def path_of(path: Any) -> str:
    """A path or address as text; a local one from the root, since the working folder may change."""
    text: str | bytes = os.fspath(path)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    return text if "://" in text else os.path.abspath(text)


def shown_path(path: str) -> str:
    """A path as a person would write it: from the working folder, where it is in that.

    >>> shown_path(os.path.join(os.getcwd(), "run")), shown_path("s3://bucket/run")
    ('run', 's3://bucket/run')
    """
    inside = os.path.join(os.getcwd(), "")
    return path.removeprefix(inside) if path != inside else path


def _arrow(data: Any, name: str, text_column: str) -> Batches | None:
    """Batches of what Arrow itself reads: its own objects, and those of its capsule interface."""
    if isinstance(data, pa.Array | pa.ChunkedArray) and not pa.types.is_struct(data.type):
        return Batches([pa.table({text_column: data})], name)
    if isinstance(data, pa.Table | pa.RecordBatch):
        return Batches([data], name)
    if hasattr(data, "collect") and hasattr(
        data, "collect_schema"
    ):  # of polars, which would compute its `schema`
        raise InputError(f"{name}: a LazyFrame has no rows yet; give the result of its collect()")
    if isinstance(getattr(data, "schema", None), pa.Schema):  # of a reader, or an Arrow data set
        return Batches(data.to_batches() if hasattr(data, "to_batches") else data, name)
    if not any(hasattr(data, f"__arrow_c_{kind}__") for kind in ("stream", "array")):
        return None
    try:
        return Batches([pa.table(data)], name)
    except (ValueError, TypeError, NotImplementedError) as error:
        try:  # a Series: one column
            return Batches([pa.table({text_column: pa.chunked_array(data)})], name)
        except (ValueError, TypeError, NotImplementedError):
            raise InputError(
                f"{name}: a table that Arrow can read expected, got {type(data).__name__} "
                f"({_first_line(error)})"
            ) from error


def _mapping(data: Mapping[Any, Any], name: str) -> Batches:
    """A dict of columns."""
    if any(hasattr(value, "with_format") for value in data.values()):
        raise InputError(
            f"{name}: one dataset expected, got a dict of {', '.join(map(brief, data))}; give one "
            f"of them, for instance data[{next(iter(data))!r}]"
        )
    try:
        return Batches([pa.table(dict(data))], name)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"{name}: a dict of columns of one length expected ({_first_line(error)}); a row is a "
            "dict in a list"
        ) from error


# ---- rows ----------------------------------------------------------------------------------------


class reading:  # noqa: N801  used as a function
    """A block that reads what is the user's own: whatever that raises becomes one InputError.

    `rows` says how far it got. A CurationError is passed on, and so is an interrupt.
    """

    def __init__(self, name: str) -> None:
        self.name, self.rows = name, 0

    def __enter__(self) -> reading:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, CurationError):
            raise InputError(
                f"{self.name}: reading it raised {type(error).__name__} after {self.rows:,} rows "
                f"({_first_line(error)}); nothing was written"
            ) from error


def _tables_of(rows: Iterable[Any], name: str, text_column: str) -> Iterator[pa.Table]:
    """Tables of some rows each, of an iterable of dicts or texts."""
    some: list[Any] = []
    with reading(name) as place:
        for row in rows:
            some.append(row)
            place.rows += 1
            if len(some) == BATCH_ROWS:
                yield _table_of(some, name, text_column, place.rows - len(some))
                some = []
    if some:
        yield _table_of(some, name, text_column, place.rows - len(some))


def _table_of(rows: list[Any], name: str, text_column: str, start: int) -> pa.Table:
    first = next((row for row in rows if row is not None), "")
    is_texts = isinstance(first, str)
    for number, row in enumerate(rows, start):
        if not (row is None or isinstance(row, str) if is_texts else isinstance(row, Mapping)):
            known = isinstance(first, str | Mapping)
            kind = ("a text" if is_texts else "a dict") if known else "a text or a dict"
            raise InputError(f"{name}: {kind} expected in row {number}, got {brief(row)}")
    if is_texts:
        return pa.table({text_column: _column(rows, text_column, name).cast(pa.string())})
    names = dict.fromkeys(key for row in rows for key in row)
    for key in names:
        if not isinstance(key, str):
            raise InputError(f"{name}: column names that are text expected, got {brief(key)}")
    columns = {key: _column([row.get(key) for row in rows], key, name) for key in names}
    return pa.table(columns or {text_column: pa.nulls(len(rows), pa.string())})


def _column(values: list[Any], column: str, name: str) -> Any:
    try:
        return pa.array(values)
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
        raise InputError(
            f"{name}: values of one type expected in column {column!r} ({_first_line(error)}); "
            "convert it or leave it out"
        ) from error


def joined(tables: Sequence[pa.Table], name: str) -> pa.Table:
    """Tables one below the other; where a column has several number types, one that holds all."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"{name}: one type for each column expected in all rows ({_first_line(error)}); convert "
            "the column or leave it out"
        ) from error


# ---- columns -------------------------------------------------------------------------------------


def checked(table: pa.Table, columns: Columns, name: str) -> pa.Table:
    """The table, if each of its columns has a name of its own and one holds the text.

    Views of strings become strings, since Arrow cannot take rows of them.
    """
    names = table.column_names
    for column in names:
        if names.count(column) > 1:
            raise InputError(
                f"{name}: two columns are called {column!r}; rename one of them, for a column is "
                "known by its name"
            )
    if columns.text not in names:
        there = ", ".join(map(repr, names[:12])) or "none"
        raise InputError(
            f"{name}: no column {columns.text!r}; the columns there are {there}: name the one that "
            "holds the text with text_column="
        )
    kind = table.schema.field(columns.text).type
    if not is_text(kind):
        raise InputError(
            f"{name}: text expected in column {columns.text!r}, got {kind}; name another with "
            "text_column="
        )
    plain = pa.schema([field.with_type(without_views(field.type)) for field in table.schema])
    return (
        table if plain == table.schema else table.cast(plain.with_metadata(table.schema.metadata))
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold texts."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def without_views(kind: pa.DataType) -> pa.DataType:
    """A type with plain strings and bytes in place of views of them."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(without_views(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(without_views(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(without_views(part.type)) for part in kind])
    return kind


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
