import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.canonical import canonical
from curation.kernels.ngrams import build_ngrams, mark_seen, normalised_texts
from curation.kernels.words import mix64, powers_of_base, running_hashes, window_hashes, words

TEXTS = st.text(st.sampled_from("aAbB  '’—-\nÉé\u0301Ａ中ก😀\u200b"), max_size=40)


def runs(text, width):
    said = [word for word, _, _ in words(canonical(text))]
    return [" ".join(said[i : i + width]) for i in range(len(said) - width + 1)]


@pytest.mark.parametrize("first_words", [1, 3, 8])
@examples(100)
@given(data=st.data())
def test_what_was_seen_is_what_the_texts_hold_whatever_is_short(first_words, data):
    """The rule of the kernel in Python, with long and short grams."""
    widths = st.integers(max(1, first_words - 2), first_words + 3)
    few = st.lists(st.sampled_from(["a", "B", "ab", "中"]), max_size=30).map(" ".join)
    documents = data.draw(st.lists(few, max_size=4))
    fields = data.draw(st.lists(st.tuples(few, widths), min_size=1, max_size=5))
    table, _, _ = build_ngrams(
        normalised_texts([text for text, _ in fields]), [width for _, width in fields]
    )
    seen = np.zeros(len(table), bool)
    mark_seen(*text_buffers(pa.array(documents, pa.string())), table, seen)
    names = [bytes(table.pool[a:b]).decode() for a, b in zip(table.starts, table.ends, strict=True)]
    held = {run for text in documents for _, width in fields for run in runs(text, width)}
    assert [names[g] for g in np.flatnonzero(seen)] == [name for name in names if name in held]


def test_a_window_has_the_same_hash_by_both_ways():
    hashes = np.random.default_rng(0).integers(0, 1 << 63, 40).astype(np.uint64)
    sums, windows = np.zeros(41, np.uint64), np.zeros(40, np.uint64)
    running_hashes(hashes, 40, sums)
    for width in (1, 8, 13):
        count = window_hashes(hashes, 40, width, windows)
        power = powers_of_base(width)[width]
        of_runs = sums[width:] - sums[:-width] * power
        assert [mix64(each) for each in of_runs] == windows[:count].tolist()


@examples(300)
@given(st.lists(TEXTS, max_size=5), st.lists(st.tuples(TEXTS, st.integers(1, 4)), max_size=5))
def test_what_was_seen_is_what_the_texts_hold(documents, fields):
    table, grams, field_of = build_ngrams(
        normalised_texts([text for text, _ in fields]), [width for _, width in fields]
    )
    seen = np.zeros(len(table), bool)
    mark_seen(*text_buffers(pa.array(documents, pa.string())), table, seen)
    expected = [(f, run) for f, (text, width) in enumerate(fields) for run in runs(text, width)]
    assert field_of.tolist() == [f for f, _ in expected]
    names = [bytes(table.pool[a:b]).decode() for a, b in zip(table.starts, table.ends, strict=True)]
    assert [names[g] for g in grams] == [run for _, run in expected]
    assert len(set(names)) == len(names)
    held = {run for text in documents for width in range(1, 5) for run in runs(text, width)}
    assert [names[g] for g in np.flatnonzero(seen)] == [name for name in names if name in held]


def test_grams_across_blocks_of_words_are_seen():
    text = " ".join(f"w{k}" for k in range(10_000))
    table, grams, _ = build_ngrams(normalised_texts([text, text]), [13, 2])
    seen = np.zeros(len(table), bool)
    mark_seen(*text_buffers(pa.array([text.upper()])), table, seen)
    assert seen.all()
    assert len(grams) == 9988 + 9999


def test_widths_must_fit():
    with pytest.raises(ValueError, match="a width of 1 or more for each of 2 texts"):
        build_ngrams(normalised_texts(["a", "b"]), [1, 0])
    assert normalised_texts([]).words.tolist() == []
