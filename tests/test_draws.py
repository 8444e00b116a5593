from __future__ import annotations

import numpy as np
from scipy import stats

from curation import draws


def test_draws_are_uniform_and_unrelated_between_purposes_and_seeds() -> None:
    contents = [str(i).encode() for i in range(20_000)]
    a = draws.uniforms(0, "pareto", contents)
    assert a.min() >= 0
    assert a.max() < 1
    assert stats.kstest(a, "uniform").pvalue > 1e-4
    for b in (draws.uniforms(0, "validation", contents), draws.uniforms(1, "pareto", contents)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_one_draw_is_the_same_alone_and_in_company() -> None:
    contents = [b"", b"a", b"\xff" * 100]
    assert draws.uniforms(7, "x", contents).tolist() == [draws.uniform(7, "x", c) for c in contents]


def test_known_values_never_change() -> None:
    """Other values would change every corpus ever made."""
    assert draws.uniform(0, "pareto", b"hello") == 0.30561574497733623
