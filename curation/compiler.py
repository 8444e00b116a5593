"""What Numba and Arrow load beside themselves, in processes of our own.

Numba imports every installed package that registers an extension of it when the first kernel is
called. Here that is `awkward`, which `gigatoken` brings: 60 MB and half a second in each process.
It also imports `scipy` for linear algebra, and Arrow imports `pandas`, each if it is
there. No kernel and no stage uses any of it.

Before it loads a compiled function Numba also sets up what only compiling needs, a tenth of a second
of work. Here that waits until something is compiled.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import sys
import threading
from collections.abc import Iterator
from typing import Any


class _Missing(importlib.abc.MetaPathFinder):
    """Lets packages look, to the thread that made this, as if they were not installed."""

    def __init__(self, *names: str) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is not loaded here", name=name)
        return None


@contextlib.contextmanager
def _without(*names: str) -> Iterator[None]:
    """In this block packages look as if they were not installed."""
    missing = _Missing(*names)
    sys.meta_path.insert(0, missing)
    try:
        yield
    finally:
        sys.meta_path.remove(missing)


def load_without_extras(*, pandas: bool = False) -> None:
    """Load Numba without what registers with it and without `scipy`, and Arrow without
    `pandas`, unless `pandas` asks for it.

    Only for processes that run our code alone: in a user's own program it would be his to decide.
    Afterwards each can be imported as ever, but Arrow's `to_pandas` fails. An extension that a
    signal of the user's needs is registered by hand, as in `awkward.numba.register()`.
    """
    if not pandas:
        with _without("pandas"):
            import pyarrow as pa

            pa.array([0])  # it looks for pandas once
    with _without("scipy", "yaml"):  # yaml: for a file of Numba's own settings
        from numba.core import entrypoints
    # Numba has no setting for it. Where this name is gone, the extensions are loaded as ever.
    if hasattr(entrypoints, "_already_initialized"):
        entrypoints._already_initialized = True
    _set_up_late()


def _set_up_late() -> None:
    """Let Numba set up compiling when it compiles, not when it loads what is compiled, and then
    without `scipy`."""
    from numba.core import caching, cpu
    from numba.core.runtime import rtsys

    if caching.Cache.load_overload.__module__ == __name__:
        return
    # Numba has no setting for this either. Where a name is gone, it is as Numba has it.
    needed = ("_load_overload", "_guard_against_spurious_io_errors")
    if not all(hasattr(caching.Cache, name) for name in needed) or not (
        hasattr(cpu.CPUContext, "load_additional_registries") and hasattr(rtsys, "initialize")
    ):
        return
    set_up = cpu.CPUContext.load_additional_registries

    def load_overload(self: Any, signature: Any, context: Any) -> Any:
        rtsys.initialize(context)  # compiled functions need it
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, context)

    def load_additional_registries(self: Any) -> None:
        with _without("scipy"):
            set_up(self)

    caching.Cache.load_overload = load_overload
    cpu.CPUContext.load_additional_registries = load_additional_registries
