from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hashing_reference import TEXTS, murmur_of
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.feature_tokens import feature_tokens
from curation.kernels.hashingtf import tokenize


@settings(deadline=None)
@given(TEXTS, st.sets(st.integers(0, 15)))
def test_tokens_and_counts_are_those_of_the_reference(texts: list[str], features: set[int]) -> None:
    """Sixteen features make collisions the rule."""
    expected: dict[int, Counter[str]] = {}
    for text in texts:
        for token in tokenize(text):
            if (feature := murmur_of(token) % 16) in features:
                expected.setdefault(feature, Counter())[token] += 1
    assert feature_tokens(*text_buffers(pa.array(texts, pa.string())), features, 16) == expected


def test_many_and_long_tokens_outgrow_the_first_buffers() -> None:
    texts = [" ".join(f"w{i}" for i in range(5000)), "x" * 100_000]
    found = feature_tokens(*text_buffers(pa.array(texts)), range(4), 4)
    assert sum(map(len, found.values())) == 5001
    assert "x" * 100_000 in {token for tokens in found.values() for token in tokens}
