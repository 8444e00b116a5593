"""The command line. Each command is one short function in a module of this folder, loaded when it is used.

Exit codes: 0 well, 1 with one clear sentence, 2 for a command line that cannot be understood, 130 for ctrl-C.
"""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from curation import __version__
from curation.errors import CurationError

COMMANDS = {  # in the order of the help page
    "run": "run:run",
    "init": "run:init",
    "extract": "steps:extract",
    "classify": "steps:classify",
    "dedup": "steps:dedup",
    "decontaminate": "steps:decontaminate",
    "tokenize": "steps:tokenize",
    "mix": "steps:mix",
    "report": "inspect:report",
    "explain": "inspect:explain",
    "sample": "inspect:sample",
    "check": "inspect:check",
    "contamination": "inspect:contamination",
    "train": "train:train",
    "generate": "train:generate",
}


class Commands(click.Group):
    """The group: imports a command's module when it is asked for, and turns what goes wrong into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"curation.cli.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CurationError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(_system(error)) from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted. What finished is kept: run the same command to go on.", err=True)
            ctx.exit(130)


def _system(error: OSError) -> str:
    """What the system refused, where, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return f"{where}the disk is full; free some space and run the same command again (what finished is kept)"
    if isinstance(error, PermissionError):
        return f"{where}permission denied; give this user the right to it, or name another folder"
    return f"{where}{error.strerror or error}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="curation")
def main() -> None:
    """Common Crawl to the token shards a language model is trained on, by GPT-3's published procedure.

    \b
    The whole line, from a recipe:
      curation init recipe.toml
      curation run recipe.toml --out RUN
    \b
    One step, on your own files:
      curation dedup articles.jsonl.gz --out RUN
    \b
    Why is this document missing?
      curation explain RUN https://example.org/page
    """
