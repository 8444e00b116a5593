"""Loads what every kernel needs before its first call, half a second of work.

Importing this module is its whole purpose. Only the fork server imports it, once, by its name in
`forkserver.PRELOADED`; the workers forked from it then have Numba's tables already.
"""

from __future__ import annotations

from numba.core.registry import cpu_target

from curation.compiler import load_no_extensions

load_no_extensions()
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
