"""Paths, bytes and JSON: listing, opening and reading.

Trap: a folder on object storage does not exist by itself.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import os
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.fs as pafs

from curation.errors import InputError, RunError
from curation.store.s3 import Objects, objects
from curation.store.storage import patient, retried
from curation.store.task import SMALL_BYTES, remember, remembered

T = TypeVar("T")
TEMPORARY = ".tmp-"
TOGETHER = 1024  # files that a disk is asked for at a time
_GLOB = re.compile(r"[*?\[]")


# ---- paths ---------------------------------------------------------------------------------------


def is_remote(path: str) -> bool:
    """Whether a path is an address such as s3://bucket/key."""
    return "://" in path


def filesystem(path: str) -> tuple[Any, str]:
    """The file system of a path and the path inside it."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode("utf-8", "replace").decode()
        raise InputError(f"{shown}: the file name is not UTF-8; rename the file") from error
    if not is_remote(path):
        return pafs.LocalFileSystem(), path
    scheme, _, rest = path.partition("://")
    if scheme == "hf":
        from curation.store.hub import hub_filesystem

        return hub_filesystem(), rest.rstrip("/")
    bucket, _, key = rest.partition("/")
    try:
        # With the option a put is one request, and nothing appears before it.
        if scheme == "s3":
            client, _ = _connected(bucket)
            return client, f"{bucket.rpartition('@')[2]}/{key}".rstrip("/")
        system, inner = pafs.FileSystem.from_uri(path)
        return patient(system, f"{scheme}://"), inner
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path}: not an address that pyarrow can open ({_first_line(error)})"
        ) from error


@functools.lru_cache(maxsize=8)
def _connected(bucket: str) -> tuple[Any, Objects | None]:
    """The clients of a bucket once a process: making one asks the service where it lies."""
    uri = f"s3://{bucket}?allow_delayed_open=true"
    system = retried(lambda: pafs.FileSystem.from_uri(uri)[0], uri)
    readers = objects(bucket, system.region)
    return patient(system, "s3://", readers), readers


def object_of(path: str) -> tuple[Objects, str] | None:
    """The objects of an address's bucket and its key, where puts can have conditions."""
    if not path.startswith("s3://"):
        return None
    bucket, _, key = path.removeprefix("s3://").partition("/")
    readers = _connected(bucket)[1]
    return (readers, key) if readers else None


def join(*parts: str) -> str:
    """Parts of a path, joined with forward slashes, as object storage has it."""
    return posixpath.join(*parts)


def exists(path: str) -> bool:
    """Whether a file or folder is at a path."""
    system, inner = filesystem(path)
    return bool(system.get_file_info(inner).type != pafs.FileType.NotFound)


def is_folder(path: str) -> bool:
    """Whether a folder is at a path."""
    system, inner = filesystem(path)
    return bool(system.get_file_info(inner).type == pafs.FileType.Directory)


@dataclass(frozen=True, slots=True)
class File:
    """One input file as the plan sees it.

    `name` is relative to the pattern's fixed folder, `tag` changes when the file does (the
    modification time where there is one). Where only a part is meant it is the records that begin
    in the bytes [start, end) of it; `end` is 0 where the whole file is.
    """

    path: str
    name: str
    size: int
    tag: str
    start: int = 0
    end: int = 0

    @property
    def part_size(self) -> int:
        """Bytes of the part; of the file where it is whole."""
        return (self.end or self.size) - self.start

    @property
    def part(self) -> tuple[int, ...]:
        """What tells a part from others of its file; nothing for the whole file."""
        return (self.start, self.end) if self.end else ()


def find(pattern: str) -> list[File]:
    """The files a pattern means: a path, a folder (everything in it but hidden files), or a
    glob; sorted by name.

    What exists is meant as it is, whatever its name holds; only what does not exist is a glob.
    """
    system, inner = filesystem(pattern)
    info = system.get_file_info(inner)
    if info.type == pafs.FileType.File:
        return [File(pattern, posixpath.basename(inner), info.size, _tag(info))]
    if info.type == pafs.FileType.Directory:
        root, infos = inner, _listing(system, inner)
    elif _GLOB.search(inner):
        root = _fixed_folder(system, inner)
        matches = _glob_match(inner[len(root) :])
        listed = _listing(system, root or ".")
        infos = (info for info in listed if matches(_below(info.path, root)))
    elif info.type == pafs.FileType.Unknown:
        raise InputError(f"{pattern}: a pipe or a device; name a file or a folder")
    else:
        raise InputError(f"{pattern}: no such file or folder")
    files = _files(pattern, root or ".", infos)
    if not files:
        raise InputError(f"{pattern}: no files there")
    return files


def _fixed_folder(system: Any, pattern: str) -> str:
    """The part of a glob, up to a slash, that is a folder as it is written."""
    end = pattern.rfind("/", 0, _GLOB.search(pattern).start()) + 1  # type: ignore[union-attr]
    while (slash := pattern.find("/", end)) >= 0:
        if system.get_file_info(pattern[:slash]).type != pafs.FileType.Directory:
            break
        end = slash + 1
    return pattern[:end]


def _below(path: str, root: str) -> str:
    return posixpath.relpath(path, root or ".")


def listing(folder: str, hidden: bool = False) -> list[File]:
    """The files in a folder of ours, however deep, without temporary and (unless asked for) hidden
    ones; none where there is no such folder."""
    system, inner = filesystem(folder)
    return _files(folder, inner, _listing(system, inner), hidden)


