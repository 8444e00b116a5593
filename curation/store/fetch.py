"""Whole files from addresses: under a temporary name until they are known to be whole.

Costs the network, and for gzip one reading of what arrived (some 250 MB/s unpacked): every member's
checksum is tested. The trap: a part that an earlier run left may be of an older file of the same
name, so the tag of the file it is from (ETag, or date and size) is kept beside it. A server that
tells neither is asked for the whole file again.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib

from curation.errors import Unreachable
from curation.store.paths import exists, find, is_remote
from curation.store.patience import Patience, TryAgain, persist
from curation.store.remote import (
    Address,
    Changed,
    OutOfRange,
    RemoteFile,
    describe,
)
from curation.store.writing import need_lock, put

PART, TAG = ".part", ".tag"
NEVER_EMPTY = (".gz", ".bz2", ".zst", ".parquet")


def fetch(address: Address, destination: str, patience: Patience) -> int:
    """Bring a file to `destination` and return its size in bytes; one that is there already is
    kept.

    It arrives as `<destination>.part` and is renamed when it is whole: of the length that the
    server told, or the address does, with the address's digest, and every gzip member's checksum
    right where the name ends in .gz. A part is taken up where it ends, if the file at the address
    is still the one it is of. For object storage the part is in the machine's temporary folder, and
    what arrived is put in one piece.

    Raises Unreachable where the file is not there or stays broken; a part is then left for the next
    run.
    """
    if exists(destination):
        return find(destination)[0].size
    if is_remote(destination):
        with tempfile.TemporaryDirectory() as folder:
            part = os.path.join(folder, address.name)
            size = _arrived(address, part, patience)
            put(part, destination)
        return size
    os.makedirs(os.path.dirname(destination), exist_ok=True)
    part = destination + PART
    size = _arrived(address, part, patience)
    need_lock(destination)
    os.replace(part, destination)
    _forget(part)
    return size


def _arrived(address: Address, part: str, patience: Patience) -> int:
    """Fetch what the part lacks, and test the whole; what fails the test is thrown away and
    fetched again."""

    def attempt() -> int:
        have = os.path.getsize(part) if os.path.exists(part) else 0
        if have and not _is_of(part, address, patience):
            _forget(part)
            have = 0
        source = RemoteFile(address.url, patience, have, name=address.name)
        with source, open(part, "ab") as file:
            head = source.read(1 << 16) or b""
            if not have:
                with open(part + TAG, "w", encoding="utf-8") as tag:
                    tag.write(source.tag)
            file.write(head)
            shutil.copyfileobj(source, file, 1 << 20)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        wrong = str(source.failure) if isinstance(source.failure, OutOfRange | Changed) else ""
        if source.failure is not None and not wrong:
            raise source.failure
        if wrong := wrong or _wrong(address, part, size):
            _forget(part)
            raise TryAgain(wrong)
        return size

    try:
        return persist(attempt, address.url, patience)
    except Unreachable:
        if os.path.exists(part) and not os.path.getsize(part):
            _forget(part)
        raise


def _is_of(part: str, address: Address, patience: Patience) -> bool:
    """Whether a part is surely of the file that is at the address now."""
    if not os.path.exists(part + TAG):
        return False
    with open(part + TAG, encoding="utf-8") as file:
        tag = file.read()
    return tag != "" and tag == describe(address.url, patience)[1]


def _forget(part: str) -> None:
    for path in (part, part + TAG):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _wrong(address: Address, path: str, size: int) -> str:
    """Why what arrived is not the file, or nothing."""
    if address.size >= 0 and size != address.size:
        return f"{size} bytes arrived, {address.size} expected"
    if not size and address.name.endswith(NEVER_EMPTY):
        return "an empty file arrived"
    if address.digest:
        kind, expected = address.digest
        with open(path, "rb") as file:
            computed = hashlib.file_digest(file, kind).hexdigest()
        if computed != expected:
            return f"its {kind} is {computed}, {expected} expected"
    if address.name.endswith(".gz"):
        try:
            with gzip.open(path) as file:
                while file.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            return f"not a whole gzip file: {error}"
    return ""
