"""What a byte may be in an e-mail address, a number or a word, for the kernels that find personal
data.

Only ASCII counts: a letter of another script beside an address does not hide it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.buffers import Bytes, Int, readonly

LOCAL, WORD, DIGIT_OR_LETTER, LETTER = 1, 2, 4, 8
_AT, _DOT, _UNDERSCORE = ord("@"), ord("."), ord("_")
Table = npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def byte_table() -> Table:
    """Return uint8[256], bits of what each byte may be.

    >>> [name for name in "a_!." if byte_table()[ord(name)] & LOCAL]
    ['a', '_', '!']
    """
    table = np.zeros(256, np.uint8)
    for byte in range(128):
        character = chr(byte)
        table[byte] = (
            LOCAL * (character.isalnum() or character in "!#$%&'*+/=?^_`{|}~-")
            | WORD * (character.isalnum() or character == "_")
            | DIGIT_OR_LETTER * character.isalnum()
            | LETTER * character.isalpha()
        )
    return readonly(table)


@inner
def is_word(c: Int) -> bool:
    """Whether a byte is an ASCII letter or digit or "_"."""
    lower = c | 32
    return (97 <= lower <= 122) or (48 <= c <= 57) or c == _UNDERSCORE


@inner
def is_digit(c: Int) -> bool:
    """Whether a byte is an ASCII digit."""
    return 48 <= c <= 57


@inner
def local_end(data: Bytes, i: int, end: int, table: Table) -> tuple[int, bool]:
    """Where the characters of a local part that begin at data[i] end, and whether "@" is there.

    What is found before such characters is a part of an e-mail address, and not found: else a mask
    over both would change what stands before the address.
    """
    while i < end and (table[data[i]] & LOCAL or data[i] == _DOT):
        i += 1
    return i, i < end and bool(data[i] == _AT)
