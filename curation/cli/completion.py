"""`curation completion`: the script that lets a shell complete commands, options and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_CURATION_COMPLETE"  # click's own name for the command `curation`


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script for TAB in bash (4.4 or later), zsh or fish.

    It completes commands, options, choices, rule sets, stages and reasons.

    \b
    Examples:
      curation completion bash >> ~/.bashrc
      curation completion zsh >> ~/.zshrc
      curation completion fish > ~/.config/fish/completions/curation.fish
    """
    from click.shell_completion import get_completion_class

    from curation.cli import main

    made = get_completion_class(shell)
    assert made is not None
    shown = made(main, {}, "curation", VARIABLE)
    click.echo(made.source_template % shown.source_vars())


def among(names: Callable[[], list[str]]) -> Callable[..., list[str]]:
    """What an option or argument completes to: those of `names` that begin as typed."""

    def complete(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
        return [name for name in names() if name.startswith(typed)]

    return complete


def rule_sets() -> list[str]:
    """The sets of rules that ship."""
    from curation.recipe.filter import FOLDER

    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def stages() -> list[str]:
    """The stages, in their order."""
    from curation.recipe.line import STAGES

    return list(STAGES)


def reasons() -> list[str]:
    """Why documents are removed."""
    from curation.recipe.reasons import REASONS

    return list(REASONS)
