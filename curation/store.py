"""The only module that opens paths: local folders, s3://, gs:// and hdfs:// through pyarrow.fs.

Commit last: everything is written under a temporary name and appears whole or not at all. A Parquet file carries in its footer the digest
of the configuration it was made under, an identity for what comes after it to hang on, and its ledger; never times or absolute paths.
One writer cuts all tables into row groups by rows and bytes of the rows themselves, so the bytes of a file do not depend on how its
rows arrived.

Trap: a temporary file on object storage is local, and reaches the bucket in one put; a folder there does not exist by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from curation.errors import InputError, RunError

GROUP_ROWS = 8192
GROUP_BYTES = 8 << 20  # a row group closes with the row that reaches this
TEMPORARY = ".tmp-"
_GLOB = re.compile(r"[*?\[]")


# ---- paths -----------------------------------------------------------------------------------------------------------------------------


def is_remote(path: str) -> bool:
    return "://" in path


def filesystem(path: str) -> tuple[Any, str]:
    """The file system of a path and the path inside it."""
    if not is_remote(path):
        return pafs.LocalFileSystem(), path
    try:
        return pafs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not an address that pyarrow can open ({_first_line(error)})") from error


def join(*parts: str) -> str:
    """Parts of a path, joined with forward slashes, as object storage has it."""
    return posixpath.join(*parts)


def exists(path: str) -> bool:
    system, inner = filesystem(path)
    return bool(system.get_file_info(inner).type != pafs.FileType.NotFound)


def is_folder(path: str) -> bool:
    system, inner = filesystem(path)
    return bool(system.get_file_info(inner).type == pafs.FileType.Directory)


@dataclass(frozen=True, slots=True)
class File:
    """One input file as the plan sees it.

    `name` is relative to the pattern's fixed folder, `tag` changes when the file does (the modification time where there is one).
    """

    path: str
    name: str
    size: int
    tag: str


def find(pattern: str) -> list[File]:
    """The files a pattern means: a path, a folder (everything in it but hidden files), or a glob; sorted by name."""
    system, inner = filesystem(pattern)
    if _GLOB.search(inner):
        root = inner[: inner.rfind("/", 0, _GLOB.search(inner).start()) + 1] or "."  # type: ignore[union-attr]
        matches = _glob_match(inner)
        infos = [i for i in _listing(system, root) if matches(i.path)]
    else:
        info = system.get_file_info(inner)
        if info.type == pafs.FileType.NotFound:
            raise InputError(f"{pattern}: no such file or folder")
        if info.type == pafs.FileType.File:
            return [File(pattern, posixpath.basename(inner), info.size, _tag(info))]
        root, infos = inner, _listing(system, inner)
    prefix = pattern[: len(pattern) - len(inner)]
    files = []
    for info in infos:
        name = posixpath.relpath(info.path, root)
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if info.type == pafs.FileType.File and not hidden and TEMPORARY not in name:
            files.append(File(prefix + info.path, name, info.size, _tag(info)))
    if not files:
        raise InputError(f"{pattern}: no files there")
    return sorted(files, key=lambda f: f.name)


def _listing(system: Any, root: str) -> list[Any]:
    try:
        return list(system.get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True)))
    except PermissionError as error:
        raise InputError(f"{root}: permission denied; give this user the right to read it") from error


def _glob_match(pattern: str) -> Callable[[str], bool]:
    """`*` and `?` stay within a folder, `**` crosses folders."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and "]" in pattern[i + 2 :]:
            end = pattern.index("]", i + 2)
            out, i = out + pattern[i : end + 1].replace("[!", "[^"), end + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    compiled = re.compile(out.removeprefix(r"\./"))
    return lambda path: compiled.fullmatch(path.removeprefix("./")) is not None


def _tag(info: Any) -> str:
    return str(info.mtime_ns or "")


# ---- bytes -----------------------------------------------------------------------------------------------------------------------------


def open_input(path: str) -> Any:
    """A seekable binary stream; the caller closes it. Compression is the reader's business."""
    system, inner = filesystem(path)
    try:
        return system.open_input_file(inner)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except PermissionError as error:
        raise InputError(f"{path}: permission denied; give this user the right to read it") from error


def read_bytes(path: str) -> bytes:
    with open_input(path) as stream:
        return bytes(stream.readall())


def read_json(path: str) -> Any:
    try:
        return orjson.loads(read_bytes(path))
    except orjson.JSONDecodeError as error:
        raise RunError(f"{path}: not JSON ({error}); delete the file and run again") from error


