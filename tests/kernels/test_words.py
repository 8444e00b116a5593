import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.unicode import unicode_table
from curation.kernels.words import mix64, next_words, window_hashes, words

COMPILES = settings(deadline=None)  # the first call compiles

KNOWN = st.characters(exclude_categories=["Cs"])


def words_of_kernel(text, slots):
    data = np.frombuffer(text.encode(), np.uint8)
    starts, ends, hashes = (
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.uint64),
    )
    found, i = [], 0
    while True:
        i, n = next_words(data, i, len(data), *unicode_table(), starts, ends, hashes, 0)
        found += list(zip(starts[:n].tolist(), ends[:n].tolist(), hashes[:n].tolist(), strict=True))
        if n < slots:
            return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" — ", []),
        ("I'm", ["i", "m"]),
        ("U.S.", ["u", "s"]),
        ("one’s complement", ["one", "s", "complement"]),
        ("ＦＵＬＬ　ｗｉｄｔｈ", ["ｆｕｌｌ", "ｗｉｄｔｈ"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("İΣ", ["iσ"]),
        ("snake_case", ["snake", "case"]),
        ("a😀b", ["a", "b"]),
    ],
)
def test_words(text, expected):
    assert [word for word, _, _ in words(text)] == expected


@COMPILES
@given(st.text(KNOWN, max_size=60), st.integers(1, 5))
def test_kernel_finds_the_words_of_the_reference(text, slots):
    found = words_of_kernel(text, slots)
    expected = words(text)
    at = [len(text[:k].encode()) for k in range(len(text) + 1)]
    assert [(s, e) for s, e, _ in found] == [(at[s], at[e]) for _, s, e in expected]
    hashes = {}
    for (word, _, _), (_, _, h) in zip(expected, found, strict=True):
        assert hashes.setdefault(word, h) == h
    assert len(set(hashes.values())) == len(hashes)


@COMPILES
@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.integers(1, 6))
def test_a_window_hash_depends_on_its_words_alone(hashes, width):
    array = np.array(hashes, np.uint64)
    out = np.empty(len(hashes) + 1, np.uint64)
    made = window_hashes(array, len(hashes), width, out)
    assert made == max(len(hashes) - width + 1, 0)
    alone = np.empty(1, np.uint64)
    for k in range(made):
        assert window_hashes(array[k : k + width], width, width, alone) == 1
        assert alone[0] == out[k]


def test_mix64_is_splitmix64():
    # First output of splitmix64 from state 0 (Vigna's splitmix64.c).
    assert mix64(np.uint64(0x9E3779B97F4A7C15)) == 0xE220A8397B1DCDAF
