"""`curation webtext-urls`: the list of links that a WebText is made from."""

from __future__ import annotations

import click

from curation.cli.console import console
from curation.cli.options import number_option, workers_option


@click.command("webtext-urls")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, help="The list to write, one address a line.")
@number_option("--min-score", default=3, help="Points that a submission needs.")
@workers_option
def webtext_urls(inputs: tuple[str, ...], out: str, min_score: int, workers: int | None) -> None:
    """Outbound links of Reddit submissions (Pushshift's JSON lines, .zst, .gz or plain), cleaned, each page once, for
    `curation extract --urls`. Says how many submissions gave no link, and why.

    \b
    Example:
      curation webtext-urls RS_2019-*.zst --out urls.txt
    """
    from curation.cli.progress import Steps
    from curation.cli.steps import absolute
    from curation.engine.local import LocalEngine
    from curation.inspect.evidence.listing import listing
    from curation.inspect.terminal.tables import table_of
    from curation.readers.submissions import REASONS
    from curation.tools import webtext

    with Steps() as steps:
        engine = LocalEngine(workers or 0, progress=steps)
        try:
            counts = webtext.run(inputs, absolute(out), engine, min_score)
        finally:
            engine.close()
    rows = [(f"{counts['submissions']:,}", "submissions", "")]
    rows += [(f"-{counts[r]:,}", r, text) for r, text in REASONS.items() if counts.get(r)]
    rows.append((f"{counts['links']:,}", "links", f"in {out}"))
    table = table_of(listing("", ("", "", ""), rows, left=(1, 2)))
    table.show_header = False
    console().print(table)
