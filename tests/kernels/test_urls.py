from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.url_words import count_parts, count_words, word_hashes, word_parts
from curation.kernels.urls import UrlLists, url_signals
from curation.readers.blocklists import url_lists
from curation.readers.suffixes import suffix_rules

COMPILES = settings(deadline=None)  # the first call compiles
WORDS = st.lists(st.text(st.sampled_from("ab1"), min_size=1, max_size=4), unique=True, max_size=8)
URLS = st.lists(st.text(st.sampled_from("aAbB1/-.é"), max_size=40), max_size=5)


@COMPILES
@given(URLS, WORDS)
def test_words_and_parts_are_counted_as_sets(urls, words):
    offsets, data = text_buffers(pa.array(urls, pa.string()))
    found = count_words(offsets, data, word_hashes(words))
    assert found.tolist() == [
        len(set(re.split(r"[^a-z0-9]+", url.lower())) & set(words)) for url in urls
    ]
    parts = word_parts(words)
    found = count_parts(offsets, data, parts.step, parts.word, parts.shorter, len(words))
    squeezed = [re.sub(r"[^a-z0-9]+", "", url.lower()) for url in urls]
    assert found.tolist() == [sum(word in url for word in words) for url in squeezed]


def lists_of(words=(), soft_words=(), subwords=()):
    empty = url_lists()
    return UrlLists(
        empty.domains, empty.urls, words, soft_words, subwords, suffix_rules(), digest=""
    )


def test_a_rule_can_say_what_the_field_s_filter_says():
    lists = lists_of(("porn",), ("hot", "girls", "chat"), ("xxx",))
    urls = [
        "http://a.de/Porn.html",
        "http://a.de/hot-girls?hot",
        "http://a.de/x-x/x",
        "http://a.de",
    ]
    found = url_signals(pa.array(urls), lists)
    assert found["blocked_words"].to_pylist() == [1, 0, 0, 0]
    assert found["blocked_soft_words"].to_pylist() == [0, 2, 0, 0]
    assert found["blocked_subwords"].to_pylist() == [0, 0, 1, 0]


def test_null_and_an_address_without_host():
    found = url_signals(
        pa.chunked_array([[None], ["/only/a/path-word"]], pa.string()), lists_of(("word",))
    )
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "host": [None, None],
        "domain": [None, None],
        "blocked_domain": [None, None],
        "blocked_url": [None, None],
        "blocked_words": [None, 1],
        "blocked_soft_words": [None, 0],
        "blocked_subwords": [None, 0],
    }
    types = [column.type for column in found.values()]
    assert types == [pa.string()] * 2 + [pa.bool_()] * 2 + [pa.int64()] * 3


def test_hostile_addresses_of_megabytes():
    urls = ["http://" + "a" * 5_000_000, "http://a.de/" + "ab-" * 1_000_000, "@" * 5_000_000]
    found = url_signals(pa.array(urls), lists_of(("ab",), ("ab",), ("a", "aa", "aaa", "b")))
    assert found["host"].to_pylist() == [None, "a.de", None]
    assert found["blocked_subwords"].to_pylist() == [3, 2, 0]


def test_no_rows_and_a_slice():
    assert len(url_signals(pa.array([], pa.string()), url_lists())["host"]) == 0
    column = pa.array(["http://a.de", "http://b.de", None], pa.large_string())[1:]
    assert url_signals(column, url_lists())["host"].to_pylist() == ["b.de", None]
