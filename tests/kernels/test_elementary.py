"""exp and log: right to the last place, and the same compiled as in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.kernels import elementary

SIGMOID, POWERS = 3312417571110817820, 17910331074545365229


@given(st.floats(-740.0, 709.0))
def test_exp_is_right_and_the_same_compiled(x: float) -> None:
    found = elementary.exp_of(x)
    assert found == elementary.exp_of.py_func(x)
    assert found == pytest.approx(math.exp(x), rel=3e-16, abs=1e-323)


@given(st.floats(1e-300, 1e300))
def test_log_is_right_and_the_same_compiled(x: float) -> None:
    found = elementary.log_of(x)
    assert found == elementary.log_of.py_func(x)
    assert found == pytest.approx(math.log(x), rel=4e-16)


def test_what_is_too_large_or_too_small() -> None:
    assert elementary.exp_of(710.0) == math.inf
    assert elementary.exp_of(-746.0) == 0.0
    assert elementary.sigmoid(np.array([-1e300, 0.0, 1e300])).tolist() == [0.0, 0.5, 1.0]
    assert elementary.powers(np.array([2.0**-53]), -1e9).tolist() == [math.inf]


def test_known_bits() -> None:
    """Values that no processor may change."""
    x = np.linspace(-30.0, 30.0, 20_001)
    assert _sum_of_bits(elementary.sigmoid(x)) == SIGMOID
    assert _sum_of_bits(elementary.powers(np.linspace(0.001, 1.0, 20_001), -1 / 9)) == POWERS


def _sum_of_bits(values: np.ndarray) -> int:
    return int(values.view(np.uint64).sum(dtype=np.uint64))
