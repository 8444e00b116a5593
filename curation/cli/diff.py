"""`curation diff`: two runs compared."""

from __future__ import annotations

import click

from curation.cli.console import console, print_json
from curation.cli.options import json_option, number_option


@click.command()
@click.argument("a", metavar="RUN_A")
@click.argument("b", metavar="RUN_B")
@click.option("--fate", default="", help='Only what had or has this fate, for instance "kept".')
@number_option("-n", "examples", default=3, least=0, most=50, help="How many.")
@json_option
def diff(a: str, b: str, fate: str, examples: int, as_json: bool) -> None:
    """Compare two runs: which documents have another fate, from which reason to which, and which
    have another text.

    Documents are the same where their dataset and id are. A fate is "kept", or a stage and a reason
    ("dedup: duplicate").

    \b
    Examples:
      curation diff RUN_A RUN_B
      curation diff RUN_A RUN_B --fate kept -n 10
      curation diff RUN_A RUN_B --json
    """
    from curation.inspect.evidence.two_runs import two_runs
    from curation.inspect.terminal.two_runs import show_two_runs
    from curation.rundir import plan

    runs = plan.read(a), plan.read(b)
    comparison = two_runs(*runs, examples)
    if as_json:
        return print_json(comparison)
    return show_two_runs(console(), *runs, comparison, fate)
