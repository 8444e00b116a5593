"""Files at http(s):// addresses and in object storage, read forward and fetched: resumed where a
connection broke, at a polite pace.

Costs the network. The traps: a busy Common Crawl answers 503 or 403 with an XML page under the
archive's name; a cut connection looks like the end of the file; and a server that ignores a range
sends the whole file again, which appended to what is there makes a file of the right kind and the
wrong content.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import io
import itertools
import random
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from curation.errors import InputError, Unreachable
from curation.store.paths import find, open_input

CHUNK_BYTES = 1 << 16  # as much as a cut connection may lose of what it brought
_STORAGE_BYTES = 4 << 20  # a request to object storage
_MAX_WAIT_S = 120.0
_RETRIED_STATUS = {403, 408, 425, 429, 500, 502, 503, 504}
_PACKED = {".gz": (b"\x1f\x8b",), ".bz2": (b"BZh",), ".zst": (b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18")}
_PAGE_TYPES = ("text/html", "application/xml", "text/xml")
_HASHES = {"sha256": 64, "sha1": 40, "md5": 32}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on, and the seconds between two requests of this process."""

    max_attempts: int = 8
    timeout_s: float = 60.0
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file is, its name here, its size in bytes (-1: unknown), (algorithm, hex digest)."""

    url: str
    name: str
    size: int = -1
    digest: tuple[str, str] | None = None

    def __str__(self) -> str:
        return self.url


def is_web(path: str) -> bool:
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


class RemoteFile(io.RawIOBase):
    """The bytes [start, end) of a remote file, read forward; a broken connection is taken up again
    where it broke.

    Reading never raises, since native readers lose exceptions: what went wrong is `failure`, and
    the file ends there. `size` (of the whole file, None where the server hides it) and `tag` are
    known once something was read.
    """

    def __init__(
        self, url: str, patience: Patience, start: int = 0, end: int | None = None
    ) -> None:
        self.url = url
        self.position = start
        self.size: int | None = None
        self.failure: Unreachable | None = None
        self._patience = patience
        self._end = end
        self.tag = ""
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
        except BaseException:
            self._drop()
            raise
        whole = min(x for x in (self.size, self._end, 1 << 62) if x is not None)
        if not chunk and self.size is not None and self.position < whole:
            self._drop()
            raise TryAgain(f"{self.position} of {whole} bytes arrived")
        chunk = chunk if self._end is None else chunk[: self._end - self.position]
        self.position += len(chunk)
        return chunk

    def _ask(self) -> Iterator[bytes]:
        """The body of one answer, from `position` on."""
        headers = {}
        if self.position or self._end is not None:
            headers["Range"] = f"bytes={self.position}-{'' if self._end is None else self._end - 1}"
        with respond("GET", self.url, headers, self._patience) as response:
            if response.status_code == 416:
                size = range_size(response)
                if size != self.position:
                    raise OutOfRange(f"{self.url}: no byte {self.position} in its {size} bytes")
                self.size = size
                return
            skip = 0
            if response.status_code == 206:
                told = response.headers.get("Content-Range", "")
                if not told.startswith(f"bytes {self.position}-"):
                    raise TryAgain(f"asked for bytes {self.position}-, got {told!r}")
                size = range_size(response)
            else:  # the range was ignored: this is the whole file from its start
                length = response.headers.get("Content-Length", "")
                size, skip = int(length) if length.isdecimal() else None, self.position
            body = response.iter_content(CHUNK_BYTES)
            first = next(body, b"")
            if skip or not self.position:
                _not_a_page(self.url, first, response.headers.get("Content-Type", ""))
            self._same(size, _tag(response))
            for chunk in itertools.chain([first], body):
                if len(chunk) > skip:
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))

    def _same(self, size: int | None, tag: str) -> None:
        """What is taken up again must be the file that was begun: of its tag, or without tags of
        its size. (Lengths can be wrong.)"""
        if self.tag and tag and tag != self.tag:
            raise TryAgain(
                f"the file changed while it was read (its tag was {self.tag}, then {tag})"
            )
        if None not in (self.size, size) and size != self.size and not (tag and self.tag):
            raise TryAgain(f"a file of {self.size} bytes has become one of {size}")
        self.size, self.tag = self.size if size is None else size, self.tag or tag

    def _from_storage(self) -> Iterator[bytes]:
        with _storage_errors(self.url), open_input(self.url) as file:
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

        def look() -> tuple[int | None, str]:
            with _storage_errors(url):
                file = find(url)[0]
            return file.size, file.tag

        return persist(look, url, patience)

    def ask() -> tuple[int | None, str]:
        # Many servers know no HEAD.
        with respond("GET", url, {"Range": "bytes=0-0"}, patience) as response:
            length = response.headers.get("Content-Length", "")
            whole = response.status_code == 200 and length.isdecimal()
            return int(length) if whole else range_size(response), _tag(response)

    return persist(ask, url, patience)


# ---- one request, and patience -------------------------------------------------------------------


class TryAgain(Exception):
    """A failure that may pass; `wait_s` is what the server asked for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class OutOfRange(Unreachable):
    """The file is shorter than where the reading was to begin."""


