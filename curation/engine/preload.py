"""Loads what every kernel needs before its first call, a quarter of a second of work.

Importing this module is its whole purpose. Only the fork server imports it, once, by its name in
`forkserver.PRELOADED`; the workers forked from it then have Numba already.
"""

from __future__ import annotations

from curation.compiler import load_without_extras

load_without_extras(pandas=True)  # a signal of the user's may call `to_pandas`
