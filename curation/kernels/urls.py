"""Signals of addresses: host, registered domain, and what lists of a user say about them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.buffers import readonly, text_buffers
from curation.kernels.hosts import (
    NOT_ASCII,
    SuffixRules,
    host_spans,
    lowered_parts,
    measured_hosts,
)
from curation.kernels.url_words import WordParts, count_parts, count_words, word_hashes, word_parts

UInt64s = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class UrlLists:
    """Lists in the form in which addresses are matched: ascending hashes, words, and the rules of
    public suffixes. Equal digests are equal lists."""

    domains: UInt64s
    urls: UInt64s
    words: tuple[str, ...]
    soft_words: tuple[str, ...]
    subwords: tuple[str, ...]
    suffixes: SuffixRules
    digest: str
    word_hashes: UInt64s = field(init=False, repr=False)
    soft_word_hashes: UInt64s = field(init=False, repr=False)
    parts: WordParts = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "word_hashes", word_hashes(self.words))
        object.__setattr__(self, "soft_word_hashes", word_hashes(self.soft_words))
        object.__setattr__(self, "parts", word_parts(self.subwords))


def url_signals(urls: pa.Array, lists: UrlLists) -> dict[str, pa.Array]:
    """Return the columns of signals of a column of addresses.

    | column | type | what |
    |---|---|---|
    | host | string | lower case, ASCII, without port and trailing dots |
    | domain | string | the registered domain: public suffix and one label more |
    | blocked_domain | bool | the host, or a parent of it down to the domain, is listed |
    | blocked_url | bool | the address is listed, whatever its scheme, "www." and fragment |
    | blocked_words | int64 | how many listed words it has |
    | blocked_soft_words | int64 | how many of the soft words |
    | blocked_subwords | int64 | how many listed parts of words its letters and digits hold |

    All are null where the address is. The first four are null where it has no host, and `domain`
    where that is a number, one label or a public suffix.
    """
    if isinstance(urls, pa.ChunkedArray):
        urls = urls.combine_chunks()
    urls, spans = _with_ascii_hosts(urls)
    offsets, data = text_buffers(urls)
    first, last, rest = spans
    begins, in_domains, in_urls = measured_hosts(
        offsets,
        data,
        first,
        last,
        rest,
        lists.suffixes.hashes,
        lists.suffixes.kinds,
        lists.domains,
        lists.urls,
    )
    no_host, missing = first < 0, urls.is_null().to_numpy(zero_copy_only=False)
    counts = {
        "blocked_words": count_words(offsets, data, lists.word_hashes),
        "blocked_soft_words": count_words(offsets, data, lists.soft_word_hashes),
        "blocked_subwords": count_parts(
            offsets,
            data,
            lists.parts.step,
            lists.parts.word,
            lists.parts.shorter,
            len(lists.subwords),
        ),
    }
    return {
        "host": _strings(data, first, last, no_host),
        "domain": _strings(data, begins, last, begins < 0),
        "blocked_domain": pa.array(in_domains, pa.bool_(), mask=no_host),
        "blocked_url": pa.array(in_urls, pa.bool_(), mask=no_host),
        **{name: pa.array(count, pa.int64(), mask=missing) for name, count in counts.items()},
    }


def _strings(
    data: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    missing: npt.NDArray[np.bool_],
) -> pa.Array:
    offsets, values = lowered_parts(data, readonly(first), readonly(last))
    column = pa.Array.from_buffers(
        pa.large_string(), len(first), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    ).cast(pa.string())
    return pc.if_else(pa.array(missing), None, column)


def _with_ascii_hosts(urls: pa.Array) -> tuple[pa.Array, tuple[npt.NDArray[np.int64], ...]]:
    """The addresses with hosts of other scripts in punycode, and where the hosts are."""
    offsets, data = text_buffers(urls)
    first, last, rest = host_spans(offsets, data)
    rows = np.flatnonzero(first == NOT_ASCII)
    if len(rows):
        new = []
        for row in rows:
            begin, end = offsets[row], offsets[row + 1]
            host = ascii_host(data[last[row] : rest[row]].tobytes().decode("utf-8", "replace"))
            parts = (data[begin : last[row]].tobytes(), data[rest[row] : end].tobytes())
            new.append((parts[0] + host.encode() + parts[1]).decode("utf-8", "replace"))
        mask = np.zeros(len(urls), np.bool_)
        mask[rows] = True
        urls = pc.replace_with_mask(urls, pa.array(mask), pa.array(new, urls.type))
        offsets, data = text_buffers(urls)
        first, last, rest = host_spans(offsets, data)
    return urls, tuple(readonly(part) for part in (first, last, rest))


def ascii_host(host: str) -> str:
    """Return a host in punycode, as browsers write it (UTS 46); "%" where it is none.

    >>> ascii_host("Bücher.Example"), ascii_host("a b.example")
    ('xn--bcher-kva.example', '%')
    """
    import idna

    try:
        return idna.encode(host.rstrip("."), uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return "%"