@contextlib.contextmanager
def atomic(path: str) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` when the block ends well, and not at all when it does not."""
    local = not is_remote(path)
    folder = os.path.dirname(path) if local else None
    if local:
        os.makedirs(folder or ".", exist_ok=True)
    name = os.path.basename(path) + TEMPORARY
    handle = tempfile.NamedTemporaryFile(prefix=name, dir=folder or None, delete=False)  # noqa: SIM115
    try:
        with handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        if local:
            os.chmod(handle.name, 0o666 & ~_umask())
            os.replace(handle.name, path)
        else:
            system, inner = filesystem(path)
            with open(handle.name, "rb") as whole, system.open_output_stream(inner) as out:
                shutil.copyfileobj(whole, out, 8 << 20)
            os.unlink(handle.name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(handle.name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str, data: bytes) -> None:
    with atomic(path) as file:
        file.write(data)


def write_json(path: str, value: Any) -> None:
    write_bytes(path, orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


def create(path: str, value: Any) -> bool:
    """Write JSON to a local file that must not exist yet; False where it does."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    handle = tempfile.NamedTemporaryFile(prefix=TEMPORARY, dir=os.path.dirname(path) or None, delete=False)  # noqa: SIM115
    try:
        with handle:
            handle.write(orjson.dumps(value))
        os.link(handle.name, path)  # the one step that both makes the file whole and fails where there is one
    except FileExistsError:
        return False
    finally:
        os.unlink(handle.name)
    return True


def sha256(path: str) -> str:
    """Of a file's bytes, hex."""
    state = hashlib.sha256()
    with open_input(path) as stream:
        while block := stream.read(8 << 20):
            state.update(block)
    return state.hexdigest()


def delete(path: str) -> None:
    """Remove a file or a whole folder; nothing happens where there is none."""
    system, inner = filesystem(path)
    kind = system.get_file_info(inner).type
    if kind == pafs.FileType.Directory:
        system.delete_dir(inner)
    elif kind == pafs.FileType.File:
        system.delete_file(inner)


def sweep(folder: str) -> None:
    """Remove temporary files that a killed run left behind; only the holder of the run's lock may call it."""
    if not is_remote(folder):
        for place, _, names in os.walk(folder):
            for name in names:
                if TEMPORARY in name:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(place, name))


# ---- tables ----------------------------------------------------------------------------------------------------------------------------

Ledger = dict[str, list[int]]  # outcome -> [documents, characters, ...]: see ledger.py


@dataclass(frozen=True, slots=True)
class Footer:
    """What a committed table says of itself."""

    digest: str
    identity: str
    ledger: Ledger
    rows: int


@dataclass(frozen=True, slots=True)
class Table:
    """Some Parquet files of one schema: what `sql` reads."""

    paths: tuple[str, ...]
    schema: pa.Schema


@dataclass
class TableWriter:
    """Writes one Parquet table; commits it when the `with` block ends well.

    `ledger` and `identity` may be set until then; `identity` defaults to `digest`.
    """

    path: str
    schema: pa.Schema
    digest: str
    ledger: Ledger = field(default_factory=dict)
    identity: str = ""
    rows: int = 0

    def __enter__(self) -> TableWriter:
        self._atomic = atomic(self.path)
        self._file = self._atomic.__enter__()
        self._writer = pq.ParquetWriter(
            self._file, self.schema, compression="zstd", write_statistics=["id", "url", "doc", "reason"]
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows, self._pending_bytes = 0, 0
        return self

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; columns must be those of the schema, in its order."""
        batches = batch.to_batches() if isinstance(batch, pa.Table) else [batch]
        for one in batches:
            self._append(pa.RecordBatch.from_arrays(one.columns, schema=self.schema))

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
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.add_key_value_metadata(
                    {
                        "curation.digest": self.digest,
                        "curation.identity": self.identity or self.digest,
                        "curation.ledger": orjson.dumps(self.ledger, option=orjson.OPT_SORT_KEYS).decode(),
                    }
                )
            self._writer.close()
        except BaseException as failure:
            self._atomic.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of each row's values (int64[n]): from the values alone, so equal however the rows were batched.

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
    if pa.types.is_struct(kind):
        total = np.zeros(len(array), np.int64)
        for part in array.flatten():
            total += _array_bytes(part)
        return total
    return np.full(len(array), 8, np.int64)


def footer(path: str) -> Footer | None:
    """What a table says of itself, or None where there is none (or the file is not one of ours)."""
    system, inner = filesystem(path)
    try:
        metadata = pq.read_metadata(inner, filesystem=system)
    except FileNotFoundError:
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
    )


def done(path: str, digest: str) -> Footer | None:
    """The footer of a table that was made under `digest`, else None: what a re-run may reuse."""
    found = footer(path)
    return found if found is not None and found.digest == digest else None


def need_footer(path: str) -> Footer:
    found = footer(path)
    if found is None:
        raise RunError(f"{path}: missing or damaged; run the stage that writes it again")
    return found


def read_groups(path: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A table's row groups in order, each as one record batch."""
    with open_input(path) as stream:
        file = pq.ParquetFile(stream)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=None if columns is None else list(columns)).combine_chunks()
            if columns is not None:
                table = table.select(list(columns))
            yield from table.to_batches()


def read_table(path: str, columns: Sequence[str] | None = None) -> pa.Table:
    with open_input(path) as stream:
        table = pq.ParquetFile(stream).read(columns=None if columns is None else list(columns))
    return table if columns is None else table.select(list(columns))


def read_schema(path: str) -> pa.Schema:
    with open_input(path) as stream:
        return pq.read_schema(stream).remove_metadata()


def dataset(table: Table) -> Any:
    """An Arrow reader of some files that can be scanned more than once, with column pruning."""
    import pyarrow.dataset as pads

    if not table.paths:
        return pa.Table.from_batches([], table.schema)
    system, _ = filesystem(table.paths[0])
    inner = [filesystem(path)[1] for path in table.paths]
    return pads.dataset(inner, schema=table.schema, format="parquet", filesystem=system)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
