"""Block lists of domains, addresses and words, from files, folders and http addresses.

A list is a plain file, one entry a line (`kernels.block_entries` says which are understood), or a
folder as the University of Toulouse's lists are laid out (UT1): files `domains` and `urls`, or one
folder of these for each category. Each may be packed with gzip, and then may end in .gz.

Costs 16 bytes an entry and 16 MB while a file is read. The trap: a list may come as something else,
such as an error page; where most lines are no entries, the list is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from curation import store
from curation.errors import InputError
from curation.kernels.block_entries import entry_hashes
from curation.kernels.buffers import readonly
from curation.kernels.urls import UrlLists, ascii_host
from curation.readers.suffixes import suffix_rules, suffixes_digest

UInt64s = npt.NDArray[np.uint64]
BLOCK_BYTES = 4 << 20
MOST_WORD_BYTES = 16 << 20  # of a list of words
MOST_UNPACKED_BYTES = 8 << 30  # of one list
_UT1 = ("domains", "urls")
_GZIP = b"\x1f\x8b"
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def url_lists(
    lists: Sequence[str] = (),
    words: Sequence[str] = (),
    soft_words: Sequence[str] = (),
    subwords: Sequence[str] = (),
) -> UrlLists:
    """Read lists of domains and addresses, and of words, at paths or addresses.

    Raises InputError for a list that is missing, empty or none. Equal contents are equal digests,
    wherever they lie.
    """
    domains, urls = _joined([_entries(path) for path in lists])
    read = [
        tuple(sorted({word for path in paths for word in _words(path)}))
        for paths in (words, soft_words, subwords)
    ]
    state = hashlib.sha256(suffixes_digest().encode())
    state.update(np.array([len(domains), len(urls)], "<i8").tobytes())
    for hashes in (domains, urls):
        state.update(hashes.astype("<u8", copy=False).data)
    state.update(repr(read).encode())
    return UrlLists(
        domains, urls, read[0], read[1], read[2], suffix_rules(), digest=state.hexdigest()
    )


@lru_cache(maxsize=4)
def loaded_lists(
    lists: tuple[str, ...],
    words: tuple[str, ...],
    soft_words: tuple[str, ...],
    subwords: tuple[str, ...],
    digest: str,
) -> UrlLists:
    """`url_lists`, once in a process. Raises InputError where the contents are not of this digest:
    a list changed while a run used it."""
    read = url_lists(lists, words, soft_words, subwords)
    if read.digest != digest:
        shown = ", ".join([*lists, *words, *soft_words, *subwords])
        raise InputError(
            f"{shown}: expected the lists that the run began with, and one has changed; "
            "run the same command again"
        )
    return read


def _joined(parts: Sequence[tuple[UInt64s, UInt64s]]) -> tuple[UInt64s, UInt64s]:
    empty = [np.empty(0, np.uint64)]
    first, second = (np.concatenate(empty + [part[k] for part in parts]) for k in (0, 1))
    return _ascending(first), _ascending(second)


def _ascending(hashes: UInt64s) -> UInt64s:
    """In ascending order, each once; sorted in place."""
    hashes.sort()
    kept = np.ones(len(hashes), np.bool_)
    kept[1:] = hashes[1:] != hashes[:-1]
    return readonly(hashes[kept])


# ---- where the files are ---------------------------------------------------------------------


def _entries(path: str) -> tuple[UInt64s, UInt64s]:
    """Hashes of the domains and of the addresses of a list."""
    if store.is_web(path) or not store.is_folder(path):
        return _file_entries(path, bare_urls=_base_name(path) == "urls")
    files = [file.path for file in store.listing(path) if _base_name(file.path) in _UT1]
    if not files:
        raise InputError(
            f"{path}: expected a folder with files named domains or urls, or with one folder of "
            "these for each category; name the list's file, or unpack the archive it came in"
        )
    return _joined([_file_entries(file, _base_name(file) == "urls", True) for file in files])


def _base_name(path: str) -> str:
    return path.partition("#")[0].rpartition("/")[2].removesuffix(".gz")


def _stream(path: str) -> IO[bytes]:
    """The unpacked bytes of a file."""
    raw: Any
    if store.is_web(path):
        raw = store.RemoteFile(store.address(path).url, store.Patience())
    else:
        raw = store.open_input(path)
    buffered = io.BufferedReader(raw if isinstance(raw, io.RawIOBase) else _Raw(raw), 1 << 16)
    if buffered.peek(2)[:2] == _GZIP:
        return gzip.GzipFile(fileobj=buffered)  # type: ignore[return-value]
    return buffered


class _Raw(io.RawIOBase):
    """An Arrow stream as Python's io wants it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._stream.readinto(buffer))

    def close(self) -> None:
        self._stream.close()
        super().close()


