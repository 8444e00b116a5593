"""A file anywhere, read in pieces, with a count of the pieces: local, in object storage, or at an
http(s) address.

Costs one request for each piece, at the pace of a `Patience` for addresses. Readers of Parquet ask
for the end of the file and for the column chunks that they need, so the rest is never sent.
"""

from __future__ import annotations

import io
from typing import Any

from curation.errors import Unreachable
from curation.store.paths import open_input
from curation.store.patience import Patience
from curation.store.remote import describe, is_web, read_range


class RangedFile(io.RawIOBase):
    """A seekable file; `requests` and `received` (bytes) count what was asked for.

    Raises Unreachable where an address does not answer.
    """

    def __init__(self, path: str, patience: Patience) -> None:
        self.path = path
        self.requests = self.received = 0
        self._patience = patience
        self._stream: Any = None
        self._at = 0
        if is_web(path):
            size, _ = describe(path, patience)
            self.requests += 1
            if size is None:
                raise Unreachable(
                    f"{path}: a server that tells the file's length expected; fetch the file, and "
                    "name it where it lies"
                )
            self._size = size
        else:
            self._stream = open_input(path)
            self._size = self._stream.size()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """Bytes of the file."""
        return int(self._size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        if self._stream is None:
            data = read_range(self.path, self._at, wanted, self._patience)
        else:
            self._stream.seek(self._at)
            data = bytes(self._stream.read(wanted))
        self.requests += 1
        self.received += len(data)
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        super().close()
