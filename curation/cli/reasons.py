"""`curation reasons`: why a record or document may be missing, and what each word means."""

from __future__ import annotations

import click

from curation.cli.completion import among
from curation.cli.completion import reasons as known_reasons
from curation.cli.console import console, print_json
from curation.cli.options import json_option


@click.command()
@click.argument("names", nargs=-1, metavar="[REASON...]", shell_complete=among(known_reasons))
@json_option
def reasons(names: tuple[str, ...], as_json: bool) -> None:
    """What the reasons mean for which records and documents are removed: all, or those named.

    \b
    Examples:
      curation reasons
      curation reasons low_quality stub
      curation reasons gopher_few_words
    """
    from rich.table import Table

    from curation.errors import did_you_mean
    from curation.recipe.filter import rules_that_ship
    from curation.rundir.schema import REASONS

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rules = rules_that_ship() if names else {}
    meanings = {
        name: f"a rule ({', '.join(sets)}): {drop}" for name, (drop, sets) in rules.items()
    } | REASONS
    for name in names or REASONS:
        if name not in meanings:
            known = did_you_mean(name, list(meanings))
            more = " (the names of a recipe's rules are reasons too: `curation report RUN`)"
            raise click.UsageError(f"no reason {name!r}{known}{more}")
        table.add_row(name, meanings[name])
    if as_json:
        return print_json({name: meanings[name] for name in names or REASONS})
    return console().print(table)
