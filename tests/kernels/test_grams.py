import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import readonly, text_buffers
from curation.kernels.canonical import canonical, original_places
from curation.kernels.gram_index import lookup
from curation.kernels.grams import build_table, merge_cuts, pieces, scan
from curation.kernels.ngrams import build_ngrams, mark_seen, normalised_texts
from curation.kernels.unicode import unicode_table
from curation.kernels.words import words

COMPILES = settings(deadline=None)  # the first call compiles
ALPHABET = "aAbB  '’“—-.\nÉé\u0301ＡｂİΣσς中がก\u3099\u00ad\ufe0f😀\U00010400\U00010428\u200b\u00a0"
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=50)


def grams_of(text, width):
    """Every gram of a text as (words, start, end): the obvious form."""
    found = words(canonical(text))
    starts, ends = original_places(text)
    for k in range(len(found) - width + 1):
        run = found[k : k + width]
        yield " ".join(word for word, _, _ in run), starts[run[0][1]], ends[run[-1][2] - 1]


def reference_hits(documents, fields, width):
    wanted = {gram for field in fields for gram, _, _ in grams_of(field, width)}
    return [
        (d, start, end, gram)
        for d, document in enumerate(documents)
        for gram, start, end in grams_of(document, width)
        if gram in wanted
    ]


def hits_of(documents, table):
    hits = scan(*text_buffers(pa.array(documents, pa.string())), table)
    assert all(column.dtype == np.int64 for column in hits)
    return [
        (d, s, e, table.gram_text(g))
        for d, s, e, g in zip(*(column.tolist() for column in hits), strict=True)
    ]


@examples(400)
@given(st.lists(TEXTS, max_size=5), st.lists(TEXTS, max_size=5), st.integers(1, 4))
def test_scan_equals_the_reference(documents, fields, width):
    table = build_table(fields, range(len(fields)), width)
    assert hits_of(documents, table) == reference_hits(documents, fields, width)


@COMPILES
@given(st.lists(st.tuples(TEXTS, st.integers(0, 20)), max_size=30), st.integers(1, 3))
def test_table_numbers_grams_by_first_appearance_and_names_ten_examples(fields, width):
    table = build_table([text for text, _ in fields], [example for _, example in fields], width)
    owners = {}
    for text, example in fields:
        for gram, _, _ in grams_of(text, width):
            owners.setdefault(gram, set()).add(example)
    assert [table.gram_text(g) for g in range(len(table))] == list(owners)
    assert [table.examples_of(g) for g in range(len(table))] == [
        sorted(who)[:10] for who in owners.values()
    ]


@COMPILES
@given(st.lists(TEXTS, max_size=6), st.integers(0, 6))
def test_scan_does_not_depend_on_the_batch(documents, cut):
    table = build_table(["a b", "b a a"], [0, 1], 2)
    array = pa.array(documents, pa.string())
    whole = scan(*text_buffers(array), table)
    first, second = scan(*text_buffers(array[:cut]), table), scan(*text_buffers(array[cut:]), table)
    moved = [second.document + min(cut, len(documents)), *second[1:]]
    for column, one, two in zip(whole, first, moved, strict=True):
        assert column.tolist() == [*one.tolist(), *two.tolist()]


def test_long_texts_and_fields_have_grams_across_blocks():
    numbers = [f"w{k}" for k in range(10_000)]
    table = build_table([" ".join(numbers)], [0])
    assert len(table) == 10_000 - 12
    hits = hits_of(["x " + ", ".join(numbers).upper()], table)
    assert [gram for *_, gram in hits] == [table.gram_text(g) for g in range(len(table))]
    assert hits[0][1] == 2


def test_grams_never_cross_fields():
    table = build_table(["one two three", "four five six"], [0, 0], 4)
    assert len(table) == 0
    assert hits_of(["one two three four five six"], table) == []
    assert hits_of(["anything"], build_table([], [])) == []


def test_twelve_words_are_no_hit_and_thirteen_are():
    said = [f"word{k}" for k in range(13)]
    table = build_table(["Before it: " + " ".join(said) + " and after"], [3])
    assert hits_of(["x " + " ".join(said[:12]) + " y"], table) == []
    [(_, start, end, gram)] = hits_of(["é “" + "’—".join(said).title() + "” z"], table)
    assert (start, gram) == (3, " ".join(said))
    assert end == 3 + len("’—".join(said))


def test_equal_hashes_make_no_hit():
    """Three grams with one hash, in neighbouring slots: only the comparison of words tells them
    apart."""
    table = build_table(["a b c d"], [0], 2)
    hashes = np.full(3, 5, np.uint64)
    slots = np.array([-1, -1, -1, -1, -1, 2, 1, 0], np.int32)
    arrays = tuple(readonly(x) for x in (table.pool, table.starts, table.ends, hashes, slots))
    data = readonly(np.frombuffer(b"a, B", np.uint8))
    text = (data, *unicode_table())
    found = [
        lookup(text, start, end, np.uint64(5), arrays) for start, end in ((0, 4), (0, 1), (3, 4))
    ]
    assert found == [0, -1, -1]


