"""`curation export`: what a run keeps, in the format of another program."""

from __future__ import annotations

from typing import Any, Literal

import click

from curation.cli.console import print_json, say
from curation.cli.options import Words, json_option, number_option, update_option, workers_option
from curation.formats.layouts import FORMATS


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    metavar="FORMAT",
    required=True,
    help=f"What to write: {', '.join(FORMATS)}.",
)
@click.option("--out", required=True, help="The folder to write.")
@click.option(
    "--columns", type=Words(), help="Columns of the documents.  [default: all but evidence]"
)
@number_option("--max-file-mb", default=500.0, least=1, help="Most million bytes of one file.")
@click.option(
    "--compression",
    type=click.Choice(["gz", "zst"]),
    help="Of the lines of dolma and datatrove.  [default: gz]",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of documents held out.  [default: that of a recipe that mixes, else 0]",
)
@click.option(
    "--tokens-from",
    type=click.Choice(["auto", "mixture", "documents"]),
    default="auto",
    show_default=True,
    help="The shards of the mixture, or the tokens of the kept documents in their order.",
)
@click.option("--license", default="", help="With hf: the licence on the card.")
@click.option(
    "--push", metavar="OWNER/NAME", help="With hf: send the folder to this data set of the Hub."
)
@click.option("--private", is_flag=True, help="With --push: a data set that is made is private.")
@workers_option
@update_option
@json_option
def export(
    run: str,
    format_: str,
    out: str,
    compression: Literal["gz", "zst"] | None,
    push: str | None,
    workers: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write what RUN keeps for another program: documents, or tokens for a trainer.

    Files are at most --max-file-mb large, and DIR/_manifest.json names each with its sha256. The
    same command goes on where it was interrupted.

    \b
    Examples:
      curation export RUN --format jsonl.zst --columns id,url,text --out TEXT
      curation export RUN --format hf --out DATASET --push OWNER/NAME
      curation export RUN --format llmc --out TOKENS
    """
    from curation.cli.progress import Steps
    from curation.formats.export import export as exported

    if options["private"] and not push:
        raise click.UsageError("--private goes with --push")
    with Steps() as steps:
        made = exported(
            run,
            format_,
            out,
            compression=compression or "",
            push=push or "",
            workers=workers or 0,
            progress=steps,
            say=steps.say,
            **options,
        )
    if as_json:
        return print_json(made)
    counts = {"texts": made.documents, "tokens": made.tokens}
    what = " and ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    say(f"Wrote {what} in {len(made.files):,} files ({made.bytes:,} bytes): {out}")
    if made.address:
        say(f"Pushed to {made.address}")
    return None
