"""Hosts of addresses, and their registered domains by the public suffix list.

A host is compared in lower case, in ASCII, without trailing dots; the port and what stands before
"@" are no part of it. Its registered domain is its public suffix and one label more (publicsuffix.
org: the longest rule wins, an exception wins over all, an unknown last label is a suffix). An
address of numbers, a single label and a suffix have none.

Names are compared by 64-bit hashes: among a million names one wrong match is expected in 18
trillion questions. Hashes run from right to left, so that one pass meets every parent of a host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, Offsets
from curation.kernels.words import BASIS, PRIME, mix64

NORMAL, WILDCARD, EXCEPTION = 1, 2, 4  # a rule a.b; *.a.b; !a.b
NO_HOST, NOT_ASCII = -1, -2
MOST_HOST_BYTES = 253
_MOST_LABELS = 128
_DOT, _SLASH, _AT, _COLON, _OPEN, _CLOSE = (ord(c) for c in "./@:[]")
_QUERY, _FRAGMENT, _BACKSLASH, _HYPHEN, _UNDERSCORE = (ord(c) for c in "?#\\-_")
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
UInt8s = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SuffixRules:
    """Public suffixes: the hashes of their names, ascending, and the kinds of rules each has."""

    hashes: UInt64s
    kinds: UInt8s


@inner
def lower(c: Int) -> Int:
    """The lower case of an ASCII byte."""
    return c | 32 if 65 <= c <= 90 else c


@inner
def _is_alnum(c: Int) -> bool:
    return (48 <= c <= 57) or (97 <= (c | 32) <= 122)


@inner
def position(hashes: UInt64s, wanted: np.uint64) -> int:
    """Where a hash stands among ascending ones, or -1."""
    low, high = 0, len(hashes)
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(hashes) and hashes[low] == wanted else -1


@inner
def host_in(data: Bytes, i: int, end: int) -> tuple[int, int, int]:
    """Start and end of the host of the address in data[i:end], and where its port or path begins.

    A start below 0 says why there is none: `NO_HOST`, or `NOT_ASCII` where the host, whose place
    the other two are, must be put into ASCII first.
    """
    i = _after_scheme(data, i, end)
    stop = i
    while stop < end and data[stop] not in (_SLASH, _QUERY, _FRAGMENT, _BACKSLASH):
        stop += 1
    for k in range(i, stop):
        if data[k] == _AT:
            i = k + 1
    first = last = i
    bracket = i < stop and data[i] == _OPEN
    if bracket:
        first = last = i + 1
        while last < stop and data[last] != _CLOSE:
            last += 1
        rest = last + 1
        if last == stop or not _is_v6(data, first, last):
            return NO_HOST, 0, 0
    else:
        while last < stop and data[last] != _COLON:
            last += 1
        rest = last
    for k in range(rest, stop):
        if data[k] != _COLON if k == rest else not 48 <= data[k] <= 57:
            return NO_HOST, 0, 0
    if not bracket:
        while last > first and data[last - 1] == _DOT:
            last -= 1
        kind = _checked(data, first, last)
        if kind == NOT_ASCII:
            return NOT_ASCII, first, rest
        if kind < 0:
            return NO_HOST, 0, 0
    return first, last, rest


@inner
def _after_scheme(data: Bytes, i: int, end: int) -> int:
    k = i
    while k < end and (_is_alnum(data[k]) or data[k] in (43, 45, 46)):  # + - .
        k += 1
    if k > i and k + 2 < end and data[k] == _COLON and data[k + 1] == data[k + 2] == _SLASH:
        return k + 3
    if i + 1 < end and data[i] == data[i + 1] == _SLASH:
        return i + 2
    return i


@inner
def _is_v6(data: Bytes, first: int, last: int) -> bool:
    for k in range(first, last):
        if not (48 <= data[k] <= 58 or 97 <= (data[k] | 32) <= 102 or data[k] == _DOT):
            return False
    return 2 <= last - first <= 45


@inner
def _checked(data: Bytes, first: int, last: int) -> int:
    """0 for a host of labels; NOT_ASCII or NO_HOST."""
    if first == last or last - first > 4 * MOST_HOST_BYTES:
        return NO_HOST
    kind, before = 0, _DOT
    for k in range(first, last):
        c = data[k]
        if c >= 0x80:
            kind = NOT_ASCII
        elif c == _DOT:
            if before == _DOT and kind == 0:
                return NO_HOST
        elif not (_is_alnum(c) or c in (_HYPHEN, _UNDERSCORE)):
            return NO_HOST
        before = c
    return NO_HOST if kind == 0 and last - first > MOST_HOST_BYTES else kind


@inner
def has_labels(data: Bytes, first: int, last: int) -> bool:
    """Whether a host is two or more labels, and no number; else it has no registered domain."""
    dots, letters = 0, 0
    for k in range(first, last):
        c = data[k]
        if c == _COLON:
            return False
        dots += c == _DOT
        letters += not (48 <= c <= 57 or c == _DOT)
    return dots > 0 and letters > 0


@kernel
def name_hash(data: Bytes, first: int, last: int) -> np.uint64:
    """The hash of the name in data[first:last], in lower case."""
    h = BASIS
    for k in range(last - 1, first - 1, -1):
        h = (h ^ np.uint64(lower(data[k]))) * PRIME
    return mix64(h)


@inner
def parents(data, first, last, hashes, kinds, starts, names):  # type: ignore[no-untyped-def]
    """Write where each parent of a host begins, and its hash, shortest first; return how many there
    are, and which is the registered domain (-1: none)."""
    h, n, suffix = BASIS, 0, 0
    wild, settled = False, False
    for k in range(last - 1, first - 1, -1):
        h = (h ^ np.uint64(lower(data[k]))) * PRIME
        if k > first and data[k - 1] != _DOT:
            continue
        starts[n], names[n] = k, mix64(h)
        if not settled:
            at = position(hashes, names[n])
            kind = kinds[at] if at >= 0 else 0
            if kind & EXCEPTION:
                suffix, settled = n - 1, True
            elif kind & NORMAL or wild:
                suffix = n
            wild = kind & WILDCARD != 0
        n += 1
    registered = suffix + 1
    return n, (registered if registered < n and has_labels(data, first, last) else -1)


@kernel
def host_spans(offsets: Offsets, data: Bytes) -> tuple[Int64s, Int64s, Int64s]:
    """What `host_in` returns for each text, white space around it aside."""
    n = len(offsets) - 1
    first, last, rest = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    for row in range(n):
        begin, end = trimmed(data, offsets[row], offsets[row + 1])
        first[row], last[row], rest[row] = host_in(data, begin, end)
    return first, last, rest


@inner
def trimmed(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Without white space and control characters at both ends."""
    while begin < end and data[begin] <= 32:
        begin += 1
    while end > begin and data[end - 1] <= 32:
        end -= 1
    return begin, end


