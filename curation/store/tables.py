"""Parquet tables: one writer that commits last, and readers that stream row groups.

A file carries in its footer the digest of the configuration it was made under, an identity for what
comes after it to hang on, and its ledger; never times or absolute paths. The writer cuts row groups
by rows and bytes of the rows themselves, so the bytes of a file do not depend on how its rows
arrived.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.errors import InputError, RunError, Unreachable
from curation.store.paths import filesystem, open_input
from curation.store.task import note_written
from curation.store.writing import atomic, is_unsynced

GROUP_ROWS = 8192
GROUP_BYTES = 8 << 20  # a row group closes with the row that reaches this
_READERS = 8  # tables read at the same time
_JOINED = 512
_ATTACHED = "curation.attached"
_UNPACKED = {"compression": "none", "use_dictionary": False}  # read once and gone

# Columns whose values are seldom equal: a dictionary of them would be made in vain, and texts are read
# in two thirds of the time without.
_DISTINCT = {"id", "record_id", "url", "text", "content", "tokens"}

Ledger = dict[str, list[int]]  # outcome -> [documents, characters, ...]: see ledger.py


@dataclass(frozen=True, slots=True)
class Footer:
    """What a committed table says of itself."""

    digest: str
    identity: str
    ledger: Ledger
    rows: int
    notes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Some Parquet files of one schema: what `sql` reads."""

    paths: tuple[str, ...]
    schema: pa.Schema


@dataclass
class TableWriter:
    """Writes one Parquet table; commits it when the `with` block ends well.

    `ledger`, `identity`, `notes` (counts that no ledger has) and `attached` (a few bytes beside the
    rows, for `read_attached`) may be set until then; `identity` defaults to `digest`. What is empty
    of the last two is not written.
    """

    path: str
    schema: pa.Schema
    digest: str
    ledger: Ledger = field(default_factory=dict)
    identity: str = ""
    rows: int = 0
    notes: dict[str, int] = field(default_factory=dict)
    attached: bytes = b""

    def __enter__(self) -> TableWriter:
        self._atomic = atomic(self.path)
        self._file = _Hashed(self._atomic.__enter__())
        self._writer = pq.ParquetWriter(
            self._file,
            self.schema,
            **(_UNPACKED if is_unsynced(self.path) else _packed(self.schema)),
            write_statistics=["id", "url", "doc", "reason"],
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows, self._pending_bytes = 0, 0
        return self

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; columns must be those of the schema, in its order."""
        batches = batch.to_batches() if isinstance(batch, pa.Table) else [batch]
        for part in batches:
            self._append(pa.RecordBatch.from_arrays(part.columns, schema=self.schema))

    def _append(self, batch: pa.RecordBatch) -> None:
        sizes = np.cumsum(row_bytes(batch))
        start, n = 0, batch.num_rows
        while start < n:
            before = int(sizes[start - 1]) if start else 0
            by_bytes = int(np.searchsorted(sizes, before + GROUP_BYTES - self._pending_bytes)) + 1
            end = min(n, by_bytes, start + GROUP_ROWS - self._pending_rows)
            self._pending.append(batch.slice(start, end - start))
            self._pending_rows += end - start
            self._pending_bytes += int(sizes[end - 1]) - before
            if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
                self._flush()
            start = end

    def _flush(self) -> None:
        if self._pending_rows:
            table = pa.Table.from_batches(self._pending, self.schema).combine_chunks()
            self._writer.write_table(table, row_group_size=self._pending_rows)
            self.rows += self._pending_rows
            self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.add_key_value_metadata(
                    {
                        "curation.digest": self.digest,
                        "curation.identity": self.identity or self.digest,
                        "curation.ledger": orjson.dumps(
                            self.ledger, option=orjson.OPT_SORT_KEYS
                        ).decode(),
                        **({"curation.notes": orjson.dumps(self.notes)} if self.notes else {}),
                        **({_ATTACHED: base64.b64encode(self.attached)} if self.attached else {}),
                    }
                )
            self._writer.close()
        except BaseException as failure:
            self._atomic.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)
        if kind is None:
            note_written(self.path, self._manifest_row())

    def _manifest_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"size": self._file.size, "sha256": self._file.hash.hexdigest()}
        row["identity"] = self.identity or self.digest
        return row | {k: v for k in ("ledger", "notes") if (v := getattr(self, k))}


def _packed(schema: pa.Schema) -> dict[str, Any]:
    """How a table that stays is packed."""
    parts = (leaf for column in schema if column.name not in _DISTINCT for leaf in _leaves(column))
    return {"compression": "zstd", "use_dictionary": list(parts)}


def _leaves(column: pa.Field) -> list[str]:
    """What Parquet calls the values of a column.

    >>> _leaves(pa.field("a", pa.list_(pa.struct([("b", pa.int64()), ("c", pa.string())]))))
    ['a.list.element.b', 'a.list.element.c']
    """
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = [kind.value_field.with_name("list.element")]
    elif pa.types.is_struct(kind):
        inner = list(kind)
    else:
        return [column.name]
    return [f"{column.name}.{leaf}" for part in inner for leaf in _leaves(part)]


class _Hashed:
    """A file that is written once from its beginning to its end, and the hash of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += memoryview(data).nbytes
        return self._file.write(data)

    @property
    def closed(self) -> bool:
        return self._file.closed

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is closed by who opened it."""


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of each row's values (int64[n]): from the values alone, so equal however the rows were
    batched.

    >>> row_bytes(pa.record_batch({"a": ["xy", None, "z"], "n": [1, 2, 3]})).tolist()
    [18, 16, 17]
    """
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        total += _array_bytes(column)
    return total


def _array_bytes(array: pa.Array) -> npt.NDArray[np.int64]:
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        lengths = pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False)
        return np.asarray(lengths.astype(np.int64) + 8)
    if pa.types.is_list(kind):
        child = np.concatenate(([0], np.cumsum(_array_bytes(array.flatten()))))
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths.astype(np.int64))
        return np.asarray(child[ends] - child[ends - lengths] + 8, np.int64)
    if pa.types.is_fixed_size_list(kind):
        return np.full(len(array), 8 + 8 * kind.list_size, np.int64)
    if pa.types.is_struct(kind):
        total = np.zeros(len(array), np.int64)
        for part in array.flatten():
            total += _array_bytes(part)
        return total
    return np.full(len(array), 8, np.int64)


