from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.pairs import similar_pairs, similarity_counts

COMPILES = settings(deadline=None)  # the first call compiles
SETS = st.lists(st.lists(st.integers(-3, 9), unique=True, max_size=8).map(sorted), max_size=8)


@COMPILES
@given(SETS, st.sampled_from([0.01, 0.25, 0.5, 0.75, 1.0]))
def test_equals_the_sets_of_every_pair(sets: list[list[int]], least: float) -> None:
    indptr = np.cumsum([0, *map(len, sets)])
    values = np.array([x for own in sets for x in own], np.int64)
    expected, counts = [], np.zeros(1001, np.int64)
    for (i, a), (j, b) in itertools.combinations(enumerate(map(set, sets)), 2):
        shared, total = len(a & b), len(a | b)
        counts[-(-shared * 1000 // total) if total else 0] += 1
        if shared and shared / total >= least:
            expected.append((i, j, shared, total))
    found = similar_pairs(indptr, values, least)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
    assert similarity_counts(indptr, values).tolist() == counts.tolist()


def test_pairs_that_share_nothing_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"a similarity in \(0, 1\] expected, got 0"):
        similar_pairs(np.array([0]), np.array([], np.int64), 0)