def test_a_table_survives_pickling():
    table = pickle.loads(pickle.dumps(build_table(["a b c"], [0], 2)))
    assert hits_of(["A-B"], table) == [(0, 0, 3, "a b")]


def test_what_is_refused():
    with pytest.raises(ValueError, match="expected one example for each of 1 fields"):
        build_table(["a"], [])
    with pytest.raises(ValueError, match="grams of a word or more"):
        build_table(["a"], [0], 0)


SPANS = st.integers(1, 60).flatmap(
    lambda chars: st.tuples(
        st.just(chars),
        st.lists(
            st.tuples(st.integers(0, chars - 1), st.integers(1, 20)).map(
                lambda span: (span[0], min(span[0] + span[1], chars))
            ),
            max_size=6,
        ),
    )
)


@given(SPANS, st.integers(0, 10))
def test_cuts_and_pieces_are_those_of_marked_characters(case, margin):
    chars, hits = case
    cut = [any(s - margin <= at < e + margin for s, e in hits) for at in range(chars)]
    starts, ends = (
        np.array([s for s, _ in hits], np.int64),
        np.array([e for _, e in hits], np.int64),
    )
    cut_starts, cut_ends = merge_cuts(starts, ends, chars, margin)
    left_starts, left_ends = pieces(cut_starts, cut_ends, chars)
    edges = np.flatnonzero(np.diff([False, *cut, False])).reshape(-1, 2)
    assert np.stack([cut_starts, cut_ends], axis=1).tolist() == edges.tolist()
    gaps = np.flatnonzero(np.diff([False, *(not c for c in cut), False])).reshape(-1, 2)
    assert np.stack([left_starts, left_ends], axis=1).tolist() == gaps.tolist()


def test_no_hits_and_no_text():
    none = np.zeros(0, np.int64)
    assert [part.tolist() for part in merge_cuts(none, none, 10, 200)] == [[], []]
    assert [part.tolist() for part in pieces(none, none, 10)] == [[0], [10]]
    assert [part.tolist() for part in pieces(none, none, 0)] == [[], []]


def test_real_passages_of_a_benchmark_are_found(shared_data):
    lines = (
        (shared_data / "benchmarks" / "boolq.val.llmfoundry.jsonl").read_text().split("\n")[:300]
    )
    queries = [json.loads(line)["query"] for line in lines if line]
    table = build_table(queries, range(len(queries)))
    documents = [f"Said before. {queries[7]} — said after.", "Nothing of the sort here."]
    assert hits_of(documents, table) == reference_hits(documents, queries, 13)


@pytest.mark.parametrize("width", [3, 8, 13])
@examples(100)
@given(data=st.data())
def test_a_study_in_the_same_pass_sees_what_it_sees_alone(width, data):
    """In the documents that are wanted and have no hit; what a study does not change are hits."""
    few = st.lists(st.sampled_from(["a", "B", "中"]), max_size=30).map(" ".join)
    fields = data.draw(st.lists(st.tuples(few, st.integers(1, 13)), max_size=5))
    documents = data.draw(st.lists(few, max_size=5))
    wanted = np.array(data.draw(st.lists(st.booleans(), min_size=5, max_size=5)))[: len(documents)]
    texts = [text for text, _ in fields]
    table = build_table(texts, range(len(texts)), width)
    study, _, _ = build_ngrams(normalised_texts(texts), [n for _, n in fields])
    seen, alone = np.zeros(len(study), bool), np.zeros(len(study), bool)
    column = pa.array(documents, pa.string())
    hits = scan(*text_buffers(column), table, study, wanted, seen)
    for found, expected in zip(hits, scan(*text_buffers(column), table), strict=True):
        assert found.tolist() == expected.tolist()
    left = wanted & ~np.isin(np.arange(len(documents)), hits.document)
    mark_seen(*text_buffers(column.filter(pa.array(left))), study, alone)
    assert seen.tolist() == alone.tolist()


@pytest.mark.parametrize("width", [2, 13])
def test_no_hit_is_said_twice_where_a_block_of_words_ends(width):
    said = [f"w{k}" for k in range(10_000)]
    table = build_table([" ".join(said)], [0], width)
    study, _, _ = build_ngrams(normalised_texts([" ".join(said)]), [11])
    seen = np.zeros(len(study), bool)
    column = text_buffers(pa.array([" ".join(said)]))
    hits = scan(*column, table, study, np.ones(1, bool), seen)
    assert hits.gram.tolist() == list(range(10_001 - width))
    assert not seen.any()
