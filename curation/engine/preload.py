"""What every kernel needs before its first call, loaded by the process that workers are forked from: half a second each saved."""

from __future__ import annotations

from numba.core.registry import cpu_target

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
