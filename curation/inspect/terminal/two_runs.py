"""`curation diff` on a terminal: what differs between two runs, the counts first, then examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from curation.inspect.evidence import frames
from curation.inspect.evidence.find import find
from curation.inspect.evidence.listing import listing
from curation.inspect.evidence.two_runs import ABSENT, Change, Run, TwoRuns
from curation.inspect.terminal.explain import clean, differences
from curation.inspect.terminal.tables import table_of
from curation.shown import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

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
