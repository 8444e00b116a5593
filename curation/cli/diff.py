"""`curation diff`: two runs compared."""

from __future__ import annotations

import click

from curation.cli.console import console


@click.command()
@click.argument("a", metavar="RUN_A")
@click.argument("b", metavar="RUN_B")
@click.option("--fate", default="", help='Only what had or has this fate, for instance "kept".')
@click.option(
    "-n", "examples", type=click.IntRange(0, 50), default=3, show_default=True, help="How many."
)
@click.option("--json", "as_data", is_flag=True, help="Print all of it as JSON.")
def diff(a: str, b: str, fate: str, examples: int, as_data: bool) -> None:
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
    import orjson

    from curation.inspect.evidence.two_runs import as_json, two_runs
    from curation.inspect.terminal.two_runs import show_two_runs
    from curation.rundir import plan

    runs = plan.read(a), plan.read(b)
    comparison = two_runs(*runs, examples)
    if as_data:
        data = orjson.dumps(as_json(comparison), option=orjson.OPT_INDENT_2)
        click.echo(data.decode())
        return
    show_two_runs(console(), *runs, comparison, fate)
