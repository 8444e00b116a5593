"""Text as arrays of code points, and what the passes over wikitext share: signs, names, blanks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks.jit import inner
from curation.kernels.buffers import readonly
from curation.kernels.characters import SPACE, kind_of
from curation.readers.wiki import marks

Codes = npt.NDArray[np.uint32]
Kinds = npt.NDArray[np.int32]
BRACKET, BRACKET_END = b"[]"
BRACE, BRACE_END = b"{}"
GONE, UNKNOWN, SPLIT = map(ord, (marks.GONE, marks.UNKNOWN, marks.SPLIT))
NO_BREAK = ord("\xa0")
_HASH_FACTOR = np.uint64(1099511628211)


def codes_of(text: str) -> Codes:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def text_of(codes: Codes) -> str:
    """The text of code points.

    >>> text_of(codes_of("Ελ\\U0001f600"))
    'Ελ😀'
    """
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def signs_table(signs: str) -> npt.NDArray[np.bool_]:
    """Which code points below 128 are among signs."""
    table = np.zeros(128, np.bool_)
    table[[*map(ord, signs)]] = True
    return readonly(table)


def name_hashes(names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The number of each name of a tag (lower case, a to z)."""
    hashes = []
    for name in names:
        value = 0
        for letter in name:
            value = (value * int(_HASH_FACTOR) + ord(letter)) % 2**64
        hashes.append(value)
    return readonly(np.array(hashes, np.uint64))


@inner(_nrt=False)
def name_at(codes: Codes, i: int) -> tuple[Any, int]:
    """(hash of the tag's name at i, the index behind it); 0 where none stands there."""
    value = np.uint64(0)
    while i < len(codes):
        c = np.uint64(codes[i]) | np.uint64(32)
        if c < np.uint64(97) or c > np.uint64(122):
            break
        value = value * _HASH_FACTOR + c
        i += 1
    if i < len(codes) and (codes[i] >= 128 or codes[i] == 95 or 48 <= codes[i] <= 57):
        return np.uint64(0), i
    return value, i


@inner(_nrt=False)
def tag_end(codes: Codes, i: int) -> int:
    """The index of the sign that ends a tag, the first `<` or `>` from i on."""
    while i < len(codes) and codes[i] != byte.LESS_THAN and codes[i] != byte.GREATER_THAN:
        i += 1
    return i


@inner(_nrt=False, forceinline=True)
def is_space(c: Any, kinds: Kinds) -> bool:
    """Python's `str.isspace`."""
    return kind_of(c, kinds) & SPACE != 0


@inner(_nrt=False)
def stripped(text, start, end, kinds):  # type: ignore[no-untyped-def]
    """(start, end) without white space at both ends."""
    while start < end and is_space(text[start], kinds):
        start += 1
    while end > start and is_space(text[end - 1], kinds):
        end -= 1
    return start, end


@inner(_nrt=False, forceinline=True)
def is_comma(c: Any) -> bool:
    """Whether a comma, semicolon or colon is."""
    return c in (byte.COMMA, byte.SEMICOLON, byte.COLON)
