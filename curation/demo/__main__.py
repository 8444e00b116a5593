"""`python -m curation.demo DIRECTORY` writes the sample corpus."""

from __future__ import annotations

from pathlib import Path

import click

from curation.demo.build import build_sample, truth


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def main(directory: Path) -> None:
    """Write the sample corpus to DIRECTORY.

    About 150 short authored pages and documents: three crawl archives, WebText2, two books corpora, Wikipedia and a
    benchmark, and truth.jsonl, which says what each page is. The same bytes every time.
    """
    build_sample(directory)
    fetches = sum(row["dataset"] == "commoncrawl" for row in truth())
    click.echo(
        f"Wrote the sample to {directory}: {fetches} crawl pages in crawl/, what they are in truth.jsonl."
    )


if __name__ == "__main__":
    main()
