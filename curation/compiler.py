"""What Numba loads beside itself, in processes of our own.

Numba imports every installed package that registers an extension of it when the first kernel is
called. Here that is `awkward`, which `gigatoken` brings: 60 MB and half a second in each process,
and no kernel uses it.
"""

from __future__ import annotations


def load_no_extensions() -> None:
    """Keep Numba from importing what registers with it, in this process.

    Only for processes that run our code alone: in a user's own program it would be his to decide.
    An extension that a signal of the user's needs can still be registered by hand, as in
    `awkward.numba.register()`.
    """
    from numba.core import entrypoints

    # Numba has no setting for it. Where this name is gone, the extensions are loaded as ever.
    if hasattr(entrypoints, "_already_initialized"):
        entrypoints._already_initialized = True
