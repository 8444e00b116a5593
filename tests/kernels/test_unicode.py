import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_unicode import unicode_arrays

from curation.kernels.unicode import (
    BREAK,
    DELTA_SHIFT,
    java_lower,
    lower_bytes,
    lowered_capacity,
    unicode_table,
    unicode_version,
)

COMPILES = settings(deadline=None)  # the first call compiles

POINTS = np.arange(sys.maxunicode + 1)


def all_cells():
    pages, cells = unicode_table()
    return cells[pages[POINTS >> 7].astype(np.int64) * 128 + (POINTS & 127)]


@pytest.mark.slow
def test_the_packaged_table_is_what_its_maker_makes():
    if unicodedata.unidata_version != unicode_version():
        pytest.skip(
            f"this Python has Unicode {unicodedata.unidata_version}, the table {unicode_version()}"
        )
    made = unicode_arrays()
    pages, cells = unicode_table()
    assert np.array_equal(made["pages"], pages)
    assert np.array_equal(made["cells"], cells)


def test_word_breaks_are_categories_p_s_z_c():
    cells = all_cells()
    breaks = [chr(c) for c in range(0x250) if cells[c] & BREAK]
    assert breaks == [chr(c) for c in range(0x250) if unicodedata.category(chr(c))[0] in "PSZC"]
    assert all(cells[ord(c)] & BREAK for c in "’“—\u00a0\u200b\ue000\ud800\U0010ffff")
    assert not any(cells[ord(c)] & BREAK for c in "é中ः٣½\u0301\U00010400")


def test_lower_case_is_settled_in_one_step_and_stays_inside_words():
    cells = all_cells()
    lower = POINTS + (cells >> DELTA_SHIFT)
    assert np.array_equal(lower[lower], lower)
    assert np.array_equal(cells & BREAK, cells[lower] & BREAK)
    assert chr(lower[0x130]) == "i"


@COMPILES
@given(st.text(st.characters(exclude_characters="Σİ", exclude_categories=["Cs", "Cn"])))
def test_java_lower_is_pythons_but_for_two_letters(text):
    if unicodedata.unidata_version == unicode_version():
        assert java_lower(text) == text.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("Σ", "σ"),
        ("ΑΣ Β", "ας β"),
        ("ΑΣ:Β", "ας:β"),  # a colon parts words in Java; Python's lower says "ασ:β"
        ("ΑΣ'Β", "ασ'β"),
        ("ΑΣ\u0301", "ας\u0301"),
        ("1Σ", "1σ"),
        ("Α1Σ", "α1ς"),
        ("Α1,1Σ", "α1,1ς"),
        ("Α,Σ", "α,σ"),
        ("İΣ", "i̇ς"),
        ("A" * 70 + "Σ" + "A" * 70, "a" * 70 + "σ" + "a" * 70),
    ],
)
def test_final_sigma_as_java_has_it(text, expected):
    assert java_lower(text) == expected


@COMPILES
@given(st.binary(max_size=80))
def test_bytes_that_are_not_utf8_stay_within_bounds(raw):
    pages, cells = unicode_table()
    data = np.frombuffer(raw, np.uint8)
    out = np.full(lowered_capacity(len(raw)) + 8, 7, np.uint8)
    length = lower_bytes(data, 0, len(raw), pages, cells, out)
    assert length <= 3 * len(raw)  # a bad byte becomes U+FFFD, three bytes