def footer(path: str) -> Footer | None:
    """What a table says of itself, or None where there is none (or the file is not one of ours)."""
    try:
        with open_input(path) as stream:
            metadata = pq.read_metadata(stream)
    except Unreachable:
        raise
    except InputError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        return None
    except (pa.ArrowInvalid, OSError):  # garbage under our name: as good as missing
        return None
    pairs = metadata.metadata or {}
    if b"curation.digest" not in pairs:
        return None
    return Footer(
        pairs[b"curation.digest"].decode(),
        pairs[b"curation.identity"].decode(),
        orjson.loads(pairs[b"curation.ledger"]),
        metadata.num_rows,
        orjson.loads(pairs.get(b"curation.notes", b"{}")),
    )


def done(path: str, digest: str) -> Footer | None:
    """The footer of a table that was made under `digest`, else None: what a re-run may reuse."""
    committed = footer(path)
    return committed if committed is not None and committed.digest == digest else None


def need_footer(path: str) -> Footer:
    """The footer of a table that must be there. Raises RunError where it is missing or damaged."""
    committed = footer(path)
    if committed is None:
        raise RunError(
            f"{path}: missing or damaged; run the same command again, with --from and the stage that "
            "writes it if that does not help"
        )
    return committed


def read_attached(path: str) -> bytes:
    """What a table's writer attached to it; nothing where it attached nothing."""
    with open_input(path) as stream:
        pairs = pq.read_metadata(stream).metadata or {}
    return base64.b64decode(pairs.get(_ATTACHED.encode(), b""))


def read_groups(
    path: str, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """A table's row groups (or only `groups` of them) in order, each as one record batch."""
    with open_input(path) as stream:
        file = pq.ParquetFile(stream)
        for group in range(file.num_row_groups) if groups is None else groups:
            table = file.read_row_group(
                group, columns=None if columns is None else list(columns)
            ).combine_chunks()
            if columns is not None:
                table = table.select(list(columns))
            yield from table.to_batches()


def read_table(path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole table, or some of its columns in the order asked for."""
    with open_input(path) as stream:
        table = pq.ParquetFile(stream).read(columns=None if columns is None else list(columns))
    return table if columns is None else table.select(list(columns))


def read_tables(paths: Sequence[str]) -> pa.Table:
    """Many small tables as one, in their order.

    Several are read at the same time, since each waits for the disk or the network. They are joined
    some hundreds at a time, since a table holds 15 kB beside its rows.
    """
    parts: list[pa.Table] = []
    with ThreadPoolExecutor(_READERS) as threads:
        for start in range(0, len(paths), _JOINED):
            tables = threads.map(read_table, paths[start : start + _JOINED])
            parts.append(pa.concat_tables(tables).combine_chunks())
    return pa.concat_tables(parts)


def read_between(
    path: str, column: str, start: int, end: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows, or some of their columns, whose value of a column of whole numbers is in [start,
    end), of a table that is sorted by it. Row groups that have none of them are not read."""
    with open_input(path) as stream:
        file = pq.ParquetFile(stream)
        place = file.schema_arrow.names.index(column)
        groups = [
            group
            for group in range(file.num_row_groups)
            if (seen := file.metadata.row_group(group).column(place).statistics) is None
            or (seen.min < end and seen.max >= start)
        ]
        read = None if columns is None else [*columns, *({column} - {*columns})]
        table = file.read_row_groups(groups, columns=read)
    first, last = np.searchsorted(table.column(column).to_numpy(), [start, end]).tolist()
    rows = table.slice(first, last - first)
    return rows if columns is None else rows.select(list(columns))


def read_schema(path: str) -> pa.Schema:
    """The columns of a Parquet file. Raises InputError where it is none."""
    try:
        with open_input(path) as stream:
            return pq.read_schema(stream).remove_metadata()
    except pa.ArrowInvalid as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{path}: not a Parquet file ({why}); fetch or write it again") from error


def dataset(table: Table) -> Any:
    """An Arrow reader of some files that can be scanned more than once, with column pruning."""
    import pyarrow.dataset as pads

    if not table.paths:
        return pa.Table.from_batches([], table.schema)
    system, _ = filesystem(table.paths[0])
    inner = [filesystem(path)[1] for path in table.paths]
    return pads.dataset(inner, schema=table.schema, format="parquet", filesystem=system)
