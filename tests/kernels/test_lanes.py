from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from curation.kernels import lanes


@pytest.fixture
def case() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    x = csr_matrix(random_array((40, 30), density=0.2, rng=rng))
    x.indices, x.indptr = x.indices.astype(np.int32), x.indptr.astype(np.int32)
    return x, rng.normal(size=(40, lanes.LANES)), rng.normal(size=(31, lanes.LANES))


@pytest.mark.parametrize(("dtype", "near"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_products_are_those_of_a_dense_matrix(case: Any, dtype: Any, near: float) -> None:
    x, t, v = case
    t, v = t.astype(dtype), v.astype(dtype)
    dense = np.hstack([x.toarray(), np.ones((40, 1))])
    arrays = x.indptr, x.indices, x.data
    out = np.empty((40, lanes.LANES), dtype)
    for first, last in ((0, 17), (17, 40)):
        lanes.margins(first, last, *arrays, v, out)
    np.testing.assert_allclose(out, dense @ v, atol=near)
    sums, both = np.zeros_like(v), np.hstack([v, np.zeros_like(v)])
    lanes.add_transposed(5, 40, *arrays, t, sums)
    np.testing.assert_allclose(sums, dense[5:].T @ t[5:], atol=near)
    lanes.add_curvature(0, 40, *arrays, t, both)
    np.testing.assert_array_equal(both[:, :8], v)
    np.testing.assert_allclose(both[:, 8:], dense.T @ (t * (dense @ v)), atol=10 * near)


def test_a_step_of_conjugate_gradients() -> None:
    rng = np.random.default_rng(2)
    s, r, q, h = rng.normal(size=(4, 31, lanes.LANES)).astype(np.float32)
    a = rng.normal(size=lanes.LANES).astype(np.float32)
    ridge = np.append(np.ones(30), 0).reshape(-1, 1)
    bent = h.copy()
    bend = lanes.curvature_of(q, bent)
    np.testing.assert_allclose(bent, h + ridge * q, rtol=1e-6)
    np.testing.assert_allclose(bend, (q * bent).sum(axis=0), rtol=1e-4, atol=1e-4)
    moved, rest, turned = s.copy(), r.copy(), q.copy()
    square = lanes.advance(moved, rest, q, h, a)
    np.testing.assert_allclose(moved, s + a * q, atol=1e-5)
    np.testing.assert_allclose(rest, r - a * h, atol=1e-5)
    np.testing.assert_allclose(square, (rest**2).sum(axis=0), rtol=1e-4)
    lanes.turn(turned, rest, a)
    np.testing.assert_allclose(turned, rest + a * q, atol=1e-5)


def test_losses_and_their_derivatives() -> None:
    rng = np.random.default_rng(3)
    c, z, change = rng.normal(size=(3, 50, lanes.LANES))
    c, signs, size = np.maximum(c, 0), rng.choice([-1.0, 1.0], 50), rng.random(lanes.LANES)
    z[0], z[1] = 1000, -1000  # where e**z is too large for a float
    t, d = np.full_like(z, np.nan), np.full_like(z, np.nan)
    lanes.losses(signs, c, z, t, d)

    def loss(z: Any) -> Any:
        return c * np.logaddexp(0, -signs[:, None] * z)

    np.testing.assert_allclose(t, (loss(z + 1e-5) - loss(z - 1e-5)) / 2e-5, atol=1e-6)
    np.testing.assert_allclose(d, (loss(z + 1e-3) + loss(z - 1e-3) - 2 * loss(z)) / 1e-6, atol=1e-5)
    lanes.losses(signs, c, z + size * change, t, d)
    first, second = lanes.losses_along(signs, c, z, change, size)
    np.testing.assert_allclose(first, (t * change).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(second, (d * change**2).sum(axis=0), rtol=1e-12)