def _blocks(path: str, most: int) -> Iterator[bytes]:
    """The file in blocks of whole lines, each ended by a line feed."""
    total, rest = 0, b""
    with _stream(path) as stream:
        while block := _read(stream, path):
            total += len(block)
            if total > most:
                raise InputError(f"{path}: expected a list of at most {most:,} bytes; split it")
            block, end, rest = (rest + block).rpartition(b"\n")
            if block:
                yield block + end
            if len(rest) > BLOCK_BYTES:
                raise InputError(
                    f"{path}: expected one entry a line, got a line of more than {BLOCK_BYTES:,} "
                    "bytes; is it a list?"
                )
    if rest:
        yield rest + b"\n"


def _read(stream: Any, path: str) -> bytes:
    """The next bytes. Raises InputError where a packed or a remote file is not whole."""
    below = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream
    try:
        block: bytes = stream.read(BLOCK_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        _raise_failure(below)
        raise InputError(f"{path}: not a whole gzip file ({error}); fetch it again") from error
    if len(block) < BLOCK_BYTES:
        _raise_failure(below)
    return block


def _raise_failure(stream: Any) -> None:
    """What went wrong with a remote file, which ends where it does."""
    failure = getattr(stream.raw, "failure", None)
    if failure is not None:
        raise failure


# ---- what is in them -------------------------------------------------------------------------


def _file_entries(path: str, bare_urls: bool, of_folder: bool = False) -> tuple[UInt64s, UInt64s]:
    """Hashes of a file's domains and addresses. A file of a folder of many may be empty."""
    parts, lines, bad = [], 0, 0
    for block in _blocks(path, MOST_UNPACKED_BYTES):
        data = readonly(np.frombuffer(block, np.uint8))
        domains, urls, others, n_lines, n_bad = entry_hashes(data, bare_urls)
        parts.append((domains.copy(), urls.copy()))
        if len(others):
            more = _ascii_entries(block, others)
            domains, urls, _, _, none = entry_hashes(
                readonly(np.frombuffer(more, np.uint8)), bare_urls
            )
            parts.append((domains.copy(), urls.copy()))
            n_bad += none
        lines, bad = lines + int(n_lines), bad + int(n_bad)
    if not lines and not of_folder:
        raise InputError(f"{path}: expected a list of domains or addresses, got no entry in it")
    if 2 * bad > lines:
        raise InputError(
            f"{path}: expected a domain or an address in each line, got none in {bad:,} of "
            f"{lines:,}; is it the list, or a page about an error?"
        )
    return _joined(parts)


def _ascii_entries(block: bytes, spans: npt.NDArray[np.int64]) -> bytes:
    """Entries with hosts of other scripts in punycode, one a line."""
    out = []
    for begin, end in spans.tolist():
        entry = block[begin:end].decode("utf-8", "replace")
        scheme, mark, rest = entry.rpartition("://")
        host, slash, path = rest.partition("/")
        out.append(f"{scheme}{mark}{ascii_host(host)}{slash}{path}\n")
    return "".join(out).encode()


def _words(path: str) -> list[str]:
    """The words of a list, in lower case, without all but letters and digits."""
    words = []
    for block in _blocks(path, MOST_WORD_BYTES):
        for line in block.decode("utf-8", "replace").split("\n"):
            entry = line.partition("#")[0]
            if "<" in entry or ">" in entry:
                raise InputError(
                    f"{path}: expected a word in each line, got {line.strip()[:40]!r}; is it the "
                    "list, or a page about an error?"
                )
            word = _NOT_WORD.sub("", entry.lower())
            if word:
                words.append(word)
    if not words:
        raise InputError(f"{path}: expected a list of words, got no word of letters and digits")
    return words
