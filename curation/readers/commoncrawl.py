"""Common Crawl's path lists, and the sort keys of its index.

Pure functions: `store` fetches, `sources` decides what.
"""

from __future__ import annotations

import gzip
import posixpath
import re
import urllib.parse
import zlib

import xxhash

from curation.errors import InputError
from curation.shown import brief

INDEX = "cc-index-table"  # the kind of list that names the files of the columnar index
_PATH = re.compile(r"(?:[A-Za-z0-9][\w.=+-]*/)*[A-Za-z0-9][\w.=+-]*", re.ASCII)
_SELECTIONS = "expected '' (all), a slice such as '0:100', or 'sample:20'"
_CRAWL = re.compile(r"CC-[A-Za-z0-9-]+")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SESSION = re.compile(
    r"(^|&)(?:(?:jsessionid|phpsessid|sid)=[0-9a-z]{32}|aspsessionid[a-z]{8}=[a-z]{24}|cfid=[^&]+&cftoken=[^&]+)(?:&|$)"
)
_PATH_SESSION = re.compile(
    r";jsessionid=[0-9a-z]{32}$|(?<=/)\((?:(?:[a-z]\([0-9a-z]{24}\))+|[0-9a-z]{24})\)/(?=[^?]+\.aspx)"
)


def list_path(crawl: str, kind: str) -> str:
    """Where a crawl's list of archives is, below the base address.

    Raises InputError for what is no crawl.
    """
    if not _CRAWL.fullmatch(crawl) or kind not in ("warc", "wet", INDEX):
        raise InputError(
            "crawls: a crawl such as 'CC-MAIN-2019-35' and 'warc' or 'wet' expected, "
            f"got {brief(crawl)} and {brief(kind)}"
        )
    return f"crawl-data/{crawl}/{kind}.paths.gz"


def paths_in(data: bytes, where: str) -> tuple[list[str], list[str]]:
    """The archives of a `<kind>.paths.gz`, each once and in their published order, and the lines
    that are no paths.

    Raises InputError where it is no such list.
    """
    try:
        lines = gzip.decompress(data).decode("utf-8", "replace").split("\n")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{where}: not a list of paths ({error}); delete it and run again"
        ) from error
    lines = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    paths = [line for line in lines if _PATH.fullmatch(line)]
    if not paths:
        raise InputError(f"{where}: the list is empty")
    return paths, [line for line in lines if not _PATH.fullmatch(line)]


def selected_archives(paths: list[str], archives: str, seed: int = 0) -> list[str]:
    """Some of the paths, in their order: `"0:100"` a slice, `"sample:20"` a seeded sample, `""`
    all.

    A path is in the sample by a keyed hash of its name, so another list with the same paths gives
    the same sample.

    >>> selected_archives(["a", "b", "c", "d"], "1:3")
    ['b', 'c']
    >>> len(selected_archives(["a", "b", "c", "d"], "sample:2", seed=7))
    2

    Raises InputError for anything else, and where nothing is selected.
    """
    check_archives(archives)
    how, _, end = archives.partition(":")
    if how == "sample":
        ranked = sorted(
            paths, key=lambda path: (xxhash.xxh3_64_intdigest(path.encode(), seed=seed), path)
        )
        wanted = set(ranked[: int(end)])
        chosen = [path for path in paths if path in wanted]
    else:
        chosen = paths[int(how or 0) : int(end) if end else None]
    if not chosen:
        raise InputError(
            f"archives: {archives!r} selects none of the {len(paths)} archives of the list; "
            f"{_SELECTIONS}"
        )
    return chosen


def check_archives(archives: str) -> None:
    """Raise InputError for what `selected_archives` does not know."""
    if not re.fullmatch(r"|\d{0,9}:\d{0,9}|sample:\d{1,9}", archives):
        raise InputError(f"archives: {_SELECTIONS}, got {brief(archives)}")


def surt_key(url: str) -> str:
    """Return the key by which Common Crawl's index sorts an address (column `url_surtkey`).

    Host reversed, then path and sorted query, all in lower case, without scheme, `www.`, default
    port, fragment and session ids. Addresses of one key are one page.

    >>> surt_key("https://www.Example.org:443/A/b/?z=1&y=2#top"), surt_key("http://example.org")
    ('org,example)/a/b?y=2&z=1', 'org,example)/')

    After the rules of the Internet Archive's wayback key maker, which the index is made with. Empty
    for what is no http address.
    """
    try:
        parts = urllib.parse.urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return ""
    if parts.scheme.lower() not in _DEFAULT_PORTS or not host:
        return ""
    try:
        host = host.encode("ascii").decode() if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return ""
    host = re.sub(r"^www\d*\.(?=.)", "", host.lower())
    reversed_host = host if re.fullmatch(r"[\d.]+", host) else ",".join(reversed(host.split(".")))
    shown_port = (
        "" if port is None or str(port) == _DEFAULT_PORTS[parts.scheme.lower()] else f":{port}"
    )
    path = posixpath.normpath(re.sub(r"/{2,}", "/", "/" + _escaped(parts.path).lower()))
    query = _SESSION.sub(r"\1", _escaped(parts.query).lower())
    query = "&".join(sorted(query.split("&")))
    return f"{reversed_host}{shown_port}){_PATH_SESSION.sub('', path)}" + (
        f"?{query}" if query else ""
    )


def _escaped(text: str) -> str:
    """Percent signs undone until nothing changes, and done again in one way."""
    raw, before = urllib.parse.unquote_to_bytes(text), b""
    while raw != before:
        raw, before = urllib.parse.unquote_to_bytes(raw), raw
    return urllib.parse.quote(raw, safe="/:@!$&'()*+,;=-._~?[]|^{}`\\\"<>")
