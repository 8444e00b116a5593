"""Files at http(s):// addresses and in object storage, read forward and fetched: resumed where a
connection broke, at a polite pace.

Costs the network. The traps: a busy Common Crawl answers 503 or 403 with an XML page under the
archive's name; a cut connection looks like the end of the file; a server that ignores a range sends
the whole file again, which appended to what is there makes a file of the right kind and the wrong
content; and a server that names no version may send the rest of another one: what is there already
is then asked for again and compared.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import xxhash

from curation.errors import InputError, Unreachable
from curation.shown import masked
from curation.store.paths import find, open_input
from curation.store.patience import Patience, TryAgain, given_up, persist
from curation.store.web import (
    LEAST_BYTES_PER_S,
    arriving_bytes,
    is_unpacked,
    need_no_page,
    range_size,
    respond,
    response_size,
    version_tag,
)

HEAD_BYTES = 512  # by which a page is told from a file
MOST_UNTOLD_BYTES = 100 << 30  # of a file whose server tells no length
_STORAGE_BYTES = 4 << 20  # a request to object storage
_HASHES = {"sha256": 64, "sha1": 40, "md5": 32}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file is, its name here, its size in bytes (-1: unknown), (algorithm, hex digest)."""

    url: str
    name: str
    size: int = -1
    digest: tuple[str, str] | None = None

    def __str__(self) -> str:
        return masked(self.url)


def is_web(path: str) -> bool:
    """Whether a path is an http or https address."""
    return path.startswith(("http://", "https://"))


def address(text: str) -> Address:
    """An address with what may stand behind its `#`: sha256=, sha1= or md5=, bytes=, name=, joined
    by `&`.

    >>> address("https://example.org/data/test.jsonl#name=gsm8k.jsonl&bytes=12")
    Address(url='https://example.org/data/test.jsonl', name='gsm8k.jsonl', size=12, digest=None)

    Raises InputError for anything else there, and where no name can be told.
    """
    url, _, fragment = text.partition("#")
    told = dict(urllib.parse.parse_qsl(fragment, keep_blank_values=True))
    name = told.pop("name", "") or urllib.parse.urlsplit(url).path.rpartition("/")[2]
    size = told.pop("bytes", "-1")
    digest = next(((kind, told.pop(kind).lower()) for kind in _HASHES if kind in told), None)
    if told or "=" in fragment[-1:] or (fragment and "=" not in fragment):
        raise InputError(
            f"{text}: behind # may stand name=, bytes=, sha256=, sha1= or md5=, joined by &"
        )
    if digest and not re.fullmatch(rf"[0-9a-f]{{{_HASHES[digest[0]]}}}", digest[1]):
        raise InputError(f"{text}: {digest[0]} has {_HASHES[digest[0]]} hexadecimal digits")
    if not re.fullmatch(r"-1|\d+", size):
        raise InputError(f"{text}: bytes= is a whole number")
    if not name or "/" in name or name.startswith((".", "_")):
        raise InputError(f"{text}: the address ends in no file name; give it one: #name=...")
    return Address(url, name, int(size), digest)


class OutOfRange(Unreachable):
    """The file is shorter than where the reading was to begin."""


class Changed(Unreachable):
    """The file is not the one that was begun."""


