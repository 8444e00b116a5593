import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.hashingtf import term_counts
from curation.kernels.minhash import (
    band_keys,
    feature_sets,
    intersection_and_union,
    permutations,
    signatures,
)
from curation.kernels.words import mixed, words

COMPILES = settings(deadline=None)  # the first call compiles
TEXTS = st.lists(st.text(st.sampled_from("abAB .'é—中ก"), max_size=40), max_size=6)
SETS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=30).map(sorted)


def sets_of(texts, features, shingle_words=5):
    indptr, values = feature_sets(
        *text_buffers(pa.array(texts, pa.string())), features, shingle_words
    )
    rows = [values[s:e] for s, e in pairwise(indptr)]
    assert all((row[1:] > row[:-1]).all() for row in rows)
    return [row.tolist() for row in rows]


def shingles_of(text, width):
    """The obvious set of shingles, as words."""
    found = [word for word, _, _ in words(text)]
    if 0 < len(found) < width:
        return {tuple(found)}
    return {tuple(found[k : k + width]) for k in range(len(found) - width + 1)}


def pair(shared, only, rng):
    """Two sets of random features with that many shared, and that many more in each."""
    drawn = rng.integers(-(2**63), 2**63, shared + 2 * only)
    return np.sort(drawn[: shared + only]), np.sort(
        np.concatenate([drawn[:shared], drawn[shared + only :]])
    )


def signed(sets, seed, k):
    indptr = np.cumsum([0] + [len(values) for values in sets])
    return signatures(
        indptr, np.concatenate([np.zeros(0, np.int64), *sets]), *permutations(seed, k)
    )


@COMPILES
@given(st.lists(SETS, max_size=4))
def test_a_signature_holds_the_least_image_by_each_permutation(sets):
    a, b = permutations(3, 9)
    images = [mixed(np.array(values, np.int64).view(np.uint64))[:, None] * a + b for values in sets]
    ones = np.full((1, 9), 2**64 - 1, np.uint64)
    least = [np.concatenate([rows, ones]).min(axis=0).tolist() for rows in images]
    assert signed([np.array(values, np.int64) for values in sets], 3, 9).tolist() == least


@COMPILES
@given(TEXTS)
def test_unigrams_are_the_features_of_the_classifier(texts):
    indptr, indices, _ = term_counts(*text_buffers(pa.array(texts, pa.string())))
    expected = [indices[s:e].tolist() for s, e in pairwise(indptr)]
    assert sets_of(texts, "unigram") == expected


@COMPILES
@given(TEXTS, st.integers(1, 4))
def test_shingles_meet_where_their_words_do(texts, width):
    found = sets_of(texts, "shingle", width)
    expected = [shingles_of(text, width) for text in texts]
    for a, wanted_a in zip(found, expected, strict=True):
        for b, wanted_b in zip(found, expected, strict=True):
            assert intersection_and_union(np.array(a, np.int64), np.array(b, np.int64)) == (
                len(wanted_a & wanted_b),
                len(wanted_a | wanted_b),
            )


@pytest.mark.parametrize("features", ["unigram", "shingle"])
def test_texts_that_look_alike_have_the_same_features(features):
    text = "Ångström’s façade, 하나 둘 셋 넷 다섯 여섯, ガラスを食べる, déjà vu louder"
    apart = unicodedata.normalize("NFD", text)
    hidden = apart.replace("u", "u\u00ad").replace("s", "\u200bs\u2060").replace("の", "の\ufeff")
    plain, *others, other = sets_of([text, apart, hidden, "\ufeff" + text, text[1:]], features)
    assert others == [plain] * 3
    assert other != plain


def test_each_character_of_a_script_without_spaces_is_a_word():
    text = "小明有三个篮子每个篮子里有七个苹果他又从邻居那里得到五个苹果"
    whole, changed = (set(s) for s in sets_of([text, text.replace("邻", "亲")], "shingle"))
    assert len(whole) == len(text) - 4
    assert len(whole - changed) == 5
    for script in ("ฉันกินกระจกได้", "ຂ້ອຍກິນແກ້ວ", "ខ្ញុំអាចញុំកញ្ចក់", "ကျွန်တော်", "わたしはガラス"):
        assert len(sets_of([script], "shingle")[0]) == len(script) - 4


