"""Public IP addresses in texts.

IPv4: four decimal parts of 0 to 255 without leading zeros. No further part, letter, digit or "_"
stands beside it, nor a name and a dot before: "1.2.3.4.5" and "v1.2.3.4" are versions. IPv6: eight groups of RFC 4291, "::" for
zeros, the last two perhaps as IPv4; it begins with 2 or 3, where all public ones are, and does not
end with "::", as a prefix of a network does. So "std::abs", times and fingerprints are none.

Public is what `ipaddress` of Python calls global: not in IANA's registries of special addresses,
as they stood in 2025. Multicast counts as public, as there. All of 2001::/23 counts as special.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, Offsets, readonly
from curation.kernels.growing import with_room
from curation.kernels.pii_bytes import byte_table, is_digit, is_word, local_end

Int64s = npt.NDArray[np.int64]
_SPECIAL_V4 = (  # network, bits of its prefix
    ("0.0.0.0", 8),
    ("10.0.0.0", 8),
    ("100.64.0.0", 10),
    ("127.0.0.0", 8),
    ("169.254.0.0", 16),
    ("172.16.0.0", 12),
    ("192.0.0.0", 24),  # but 192.0.0.9 and 192.0.0.10
    ("192.0.2.0", 24),
    ("192.168.0.0", 16),
    ("198.18.0.0", 15),
    ("198.51.100.0", 24),
    ("203.0.113.0", 24),
    ("240.0.0.0", 4),
)
_PUBLIC_AGAIN = (0xC0000009, 0xC000000A)  # 192.0.0.9, 192.0.0.10
_MOST_V6_BYTES = 45
_BLOCK = 32  # bytes that are searched at once
_DOT, _COLON, _AT, _HYPHEN, _PLUS, _ZERO = (ord(c) for c in ".:@-+0")


@lru_cache(maxsize=1)
def _special_v4() -> tuple[Int64s, Int64s]:
    """Networks and how many bits stand behind each one's prefix."""
    networks = [int.from_bytes(bytes(map(int, name.split("."))), "big") for name, _ in _SPECIAL_V4]
    shifts = np.array([32 - bits for _, bits in _SPECIAL_V4])
    return readonly(np.array(networks) >> shifts), readonly(shifts)


def find_addresses(offsets: Offsets, data: Bytes) -> tuple[Int64s, Int64s, Int64s]:
    """Return how many public addresses each text has, and the first byte and the end of each.

    Takes what `text_buffers` returns.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> texts = pa.array(["8.8.8.8, 192.168.0.1", "[2a00:1450::200e]"])
    >>> [column.tolist() for column in find_addresses(*text_buffers(texts))]
    [[1, 1], [0, 21], [7, 36]]
    """
    return _addresses(offsets, data, *_special_v4(), byte_table())


@kernel
def _addresses(offsets, data, networks, shifts, table):  # type: ignore[no-untyped-def]
    counts = np.zeros(len(offsets) - 1, np.int64)
    starts, ends = np.empty(64, np.int64), np.empty(64, np.int64)
    groups = np.empty(8, np.int64)
    n = 0
    for row in range(len(counts)):
        begin, end = offsets[row], offsets[row + 1]
        free = begin  # nothing before it is looked at again
        i = _next_mark(data, begin, end)
        while i < end:
            c = data[i]
            if i < free:
                i = _next_mark(data, free, end)
                continue
            if c == _DOT:
                start, free, is_address = _v4_around(data, i, free, begin, end, networks, shifts)
                stop = free
            else:
                start, stop = i - 4, _v6_end(data, i, begin, end, groups)
                is_address = stop > 0 and start >= free and not local_end(data, stop, end, table)[1]
                free = stop if is_address else free
            if is_address:
                starts, ends = with_room(starts, n, 1), with_room(ends, n, 1)
                starts[n], ends[n] = start, stop
                counts[row] += 1
                n += 1
            i = _next_mark(data, i + 1, end)
    return counts, starts[:n], ends[:n]


@inner
def _is_mark(c: np.uint8, following: np.uint8) -> bool:
    """Whether a dot or a colon with this byte behind it may stand in an address; without a branch,
    so that LLVM vectorises the search."""
    digit = np.uint8(following - np.uint8(48)) <= np.uint8(10)  # or a colon
    letter = np.uint8((following | np.uint8(32)) - np.uint8(97)) < np.uint8(6)
    return (c == np.uint8(_DOT)) & digit | (c == np.uint8(_COLON)) & (digit | letter)


@inner
def _next_mark(data: Bytes, i: int, end: int) -> int:
    """Where the next such dot or colon is, or the end."""
    while i + _BLOCK < end:
        found = False
        for k in range(np.uint64(_BLOCK)):
            found |= _is_mark(data[np.uint64(i) + k], data[np.uint64(i) + k + np.uint64(1)])
        if found:
            break
        i += _BLOCK
    while i + 1 < end:
        if _is_mark(data[i], data[i + 1]):
            return i
        i += 1
    return end


