"""Commands that look at a finished or half-finished run, or at two; and what reasons mean."""

from __future__ import annotations

from pathlib import Path

import click

from curation.cli.completion import among, stages
from curation.cli.completion import reasons as reason_names
from curation.cli.console import console, print_json, say
from curation.cli.options import PATH, json_option, number_option

RUN = click.argument("run", metavar="DIR")


@click.command()
@RUN
def report(run: str) -> None:
    """Write DIR/report.html, one self-contained page about a run, and the same as DIR/report.json.

    \b
    Example:
      curation report RUN
    """
    from curation.rundir import plan
    from curation.web.report import write_report

    path = write_report(*plan.read(run))
    say(f"Wrote {path} (and {path.removesuffix('.html')}.json)")


@click.command()
@RUN
@click.argument("key", metavar="[ID_OR_URL]", required=False)
@click.option(
    "--step",
    type=click.IntRange(1),
    help="Where DIR is a model: the documents that this step of its training saw.",
)
@click.option(
    "--run",
    "trained_on",
    type=PATH,
    help="Where DIR is a model: the run that it was trained on.  [default: where it was then]",
)
@json_option
def explain(
    run: str, key: str | None, step: int | None, trained_on: Path | None, as_json: bool
) -> None:
    """Tell what became of a document, stage by stage, with the evidence. A URL shows every capture and reject.

    Where DIR is a model, tell which documents a step of its training saw, or which steps saw a
    document.

    \b
    Examples:
      curation explain RUN https://example.org/page
      curation explain RUN wikipedia-000042
      curation explain MODEL --step 120
      curation explain MODEL wikipedia-000042
    """
    from curation.gpt3.positions import is_model

    if is_model(Path(run)):
        from curation.cli.steps_seen import explain_model

        return explain_model(Path(run), key, step, trained_on, as_json)
    if key is None or step is not None or trained_on is not None:
        raise click.UsageError(
            f"{run} is not a model: give the id or URL of a document of a run, without --step and "
            "--run."
        )
    from curation.inspect.evidence.fate import fate
    from curation.inspect.terminal.explain import explain as explained
    from curation.inspect.terminal.explain import need_found
    from curation.rundir import plan

    if as_json:
        opened = plan.read(run)
        documents, rejects = need_found(*opened, key)
        fates = [fate(*opened, document) for document in documents]
        return print_json({"documents": fates, "rejects": rejects})
    return explained(*plan.read(run), key, console())


@click.command()
@RUN
@click.option(
    "--stage",
    help="Documents that this stage removed. [default: documents that are kept]",
    shell_complete=among(stages),
)
@click.option(
    "--reason",
    help="Only those removed for this reason, for instance low_quality.",
    shell_complete=among(reason_names),
)
@click.option("--dataset", help="Only documents of this dataset.")
@number_option("-n", "count", default=10, least=1, help="How many.")
@number_option("--seed", default=0, help="Another seed shows other documents.")
@json_option
def sample(
    run: str,
    stage: str | None,
    reason: str | None,
    dataset: str | None,
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """Show random documents of one fate.

    \b
    Examples:
      curation sample RUN
      curation sample RUN --stage dedup --dataset commoncrawl -n 3
      curation sample RUN --reason low_quality --seed 1
    """
    from curation.inspect.evidence.sample import sample as sampled
    from curation.inspect.terminal.documents import sample_parts
    from curation.rundir import plan

    opened = plan.read(run)
    documents = sampled(*opened, stage=stage, reason=reason, dataset=dataset, n=count, seed=seed)
    if as_json:
        return print_json(documents)
    if not documents:
        removed = f"removed by {stage}" if stage else ""
        what = " ".join(filter(None, (dataset, "documents", removed, reason)))
        say(f"There are no {what}." if stage or reason else "No documents are kept.")
    for part in sample_parts(documents):
        console().print(part)
    if documents and (stage or reason):
        say("What the reasons mean: curation reasons")
    return None


@click.command()
@RUN
@click.option("--dataset", help="Only documents removed from this dataset.")
@number_option(
    "-n", "count", default=10, least=1, help="How many; the run lists 100 of each dataset."
)
@json_option
def clusters(run: str, dataset: str | None, count: int, as_json: bool) -> None:
    """Show the largest clusters of duplicates: the kept document, some removed, what they share.

    \b
    Example:
      curation clusters RUN -n 3
    """
    from curation.inspect.evidence.clusters import largest_clusters
    from curation.inspect.terminal.documents import cluster_panel
    from curation.rundir import plan

    shown = list(largest_clusters(*plan.read(run), dataset, count))
    if as_json:
        return print_json(shown)
    if not shown:
        say("No document was removed as a duplicate: there are no clusters.")
    for cluster in shown:
        console().print(cluster_panel(cluster))
    return None


@click.command()
@RUN
@click.option("--quick", is_flag=True, help="Only compare the sizes of files.")
@json_option
def check(run: str, quick: bool, as_json: bool) -> None:
    """Check that a run is whole: files, ledgers, tables, shards, indexes, mixture, round trips.

    Names all that is wrong, and what the next run does about it. Exit code 1 on any failure.

    \b
    Examples:
      curation check RUN
      curation check RUN --quick
    """
    from curation.inspect.check.check import check_run
    from curation.inspect.terminal.results import check_table

    results = check_run(run, quick)
    if as_json:
        print_json(results)
    else:
        console().print(check_table(results))
    if not all(result.ok for result in results):
        raise click.exceptions.Exit(1)


@click.command()
@RUN
@json_option
@click.option(
    "--cuts",
    metavar="FILE",
    help="Also write an HTML page of documents that were cut, before and after.",
)
@click.option("--benchmark", default="", help="Only cuts for this benchmark.")
@number_option("-n", "count", default=100, least=0, help="Documents on the page; 0: all.")
def contamination(run: str, as_json: bool, cuts: str | None, benchmark: str, count: int) -> None:
    """Which benchmark examples the training text holds, before and after the cuts (GPT-3, appendix C.2).

    Their ids are in DIR/decontaminate/dirty.jsonl, to score clean and dirty examples apart.

    \b
    Examples:
      curation contamination RUN
      curation contamination RUN --cuts cuts.html --benchmark boolq.val
    """
    from curation import store
    from curation.inspect.evidence.contamination import need_contamination
    from curation.inspect.terminal.results import contamination_table
    from curation.rundir import plan
    from curation.web.cuts import write_cuts

    rundir, planned = plan.read(run)
    rows = need_contamination(rundir)
    if as_json:
        print_json(rows)
    else:
        console().print(contamination_table(rows))
        say(f"Ids of dirty examples: {store.join(run, 'decontaminate', 'dirty.jsonl')}")
    if cuts:
        shown = write_cuts(rundir, planned, cuts, benchmark=benchmark, n=count)
        say(f"Wrote {cuts}: {shown:,} documents", err=as_json)


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
    from curation.inspect.terminal.results import show_two_runs
    from curation.rundir import plan

    runs = plan.read(a), plan.read(b)
    comparison = two_runs(*runs, examples)
    if as_json:
        return print_json(comparison)
    return show_two_runs(console(), *runs, comparison, fate)


@click.command()
@click.argument("names", nargs=-1, metavar="[REASON...]", shell_complete=among(reason_names))
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
