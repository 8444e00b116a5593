"""One request to an http(s) address, and what its answer says: size, version, page or file.

The traps: a busy Common Crawl answers 503 or 403 with an XML page under the archive's name; pages
of errors come with status 200; and a body may come so slowly that it never ends.
"""

from __future__ import annotations

import email.utils
import functools
import re
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from curation.errors import Unreachable
from curation.store.patience import Patience, TryAgain

CHUNK_BYTES = 1 << 16
LEAST_BYTES_PER_S = 1000  # slower for `timeout_s` is a failure
_RETRIED_STATUS = {403, 408, 425, 429, 500, 502, 503, 504}
_PACKED = {".gz": (b"\x1f\x8b",), ".bz2": (b"BZh",), ".zst": (b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18")}
_PACKED_ENDINGS = (*_PACKED, ".tgz", ".tbz2", ".tbz", ".xz", ".zip", ".7z", ".br", ".zz")
_PACKED_TYPES = {
    "application/gzip",
    "application/x-gzip",
    "application/x-gunzip",
    "application/x-tar",
}
_PAGE_TYPES = ("text/html", "application/xml", "text/xml")
_PAGE_STARTS = (b"<!doctype html", b"<html", b"<?xml")


def respond(method: str, url: str, headers: dict[str, str], patience: Patience) -> Any:
    """An open response of status 200, 206 or 416.

    Raises TryAgain for what may pass, Unreachable for what will not.
    """
    import requests

    _pace(patience.interval_s)
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        response = _session().request(
            method, url, headers=headers, stream=True, timeout=patience.timeout_s
        )
    # An address or a redirect that no patience mends: another kind of address, no host, a loop.
    except (requests.TooManyRedirects, ValueError) as error:
        raise Unreachable(f"{url}: {error}; is the address right?") from error
    except requests.RequestException as error:
        raise TryAgain(str(error)) from error
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


def is_unpacked(response: Any, name: str) -> bool:
    """Whether a response's content coding is taken off, so that its bytes are not those whose
    length, range and version the server tells.

    None was asked for (`Accept-Encoding: identity`). Servers that label a stored file `name` by its
    ending (Apache's AddEncoding) send the file's own bytes: a packed file is stored as it comes.
    """
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    urls = (urllib.parse.urlsplit(step.url).path for step in (*response.history, response))
    is_packed = any(path.lower().endswith(_PACKED_ENDINGS) for path in (name, *urls))
    return coding not in ("", "identity") and not is_packed and kind not in _PACKED_TYPES


def arriving_bytes(response: Any, patience: Patience, name: str = "") -> Iterator[bytes]:
    """The body of a response to a request for the file `name`, in chunks. Raises TryAgain, after
    what came, where it breaks or is too slow."""
    from urllib3.exceptions import HTTPError

    unpack = is_unpacked(response, name)
    spent, brought, part, problem = 0.0, 0, bytearray(), ""
    while not problem:
        began = time.monotonic()
        try:
            piece = response.raw.read1(CHUNK_BYTES, decode_content=unpack)
        except HTTPError as error:
            piece, problem = b"", str(error) or type(error).__name__
        spent, brought = spent + time.monotonic() - began, brought + len(piece)
        part += piece
        if spent > patience.timeout_s:
            if brought < LEAST_BYTES_PER_S * spent:
                problem = f"{brought:,} bytes came in {spent:.0f} s, which is too slow"
            spent, brought = 0.0, 0
        if part and (problem or not piece or len(part) >= CHUNK_BYTES):
            yield bytes(part)
            part.clear()
        if not piece and not problem:
            return
    raise TryAgain(problem)


def version_tag(response: Any, size: int | None) -> str:
    """What tells a version of a file: a strong ETag, else what there is beside its size; nothing
    where there is neither another ETag nor a date."""
    etag, date = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
    if etag and not etag.startswith("W/"):
        return str(etag)
    return f"{etag} {date} {size}" if etag or date else ""


def response_size(response: Any) -> int | None:
    """Bytes of the whole file, where the response tells them."""
    length = response.headers.get("Content-Length", "")
    whole = response.status_code == 200 and length.isdecimal()
    return int(length) if whole else range_size(response)


def range_size(response: Any) -> int | None:
    """The size in bytes of the whole file, which the answer to a range request tells; else None."""
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def need_no_page(url: str, head: bytes, content_type: str) -> None:
    """Raise TryAgain for an error page that was sent with status 200."""
    path = urllib.parse.urlsplit(url).path.lower()
    for ending, starts in _PACKED.items():
        if path.endswith(ending) and not (head.startswith(starts) or head[1:4] == starts[-1]):
            raise TryAgain(f"no {ending} file but {head[:64]!r}")
    is_page = content_type.partition(";")[0].strip().lower() in _PAGE_TYPES
    is_page |= head.lstrip().lower().startswith(_PAGE_STARTS) and not path.endswith(".txt")
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
