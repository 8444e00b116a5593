"""Names for configurations and for texts: the same input gives the same digest, on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import xxhash


def config_digest(*parts: object) -> str:
    """The name of a configuration: the first 16 hex digits of the sha256 of the parts' `repr`s, joined.

    Parts must have a stable `repr`: strings, numbers, tuples and frozen dataclasses of those.

    >>> config_digest("classify", 1, ("a", 2.0))
    'a6d74f814c38a63a'
    """
    return digest_of(parts)


def digest_of(parts: Iterable[object]) -> str:
    """`config_digest` of parts that need not all be there at once.

    >>> digest_of(iter(["classify", 1, ("a", 2.0)]))
    'a6d74f814c38a63a'
    """
    state = hashlib.sha256()
    for number, part in enumerate(parts):
        state.update((("\x1f" if number else "") + repr(part)).encode())
    return state.hexdigest()[:16]


def text_digest(text: bytes) -> bytes:
    """The 16 bytes that stand for a text: xxh3-128 of its UTF-8 bytes.

    >>> text_digest(b"hello").hex()
    'b5e9c1ad071b3e7fc779cfaa5e523818'
    """
    return xxhash.xxh3_128_digest(text)
