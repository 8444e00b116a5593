"""Object storage as a pyarrow file system that tries again what may pass: any request, and the
reading of an object from where it broke.

The trap: what the library itself tries again it gives up after three tries, and it does not know an
error page that arrived in place of a few bytes as one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from curation.errors import Unreachable
from curation.store.patience import Patience, TryAgain, persist

T = TypeVar("T")
PATIENCE = Patience()
# What no patience mends, in the words of the services.
_passing: list[type[Exception]] = [OSError]
_FINAL = re.compile(
    r"ACCESS_?DENIED|NO_?SUCH_?BUCKET|INVALID_?ACCESS_?KEY|SIGNATURE_?DOES_?NOT_?MATCH"
    r"|INVALID_?CLIENT_?TOKEN|MISSING_?AUTHENTICATION|PERMISSION_?DENIED|INVALID_?BUCKET"
    r"|expired|Forbidden",
    re.IGNORECASE,
)


def count_as_passing(kind: type[Exception]) -> None:
    """From now on `retried` takes errors of this kind for some that may pass, as it does OSErrors."""
    if kind not in _passing:
        _passing.append(kind)


def retried(action: Callable[[], T], name: str) -> T:
    """`action()` on the object of this name, again and again where it fails in a way that may pass.

    Raises FileNotFoundError, and Unreachable, which names the object, for all else.
    """

    def attempt() -> T:
        try:
            return action()
        except FileNotFoundError:
            raise
        except tuple(_passing) as error:
            line = str(error).partition("\n")[0]
            if isinstance(error, PermissionError) or _FINAL.search(line):
                raise Unreachable(
                    f"{name}: {line}; are the address and the credentials right?"
                ) from error
            raise TryAgain(line) from error

    return persist(attempt, name, PATIENCE)


class ObjectReader(io.RawIOBase):
    """An object, read by ranges; where that fails it is opened again."""

    def __init__(self, system: Any, path: str, name: str) -> None:
        self._system, self._path, self._name = system, path, name
        self._stream: Any = None
        self._position = 0
        self._size = retried(lambda: self._open().size(), name)

    def _open(self) -> Any:
        if self._stream is None:
            self._stream = self._system.open_input_file(self._path)
        return self._stream

    def _read(self, size: int) -> bytes:
        try:
            stream = self._open()
            stream.seek(self._position)
            data: bytes = stream.read(size)
        except BaseException:
            self._stream = None
            raise
        if len(data) != size:
            self._stream = None
            raise OSError(f"{len(data)} of {size} bytes from {self._position} on arrived")
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._size)[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        data = retried(lambda: self._read(wanted), self._name) if wanted else b""
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Retried(pafs.FileSystemHandler):  # type: ignore[misc]
    """Hands every request on to another file system, and tries again; `prefix` makes its paths
    addresses."""

    def __init__(self, system: Any, prefix: str, readers: Any) -> None:
        self._system, self._prefix, self._readers = system, prefix, readers

    def _do(self, verb: str, path: str, *args: Any, **kwargs: Any) -> Any:
        action = getattr(self._system, verb)
        return retried(lambda: action(path, *args, **kwargs), self._prefix + path)

    def get_type_name(self) -> str:
        return str(self._system.type_name)

    def normalize_path(self, path: str) -> str:
        return str(self._system.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> Any:
        return retried(lambda: self._system.get_file_info(paths), self._prefix + paths[0])

    def get_file_info_selector(self, selector: Any) -> Any:
        name = self._prefix + selector.base_dir
        return retried(lambda: self._system.get_file_info(selector), name)

    def create_dir(self, path: str, recursive: bool) -> None:
        self._do("create_dir", path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self._do("delete_dir", path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self._do("delete_dir_contents", path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self._do("delete_file", path)

    def move(self, src: str, dest: str) -> None:
        self._do("move", src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        self._do("copy_file", src, dest)

    def open_input_file(self, path: str) -> Any:
        return pa.PythonFile(ObjectReader(self._readers, path, self._prefix + path), mode="r")

    open_input_stream = open_input_file

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        return self._system.open_output_stream(path, compression=None, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError


def patient(system: Any, prefix: str, readers: Any = None) -> Any:
    """A file system that does what `system` does, and tries again; `readers` opens files for
    reading in its place."""
    return pafs.PyFileSystem(_Retried(system, prefix, readers or system))
