"""`curation browse`: looking at a run, or at two, in a browser."""

from __future__ import annotations

import click

from curation.cli.console import when_interrupted
from curation.cli.options import number_option
from curation.shown import printable


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("other", metavar="RUN2", required=False)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; anything but this machine alone asks visitors for a token.",
)
@number_option("--port", default=8321, least=0, most=65535, help="Which port; 0: a free one.")
@click.option("--open/--no-open", "opens", default=True, help="Open a browser. [default: open]")
def browse(run: str, other: str | None, host: str, port: int, opens: bool) -> None:
    """Look at a run in a browser: numbers, funnel, every document with its fate, duplicates,
    classifier, mixture. With RUN2, both are compared.

    Works on a run at any stage, also while it is at work. Nothing is written but the
    labels that you give on its page Label. ctrl-C ends it.

    \b
    Examples:
      curation browse RUN
      curation browse RUN_A RUN_B --no-open
    """
    from curation.errors import MissingExtra
    from curation.rundir import plan

    outs = [run, *([other] if other else [])]
    for out in outs:
        plan.read(out)
    try:
        from curation.web.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise MissingExtra("curation browse", "browse") from error
    when_interrupted(lambda: "The pages are gone; the same command shows them again.")
    # Trap: `say` would mask the token, and nobody could open the address.
    serve(outs, host, port, opens, lambda text: click.echo(printable(str(text))))
