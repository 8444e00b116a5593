"""Is a run of characters an address, such as "https://example.com/a?b" or "me@example.com"?

An address is, in this order: a scheme and "://" or nothing; a user's name and "@" or nothing; a
host; ":" and a port or nothing; "/", "?" or "#" and anything, or nothing. A host is labels of
letters, digits, hyphens and underscores with full stops between them; the last has lower-case
letters alone, two at least. So "end.then" is one, "end.Then" is not. Addresses of numbers are none
here. Linear: four "@" at most are tried as the end of a user's name.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.buffers import Bytes
from curation.kernels.characters import HOST, LETTER, LOWER, NUMBER, kind_of, next_point

_TRIES = 4
_LONGEST_LABEL = 64
_DOT, _COLON, _AT, _SLASH = ord("."), ord(":"), ord("@"), ord("/")
_QUESTION, _HASH, _UNDERSCORE, _DASH, _PLUS = ord("?"), ord("#"), ord("_"), ord("-"), ord("+")


@inner(_nrt=False)
def is_address(data: Bytes, a: int, b: int, kinds: npt.NDArray[np.int32]) -> bool:
    """Return whether data[a:b], which holds no white space, is an address."""
    start = _after_scheme(data, a, b, kinds)
    if _host_and_rest(data, start, b, kinds):
        return True
    tries = 0
    i = start + 1
    while i < b and tries < _TRIES:
        if data[i] == _AT:
            if _host_and_rest(data, i + 1, b, kinds):
                return True
            tries += 1
        i += 1
    return False


@inner(_nrt=False)
def _after_scheme(data, a, b, kinds):  # type: ignore[no-untyped-def]
    """Where the text after "scheme://" begins; a where there is no scheme."""
    i = a
    while i < b:
        c, following = next_point(data, i, b)
        named = kind_of(c, kinds) & (LETTER | NUMBER) or c in (_UNDERSCORE, _PLUS, _DASH, _DOT)
        if not named:
            ends = c == _COLON and i - a >= 2 and i + 2 < b
            ends = ends and data[i + 1] == _SLASH and data[i + 2] == _SLASH
            return i + 3 if ends else a
        i = following
    return a


@inner(_nrt=False)
def _host_and_rest(data, i, b, kinds):  # type: ignore[no-untyped-def]
    """Is data[i:b] a host with what may follow?"""
    dots = label = 0
    lower, joins = True, True  # of the label: all lower-case letters; its last is "-" or "_"
    c = np.int64(0)
    while i < b:
        c, following = next_point(data, i, b)
        kind = kind_of(c, kinds)
        if kind & HOST:
            label += 1
            lower = lower and (kind & LOWER) != 0
            joins = False
        elif c in (_DASH, _UNDERSCORE):
            if label == 0:
                return False
            label += 1
            lower, joins = False, True
        elif c == _DOT:
            if label == 0 or joins or label > _LONGEST_LABEL:
                return False
            dots += 1
            label, lower, joins = 0, True, True
        else:
            break
        i = following
    if dots == 0 or label < 2 or label >= _LONGEST_LABEL or not lower:
        return False
    if i < b and c == _COLON:
        first = i + 1
        i = first
        while i < b and ord("0") <= data[i] <= ord("9"):
            i += 1
        if not 2 <= i - first <= 5:
            return False
        c = np.int64(data[i]) if i < b else c
    return i >= b or c in (_SLASH, _QUESTION, _HASH)