@inner
def _v4_around(data, dot, free, begin, end, networks, shifts):  # type: ignore[no-untyped-def]
    """Start and end of the run of numbers and dots around data[dot], and whether it is a public
    address."""
    i = dot
    while i > free and is_digit(data[i - 1]):
        i -= 1
    start, parts, good, value = i, 0, i < dot, 0
    while i < end and is_digit(data[i]):
        first, number = i, 0
        while i < end and is_digit(data[i]):
            if i < first + 3:
                number = number * 10 + data[i] - _ZERO
            i += 1
        good &= i <= first + 3 and number <= 255 and (data[first] != _ZERO or i == first + 1)
        value = ((value << 8) | number) & 0xFFFFFFFF
        parts += 1
        if i + 1 < end and data[i] == _DOT and is_digit(data[i + 1]):
            i += 1
        else:
            break
    good &= parts == 4 and (start == begin or not _joins(data[start - 1]))
    good &= not (start - 2 >= begin and data[start - 1] == _DOT and is_word(data[start - 2]))
    good &= not (i < end and is_word(data[i]))
    return start, max(i, dot + 1), good and _is_public_v4(value, networks, shifts)


@inner
def _joins(c: np.uint8) -> bool:
    """Whether what stands behind this byte is a part of it: of a word, or of a phone number."""
    return is_word(c) or c == _PLUS


@inner
def _is_public_v4(value, networks, shifts):  # type: ignore[no-untyped-def]
    if value in _PUBLIC_AGAIN:
        return True
    for k in range(len(networks)):  # noqa: SIM110 (compiled)
        if value >> shifts[k] == networks[k]:
            return False
    return True


@inner
def _hex(c: np.uint8) -> Int:
    """The value of a hexadecimal digit, or -1."""
    if 48 <= c <= 57:
        return np.int64(c) - 48
    lower = c | 32
    return np.int64(lower) - 87 if 97 <= lower <= 102 else np.int64(-1)


@inner
def _v6_end(data: Bytes, colon: int, begin: int, end: int, groups: Int64s) -> int:
    """Where the public address ends whose first group stands before data[colon]; 0 where there is
    none."""
    start = colon - 4
    if start < begin or (data[start] != 50 and data[start] != 51):
        return 0
    for k in range(start, colon):
        if _hex(data[k]) < 0:
            return 0
    if start > begin and not _may_precede(data, start - 1, begin):
        return 0
    i = colon
    while i < end and (_hex(data[i]) >= 0 or data[i] == _COLON or data[i] == _DOT):
        i += 1
        if i - start > _MOST_V6_BYTES + 4:
            return 0
    stop = i
    while data[stop - 1] == _DOT:
        stop -= 1
    if i < end and stop == i and data[i - 1] == _COLON and data[i] > 32:
        return 0
    if data[stop - 1] == _COLON:
        stop -= 1
    if stop == i and i < end and (is_word(data[i]) or data[i] == _HYPHEN):
        return 0
    return stop if _parsed_v6(data, start, stop, groups) and _is_public_v6(groups) else 0


@inner
def _may_precede(data: Bytes, i: int, begin: int) -> bool:
    """Whether an address may begin behind data[i]: no part of a word or number, ":" only in "ip:"
    and "ipv6:"."""
    c = data[i]
    if c == _COLON:
        if i - 4 >= begin and data[i - 1] == 54 and data[i - 2] | 32 == 118:  # v6
            i -= 2
        named = i - 2 >= begin and data[i - 1] | 32 == 112 and data[i - 2] | 32 == 105  # ip
        return named and (i - 3 < begin or not is_word(data[i - 3]))
    return not (is_word(c) or c in (_DOT, _AT, _HYPHEN, _PLUS))


@inner
def _parsed_v6(data: Bytes, start: int, end: int, groups: Int64s) -> bool:
    """Whether data[start:end] is an address, and its eight groups."""
    i, n, gap = start, 0, -1
    while i < end:
        if n == 8:
            return False
        first, number = i, 0
        while i < end and _hex(data[i]) >= 0:
            number = number << 4 | _hex(data[i])
            i += 1
            if i - first > 4:
                return False
        if i < end and data[i] == _DOT:
            value = _plain_v4(data, first, end)
            if value < 0 or n > 6:
                return False
            groups[n], groups[n + 1] = value >> 16, value & 0xFFFF
            n += 2
            break
        if i == first:
            return False
        groups[n] = number
        n += 1
        if i == end:
            break
        i += 1  # the colon
        if i < end and data[i] == _COLON:
            if gap >= 0:
                return False
            gap = n
            i += 1
        if i == end:
            return False
    if gap < 0:
        return n == 8
    zeros = 8 - n
    for k in range(n - 1, gap - 1, -1):
        groups[k + zeros] = groups[k]
    for k in range(gap, gap + zeros):
        groups[k] = 0
    return zeros > 0


@inner
def _plain_v4(data: Bytes, i: int, end: int) -> int:
    """The number of an IPv4 address that data[i:end] is, or -1."""
    value, parts = 0, 0
    while i < end:
        first, number = i, 0
        while i < end and is_digit(data[i]) and i < first + 3:
            number = number * 10 + data[i] - _ZERO
            i += 1
        if i == first or number > 255 or (data[first] == _ZERO and i > first + 1):
            return -1
        value, parts = value << 8 | number, parts + 1
        if i == end:
            break
        if data[i] != _DOT or parts == 4:
            return -1
        i += 1
    return value if parts == 4 else -1


@inner
def _is_public_v6(groups: Int64s) -> bool:
    """Whether an address below 2000::/3 is outside 2001::/23, 2001:db8::/32, 2002::/16 (6to4) and
    3fff::/20."""
    first, second = groups[0], groups[1]
    if first == 0x2001:
        return second >= 0x200 and second != 0xDB8
    return first != 0x2002 and (first != 0x3FFF or second >= 0x1000)
