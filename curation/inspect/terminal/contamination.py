"""`curation contamination` on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.contamination import BenchmarkStudy, dirty_listing, total_listing
from curation.inspect.terminal.tables import table_of


def contamination_table(studies: list[BenchmarkStudy]) -> Table:
    """The benchmarks with dirty examples, then the clean ones together, and all."""
    table = table_of(dirty_listing(studies))
    table.add_section()
    for row in total_listing(studies).rows:
        table.add_row(*map(Text, row))
    return table
