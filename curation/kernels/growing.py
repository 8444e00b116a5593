"""Arrays that grow in kernels: appending n elements one by one copies each about once.

Trap: Numba compiles assignments between slices together with the text of their errors, for seconds;
so this is a loop.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import kernel

T = TypeVar("T", bound=np.generic)


@kernel
def with_room(array: npt.NDArray[T], size: int, more: int) -> npt.NDArray[T]:
    """Return the array, or where `more` elements do not fit behind its first `size`, a longer copy
    of these.

    >>> len(with_room(np.zeros(4), 3, 1)), len(with_room(np.zeros(4), 3, 2))
    (4, 10)
    """
    if size + more <= len(array):
        return array
    longer = np.empty(2 * len(array) + more, array.dtype)
    for k in range(size):
        longer[k] = array[k]
    return longer
