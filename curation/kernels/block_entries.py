"""Entries of block lists as hashes of domains and of addresses.

One entry a line: a domain ("example.org", also ".example.org" and "*.example.org"), an address, with
or without a scheme, or a line of a hosts file ("0.0.0.0 example.org"), which holds domains. What
stands behind "#" at the start of a line or after white space is a comment. An entry with a scheme or
a path is an address; `bare_urls` says that all are, as in UT1's files `urls`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes
from curation.kernels.hosts import NOT_ASCII, host_in, name_hash, trimmed, url_hash

NEWLINE = 10
_SPACE, _HASH, _DOT, _STAR, _COLON, _SLASH = (ord(c) for c in " #.*:/")
UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]


@kernel
def entry_hashes(data, bare_urls):  # type: ignore[no-untyped-def]
    """Return hashes of the domains and of the addresses in lines, the starts and ends of entries
    whose host is not ASCII, and how many lines hold an entry, and how many of these none that is
    understood."""
    most = 1
    for k in range(len(data)):
        most += data[k] <= _SPACE
    domains, urls = np.empty(most, np.uint64), np.empty(most, np.uint64)
    others = np.empty((most, 2), np.int64)
    n = np.zeros(5, np.int64)  # domains, urls, others, lines, lines not understood
    i = 0
    while i < len(data):
        stop = i
        while stop < len(data) and data[stop] != NEWLINE:
            stop += 1
        begin, end = trimmed(data, i, _comment(data, i, stop))
        if begin < end:
            n[3] += 1
            before = n[0] + n[1] + n[2]
            _line(data, begin, end, bare_urls, domains, urls, others, n)
            n[4] += n[0] + n[1] + n[2] == before
        i = stop + 1
    return domains[: n[0]], urls[: n[1]], others[: n[2]], n[3], n[4]


@inner
def _comment(data: Bytes, i: int, stop: int) -> int:
    """Where the comment of a line begins, or its end."""
    for k in range(i, stop):
        if data[k] == _HASH and (k == i or data[k - 1] <= _SPACE):
            return k
    return stop


@inner
def _line(data, begin, end, bare_urls, domains, urls, others, n):  # type: ignore[no-untyped-def]
    """Add the entry in data[begin:end], or the names of a line of a hosts file."""
    k = begin
    while k < end and data[k] > _SPACE:
        k += 1
    if k == end:
        _add(data, begin, end, bare_urls, domains, urls, others, n)
        return
    for j in range(begin, k):
        if not (48 <= data[j] <= 58 or data[j] == _DOT or 97 <= (data[j] | 32) <= 102):
            return
    while k < end:
        begin, end_of_word = k, k
        while begin < end and data[begin] <= _SPACE:
            begin += 1
        end_of_word = begin
        while end_of_word < end and data[end_of_word] > _SPACE:
            end_of_word += 1
        if begin < end_of_word:
            _add(data, begin, end_of_word, False, domains, urls, others, n)
        k = end_of_word


@inner
def _add(data, begin, end, bare_urls, domains, urls, others, n):  # type: ignore[no-untyped-def]
    scheme = False
    for k in range(begin, end - 1):
        scheme |= data[k] == _SLASH and data[k + 1] == _SLASH and (k == begin or data[k - 1] == 58)
    if not scheme:
        begin += 1 if data[begin] == _STAR else 0
        begin += 1 if begin < end and data[begin] == _DOT else 0
    first, last, rest = host_in(data, begin, end)
    if first == NOT_ASCII:
        others[n[2], 0], others[n[2], 1] = begin, end
        n[2] += 1
        return
    if first < 0 or not _is_name(data, first, last):
        return
    if scheme or bare_urls or rest < end:
        urls[n[1]] = url_hash(data, first, last, rest, end)
        n[1] += 1
    else:
        domains[n[0]] = name_hash(data, first, last)
        n[0] += 1


@inner
def _is_name(data: Bytes, first: int, last: int) -> bool:
    """Whether a host has two labels or more, or is IPv6, and is not 0.0.0.0."""
    zeros = True
    inside = False
    for k in range(first, last):
        inside |= data[k] == _COLON or (data[k] == _DOT and k > first)
        zeros &= data[k] == _DOT or data[k] == 48
    return inside and not zeros
