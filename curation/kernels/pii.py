"""Spans of e-mail addresses, public IP addresses, phone numbers and payment cards in texts.

| kind | what is found |
|---|---|
| email | a local part of RFC 5322's atoms, "@", labels joined by dots, the last one of two or more characters that begin with a letter |
| ip | IPv4 of four decimal parts, IPv6 below 2000::/3, both public (`pii_addresses.py`) |
| phone | "+" and 8 to 15 digits, or ten digits as North America writes them (`pii_numbers.py`) |
| card | 13 to 19 digits of an issuer's range and length, with a right check digit (`pii_numbers.py`) |

The e-mail pattern and the check of addresses follow datatrove's `PIIFormatter`; the differences
stand in docs/filter-masks-and-lists.md. An address whose local part would begin in the address
before it belongs to that one, so that masking is idempotent: with `REPLACEMENTS` in place of what
was found, only these are found again.

Costs one pass for each kind, at more than 500 MB/s where there is little to find. No backtracking:
time is linear in the bytes, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Offsets, readonly, text_buffers
from curation.kernels.growing import with_room
from curation.kernels.masks import span_lists
from curation.kernels.pii_addresses import find_addresses
from curation.kernels.pii_bytes import DIGIT_OR_LETTER, LETTER, LOCAL, WORD, byte_table
from curation.kernels.pii_numbers import find_cards, find_phones

KINDS = ("email", "ip", "phone", "card")
# What stands for each in masked text. Each is found again and masked to itself.
REPLACEMENTS = {
    "email": "email@example.com",
    "ip": "22.214.171.124",
    "phone": "+1-212-555-0100",
    "card": "4111111111111111",
}
Int64s = npt.NDArray[np.int64]
_AT, _DOT, _HYPHEN = ord("@"), ord("."), ord("-")
_BLOCK = 64  # bytes that are searched at once


def measure(texts: pa.Array, kinds: Sequence[str] = ("email", "ip")) -> dict[str, pa.Array]:
    """Return for each kind the column `SPANS` of what is found in each text; null for a null text.

    Raises ValueError for an unknown kind.

    >>> measure(pa.array(["é: ann@example.org, 8.8.8.8", "10.0.0.1"]))["ip"].to_pylist()
    [[{'start': 20, 'end': 27}], []]
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"expected kinds of {', '.join(KINDS)}, got {unknown[0]!r}")
    offsets, data = text_buffers(texts)
    missing = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
    found = {}
    for kind in kinds:
        counts, starts, ends = _FINDERS[kind](offsets, data)
        first, last = _points(offsets, data, readonly(counts), readonly(starts), readonly(ends))
        found[kind] = span_lists(counts, first, last, missing)
    return found


@kernel
def _points(offsets, data, counts, starts, ends):  # type: ignore[no-untyped-def]
    """Starts and ends in code points of their texts, from those in bytes of the data."""
    first, last = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    k = 0
    for row in range(len(counts)):
        at, points = offsets[row], 0
        for _ in range(counts[row]):
            points += _begun(data, at, starts[k])
            first[k] = points
            points += _begun(data, starts[k], ends[k])
            last[k] = points
            at = ends[k]
            k += 1
    return first, last


@inner
def _begun(data: Bytes, start: int, end: int) -> int:
    """How many code points begin in data[start:end]."""
    n = 0
    for k in range(np.uint64(start), np.uint64(end)):
        n += (data[k] & 0xC0) != 0x80
    return n


def _find_emails(offsets: Offsets, data: Bytes) -> tuple[Int64s, Int64s, Int64s]:
    return _emails(offsets, data, byte_table())


@kernel
def _emails(offsets, data, table):  # type: ignore[no-untyped-def]
    """Addresses in each text, and the first and last byte of each."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    starts, ends = np.empty(64, np.int64), np.empty(64, np.int64)
    n = 0
    for row in range(len(counts)):
        begin, end = offsets[row], offsets[row + 1]
        at = _next_at(data, begin, end)
        while at < end:
            domain_end = _domain_end(data, at + 1, end, table)
            if domain_end > 0:
                before = ends[n - 1] if counts[row] else begin - 1
                start, begins_inside = _local_start(data, at, begin, before, table)
                if begins_inside:
                    ends[n - 1] = domain_end
                elif start < at:
                    starts, ends = with_room(starts, n, 1), with_room(ends, n, 1)
                    starts[n], ends[n] = start, domain_end
                    counts[row] += 1
                    n += 1
            at = _next_at(data, at + 1, end)
    return counts, starts[:n], ends[:n]


@inner
def _next_at(data: Bytes, i: int, end: int) -> int:
    """Where the next "@" is, or the end."""
    while i + _BLOCK <= end:
        found = False
        for k in range(np.uint64(_BLOCK)):
            found |= data[np.uint64(i) + k] == _AT
        if found:
            break
        i += _BLOCK
    while i < end and data[i] != _AT:
        i += 1
    return i


@inner
def _local_start(
    data: Bytes, at: int, begin: int, before: int, table: npt.NDArray[np.uint8]
) -> tuple[int, bool]:
    """Where the local part before data[at] begins (`at`: nowhere); whether that is not behind
    `before`, the end of the last address.

    A local part begins with a letter, a digit or "_", as datatrove's word boundary makes it.
    """
    i = start = at
    while i > begin and i > before:
        c = data[i - 1]
        if table[c] & LOCAL:
            if table[c] & WORD:
                start = i - 1
        elif c != _DOT or i == at or data[i] == _DOT or not _is_local(data, i - 2, begin, table):
            break
        i -= 1
    return start, i <= before


@inner
def _is_local(data: Bytes, i: int, begin: int, table: npt.NDArray[np.uint8]) -> bool:
    return i >= begin and table[data[i]] & LOCAL != 0


@inner
def _domain_end(data: Bytes, i: int, end: int, table: npt.NDArray[np.uint8]) -> int:
    """Where the longest domain that begins at data[i] ends; 0 where there is none."""
    found = 0
    labels = 0
    while i < end and table[data[i]] & DIGIT_OR_LETTER:
        first = i
        while i < end and (table[data[i]] & DIGIT_OR_LETTER or data[i] == _HYPHEN):
            i += 1
        last = i
        while data[last - 1] == _HYPHEN:
            last -= 1
        labels += 1
        if labels > 1 and last - first > 1 and table[data[first]] & LETTER:
            found = last
        if last < i or i == end or data[i] != _DOT:
            break
        i += 1
    return found


_FINDERS: dict[str, Callable[[Any, Any], tuple[Int64s, Int64s, Int64s]]] = {
    "email": _find_emails,
    "ip": find_addresses,
    "phone": find_phones,
    "card": find_cards,
}
