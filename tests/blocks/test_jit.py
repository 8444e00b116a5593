from __future__ import annotations

import numpy as np
import pytest

from curation.blocks.jit import inner, kernel


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
