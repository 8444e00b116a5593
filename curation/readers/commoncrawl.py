"""Common Crawl's path lists, and downloads that are resumed, checked and polite.

Costs the network. The traps: a busy Common Crawl answers 503 or 403 with an XML page under the archive's name; a cut
connection looks like the end of the file; and a server that ignores a range sends the whole file again, which
appended to what is there makes a file of the right kind and the wrong content.
"""

from __future__ import annotations

import gzip
import pathlib
import random
import re
import urllib.parse
import zlib
from collections.abc import Callable
from typing import Literal, TypeVar

import requests
import tenacity
import xxhash
from requests.exceptions import ChunkedEncodingError, ContentDecodingError

from curation.errors import InputError

BASE_URL = "https://data.commoncrawl.org/"
_CHUNK_BYTES = 1 << 16  # as much as a cut connection may lose of what it brought
_MAX_WAIT_S = 120.0
_RETRIED_STATUS = {403, 408, 429, 500, 502, 503, 504}
_CRAWL = re.compile(r"CC-[A-Za-z0-9-]+")

T = TypeVar("T")


class _TryAgain(Exception):
    """A failure that may pass; `wait_s` is what the server asked for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def archive_paths(
    crawl: str,
    kind: Literal["warc", "wet"],
    *,
    base_url: str = BASE_URL,
    max_attempts: int = 8,
    timeout_s: float = 60.0,
) -> list[str]:
    """The paths of a crawl's archives below `base_url`, from its `<kind>.paths.gz`, in their published order.

    Raises InputError for a crawl that is not there or a list that stays unreadable.
    """
    if not _CRAWL.fullmatch(crawl) or kind not in ("warc", "wet"):
        raise InputError(f"expected a crawl such as 'CC-MAIN-2019-35' and 'warc' or 'wet', got {crawl!r} and {kind!r}")
    url = urllib.parse.urljoin(base_url, f"crawl-data/{crawl}/{kind}.paths.gz")

    def attempt() -> bytes:
        with _response(url, {}, timeout_s) as response:
            body: bytes = b"".join(response.iter_content(_CHUNK_BYTES))
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise _TryAgain(f"not a whole gzip file: {error}") from error

    lines = _persist(attempt, url, max_attempts).decode("utf-8", "replace").split("\n")
    paths = [line.strip() for line in lines if line.strip()]
    if not paths:
        raise InputError(f"{url}: the list is empty")
    return paths


def select(paths: list[str], shards: str, seed: int = 0) -> list[str]:
    """Some of the paths, in their order: `"0:100"` a slice, `"sample:20"` a seeded sample, `""` all.

    A path is in the sample by a keyed hash of its name, so another list with the same paths gives the same sample.

    >>> select(["a", "b", "c", "d"], "1:3"), len(select(["a", "b", "c", "d"], "sample:2", seed=7))
    (['b', 'c'], 2)

    Raises InputError for anything else, and where nothing is selected.
    """
    if not shards:
        return list(paths)
    piece = re.fullmatch(r"(\d*):(\d*)", shards)
    sample = re.fullmatch(r"sample:(\d+)", shards)
    if piece:
        chosen = paths[int(piece[1] or 0) : int(piece[2]) if piece[2] else None]
    elif sample:
        ranked = sorted(paths, key=lambda path: (xxhash.xxh3_64_intdigest(path.encode(), seed=seed), path))
        wanted = set(ranked[: int(sample[1])])
        chosen = [path for path in paths if path in wanted]
    else:
        raise InputError(f"shards: expected '' (all), a slice such as '0:100' or 'sample:20', got {shards!r}")
    if not chosen:
        raise InputError(f"shards: {shards!r} selects none of the {len(paths)} archives")
    return chosen


def fetch(url: str, destination: pathlib.Path, *, max_attempts: int = 8, timeout_s: float = 60.0) -> int:
    """Download `url` to `destination` and return its size in bytes; a file that is already there is kept.

    What arrives goes to `<destination>.part`, is resumed by byte range after a cut, and is renamed when it is whole:
    as long as the server said, and a gzip file where the name says so. `timeout_s` is the longest silence. Failures
    that may pass (429, 5xx, 403 bursts, cut connections) are tried `max_attempts` times, waiting as Retry-After says or
    longer each time, with jitter.

    Raises InputError when the file is not there or stays broken; the part is then left for the next run.
    """
    if destination.exists():
        return destination.stat().st_size
    part = destination.with_name(destination.name + ".part")
    destination.parent.mkdir(parents=True, exist_ok=True)

    def attempt() -> int:
        have = part.stat().st_size if part.exists() else 0
        total = _download(url, part, have, timeout_s)
        size = part.stat().st_size
        if total is not None and size != total:
            if size > total:
                part.unlink()
            raise _TryAgain(f"{size} of {total} bytes arrived")
        _check_contents(url, part)
        return size

    size = _persist(attempt, url, max_attempts)
    part.replace(destination)
    return size


def _download(url: str, part: pathlib.Path, have: int, timeout_s: float) -> int | None:
    """Append to the part what is missing; the size that the whole file should have, None where the server hides it."""
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _response(url, headers, timeout_s) as response:
        if response.status_code == 416:
            total = _range_total(response)
            if total != have:
                part.unlink()
                raise _TryAgain(f"the part of {have} bytes is not of this file")
            return total
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdecimal() else None
        if response.status_code == 206:
            content_range = response.headers.get("Content-Range", "")
            if not content_range.startswith(f"bytes {have}-"):
                part.unlink(missing_ok=True)
                raise _TryAgain(f"asked for bytes {have}-, got {content_range!r}")
            total = _range_total(response)
            if total is None and expected is not None:
                total = have + expected
            mode = "ab"
        else:
            total, mode = expected, "wb"  # the range was ignored: this is the whole file from its start
        with part.open(mode) as file:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
        return total


def _range_total(response: requests.Response) -> int | None:
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _check_contents(url: str, part: pathlib.Path) -> None:
    """A gzip name must hold gzip: an error page sent with status 200 is never kept."""
    if not urllib.parse.urlsplit(url).path.endswith(".gz"):
        return
    with part.open("rb") as file:
        head = file.read(64)
    if not head.startswith(b"\x1f\x8b"):
        part.unlink()
        raise _TryAgain(f"no gzip file but {head!r}")


def _response(url: str, headers: dict[str, str], timeout_s: float) -> requests.Response:
    """An open response of status 200, 206 or 416. Raises _TryAgain for what may pass, InputError for what will not."""
    response = requests.get(url, headers=headers, stream=True, timeout=timeout_s)
    if response.status_code in (200, 206) or (response.status_code == 416 and "Range" in headers):
        return response
    with response:
        body = response.raw.read(200, decode_content=True).decode("utf-8", "replace")
        message = f"status {response.status_code} {response.reason}: {' '.join(body.split())[:120]}"
    if response.status_code in _RETRIED_STATUS:
        after = response.headers.get("Retry-After", "")
        raise _TryAgain(message, float(after) if after.isdecimal() else 0.0)
    raise InputError(f"{url}: {message}; is the address right?")


def _wait_s(state: tenacity.RetryCallState) -> float:
    """What the server asked for, at least a doubling wait; with jitter, so that workers do not come back together."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, _TryAgain) else 0.0
    doubling = min(2.0 ** (state.attempt_number - 1), 60.0)
    return min(max(asked, doubling * random.uniform(0.5, 1.0)), _MAX_WAIT_S)


def _persist(attempt: Callable[[], T], url: str, max_attempts: int) -> T:
    passing = (_TryAgain, requests.ConnectionError, requests.Timeout, ChunkedEncodingError, ContentDecodingError)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(max_attempts),
        wait=_wait_s,
        retry=tenacity.retry_if_exception_type(passing),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except (_TryAgain, requests.RequestException) as error:
        raise InputError(
            f"{url}: given up after {max_attempts} attempts: {error}. Try again later: it goes on where it stopped"
        ) from error
