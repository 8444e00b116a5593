"""`curation check` on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from curation.inspect.check.check import CheckResult


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
