"""Fits on words: scikit-learn's minimum, whatever else is fitted beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from curation.stages.classify import newton
from curation.stages.classify.newton import minima

COLUMNS = 900


def problem(n: int, k: int, seed: int = 3) -> tuple[Any, Any, Any]:
    """Rows as of words: rare and common features, of lengths up to a few, and weights of k fits."""
    rng = np.random.default_rng(seed)
    x = csr_matrix(random_array((n, COLUMNS), density=0.02, rng=rng))
    x.data *= rng.choice([0.1, 1.0, 3.0], COLUMNS)[x.indices]
    y = (x @ rng.normal(0, 2, COLUMNS) + rng.normal(0.3, 1, n) > 0).astype(np.int64)
    weights = 10.0 ** rng.uniform(-1, 2, (k, 1)) * rng.choice([0.0, 0.5, 1.0, 1.7], (k, n))
    return x, y, weights


def scikit_learns(x: Any, y: Any, weight: Any) -> tuple[Any, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=200)
    model.fit(x.toarray(), y, sample_weight=weight)
    return model.coef_[0], float(model.intercept_[0])


def need_scikit_learns(x: Any, y: Any, weights: Any) -> None:
    for (w, intercept), weight in zip(minima(x, y, weights), weights, strict=True):
        expected, bias = scikit_learns(x, y, weight)
        np.testing.assert_allclose(w, expected, rtol=0, atol=1e-6)
        assert intercept == pytest.approx(bias, abs=1e-6)


@pytest.mark.parametrize("k", [1, pytest.param(11, marks=pytest.mark.slow)])
def test_every_fit_is_scikit_learns_to_a_millionth(k: int) -> None:
    x, y, weights = problem(400, k)
    need_scikit_learns(x, y, weights)


def test_threads_change_no_bit_and_neighbours_hardly_one() -> None:
    x, y, weights = problem(300, 9)
    one, two = minima(x, y, weights, 1), minima(x, y, weights, 2)
    for (w, b), (other, c) in zip(one, two, strict=True):
        assert (w.tobytes(), b) == (other.tobytes(), c)
    alone = minima(x, y, weights[4:5])[0][0]
    np.testing.assert_allclose(alone, one[4][0], rtol=0, atol=1e-6)


def test_raw_counts_with_large_numbers_and_rows_of_no_word() -> None:
    x, y, weights = problem(300, 2)
    x.data = np.ceil(np.abs(x.data) * 300)
    x.data[: x.indptr[20]] = 0
    x.eliminate_zeros()
    for (w, intercept), weight in zip(minima(x, y, weights * 0.001), weights, strict=True):
        expected, bias = scikit_learns(x, y, weight * 0.001)
        np.testing.assert_allclose(w, expected, rtol=0, atol=1e-6)
        assert intercept == pytest.approx(bias, abs=1e-6)


def test_features_that_do_not_occur_weigh_nothing() -> None:
    x, y, weights = problem(50, 1)
    absent = np.setdiff1d(np.arange(COLUMNS), x.indices)
    w, _ = minima(x, y, weights)[0]
    assert len(absent) > 100
    assert not w[absent].any()


def test_fewer_features_than_directions_that_are_followed() -> None:
    x, y, weights = problem(200, 3)
    few = csr_matrix(x[:, :4])
    few.data[few.indices == 3] = 0  # and one that is 0 wherever it is stored
    need_scikit_learns(few, y, weights)


def test_a_few_directions_with_nearly_all_curvature() -> None:
    x, y, weights = problem(300, 8)
    x = csr_matrix(x)
    dense = np.random.default_rng(5).normal(size=(300, 3)) * (3, 30, 300)
    x = csr_matrix(np.hstack([x.toarray(), dense]))
    need_scikit_learns(x, y, weights)


@pytest.mark.filterwarnings("error")
def test_rows_of_one_class_give_finite_weights_and_disturb_no_neighbour() -> None:
    x, y, weights = problem(200, 1)
    of_one = np.where(y == 1, weights[0], 0.0)
    (w, _), (alone, bias) = minima(x, y, np.stack([weights[0], of_one]))
    expected, _ = scikit_learns(x, y, weights[0])
    np.testing.assert_allclose(w, expected, rtol=0, atol=1e-6)
    assert np.abs(alone).max() < 1e-6
    assert 30 < bias < 100
    without_words = csr_matrix((200, COLUMNS))
    assert 30 < minima(without_words, np.ones(200, np.int64), weights)[0][1] < 100


def test_curvatures_too_far_apart_for_float32_leave_something_of_each_length() -> None:
    """Nothing left, or less, would be divided by: no weight came of it."""
    x = csr_matrix([[1e5, 0, 0], [0, 1.0, 0], [0, 0, 1e-3], [1e5, 1.0, 0]])
    matrix = newton._Matrix(x.indptr, x.indices, x.data, 3, 1)
    steepest = newton._Steepest(matrix)
    for _ in range(3):
        steepest.follow(np.full((4, 8), 100.0))
    matrix.close()
    steep = np.zeros((4, 8), np.float32)
    steep[0] = 1
    z, product = steepest.eased(steep, np.ones(8))
    assert (product > 5e-5).all()
    assert (z[0] > 5e-5).all()
