"""A `Listing` as a table on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from curation.inspect.evidence.listing import Listing

NARROW = 80  # columns of a terminal


def table_of(listing: Listing) -> Table:
    """The table, its title above it; cells are plain text, whatever is in them. Columns stand closer
    where they would not fit into a narrow terminal."""
    columns = zip(listing.head, *listing.rows, strict=True)
    width = sum(max(map(len, column)) + 2 for column in columns) - 2
    table = Table(
        title=Text(listing.title, style="bold") if listing.title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1 if width > NARROW else 2, 0, 0),
    )
    for i, name in enumerate(listing.head):
        left = i in listing.left
        table.add_column(Text(name), justify="left" if left else "right", overflow="fold")
    for i, row in enumerate(listing.rows):
        table.add_row(*map(Text, row), style="bold" if i in listing.strong else "")
    return table
