"""Results of commands on a terminal: tables of their listings, with the sentences beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from curation.inspect.check.check import CheckResult
from curation.inspect.evidence import frames, mixture
from curation.inspect.evidence.ablation import Ablation, loss_listing, verdicts
from curation.inspect.evidence.alpha import AlphaReport, alpha_sentence, kept_listings
from curation.inspect.evidence.contamination import BenchmarkStudy, dirty_listing, total_listing
from curation.inspect.evidence.find import find
from curation.inspect.evidence.fit import (
    FitReport,
    Model,
    calibration_listing,
    feature_listings,
    fit_sentence,
    note_sentence,
    training_listing,
    trial_listings,
)
from curation.inspect.evidence.labels import LabelReport, counts_sentence, report_listing
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.evidence.two_runs import ABSENT, Change, Run, TwoRuns
from curation.inspect.numbers import metric
from curation.inspect.terminal.explain import clean, differences
from curation.inspect.terminal.tables import table_of
from curation.shown import printable
from curation.stages.mix.mixture import paper_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

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


BAR = 40  # characters of the longest bar
FEATURES = 15  # strongest features shown of each class


def model_parts(model: Model) -> Iterator[RenderableType]:
    """A model's card and how its fit went."""
    yield Text(model.kind, style="bold")
    if model.note:
        yield Text(f"  sha256 {model.sha256}")
        yield Text(note_sentence(model))
        return
    for key in ("scaling", "C", "class_weight", "window_chars", "folds", "sha256"):
        yield Text(f"  {key} {getattr(model, key)}")
    if model.signal_weights:
        weights = (f"{name} {weight:+.2f}" for name, weight in model.signal_weights.items())
        yield Text(f"  signals, by their weight: {', '.join(weights)}")
    if model.spread:
        yield Text(f"  spread over the folds, a document at a time: {', '.join(model.spread)}")
    yield from _spaced([training_listing(model)])
    if model.report is None:
        yield Text("There is no report.json beside the card: how the fit went is not known.")
        return
    report = model.report
    measures = ("auc", "average_precision", "f1", "log_loss")
    figures = "  ".join(f"{key} {metric(getattr(report, key))}" for key in measures)
    yield Text(fit_sentence(model.heldout))
    yield Text(figures, style="bold")
    yield from _spaced(
        [
            _held_out_listing(report),
            calibration_listing(report),
            *trial_listings(report),
            *feature_listings(report, FEATURES),
        ]
    )


def alpha_parts(report: AlphaReport) -> Iterator[RenderableType]:
    """The fit of alpha with its misfit, and what each alpha would keep."""
    yield Text(alpha_sentence(report))
    fit = report.fit
    listings = kept_listings(report)
    if fit.refused is None:
        top = max([1.0, *fit.counts, *fit.expected])
        bins = zip(fit.edges[:-1], fit.edges[1:], fit.counts, fit.expected, strict=True)
        rows = [
            (f"{a:.2f} to {b:.2f}", f"{n:,}", f"{law:,.1f}", _bar(n / top, law / top))
            for a, b, n, law in bins
        ]
        title = "Misfit: documents found (#) against the law (|)"
        listings = [listing(title, ("score", "found", "law", ""), rows, (0, 3)), *listings]
    yield from _spaced(listings)


def _spaced(listings: list[Listing]) -> Iterator[RenderableType]:
    for each in listings:
        yield Text()
        yield table_of(each)


def _held_out_listing(report: FitReport) -> Listing:
    rows = [
        (name, f"{d.documents:,}", f"{d.sites:,}", metric(d.auc), _sparks(d.scores))
        for name, d in report.datasets.items()
    ]
    head = ("dataset", "documents", "sites", "AUC", "scores 0 to 1")
    return listing("Held-out scores by dataset", head, rows, left=(0, 4))


def _bar(share: float, law: float) -> str:
    cells = ["#" if i < round(BAR * share) else " " for i in range(BAR + 1)]
    cells[round(BAR * law)] = "|"
    return "".join(cells).rstrip()


def _sparks(counts: list[int]) -> str:
    """A histogram in one line, heights by the logarithm.

    >>> _sparks([0, 1, 10, 1000])
    ' ▁▃█'
    """
    top = math.log1p(max([1, *counts]))
    return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * math.log1p(count) / top)] for count in counts)


MOST_SETTINGS = 12
MOST_FLOWS = 20


def show_two_runs(console: Console, a: Run, b: Run, comparison: TwoRuns, only: str = "") -> None:
    """Print a comparison; of the flows that name the fate `only`, where one is given."""

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style=style))

    shown = comparison.settings[:MOST_SETTINGS]
    line("What differs in the recipes", "bold")
    for setting in shown or ["nothing"]:
        line(f"  {printable(setting)}")
    if more := len(comparison.settings) - len(shown):
        line(f"  and {more:,} more", "dim")
    in_a, in_b, in_both = comparison.kept
    line("")
    line(f"Kept: {in_a:,} in A, {in_b:,} in B, {in_both:,} in both", "bold")
    if comparison.text_changed:
        line(f"Another text: {comparison.text_changed:,} documents of both runs")
    changes = [c for c in comparison.differing() if not only or only in (c.before, c.after)]
    if not changes:
        same = "No document has another fate" if not only else f"No fate changes from or to {only}"
        line(same + ".")
    else:
        rows = [(c.dataset, c.before, c.after, f"{c.documents:,}") for c in changes[:MOST_FLOWS]]
        head = ("dataset", "in A", "in B", "documents")
        console.print(table_of(listing("Another fate", head, rows, left=(0, 1, 2))))
        if more := len(changes) - len(rows):
            line(f"and {more:,} more kinds (`--json` has all)", "dim")
        _examples(console, a, b, changes)
    if comparison.text_changed:
        _changed_texts(console, a, b, comparison.changes)


def _examples(console: Console, a: Run, b: Run, changes: Sequence[Change]) -> None:
    for change in changes[:MOST_FLOWS]:
        console.print(Text(f"\n{change.dataset}: {change.before} -> {change.after}", style="bold"))
        run = b if change.before == ABSENT or change.before.startswith("extract: ") else a
        for id_ in change.examples:
            text, url = _document(run, change.dataset, id_)
            console.print(Text(f"  {clean(id_)}  {clean(url, 100)}", style="dim"))
            console.print(Text(f"    {clean(text, 200)}"))


def _changed_texts(console: Console, a: Run, b: Run, changes: Sequence[Change]) -> None:
    """Where the texts of some documents of both runs differ."""
    console.print(Text("\nWhere texts differ: -only in A- +only in B+", style="bold"))
    for change in [c for c in changes if c.text_changed][:3]:
        for id_ in change.examples[:2]:
            before, after = (_document(run, change.dataset, id_)[0] for run in (a, b))
            if before != after:
                console.print(Text(f"  {clean(id_)}", style="dim"))
                console.print(differences(before, after, 4, ("in A", "in B")))


def _document(run: Run, dataset: str, id_: str) -> tuple[str, str]:
    """Text and address of a document; empty where it is not there."""
    documents, _ = find(*run, id_)
    for document in documents:
        if document.shard.dataset == dataset and document.columns["id"] == id_:
            path = run[0].documents(document.shard)
            row = frames.take_one(path, document.row, ["text", "url"])
            return row["text"], row["url"] or ""
    return "", ""
