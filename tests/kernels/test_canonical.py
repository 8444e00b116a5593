import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.canonical import canonical, canonical_texts, original_places, text_at

COMPILES = settings(deadline=None)  # the first call compiles
UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0f"
LETTERS = "ab É\u0301\u0327\u0300 中か\u3099가\u1100\u1161\u11a8\u212b\u0958😀" + UNSEEN
TEXTS = st.text(st.sampled_from(LETTERS), max_size=30) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=20
)


@COMPILES
@given(st.lists(TEXTS, max_size=6), st.integers(0, 2))
def test_the_form_of_each_text(texts, first):
    column = pa.array(texts, pa.string())[first:]
    found = canonical_texts(*text_buffers(column))
    rows = range(len(column))
    assert [text_at(found.offsets, found.data, row) for row in rows] == [
        canonical(text) for text in texts[first:]
    ]
    changed = [row for row in rows if canonical(column[row].as_py()) != column[row].as_py()]
    assert found.changed.tolist() == changed


@COMPILES
@given(TEXTS)
def test_what_is_unseen_or_composed_makes_no_difference(text):
    form = canonical(text)
    assert not set(form) & set(UNSEEN)
    assert canonical(form) == form
    assert canonical(unicodedata.normalize("NFD", text)) == form
    assert canonical("\u00ad".join(text)) == canonical("".join(text))


@COMPILES
@given(TEXTS)
def test_places_are_those_of_what_a_character_is_made_of(text):
    starts, ends = original_places(text)
    form = canonical(text)
    assert len(starts) == len(ends) == len(form)
    assert (starts < ends).all()
    assert (np.diff(starts) >= 0).all()
    for k, char in enumerate(form):
        if text.count(char) == form.count(char) == 1 and unicodedata.combining(char) == 0:
            assert starts[k] <= text.index(char) < ends[k]


def test_places_of_characters_that_follow_each_other_and_combine():
    starts, ends = original_places("a\u0300\u1161\u0300")  # the first two are one character
    assert starts.tolist() == [0, 2, 3]
    assert ends.tolist() == [2, 3, 4]


def test_places_of_a_text_as_it_is_given():
    text = "x\u00ad e\u0301\u200b中"
    starts, ends = original_places(text)
    assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == ["x", " ", "e\u0301", "中"]