@inner
def url_hash(data: Bytes, first: int, last: int, rest: int, end: int) -> np.uint64:
    """The hash of an address without scheme, "www.", default port, fragment and trailing slashes,
    in lower case; bytes beyond ASCII count as they are escaped."""
    h = BASIS
    www = last - first > 4 and data[first + 3] == _DOT and lower(data[first]) == 119
    if www and lower(data[first + 1]) == 119 and lower(data[first + 2]) == 119:
        first += 4
    for k in range(first, last):
        h = (h ^ np.uint64(lower(data[k]))) * PRIME
    path, port = rest, 0
    while path < end and (data[path] == _COLON or 48 <= data[path] <= 57):
        if path > rest and port < 100_000:
            port = port * 10 + data[path] - 48
        path += 1
    stop = path
    while stop < end and data[stop] != _FRAGMENT:
        stop += 1
    while stop > path and data[stop - 1] == _SLASH:
        stop -= 1
    for k in range(rest if port not in (0, 80, 443) else path, stop):
        c = data[k]
        if c < 0x80:
            h = (h ^ np.uint64(lower(c))) * PRIME
        else:
            h = (h ^ np.uint64(37)) * PRIME
            for digit in (np.int64(c) >> 4, np.int64(c) & 15):
                h = (h ^ np.uint64(digit + (48 if digit < 10 else 87))) * PRIME
    return mix64(h)


@kernel
def measured_hosts(offsets, data, first, last, rest, hashes, kinds, domains, urls):  # type: ignore[no-untyped-def]
    """Of each address: where its registered domain begins (-1: none), whether its host or a parent
    down to that is among `domains`, and whether it is among `urls`."""
    n = len(first)
    begins = np.full(n, -1, np.int64)
    in_domains, in_urls = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    starts, names = np.empty(_MOST_LABELS, np.int64), np.empty(_MOST_LABELS, np.uint64)
    for row in range(n):
        if first[row] < 0:
            continue
        labels, registered = parents(data, first[row], last[row], hashes, kinds, starts, names)
        if registered >= 0:
            begins[row] = starts[registered]
        for k in range(registered if registered >= 0 else labels - 1, labels):
            in_domains[row] |= position(domains, names[k]) >= 0
        if len(urls):
            end = trimmed(data, offsets[row], offsets[row + 1])[1]
            found = url_hash(data, first[row], last[row], rest[row], end)
            in_urls[row] = position(urls, found) >= 0
    return begins, in_domains, in_urls


@kernel
def lowered_parts(data: Bytes, first: Int64s, last: Int64s) -> tuple[Int64s, UInt8s]:
    """Offsets and bytes of the texts data[first[i]:last[i]] in lower case; a negative start is the
    empty text."""
    offsets = np.zeros(len(first) + 1, np.int64)
    for row in range(len(first)):
        size = last[row] - first[row] if first[row] >= 0 else 0
        offsets[row + 1] = offsets[row] + size
    out = np.empty(offsets[-1], np.uint8)
    for row in range(len(first)):
        for k in range(offsets[row + 1] - offsets[row]):
            out[offsets[row] + k] = lower(data[first[row] + k])
    return offsets, out
