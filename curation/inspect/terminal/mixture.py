"""`curation mix --plan` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from curation.inspect.evidence.mixture import (
    PlannedDataset,
    groups_listing,
    paper_listing,
    plan_listing,
    plan_warnings,
)
from curation.inspect.terminal.tables import table_of
from curation.stages.mix.mixture import paper_notes

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory


def plan_parts(rundir: RunDirectory, rows: list[PlannedDataset]) -> Iterator[RenderableType]:
    """The plan, its warnings, and the paper's table with notes."""
    yield table_of(plan_listing(rundir, rows))
    if groups := groups_listing(rundir.recipe.mix.by, rows):
        yield table_of(groups)
    for line in plan_warnings(rows):
        yield Text(f"! {line}", style="yellow")
    yield Text()
    yield table_of(paper_listing())
    for note in paper_notes():
        yield Text(f"  {note}", style="dim")
