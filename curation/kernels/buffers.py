"""Arrow string columns as the two numpy arrays that every kernel reads.

Costs nothing for large_string (views of Arrow's memory), one copy of the offsets for string. Trap:
Numba compiles a function once more for writable arrays than for read-only ones, so both arrays
always leave here read-only, and every kernel passes what it gets through `text_arrays`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Int = Any  # in Numba code, where int and np.int64 are one
T = TypeVar("T", bound=np.generic)


def text_buffers(
    array: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray,
) -> tuple[Offsets, Bytes]:
    """Return (offsets int64[n+1], data uint8[]): text i is the UTF-8 in
    data[offsets[i]:offsets[i+1]].

    A slice keeps its place in the shared data, so offsets[0] need not be 0. A null counts as the
    empty text. Raises TypeError for a column that is neither string nor large_string.

    >>> import pyarrow as pa
    >>> offsets, data = text_buffers(pa.array(["no", None, "é"]))
    >>> offsets.tolist(), data.tobytes().decode()
    ([0, 2, 2, 4], 'noé')
    """
    import pyarrow as pa  # 40 MB that the child for pages does without

    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise TypeError(
            f"expected a string or large_string column, got {array.type}: cast it first"
        )
    if isinstance(array, pa.ChunkedArray):
        if array.num_chunks == 1:
            array = array.chunk(0)
        else:  # 32-bit offsets would overflow when chunks add up to more than 2 GB
            array = pa.concat_arrays(
                [c.cast(pa.large_string()) for c in array.chunks]
                or [pa.array([], pa.large_string())]
            )
    if array.null_count:
        array = array.fill_null("")  # Arrow allows bytes behind a null
    _, offset_buffer, data_buffer = array.buffers()
    wide = pa.types.is_large_string(array.type)
    offsets = np.zeros(1, np.int64)
    if len(array) > 0:
        raw = np.frombuffer(offset_buffer, np.int64 if wide else np.int32)
        offsets = raw[array.offset : array.offset + len(array) + 1].astype(np.int64, copy=False)
    data = (
        np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    )
    return text_arrays(offsets, data)


def text_arrays(offsets: Offsets, data: Bytes) -> tuple[Offsets, Bytes]:
    """Return the same arrays as contiguous, read-only int64 and uint8 (no copy where they already
    are).

    Raises ValueError where the offsets decrease or leave the data: a kernel would read foreign
    memory.

    >>> text_arrays(np.array([0, 3]), np.zeros(2, np.uint8))
    Traceback (most recent call last):
        ...
    ValueError: expected offsets that rise within 0..2, got 0..3: pass the two arrays of text_buffers
    """
    checked: Offsets = np.ascontiguousarray(offsets, np.int64)
    if (
        len(checked) == 0
        or checked[0] < 0
        or checked[-1] > len(data)
        or bool((np.diff(checked) < 0).any())
    ):
        ends = f"{checked[0]}..{checked[-1]}" if len(checked) else "none"
        raise ValueError(
            f"expected offsets that rise within 0..{len(data)}, got {ends}: pass the two arrays of text_buffers"
        )
    return readonly(checked), readonly(np.ascontiguousarray(data, np.uint8))


def readonly(array: npt.NDArray[T]) -> npt.NDArray[T]:
    """Return a read-only view.

    >>> readonly(np.zeros(2)).flags.writeable
    False
    """
    view = array.view()
    view.flags.writeable = False
    return view
