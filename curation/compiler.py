"""What Numba and Arrow load beside themselves, in processes of our own.

Numba imports every installed package that registers an extension of it when the first kernel is
called. Here that is `awkward`, which `gigatoken` brings: 60 MB and half a second in each process.
It also imports `scipy` for linear algebra and `cffi`, and Arrow imports `pandas`, each if it is
there. No kernel and no stage uses any of it.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence


class _Missing(importlib.abc.MetaPathFinder):
    """Lets packages look as if they were not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"{name} is not loaded here", name=name)
        return None


def load_without_extras(*, pandas: bool = False) -> None:
    """Load Numba without what registers with it and without `scipy` and `cffi`, and Arrow without
    `pandas`, unless `pandas` asks for it.

    Only for processes that run our code alone: in a user's own program it would be his to decide.
    Afterwards each can be imported as ever, but Arrow's `to_pandas` fails. An extension that a
    signal of the user's needs is registered by hand, as in `awkward.numba.register()`.
    """
    missing = _Missing(("scipy", "cffi", *(() if pandas else ("pandas",))))
    sys.meta_path.insert(0, missing)
    try:
        if not pandas:
            import pyarrow as pa

            pa.array([0])  # it looks for pandas once
        from numba.core import entrypoints
        from numba.core.typing import cffi_utils  # noqa: F401  # it looks for cffi once
        from numba.np import arraymath  # noqa: F401  # and this for scipy
    finally:
        sys.meta_path.remove(missing)
    # Numba has no setting for it. Where this name is gone, the extensions are loaded as ever.
    if hasattr(entrypoints, "_already_initialized"):
        entrypoints._already_initialized = True
