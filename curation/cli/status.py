"""`curation status`: how far a run is, also while it is at work."""

from __future__ import annotations

import click

from curation.cli.console import console, print_json
from curation.cli.options import json_option


@click.command()
@click.argument("run", metavar="RUN")
@json_option
def status(run: str, as_json: bool) -> None:
    """Show how far a run is, what each stage took, and the slowest shards.

    Reads the manifests, the lock and metrics.jsonl of the run directory, and no table. It may be
    called while the run is at work, also from another machine.

    \b
    Examples:
      curation status RUN
      curation status RUN --json
    """
    from rich.text import Text

    from curation.inspect.evidence.status import (
        run_status,
        slowest_listing,
        status_line,
        status_listing,
    )
    from curation.inspect.terminal.tables import table_of

    found = run_status(run)
    if as_json:
        return print_json(found)
    screen = console()
    screen.print(Text(status_line(found), style="bold"))
    screen.print(table_of(status_listing(found)))
    if found.slowest:
        screen.print(table_of(slowest_listing(found.slowest)))
    return None