def test_a_long_text_has_shingles_across_blocks():
    text = " ".join(str(k) for k in range(20_000))
    assert len(sets_of([text], "shingle")[0]) == 20_000 - 4
    assert (
        sets_of([text[:-1] + "9"], "shingle")[0] == sets_of([text], "shingle")[0]
    )  # it ended in 9


def test_short_and_empty_texts():
    one, same, none = sets_of(["Hello, world", "hello WORLD!", " — "], "shingle")
    assert len(one) == 1
    assert one == same
    assert none == []
    with pytest.raises(ValueError, match="expected features 'unigram' or 'shingle'"):
        sets_of(["a"], "bigram")
    with pytest.raises(ValueError, match="of one word or more"):
        sets_of(["a"], "shingle", 0)


@COMPILES
@given(SETS, SETS)
def test_overlap_is_that_of_sets(a, b):
    expected = len(set(a) & set(b)), len(set(a) | set(b))
    assert intersection_and_union(np.array(a, np.int64), np.array(b, np.int64)) == expected


@COMPILES
@given(st.lists(SETS, max_size=5), st.integers(0, 2**64 - 1))
def test_a_signature_is_the_least_image_of_its_own_document(sets, seed):
    sets = [np.array(values, np.int64) for values in sets]
    found = signed(sets, seed, 7)
    assert found.shape == (len(sets), 7)
    for row, values in zip(found, sets, strict=True):
        images = np.array(
            [signed([values[k : k + 1]], seed, 7)[0] for k in range(len(values))], np.uint64
        )
        expected = images.min(axis=0) if len(values) else np.full(7, 2**64 - 1, np.uint64)
        assert row.tolist() == expected.tolist()


@pytest.mark.parametrize("first", [0, 1 << 40])
def test_images_are_uniform_even_for_neighbouring_integers(first):
    # Kolmogorov-Smirnov: for n = 2,000 the distance passes 1.95 / sqrt(n) with probability 0.001,
    # 40 times tried.
    n = 2000
    images = signed(list(np.arange(first, first + n).reshape(n, 1)), 5, 40) / 2.0**64
    ideal = (np.arange(n) + 0.5) / n
    distance = np.abs(np.sort(images, axis=0) - ideal[:, None]).max(axis=0)
    assert (distance > 1.95 / n**0.5).sum() <= 2


def test_each_member_is_the_least_equally_often():
    # Min-wise independence by chi-square with 9 degrees of freedom: 33.7 is passed once in 10,000.
    k = 20_000
    for members in (
        np.arange(10),
        np.arange(10) * 2**32,
        np.array([0, 1, 3, 7, 500, 501, 502, 4000, 2**17, 2**18]),
    ):
        a, b = permutations(3, k)
        images = np.stack(
            [signatures(np.array([0, 1]), members[m : m + 1], a, b)[0] for m in range(10)]
        )
        counts = np.bincount(images.argmin(axis=0), minlength=10)
        assert ((counts - k / 10) ** 2 / (k / 10)).sum() < 33.7


@pytest.mark.parametrize(("shared", "only"), [(10, 90), (50, 50), (80, 20), (98, 2)])
def test_the_estimate_of_jaccard_has_no_bias_and_the_error_of_datasketch(shared, only):
    rng = np.random.default_rng(shared)
    jaccard = shared / (shared + 2 * only)
    k, pairs = 128, 60
    ours, theirs = [], []
    for seed in range(pairs):
        a, b = pair(shared, only, rng)
        left, right = signed([a, b], seed, k)
        ours.append((left == right).mean() - jaccard)
        one, two = MinHash(k, seed=seed + 1), MinHash(k, seed=seed + 1)
        one.update_batch([x.tobytes() for x in a])
        two.update_batch([x.tobytes() for x in b])
        theirs.append(one.jaccard(two) - jaccard)
    ideal = (jaccard * (1 - jaccard) / k) ** 0.5  # of k independent draws
    assert abs(np.mean(ours)) < 4 * ideal / pairs**0.5
    assert np.std(ours) < 1.35 * ideal
    assert np.std(ours) < 1.5 * np.std(theirs)


