"""A click group whose commands are imported when they are asked for, its help in sections.

A group's table has sections; a section has, by the command's name, where the command is (`module:name`
under `curation.cli`) and what it does in a line. So a help page imports no command.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from curation.errors import did_you_mean

Sections = Mapping[str, Mapping[str, tuple[str, str]]]


class LazyGroup(click.Group):
    """A group of the commands in `sections`."""

    def __init__(self, *args: Any, sections: Sections, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections
        self.lines = {name: row for rows in sections.values() for name, row in rows.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lines:
            return super().get_command(ctx, cmd_name)
        module, name = self.lines[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(f"curation.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands in sections, a line each."""
        width = max(map(len, self.lines))
        for title, commands in self.sections.items():
            formatter.write_heading(title)
            with formatter.indentation():
                formatter.write_dl(
                    [(f"{name:<{width}}", text) for name, (_, text) in commands.items()]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names of commands with their lines; click itself would import every command."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=text)
            for name, (_, text) in self.lines.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = [*self.lines, *self.commands]
        if args and not args[0].startswith("-") and args[0] not in known:
            ctx.fail(f"no command {args[0]!r}{did_you_mean(args[0], known)}")
        return super().resolve_command(ctx, args)
