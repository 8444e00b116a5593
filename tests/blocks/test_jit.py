from __future__ import annotations

import numpy as np
import pytest

from curation.blocks.jit import inner, kernel, wide


@inner(cache=False)
def _third(x):  # type: ignore[no-untyped-def]
    return x // 3


@kernel(cache=False)
def _thirds(numbers):  # type: ignore[no-untyped-def]
    out = np.empty_like(numbers)
    for k in range(len(numbers)):
        out[k] = _third(numbers[k])
    return out


def test_kernels_call_an_inner_function_and_python_is_refused() -> None:
    assert _thirds(np.arange(7)).tolist() == [0, 0, 0, 1, 1, 1, 2]
    with pytest.raises(TypeError, match=r"_third\(\) is compiled for kernels only: call _third.py"):
        _third(6)
    assert _third.py_func(6) == 2


@wide(cache=False)
def _squares(x):  # type: ignore[no-untyped-def]
    return x[0] * x[0], x[1] * x[1], x[2] * x[2], x[3] * x[3]


def test_wide_kernels_compile_with_a_setting_that_others_do_not_see() -> None:
    from numba import config

    setting = config.SLP_VECTORIZE
    assert _squares(np.arange(4.0)) == (0, 1, 4, 9)
    assert setting == config.SLP_VECTORIZE


@inner(cache=False)
def _next(x, step):  # type: ignore[no-untyped-def]
    return x + step


@kernel(cache=False)
def _counted(n):  # type: ignore[no-untyped-def]
    x = 0
    for _ in range(n):
        x = _next(x, 1)
        x = _next(x, 2)
    return _next(x, step=n)


def test_a_number_written_into_a_call_is_no_type_of_its_own() -> None:
    assert _counted(4) == 16
    assert len(_next.overloads) == 1