def test_permutations_are_a_fixed_sequence():
    a, b = permutations(7, 100)
    assert (a & np.uint64(1) == 1).all()
    assert len(set(a.tolist())) == len(set(b.tolist())) == 100
    shorter = permutations(7, 10)
    assert shorter[0].tolist() == a[:10].tolist()
    assert shorter[1].tolist() == b[:10].tolist()
    assert permutations(8, 1)[0][0] != a[0]


def test_band_keys_are_equal_exactly_where_the_rows_are():
    rng = np.random.default_rng(0)
    made = rng.integers(0, 3, (2000, 6)).astype(np.uint64)  # many equal rows
    keys = band_keys(made, 3, 2)
    assert keys.dtype == np.int64
    by_key = {}
    for document in range(len(made)):
        for band in range(3):
            rows = (band, *made[document, 2 * band : 2 * band + 2].tolist())
            assert by_key.setdefault(int(keys[document, band]), rows) == rows
    assert len(by_key) == 3 * 9
    assert (keys < 0).any()
    with pytest.raises(ValueError, match="expected at least 4 x 2 columns, got 6"):
        band_keys(made, 4, 2)


def test_the_permutations_spread_pairs_of_features_evenly():
    """Two features' images, over many permutations: uniform on the square (chi-square of 8 x 8
    cells), whatever the two are.

    With 63 degrees of freedom 120.6 is passed once in 100,000; pairs that a family x -> a x + b
    alone would tie together.
    """
    k = 40_000
    for pair in ((0, 1), (1, 2), (5, 5 + 2**32), (-1, 1), (7, 14)):
        a, b = permutations(11, k)
        images = [
            signatures(np.array([0, 1]), np.array([x]), a, b)[0] >> np.uint64(61) for x in pair
        ]
        counts = np.bincount((images[0] * np.uint64(8) + images[1]).astype(np.int64), minlength=64)
        assert ((counts - k / 64) ** 2 / (k / 64)).sum() < 120.6


@pytest.mark.parametrize(("features", "width"), [("shingle", 5), ("unigram", 1)])
def test_on_texts_the_estimate_has_datasketchs_error_and_no_bias(features, width):
    """The whole way from text: exact Jaccard of our feature sets against both signatures' estimates
    of it."""
    rng = np.random.default_rng(4)
    k, errors, theirs, truths = 256, [], [], []
    for number in range(40):
        words = [f"w{x}" for x in rng.integers(0, 5000, 300)]
        changed = [
            f"v{x}" if u < 0.01 * number else word
            for x, u, word in zip(range(300), rng.random(300), words, strict=True)
        ]
        indptr, values = feature_sets(
            *text_buffers(pa.array([" ".join(words), " ".join(changed)])), features, width
        )
        one, two = values[: indptr[1]], values[indptr[1] :]
        shared, total = intersection_and_union(one, two)
        signed_here = signatures(indptr, values, *permutations(number, k))
        errors.append((signed_here[0] == signed_here[1]).mean() - shared / total)
        sketches = MinHash(k, seed=number + 1), MinHash(k, seed=number + 1)
        for sketch, own in zip(sketches, (one, two), strict=True):
            sketch.update_batch([x.tobytes() for x in own])
        theirs.append(sketches[0].jaccard(sketches[1]) - shared / total)
        truths.append(shared / total)
    ideal = np.sqrt(np.mean([j * (1 - j) / k for j in truths]))
    assert min(truths) < 0.6 < max(truths)
    assert abs(np.mean(errors)) < 4 * ideal / 40**0.5
    assert np.sqrt(np.mean(np.square(errors))) < 1.4 * ideal
    assert np.sqrt(np.mean(np.square(errors))) < 1.5 * np.sqrt(np.mean(np.square(theirs)))
