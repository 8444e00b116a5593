"""What an English tokenizer splits off at the front and at the end of a run without white space.

At the front: quotes, brackets, marks, symbols, currency signs, two full stops or more. At the end:
quotes, brackets, marks and symbols too; "'s"; units and currency signs behind digits; a full stop
behind a lower-case letter, a digit, a mark or two capitals, but not behind one capital ("J.").
"""

from __future__ import annotations

import numpy as np

from curation.blocks.jit import inner
from curation.kernels.characters import (
    AFFIX,
    BEFORE_DOT,
    CURRENCY,
    FRONT,
    NUMBER,
    UPPER,
    kind_of,
    next_point,
    point_before,
)

_DOT, _PLUS, _DOLLAR, _APOSTROPHE, _CURLY = ord("."), ord("+"), ord("$"), ord("'"), 0x2019
_S, _CAPITAL_S, _COLON, _CLOSE = ord("s"), ord("S"), ord(":"), ord(")")
_UNIT_BYTES = 5
_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s "
    "km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K %"
)
_UNIT_KEYS = tuple(int.from_bytes(unit.encode(), "big") for unit in _UNITS.split())


@inner(_nrt=False, forceinline=True)
def front_bytes(data, a, b, kinds):  # type: ignore[no-untyped-def]
    """Return the bytes of what comes off at the front of data[a:b]; 0 where nothing does."""
    c, following = next_point(data, a, b)
    if c == _APOSTROPHE and following < b and data[following] == _APOSTROPHE:
        return 2
    if kind_of(c, kinds) & (AFFIX | FRONT):
        return following - a
    if c == _DOT:
        while following < b and data[following] == _DOT:
            following += 1
        return following - a if following - a > 1 else 0
    ahead = np.int64(data[following]) if following < b else np.int64(0)
    if c == _PLUS:
        return 0 if ord("0") <= ahead <= ord("9") else 1
    if c in (ord("C"), ord("A")) and ahead == _DOLLAR:
        return 2
    if c == ord("U") and ahead == _CAPITAL_S and a + 2 < b and data[a + 2] == _DOLLAR:
        return 3
    return 0


@inner(_nrt=False, forceinline=True)
def back_bytes(data, a, b, kinds):  # type: ignore[no-untyped-def]
    """Return the bytes of what comes off at the end of data[a:b]; 0 where nothing does."""
    if a >= b:
        return 0
    c, i = point_before(data, a, b, b)
    before, j = point_before(data, a, i, b)
    kind = kind_of(before, kinds) if i > a else np.int64(0)
    # Two marks that spaCy joins again: a face, or two apostrophes as a quote.
    if i > a and (
        (c == _COLON and before == _CLOSE)
        or (c == _CLOSE and before == _COLON)
        or (c == _APOSTROPHE and before == _APOSTROPHE)
    ):
        return 2
    if c in (_S, _CAPITAL_S) and i > a and before in (_APOSTROPHE, _CURLY):
        return b - j
    if c == _DOT:
        if before == _DOT:
            while i > a and data[i - 1] == _DOT:
                i -= 1
            return b - i
        if kind & BEFORE_DOT:
            return 1
        twice, _ = point_before(data, a, j, b)
        return int((kind & UPPER) != 0 and j > a and (kind_of(twice, kinds) & UPPER) != 0)
    own = kind_of(c, kinds)
    if own & AFFIX or (kind & NUMBER and (c == _PLUS or own & CURRENCY)):
        return b - i
    return 0 if own & NUMBER else _unit_bytes(data, a, b)


@inner(_nrt=False)
def _unit_bytes(data, a, b):  # type: ignore[no-untyped-def]
    """Bytes of a unit at the end of data[a:b], behind a digit."""
    i = b
    while i > a and b - i <= _UNIT_BYTES and not ord("0") <= data[i - 1] <= ord("9"):
        i -= 1
    if i in (a, b) or b - i > _UNIT_BYTES:
        return 0
    key = np.int64(0)
    for k in range(i, b):
        key = key << 8 | np.int64(data[k])
    for unit in _UNIT_KEYS:
        if key == unit:
            return b - i
    return 0
