"""`python -m curation.demo DIRECTORY` writes the demo corpus."""

from __future__ import annotations

from pathlib import Path

import click

from curation.demo.build import build_demo, truth


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def main(directory: Path) -> None:
    """Write the demo corpus to DIRECTORY.

    1,321 short web pages and 157 documents, written for this project: three crawl archives,
    WebText2, two books corpora, Wikipedia and a benchmark, and truth.jsonl, which says what each
    page is. The same bytes every time.
    """
    build_demo(directory)
    fetches = sum(row["dataset"] == "commoncrawl" for row in truth())
    click.echo(
        f"Wrote the demo corpus to {directory}: {fetches} crawl pages in crawl/; "
        "truth.jsonl says what each page is."
    )


if __name__ == "__main__":
    main()
