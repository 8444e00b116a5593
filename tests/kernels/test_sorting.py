"""`sort_spread` sorts whatever it is given, spread or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curation.kernels.sorting import sort_spread

EXTREMES = [-(2**63), -1, 0, 1, 2**63 - 1]


def check(values: np.ndarray, bits: int) -> None:
    made = values.copy()
    sort_spread(made, bits)
    np.testing.assert_array_equal(made, np.sort(values))


@given(
    arrays(
        np.int64,
        st.integers(0, 300),
        elements=st.integers(-(2**63), 2**63 - 1) | st.sampled_from(EXTREMES),
    )
)
def test_signed_numbers(values: np.ndarray) -> None:
    check(values, 64)


@given(arrays(np.int64, st.integers(0, 300), elements=st.integers(0, 2**18 - 1)))
def test_features(values: np.ndarray) -> None:
    check(values, 18)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 1000, 100_000])
@pytest.mark.parametrize("kinds", [1, 3, 100, 2**62])
def test_spread_crowded_and_all_equal(n: int, kinds: int) -> None:
    drawn = np.random.default_rng(n).integers(0, kinds, n)
    check(drawn * (2**62 // kinds) - 2**61, 64)
    check(drawn % 2**4, 4)
