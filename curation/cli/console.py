"""The one console that commands print to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_COLUMNS = 140


def console(stderr: bool = False) -> Console:
    """As wide as the terminal; a file or pipe has no width and gets whole lines."""
    from rich.console import Console

    terminal = Console(stderr=stderr)
    if terminal.is_terminal or "COLUMNS" in os.environ:
        return terminal
    return Console(stderr=stderr, width=PIPE_COLUMNS)