def persist(attempt: Callable[[], T], url: str, patience: Patience) -> T:
    """`attempt()`, again and again where it fails in a way that may pass.

    Raises Unreachable when patience ends.
    """
    import requests
    import tenacity

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(patience.max_attempts),
        wait=_wait_s,
        retry=tenacity.retry_if_exception_type((TryAgain, requests.RequestException)),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except (TryAgain, requests.RequestException) as error:
        raise Unreachable(
            f"{url}: given up after {patience.max_attempts} attempts: {error}. Try again later: it "
            "goes on where it stopped"
        ) from error


def respond(method: str, url: str, headers: dict[str, str], patience: Patience) -> Any:
    """An open response of status 200, 206 or 416.

    Raises TryAgain for what may pass, Unreachable for what will not.
    """
    _pace(patience.interval_s)
    headers = {"Accept-Encoding": "identity", **headers}
    response = _session().request(
        method, url, headers=headers, stream=True, timeout=patience.timeout_s
    )
    if response.status_code in (200, 206) or (response.status_code == 416 and "Range" in headers):
        return response
    with response:
        body = response.raw.read(200, decode_content=True).decode("utf-8", "replace")
        message = f"status {response.status_code} {response.reason}: {' '.join(body.split())[:120]}"
        if response.status_code in _RETRIED_STATUS:
            raise TryAgain(
                message, retry_after_s(response.headers.get("Retry-After", ""), time.time())
            )
    raise Unreachable(f"{url}: {message}; is the address right?")


def retry_after_s(text: str, now: float) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date; 0 for anything else.

    >>> date = "Thu, 01 Jan 1970 00:01:00 GMT"
    >>> retry_after_s("7", 0.0), retry_after_s(date, 20.0), retry_after_s("soon", 0.0)
    (7.0, 40.0, 0.0)
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError):
        return 0.0


def _tag(response: Any) -> str:
    return str(response.headers.get("ETag", "") or response.headers.get("Last-Modified", ""))


def range_size(response: Any) -> int | None:
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _not_a_page(url: str, head: bytes, content_type: str) -> None:
    """Raise TryAgain for an error page that was sent with status 200."""
    path = urllib.parse.urlsplit(url).path.lower()
    for ending, starts in _PACKED.items():
        if (
            path.endswith(ending)
            and head
            and not (head.startswith(starts) or head[1:4] == starts[-1])
        ):
            raise TryAgain(f"no {ending} file but {head[:64]!r}")
    is_page = content_type.partition(";")[0].strip().lower() in _PAGE_TYPES
    if is_page and not path.endswith((".htm", ".html", ".xml", *_PACKED)):
        raise TryAgain(f"a page of type {content_type} where a file was expected: {head[:64]!r}")


@functools.lru_cache(maxsize=1)
def _session() -> Any:
    import requests

    from curation.version import __version__

    session = requests.Session()
    session.headers["User-Agent"] = f"curation/{__version__}"
    return session


_next_request = 0.0  # of this process, by time.monotonic()


def _pace(interval_s: float) -> None:
    global _next_request
    now = time.monotonic()
    if _next_request > now:
        time.sleep(_next_request - now)
    _next_request = max(now, _next_request) + interval_s


def _wait_s(state: Any) -> float:
    """What the server asked for, at least a doubling wait; with jitter, so that workers do not
    come back together."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, TryAgain) else 0.0
    doubling = min(2.0 ** (state.attempt_number - 1), 60.0)
    return float(min(max(asked, doubling * random.uniform(0.5, 1.0)), _MAX_WAIT_S))


@contextlib.contextmanager
def _storage_errors(url: str) -> Iterator[None]:
    """What object storage raises, as failures that may pass (OSError) or will not."""
    try:
        yield
    except PermissionError as error:
        raise Unreachable(f"{url}: permission denied; this address needs credentials") from error
    except InputError as error:
        raise error if isinstance(error, Unreachable) else Unreachable(str(error)) from error
    except OSError as error:
        raise TryAgain(str(error).partition("\n")[0]) from error
