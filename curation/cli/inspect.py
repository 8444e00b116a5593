"""`curation report`, `explain`, `sample` and `check`: looking at a finished or half-finished run."""

from __future__ import annotations

import click

RUN = click.argument("run", metavar="DIR")


@click.command()
@RUN
def report(run: str) -> None:
    """Write DIR/report.html, one self-contained page about a run, and the same as DIR/report.json.

    \b
    Example:
      curation report RUN
    """
    from curation import plan
    from curation.inspect.report import write_report

    path = write_report(*plan.read(run))
    click.echo(f"Wrote {path} (and {path.removesuffix('.html')}.json)")


@click.command()
@RUN
@click.argument("key", metavar="ID_OR_URL")
def explain(run: str, key: str) -> None:
    """Tell what became of a document, stage by stage, with the evidence. A URL shows every capture and reject.

    \b
    Examples:
      curation explain RUN https://example.org/page
      curation explain RUN wikipedia-000042
    """
    from rich.console import Console

    from curation import plan
    from curation.inspect.explain import explain as explained

    explained(*plan.read(run), key, Console())


@click.command()
@RUN
@click.option("--stage", help="Documents that this stage removed. [default: documents that are kept]")
@click.option("--reason", help="Only those removed for this reason, for instance low_quality.")
@click.option("--dataset", help="Only documents of this dataset.")
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed shows other documents.")
def sample(run: str, stage: str | None, reason: str | None, dataset: str | None, count: int, seed: int) -> None:
    """Show random documents of one fate.

    \b
    Examples:
      curation sample RUN
      curation sample RUN --stage dedup --dataset commoncrawl -n 3
      curation sample RUN --reason low_quality --seed 1
    """
    from rich.console import Console

    from curation import plan
    from curation.inspect.sample import show

    show(*plan.read(run), Console(), stage=stage, reason=reason, dataset=dataset, n=count, seed=seed)


@click.command()
@RUN
def check(run: str) -> None:
    """Check that a run is whole: books, tables, shards, indexes, mixture, round trips. Exit code 1 on any failure.

    \b
    Example:
      curation check RUN
    """
    from rich.console import Console

    from curation import plan
    from curation.inspect.check import check as checked
    from curation.inspect.check import check_table

    results = checked(*plan.read(run))
    Console().print(check_table(results))
    if not all(result.ok for result in results):
        raise click.exceptions.Exit(1)
