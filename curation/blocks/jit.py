"""Decorators of compiled functions: `kernel` for what Python calls, `inner` for what only kernels do.

`wide`, for loops over a few columns at once, also turns on a pass of LLVM that Numba leaves off.

Beside each function Numba compiles two wrappers: one that Python calls, and one for C, which nothing
here needs. They are a quarter of the time that compiling takes, most of all where tuples of arrays are
taken apart. An inner function has neither. Trap: Python would call into nothing, so here it is refused.

Numba also compiles a function once more for each number that is written into a call of it, as the 0 of
`find(text, 0)`, and where a variable begins with one. Here a written number is an integer as any other.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import config, njit
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher
from numba.core.types.misc import unliteral


class _Kernel(CPUDispatcher):  # type: ignore[misc]
    def get_call_template(self, args: Any, kws: Any) -> Any:
        """As Numba's, for the types of arguments without their values."""
        plain = {name: unliteral(argument) for name, argument in kws.items()}
        return super().get_call_template(tuple(map(unliteral, args)), plain)


class _Inner(_Kernel):
    def __call__(self, *arguments: object) -> Any:
        name = self.py_func.__qualname__
        raise TypeError(
            f"{name}() is compiled for kernels only: call {name}.py_func, or decorate it with @kernel"
        )


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function at its first call, without the interpreter's lock, and keep it on disk.

    >>> @kernel(cache=False)
    ... def twice(x):
    ...     return 2 * x
    >>> twice(4)
    8
    """
    if function is None:
        return partial(kernel, **options)
    compiled = njit(**{"cache": True, "nogil": True, "no_cfunc_wrapper": True, **options})(function)
    if isinstance(compiled, CPUDispatcher):  # not where NUMBA_DISABLE_JIT is set
        compiled.__class__ = _Kernel
    return compiled


def inner(function: Any = None, **options: Any) -> Any:
    """Compile a function that only other compiled ones call; TypeError where Python calls it.

    >>> @inner(cache=False)
    ... def half(x):
    ...     return x // 2
    >>> half(4)
    Traceback (most recent call last):
        ...
    TypeError: half() is compiled for kernels only: call half.py_func, or decorate it with @kernel
    """
    if function is None:
        return partial(inner, **options)
    compiled = kernel(function, no_cpython_wrapper=True, **options)
    if isinstance(compiled, _Kernel):
        compiled.__class__ = _Inner
    return compiled


class _Wide(CPUDispatcher):  # type: ignore[misc]
    def compile(self, sig: Any) -> Any:
        with global_compiler_lock:  # else another thread might take this setting for the usual one
            usual = config.SLP_VECTORIZE
            config.SLP_VECTORIZE = 1
            try:
                return super().compile(sig)
            finally:
                config.SLP_VECTORIZE = usual


def wide(function: Any = None, **options: Any) -> Any:
    """A kernel whose straight lines of like statements become vector instructions: four times as
    fast on eight numbers side by side. The order of additions stays, so the results do too.

    >>> @wide(cache=False)
    ... def pair(x):
    ...     return x + 1, x + 2
    >>> pair(1)
    (2, 3)
    """
    if function is None:
        return partial(wide, **options)
    compiled = kernel(function, **options)
    if isinstance(compiled, CPUDispatcher):  # not where NUMBA_DISABLE_JIT is set
        compiled.__class__ = _Wide
    return compiled
