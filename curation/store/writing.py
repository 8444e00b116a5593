"""Writing and removing files, under the lock of the run that they belong to: a file appears whole
or not at all.

Trap: a temporary file for object storage is local, and reaches the bucket in one put.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import filterfalse
from typing import IO, Any, TypeVar

import orjson

from curation.errors import InputError, RunError
from curation.store.paths import TEMPORARY, filesystem, is_remote, join, object_of, read_json
from curation.store.s3 import put_if, tagged
from curation.store.storage import retried
from curation.store.task import forget

T = TypeVar("T")
# Path -> token of the locks that this process writes under: of all that is in their folders.
_locks: dict[str, str] = {}
LOOK_S = 5.0  # a lock in object storage is looked at so often, at most
_looked: dict[str, float] = {}  # token of such a lock -> when it was still held
# Folders that held nothing when the stage that writes them began.
_fresh: set[str] = set()
# Folders whose files nobody needs after a power cut.
_unsynced: set[str] = set()
# Files of a block of `synced_together` that wait for the disk.
_waiting: list[list[str]] = []
SYNCS = 16  # at the same time: a disk takes many for the time of one


def locks() -> dict[str, str]:
    """The locks that this process writes under; a change of the dict counts at once."""
    return _locks


def fresh() -> set[str]:
    """The folders of which a stage knows that nothing was in them when it began: there is nothing
    to reuse. A change of the set counts at once."""
    return _fresh


def is_fresh(path: str) -> bool:
    """Whether a table is in such a folder."""
    return bool(_fresh) and any(path.startswith(folder) for folder in _fresh)


def terms() -> tuple[dict[str, str], frozenset[str]]:
    """What a task in another process must know: the locks that it writes under, and `fresh`."""
    return dict(_locks), frozenset(_fresh)


def under_terms(
    terms: tuple[dict[str, str], frozenset[str]], task: Callable[..., T], *arguments: Any
) -> T:
    """A task in another process, under the terms of the process that sent it."""
    _locks.clear()
    _fresh.clear()
    _locks.update(terms[0])
    _fresh.update(terms[1])
    return task(*arguments)


def need_lock(target: str) -> None:
    """Raise RunError unless the lock of the folder that `target` is in is still held."""
    for path, token in list(_locks.items()):
        if f"{target}/".startswith(path.rpartition("/")[0] + "/"):
            if is_remote(path) and 0 <= time.time() - _looked.get(token, 0.0) < LOOK_S:
                continue
            began = time.time()
            try:
                holder = read_json(path)
            except (InputError, RunError):
                holder = None
            if not isinstance(holder, dict) or holder.get("token") != token:
                raise RunError(
                    f"{path}: no longer the lock of this run: it gave no sign for too long, and "
                    "another run took over, or the file was deleted; this run stops, and what it "
                    "finished is kept"
                )
            _looked[token] = began


@contextlib.contextmanager
def unsynced(folder: str) -> Iterator[None]:
    """In this block nothing that this process writes below a temporary folder waits for the disk,
    and tables there are not packed."""
    prefix = folder.rstrip("/") + "/"
    _unsynced.add(prefix)
    try:
        yield
    finally:
        _unsynced.discard(prefix)


def is_unsynced(path: str) -> bool:
    """Whether a path is in a folder of such a block."""
    return any(path.startswith(prefix) for prefix in _unsynced)


@contextlib.contextmanager
def synced_together() -> Iterator[None]:
    """The local files that this process writes in the block reach the disk at its end, many at the
    same time: for files that count only once another is written after the block."""
    _waiting.append([])
    try:
        yield
        with ThreadPoolExecutor(SYNCS) as threads:
            for _ in threads.map(_sync_if_there, filterfalse(is_unsynced, _waiting[-1])):
                pass
    finally:
        _waiting.pop()


def _sync_if_there(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # removed since
        _sync(path)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic(path: str) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` when the block ends well, and not at all when it does
    not."""
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
            if _waiting and local:
                _waiting[-1].append(path)
            elif not is_unsynced(path):
                os.fsync(handle.fileno())
        forget(path)
        if local:
            need_lock(path)
            os.chmod(handle.name, 0o666 & ~_umask())
            os.replace(handle.name, path)
        else:
            put(handle.name, path)
            os.unlink(handle.name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(handle.name)
        raise


def put(local: str, path: str) -> None:
    """Copy a local file to object storage, where it appears whole."""
    need_lock(path)
    system, inner = filesystem(path)

    def copy() -> None:  # left to itself pyarrow packs once more what is called .gz
        with open(local, "rb") as whole, system.open_output_stream(inner, compression=None) as out:
            shutil.copyfileobj(whole, out, 8 << 20)

    retried(copy, path)


@functools.cache
def _umask() -> int:
    """The process's mask, asked for once: asking changes it for a moment, for other threads too."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    with atomic(path) as file:
        file.write(data)


def json_bytes(value: Any) -> bytes:
    """A value as indented JSON with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def copy_local(local: str, path: str) -> None:
    """A file appears at `path` with the bytes of a local file that nobody changes: as another name of
    it where both are on a disk that allows it, which costs no time, else as a copy."""
    if not is_remote(path):
        need_lock(path)
        name = f"{path}{TEMPORARY}{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            os.link(local, name)
            forget(path)
            os.replace(name, path)
            with contextlib.suppress(FileNotFoundError):  # it stays where both were one file before
                os.unlink(name)
            return
    with open(local, "rb") as file:
        write_bytes(path, file.read())


def write_json(path: str, value: Any) -> None:
    """Write a value as `json_bytes`."""
    write_bytes(path, json_bytes(value))


def create(path: str, value: Any) -> bool:
    """Write JSON to a local file that must not exist yet; False where it does."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    folder = os.path.dirname(path) or None
    handle = tempfile.NamedTemporaryFile(prefix=TEMPORARY, dir=folder, delete=False)  # noqa: SIM115
    try:
        with handle:
            handle.write(orjson.dumps(value))
        # The one step that both makes the file whole and fails where there is one.
        os.link(handle.name, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(handle.name)
    return True


def has_conditions(path: str) -> bool:
    """Whether a put to an address can depend on what is there."""
    return object_of(path) is not None


def read_tagged(path: str) -> tuple[bytes, str]:
    """The bytes of an object that can be put on a condition, and its tag.

    Raises InputError where it is not there.
    """
    found = object_of(path)
    assert found is not None, path
    try:
        return tagged(*found, path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error


def put_json_if(path: str, value: Any, tag: str | None) -> str | None:
    """Put JSON where the object that is there has this tag, or none is there (None): its new tag, or
    None where something else was there."""
    found = object_of(path)
    assert found is not None, path
    return put_if(*found, path, orjson.dumps(value), tag)


def sync_folders(root: str, names: Iterable[str]) -> None:
    """Bring the names in some local folders below `root`, and in those above them, to the disk."""
    above = {name.rsplit("/", n)[0] for name in names for n in range(name.count("/") + 1)}
    for folder in () if is_remote(root) else (root, *(join(root, name) for name in above)):
        _sync(folder)


def delete(path: str) -> None:
    """Remove a file or a whole folder; nothing happens where there is none."""
    need_lock(path)
    forget(path)
    system, inner = filesystem(path)
    kind = system.get_file_info(inner).type.name
    with contextlib.suppress(FileNotFoundError):  # gone by now, maybe by a try before
        if kind == "Directory":
            system.delete_dir(inner)
        elif kind == "File":
            system.delete_file(inner)


def sweep(folder: str) -> None:
    """Remove temporary files that a killed run left behind; only the holder of the run's lock
    may call it."""
    need_lock(folder)
    if not is_remote(folder):
        for place, _, names in os.walk(folder):
            for name in names:
                if TEMPORARY in name:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(place, name))
