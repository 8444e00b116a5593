"""Results of commands on a terminal: tables of their listings, with the sentences beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from curation.inspect.check.check import CheckResult
from curation.inspect.evidence import mixture
from curation.inspect.evidence.ablation import Ablation, loss_listing, verdicts
from curation.inspect.evidence.contamination import BenchmarkStudy, dirty_listing, total_listing
from curation.inspect.evidence.labels import LabelReport, counts_sentence, report_listing
from curation.inspect.terminal.tables import table_of
from curation.stages.mix.mixture import paper_notes

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory


def ablation_parts(result: Ablation) -> Iterator[RenderableType]:
    """The losses of `curation ablate`, and a sentence for each arm."""
    yield table_of(loss_listing(result))
    yield from map(Text, verdicts(result))


def contamination_table(studies: list[BenchmarkStudy]) -> Table:
    """The benchmarks with dirty examples, then the clean ones together, and all."""
    table = table_of(dirty_listing(studies))
    table.add_section()
    for row in total_listing(studies).rows:
        table.add_row(*map(Text, row))
    return table


def check_table(results: list[CheckResult]) -> Table:
    """One line for each check; the problems of those that fail."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for result in results:
        if result.ok:
            mark, detail = Text("pass", style="green"), Text(result.looked_at, style="dim")
        else:
            mark = Text("FAIL", style="bold red")
            count = f"{len(result.problems)} of {result.looked_at}"
            detail = Text(f"{count}: {result.problems[0]}")
        table.add_row(mark, Text(result.name), detail)
        for problem in result.problems[1:]:
            table.add_row("", "", Text(problem))
    return table


def label_parts(report: LabelReport) -> Iterator[RenderableType]:
    """The figures of a filter by labels, each with its interval."""
    yield Text(counts_sentence(report))
    yield table_of(report_listing(report))


def mixture_parts(
    rundir: RunDirectory, rows: list[mixture.PlannedDataset]
) -> Iterator[RenderableType]:
    """The plan of a mixture, its warnings, and the paper's table with notes."""
    yield table_of(mixture.plan_listing(rundir, rows))
    if groups := mixture.groups_listing(rundir.recipe.mix.by, rows):
        yield table_of(groups)
    for line in mixture.plan_warnings(rows):
        yield Text(f"! {line}", style="yellow")
    yield Text()
    yield table_of(mixture.paper_listing())
    for note in paper_notes():
        yield Text(f"  {note}", style="dim")
