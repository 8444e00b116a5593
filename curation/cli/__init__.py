"""The command line. Each command is one short function in a module of this folder, loaded when it is used.

Exit codes: 0 well, 1 with one clear sentence, 2 for a command line that cannot be understood, 128 and the signal's number
where it was interrupted: 130 for ctrl-C.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
from typing import Any

import click

from curation.errors import CurationError, did_you_mean, system_sentence
from curation.shown import masked, printable
from curation.version import __version__

COMMANDS = {  # in the order of the help page
    "run": "run:run",
    "init": "run:init",
    "try": "try_:try_",
    "extract": "steps:extract",
    "filter": "filter:filter_",
    "classify": "steps:classify",
    "dedup": "steps:dedup",
    "decontaminate": "steps:decontaminate",
    "tokenize": "steps:tokenize",
    "mix": "mix:mix",
    "webtext-urls": "webtext:webtext_urls",
    "report": "inspect:report",
    "explain": "inspect:explain",
    "diff": "diff:diff",
    "browse": "browse:browse",
    "sample": "inspect:sample",
    "clusters": "inspect:clusters",
    "reasons": "reasons:reasons",
    "check": "inspect:check",
    "model": "quality:model",
    "alpha": "quality:alpha",
    "label": "label:label",
    "contamination": "inspect:contamination",
    "train": "train:train",
    "generate": "train:generate",
    "evaluate": "evaluate:evaluate",
    "ablate": "ablate:ablate",
    "train-extractor": "extractor:train_extractor",
}


INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(number: int, frame: Any) -> None:
    """ctrl-C, a scheduler's SIGTERM and a closed terminal end a command alike. What comes while it
    cleans up is ignored."""
    for other in INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


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

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = [*COMMANDS, *self.commands]
        if args and not args[0].startswith("-") and args[0] not in known:
            ctx.fail(f"no command {args[0]!r}{did_you_mean(args[0], known)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        before = {number: signal.getsignal(number) for number in INTERRUPTS}
        for number, handler in before.items():
            if handler in (signal.SIG_DFL, signal.default_int_handler):  # nohup ignores one
                signal.signal(number, _interrupt)
        try:
            return super().invoke(ctx)
        except CurationError as error:
            raise click.ClickException(str(error)) from error
        except click.ClickException as error:  # what was typed stands in it
            shown = printable(masked(error.message), keep="\n")
            error.message = shown  # type: ignore[misc]  # final in click's own words
            raise
        except OSError as error:
            raise click.ClickException(printable(masked(system_sentence(error)))) from error
        except Exception as error:
            if not type(error).__module__.startswith(("pyarrow", "duckdb", "_duckdb")):
                raise
            first = printable(masked(str(error).partition("\n")[0]))
            raise click.ClickException(
                f"{first}. If a file of a run is damaged, `curation check RUN` names it"
            ) from error
        except KeyboardInterrupt as error:
            with contextlib.suppress(OSError):  # the terminal may be gone
                click.echo(
                    "\nInterrupted. What finished is kept: run the same command to go on.", err=True
                )
            before = {}
            ctx.exit(128 + (error.args[0] if error.args else signal.SIGINT))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
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