def sizes(folder: str) -> Iterator[tuple[str, int]]:
    """Name and bytes of each file that `listing` gives, hidden ones too; in no order, and none is
    kept, since there may be very many."""
    system, inner = filesystem(folder)
    return ((name, info.size) for name, info in _named(inner, _listing(system, inner), True))


def _files(pattern: str, root: str, infos: Iterable[Any], hidden: bool = False) -> list[File]:
    # The scheme, and who asks: KEY:SECRET@ may stand before the bucket.
    prefix = re.match(r"(?:\w+://(?:[^/]*@)?)?", pattern)[0]  # type: ignore[index]
    files = (
        File(prefix + info.path, name, info.size, _tag(info))
        for name, info in _named(root, infos, hidden)
    )
    return sorted(files, key=lambda f: f.name)


def _named(root: str, infos: Iterable[Any], hidden: bool) -> Iterator[tuple[str, Any]]:
    """What is no folder and no temporary file, by its name below a folder."""
    below = root.rstrip("/") + "/"
    for info in infos:
        is_below = info.path.startswith(below)
        name = info.path[len(below) :] if is_below else posixpath.relpath(info.path, root)
        shown = hidden or not any(part.startswith((".", "_")) for part in name.split("/"))
        if info.type == pafs.FileType.File and shown and TEMPORARY not in name:
            yield name, info


def _listing(system: Any, root: str) -> Iterator[Any]:
    try:
        if isinstance(system, pafs.LocalFileSystem):
            paths = _local_files(root)
            while some := [filesystem(path)[1] for path in itertools.islice(paths, TOGETHER)]:
                yield from system.get_file_info(some)
        else:
            yield from system.get_file_info(
                pafs.FileSelector(root, recursive=True, allow_not_found=True)
            )
    except PermissionError as error:
        raise InputError(
            f"{root}: permission denied; give this user the right to read it"
        ) from error


def _local_files(root: str) -> Iterator[str]:
    """The files below a folder. Links to folders are followed, each real folder is read once."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    seen: set[str] = set()
    waiting = [root]
    while waiting:
        for folder, names, file_names in os.walk(waiting.pop(0), onerror=fail):
            if (real := os.path.realpath(folder)) in seen:
                names.clear()
                continue
            seen.add(real)
            names.sort()
            waiting += [p for n in names if os.path.islink(p := posixpath.join(folder, n))]
            yield from (posixpath.join(folder, name) for name in file_names)


def _glob_match(pattern: str) -> Callable[[str], bool]:
    """`*` and `?` stay within a folder; `**` crosses folders, and `**/` may be none."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i) and (not i or pattern[i - 1] == "/"):
            out, i = out + "(?:.*/)?", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and "]" in pattern[i + 2 :]:
            end = pattern.index("]", i + 2)
            some = re.sub(r"([\\\[&~|])", r"\\\1", pattern[i + 1 : end])
            out, i = out + f"[{re.sub('^!', '^', some)}]", end + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    try:
        compiled = re.compile(out)
    except re.error as error:
        raise InputError(
            f"{pattern}: no such file, and no pattern either ({error.msg}); is the name right?"
        ) from error
    return lambda path: compiled.fullmatch(path) is not None


def _tag(info: Any) -> str:
    return str(info.mtime_ns or "")


# ---- bytes ---------------------------------------------------------------------------------------


def open_input(path: str) -> Any:
    """A seekable binary stream; the caller closes it. Compression is the reader's business."""
    if (data := remembered(path)) is not None:
        return pa.BufferReader(data)
    system, inner = filesystem(path)
    try:
        stream = system.open_input_file(inner)
        if is_remote(path) and stream.size() <= SMALL_BYTES:
            remember(path, data := bytes(stream.readall()))
            stream = pa.BufferReader(data)
        return stream
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no such file") from error
    except PermissionError as error:
        raise InputError(
            f"{path}: permission denied; give this user the right to read it"
        ) from error
    except OSError as error:
        if not is_remote(path) and os.path.isdir(path):
            raise InputError(f"{path}: a file expected, found a folder") from error
        raise


def read_bytes(path: str) -> bytes:
    """All bytes of a file."""
    with open_input(path) as stream:
        return bytes(stream.readall())


def read_json(path: str) -> Any:
    """The value in a JSON file. Raises RunError where it is none."""
    try:
        return orjson.loads(read_bytes(path))
    except orjson.JSONDecodeError as error:
        raise RunError(f"{path}: not JSON ({error}); run again what wrote it") from error


def size_and_sha256(path: str) -> tuple[int, str]:
    """Of a file's bytes; the hash in hex."""
    state, size = hashlib.sha256(), 0
    with open_input(path) as stream:
        while block := stream.read(8 << 20):
            state.update(block)
            size += len(block)
    return size, state.hexdigest()


def sha256(path: str) -> str:
    """Of a file's bytes, hex."""
    return size_and_sha256(path)[1]


def free_bytes(folder: str) -> int | None:
    """Room on the disk of a folder that exists; None for object storage, where there is no end."""
    return None if is_remote(folder) else shutil.disk_usage(folder).free


def need_writable(folder: str) -> None:
    """Raise PermissionError where a folder exists and nothing may be made in it."""
    if not is_remote(folder) and os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "permission denied", folder)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def process_alive(pid: int) -> bool:
    """Whether a process of this machine is there: who left a lock or a temporary folder behind
    may be gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
