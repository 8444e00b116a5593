"""`curation dedup INPUT --plan` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.dedup_plan import DedupPlan, bands_listing
from curation.inspect.evidence.listing import listing
from curation.inspect.numbers import duration, file_size, percent
from curation.inspect.terminal.tables import table_of
from curation.kernels.bands import chance_found

if TYPE_CHECKING:
    from curation.recipe.tables import DedupConfig, Recipe

SHOWN = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)  # similarities of the curve
BAR = 30  # characters of the longest bar


def plan_parts(recipe: Recipe, plan: DedupPlan) -> Iterator[RenderableType]:
    """The curve of the bands, what they cost beside others, and memory, disk and time."""
    sample = plan.sample
    whole = "all" if plan.documents == sample.documents else "an estimated"
    yield Text(
        f"{whole} {plan.documents:,.0f} documents; {sample.documents:,} drawn, "
        f"{sample.compared:,} of them compared",
        style="dim",
    )
    yield _curve(recipe.dedup)
    yield table_of(bands_listing(recipe.dedup, plan))
    yield Text("Cost", style="bold")
    yield Text(
        f"  disk    {file_size(plan.expected.disk_bytes)} of band keys and document rows; "
        f"while pairs are measured up to {file_size(plan.pair_bytes)} of feature sets"
    )
    yield Text(
        f"  memory  {file_size(plan.worker_bytes)} a worker for the largest row group seen; "
        f"{recipe.memory_gb:g} GB for the joins, which spill to disk beyond it (memory_gb)"
    )
    yield Text(
        f"  time    {duration(plan.sign_s)} to sign {plan.text_mb:,.0f} MB of text on "
        f"{plan.workers} workers, {duration(plan.measure_s)} to measure pairs; "
        "reading the input and the joins come on top (docs/results/performance.md)"
    )


def _curve(config: DedupConfig) -> Table:
    """The chance that a pair of some similarity is found."""
    bands, rows = config.banding()
    points = sorted({*SHOWN, config.min_jaccard})
    cells = []
    for jaccard in points:
        chance = chance_found(jaccard, bands, rows)
        mark = "  <- min_jaccard" if jaccard == config.min_jaccard else ""
        cells.append((f"{jaccard:g}", percent(chance, 2), "█" * round(BAR * chance) + mark))
    title = f"What {bands} bands of {rows} find (1 - (1 - J^{rows})^{bands})"
    strong = [points.index(config.min_jaccard)]
    return table_of(listing(title, ("Jaccard", "found", ""), cells, (2,), strong))
