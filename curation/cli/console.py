"""How commands print: what servers, files and arguments say is shown, and never obeyed.

Every line and table goes through here. Text is no markup, and its control characters are escaped.
"""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Any

import click

from curation.shown import masked, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

PIPE_COLUMNS = 140
KEPT = "curation.kept"  # in a context's meta: what an interrupted command says of itself
AGAIN = "The same command begins again."
_CONTROLS = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def say(text: object, err: bool = False) -> None:
    """Print one line, or some, without the secrets of addresses."""
    click.echo(printable(masked(str(text)), keep="\n\t"), err=err)


def when_interrupted(said: Callable[[], str]) -> None:
    """What to say where this command is interrupted: what it has kept, and what comes next."""
    click.get_current_context().meta[KEPT] = said


def print_json(value: object) -> None:
    """Print a result as JSON for a program: dataclasses as objects, without the secrets of addresses.

    Controls that JSON allows and a terminal would obey are escaped.
    """
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    text = masked(orjson.dumps(value, default=_as_json, option=options).decode())
    click.echo(_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def _as_json(value: Any) -> Any:
    """Values that JSON has no form for."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "tolist"):  # of NumPy, not contiguous
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


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