class RemoteFile(io.RawIOBase):
    """The bytes [start, end) of a remote file, read forward; a broken connection is taken up again
    where it broke.

    Reading never raises, since native readers lose exceptions: what went wrong is `failure`, and
    the file ends there. `size` (of the whole file, None where the server hides it) and `tag` are
    known once something was read. `name` is that of the file, where the address does not end in it.
    """

    def __init__(
        self,
        url: str,
        patience: Patience,
        start: int = 0,
        end: int | None = None,
        *,
        name: str = "",
    ) -> None:
        self.url = url
        self._name = name
        self.position = start
        self.size: int | None = None
        self.failure: Unreachable | None = None
        self._patience = patience
        self._start, self._end = start, end
        self.tag = ""
        self._seen = xxhash.xxh3_128()  # of what was read, where there is no tag
        self._poor, self._mark = 0, start  # failures in a row that brought little, and since where
        self._body: Iterator[bytes] | None = None
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position - len(self._rest)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset != self.tell():
            self._drop()
            self.position, self._rest = min(offset, self.size or offset), memoryview(b"")
            self._start, self._seen = self.position, xxhash.xxh3_128()
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        if not self._rest and self.failure is None and self.position != self._end:
            try:
                self._rest = memoryview(persist(self._chunk, self.url, self._patience))
            except Unreachable as error:
                self.failure = error
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        close = getattr(self._body, "close", None)
        if close:
            close()
        self._body = None

    def _chunk(self) -> bytes:
        """The next bytes, none at the end.

        Raises TryAgain and what `persist` knows; the next call then asks again from here.
        """
        try:
            if self._body is None:
                self._body = self._ask() if is_web(self.url) else self._from_storage()
            chunk = next(self._body, b"")
        except BaseException as error:
            self._drop()
            if isinstance(error, TryAgain):
                self._count_failure(error)
            raise
        whole = min(x for x in (self.size, self._end, 1 << 62) if x is not None)
        if not chunk and self.size is not None and self.position < whole:
            self._drop()
            raise TryAgain(f"{self.position} of {whole} bytes arrived")
        chunk = chunk if self._end is None else chunk[: self._end - self.position]
        self.position += len(chunk)
        if not self.tag:
            self._seen.update(chunk)
        if self.size is None and self.position - self._start > MOST_UNTOLD_BYTES:
            raise Unreachable(
                f"{self.url}: no end after {self.position:,} bytes, and the server told no length"
            )
        return chunk

    def _count_failure(self, error: TryAgain) -> None:
        """Raise Unreachable where failure after failure brought hardly anything."""
        enough = LEAST_BYTES_PER_S * self._patience.timeout_s
        self._poor = self._poor + 1 if self.position - self._mark < enough else 0
        self._mark = self.position
        if self._poor >= self._patience.max_attempts:
            raise given_up(self.url, self._patience, error) from error

    def _ask(self) -> Iterator[bytes]:
        """The body of one answer, from `position` on."""
        headers = {}
        have = self.position
        begin = have if self.tag else self._start
        if begin or self._end is not None:
            headers["Range"] = f"bytes={begin}-{'' if self._end is None else self._end - 1}"
        with respond("GET", self.url, headers, self._patience) as response:
            if response.status_code == 416:
                size = range_size(response)
                if size != begin:
                    raise OutOfRange(f"{self.url}: no byte {begin} in a file of {size} bytes")
                self.size = size
                return
            unpacked = is_unpacked(response, self._name)
            size = None if unpacked else response_size(response)
            if response.status_code == 206:
                if unpacked:
                    raise TryAgain("the server packs a part of the file, which cannot be unpacked")
                told = response.headers.get("Content-Range", "")
                if not told.startswith(f"bytes {begin}-"):
                    raise TryAgain(f"asked for bytes {begin}-, got {told!r}")
            else:  # the range was ignored: this is the whole file from its start
                begin = 0
            body = arriving_bytes(response, self._patience, self._name)
            head = b""
            while len(head) < HEAD_BYTES and (more := next(body, b"")):
                head += more
            if not begin:
                need_no_page(self.url, head, response.headers.get("Content-Type", ""))
            self._same(size, "" if unpacked else version_tag(response, size))
            yield from self._unread(itertools.chain([head], body), begin, have)

    def _unread(self, body: Iterator[bytes], at: int, have: int) -> Iterator[bytes]:
        """The bytes from `have` on of a body that begins at `at`. Without a tag, those before must
        be the ones that were read already."""
        again = None if self.tag or have == self._start else xxhash.xxh3_128()
        for chunk in body:
            old = chunk[: max(0, have - at)]
            if again is not None:
                again.update(old[max(0, self._start - at) :])
                if at + len(chunk) >= have:
                    if again.digest() != self._seen.digest():
                        raise Changed(f"{self.url}: the file changed while it was read")
                    again = None
            at += len(chunk)
            if len(old) < len(chunk):
                yield chunk[len(old) :]

    def _same(self, size: int | None, tag: str) -> None:
        """What is taken up again must be the file that was begun: of its tag, or without tags of
        its size. (Lengths can be wrong.)"""
        if self.tag and tag and tag != self.tag:
            raise Changed(
                f"{self.url}: the file changed while it was read (its tag was {self.tag}, then {tag})"
            )
        if None not in (self.size, size) and size != self.size and not (tag and self.tag):
            raise TryAgain(f"a file of {self.size} bytes has become one of {size}")
        self.size, self.tag = self.size if size is None else size, self.tag or tag

    def _from_storage(self) -> Iterator[bytes]:
        with _storage_errors(), open_input(self.url) as file:
            self._same(file.size(), find(self.url)[0].tag)
            if self.position > file.size():
                raise OutOfRange(f"{self.url}: no byte {self.position} in its {file.size()} bytes")
            file.seek(self.position)
            while chunk := file.read(min(_STORAGE_BYTES, (self._end or 1 << 62) - self.position)):
                yield bytes(chunk)


def read_range(url: str, start: int, length: int, patience: Patience) -> bytes:
    """Exactly these bytes of a remote file. Raises Unreachable."""
    with RemoteFile(url, patience, start, start + length) as file:
        data = file.readall() or b""
        if file.failure is not None:
            raise file.failure
    if len(data) != length:
        raise Unreachable(
            f"{url}: asked for {length} bytes from {start} on, and the file ends after {len(data)} "
            "of them"
        )
    return data


def describe(url: str, patience: Patience) -> tuple[int | None, str]:
    """Size in bytes (None where it is not told) and a tag that changes with the file.

    Raises Unreachable.
    """
    if not is_web(url):
        with _storage_errors():
            file = find(url)[0]
        return file.size, file.tag

    def ask() -> tuple[int | None, str]:
        # Many servers know no HEAD.
        with respond("GET", url, {"Range": "bytes=0-0"}, patience) as response:
            size = response_size(response)
            return size, version_tag(response, size)

    return persist(ask, url, patience)


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    """What is not in object storage is Unreachable; what may pass was tried again already."""
    try:
        yield
    except InputError as error:
        raise error if isinstance(error, Unreachable) else Unreachable(str(error)) from error
