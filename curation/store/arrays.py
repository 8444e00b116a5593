"""Single numpy arrays as .npy files: mapped where they are local, so that workers share one
copy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.errors import RunError
from curation.store.paths import is_remote, read_bytes
from curation.store.writing import atomic


def write_array(path: str, array: npt.NDArray[Any]) -> None:
    """Write a NumPy array as one `.npy` file, which appears whole or not at all."""
    with atomic(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def read_array(path: str) -> npt.NDArray[Any]:
    """The array, read-only. Raises RunError where there is none, or something else."""
    try:
        if not is_remote(path):
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        data = read_bytes(path)
        head = io.BytesIO(data)
        np.lib.format.read_magic(head)
        shape, _, dtype = np.lib.format.read_array_header_1_0(head)
        return np.frombuffer(data, dtype, offset=head.tell()).reshape(shape)
    except (FileNotFoundError, ValueError, EOFError) as error:
        raise RunError(
            f"{path}: missing or damaged; run the same command again, with --from and the stage that "
            "writes it if that does not help"
        ) from error
