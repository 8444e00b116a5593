"""How commands print: what servers, files and arguments say is shown, and never obeyed.

Every line and table goes through here. Text is no markup, and its control characters are escaped.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import click

from curation.shown import masked, printable

if TYPE_CHECKING:
    from rich.console import Console

PIPE_COLUMNS = 140


def say(text: object, err: bool = False) -> None:
    """Print one line, or some, without the secrets of addresses."""
    click.echo(printable(masked(str(text)), keep="\n\t"), err=err)


def console(stderr: bool = False) -> Console:
    """As wide as the terminal; a file or pipe has no width and gets whole lines."""
    terminal: Console = _plain_console()(stderr=stderr, markup=False)
    if not terminal.is_terminal and "COLUMNS" not in os.environ:
        terminal.width = PIPE_COLUMNS
    return terminal


@functools.cache
def _plain_console() -> Any:
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        """Escapes the control characters of all it prints; its own are segments of their kind."""

        def render(self, *args: Any, **kwargs: Any) -> Any:
            for text, style, control in super().render(*args, **kwargs):
                yield Segment(text if control else printable(text, keep="\n"), style, control)

    return PlainConsole
