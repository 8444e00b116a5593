"""Makes `unicode.npz` from this Python's `unicodedata`: `python scripts/make_unicode.py`.

Takes a second and is needed only to move to another version of Unicode, which changes the results
of runs. Trap: Python knows only full case mappings; U+0130 is the one code point whose simple lower
case differs from them.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import numpy as np

from curation.kernels import unicode as u

# What java.lang.ConditionalSpecialCasing.isCased adds to the letters with case.
_CASED_RANGES = (
    (0x2B0, 0x2B8),
    (0x2C0, 0x2C1),
    (0x2E0, 0x2E4),
    (0x345, 0x345),
    (0x37A, 0x37A),
    (0x1D2C, 0x1D61),
    (0x2160, 0x217F),
    (0x24B6, 0x24E9),
)
# Kanji, hiragana, katakana and their marks, which Java's word rules keep apart from letters.
_CJK_RANGES = (
    (0x3005, 0x3005),
    (0x4E00, 0x9FA5),
    (0xF900, 0xFA2D),
    (0x30A1, 0x30FA),
    (0x30FD, 0x30FE),
    (0x3041, 0x3094),
    (0x309D, 0x309E),
    (0x3099, 0x309C),
    (0x30FB, 0x30FC),
)

# Scripts that are written without spaces between words; letters and marks of these blocks.
_ALONE_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x312F),  # radicals, Han iteration marks and numerals, Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo
    (0x31F0, 0x31FF),  # Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0xA4CF),  # Han, Yi
    (0xA980, 0xA9DF),  # Javanese
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF),  # Han
    (0xFF66, 0xFF9F),  # Katakana of half width
    (0x11700, 0x1174F),  # Ahom
    (0x16FE0, 0x18DFF),  # Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana, Nushu
    (0x20000, 0x3FFFF),  # Han
)
# What Unicode calls default ignorable, but for fillers of Hangul and vowels of Khmer.
_UNSEEN_RANGES = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x180B, 0x180F), (0x200B, 0x200F)),
    *((0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
_HANGUL_RANGES = ((0x1161, 0x1175), (0x11A8, 0x11C2))  # vowels and finals, composed by rule


def _second_of_a_pair() -> frozenset[int]:
    """Code points that compose with the one before them."""
    pairs = (unicodedata.decomposition(chr(c)).split() for c in range(sys.maxunicode + 1))
    return frozenset(int(p[1], 16) for p in pairs if len(p) == 2 and not p[0].startswith("<"))


_SECONDS = _second_of_a_pair()


def unicode_arrays() -> dict[str, np.ndarray]:
    """Return the arrays of `unicode.npz`: pages, cells (see `curation.kernels.unicode`) and
    version."""
    cells = np.array([_cell(c) for c in range(sys.maxunicode + 1)], np.int32)
    numbers: dict[bytes, int] = {}
    pages = [numbers.setdefault(page.tobytes(), len(numbers)) for page in cells.reshape(-1, 128)]
    return {
        "pages": np.array(pages, np.uint16),
        "cells": np.frombuffer(b"".join(numbers), np.int32),
        "version": np.array(unicodedata.unidata_version),
    }


def _cell(c: int) -> int:
    category = unicodedata.category(chr(c))
    lower = 0x69 if c == u.DOTTED_I else ord(chr(c).lower())
    cased = category in ("Lu", "Ll", "Lt") or _within(c, _CASED_RANGES)
    flags = (
        u.BREAK * (category[0] in "PSZC")
        + u.CASED * cased
        + (_java_class(c, category) << u.CLASS_SHIFT)
        + u.ALONE * ((category[0] in "LM" or category == "Nl") and _within(c, _ALONE_RANGES))
        + u.UNSEEN * _within(c, _UNSEEN_RANGES)
        + u.COMBINES * _combines(c)
    )
    return ((lower - c) << u.DELTA_SHIFT) + flags


def _combines(c: int) -> bool:
    char = chr(c)
    alone = unicodedata.combining(char) or not unicodedata.is_normalized("NFC", char)
    return bool(alone) or c in _SECONDS or _within(c, _HANGUL_RANGES)


def _java_class(c: int, category: str) -> int:
    if chr(c) in "\"'.":
        return u.QUOTE
    if category in ("Pd", "Pc") or c in (0xAD, 0x2027):
        return u.MID_WORD
    if c in (0x2C, 0x66B):
        return u.MID_NUMBER
    if category == "Cf":
        return u.IGNORE
    if _within(c, _CJK_RANGES):
        return u.OTHER
    if category in ("Mn", "Me"):
        return u.MARK
    if category[0] == "L" or category == "Mc":
        return u.LETTER
    return u.DIGIT if category[0] == "N" else u.OTHER


def _within(c: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= c <= last for first, last in ranges)


if __name__ == "__main__":
    np.savez_compressed(Path(u.__file__).with_name("unicode.npz"), **unicode_arrays())  # type: ignore[arg-type]
