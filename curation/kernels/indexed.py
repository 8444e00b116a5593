"""Megatron-core's indexed dataset layout: the `.idx` beside a `.bin` of tokens.

Layout (megatron/core/datasets/indexed_dataset.py): 9 bytes of magic, version (uint64, 1), dtype
code (uint8), number of sequences (uint64), number of document boundaries (uint64), sequence lengths
(int32), their byte offsets in the .bin (int64), document boundaries as sequence numbers (int64).
Here every sequence is a document. All little-endian.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"MMIDIDX\x00\x00"
_CODES = {
    "uint8": 1,
    "int8": 2,
    "int16": 3,
    "int32": 4,
    "int64": 5,
    "float64": 6,
    "float32": 7,
    "uint16": 8,
}
_UINT32 = (
    4  # Megatron has no uint32: vocabularies stay far below 2**31, so int32 reads the same bytes
)


def index_bytes(lengths: npt.NDArray[np.int64], dtype: Any) -> bytes:
    """The `.idx` of sequences of `lengths` tokens (int64[n]) stored as `dtype`.

    >>> lengths, dtype = read_index(index_bytes(np.array([3, 5]), np.dtype("<u2")))
    >>> lengths.tolist(), str(dtype)
    ([3, 5], 'uint16')
    """
    kind = np.dtype(dtype)
    n = len(lengths)
    pointers = np.concatenate(([0], np.cumsum(lengths)[:-1] * kind.itemsize)) if n else np.zeros(0)
    head = MAGIC + struct.pack("<QBQQ", 1, _CODES.get(kind.name, _UINT32), n, n + 1)
    parts = (lengths.astype("<i4"), pointers.astype("<i8"), np.arange(n + 1, dtype="<i8"))
    return head + b"".join(part.tobytes() for part in parts)


def read_index(data: bytes) -> tuple[npt.NDArray[np.int64], np.dtype[Any]]:
    """Sequence lengths (int64[n]) and token type of an `.idx`.

    Raises ValueError where it is none.
    """
    head = len(MAGIC) + struct.calcsize("<QBQQ")
    if data[: len(MAGIC)] != MAGIC or len(data) < head:
        raise ValueError("not a Megatron index: the magic bytes are missing")
    version, code, n, boundaries = struct.unpack("<QBQQ", data[len(MAGIC) : head])
    names = {number: name for name, number in _CODES.items()}
    if version != 1 or code not in names or len(data) != head + 12 * n + 8 * boundaries:
        raise ValueError(
            f"not a whole Megatron index: version {version}, dtype code {code}, {len(data)} bytes for {n} sequences"
        )
    return np.frombuffer(data, "<i4", n, head).astype(np.int64), np.dtype(names[code])
