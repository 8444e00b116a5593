"""Which benchmark examples are dirty (appendix C.2): the study that decontaminate wrote, read and shown.

Cost: one small JSON file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from curation import store
from curation.errors import RunError
from curation.inspect.format import percent, plain_table

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory

Rows = list[dict[str, Any]]


def contamination(rundir: RunDirectory) -> Rows | None:
    """A row for each benchmark: n, examples, short, dirty_before, dirty_after, datasets. None where no study was made."""
    path = rundir.path("decontaminate", "contamination.json")
    wanted = "decontaminate" in rundir.recipe.stages and rundir.recipe.decontaminate.study
    rows: Rows | None = store.read_json(path) if wanted and store.exists(path) else None
    return rows


def need_contamination(rundir: RunDirectory) -> Rows:
    """As `contamination`. Raises RunError where there is none."""
    rows = contamination(rundir)
    if rows is None:
        raise RunError(
            f"{rundir.out}: no study of benchmark examples there; run the recipe as far as decontaminate, with decontaminate.study = true"
        )
    return rows


def cells(row: dict[str, Any]) -> list[str]:
    """A benchmark's line: name, N, examples, too short, dirty before and after the cuts with their shares, the datasets to blame."""
    blame = {name: d for name, d in row["datasets"].items() if d["before"]}
    return [
        row["benchmark"],
        str(row["n"]),
        f"{row['examples']:,}",
        f"{row['short']:,}" if row["short"] else "",
        *(
            cell
            for key in ("dirty_before", "dirty_after")
            for cell in _dirty(row[key], row["examples"])
        ),
        ", ".join(f"{name} {d['before']:,} → {d['after']:,}" for name, d in blame.items()),
    ]


HEAD = (
    "benchmark",
    "N",
    "examples",
    "too short",
    "dirty",
    "share",
    "after cuts",
    "share",
    "by dataset, before → after cuts",
)


def _dirty(dirty: int, examples: int) -> list[str]:
    return [f"{dirty:,}", percent(dirty / examples)] if dirty else ["0", ""]


def contamination_table(rows: Rows) -> Table:
    """The benchmarks with dirty examples, most of them first, then one line for the clean ones."""
    table = plain_table(HEAD, left=(0, len(HEAD) - 1))
    dirty = [row for row in rows if row["dirty_before"]]
    for row in sorted(
        dirty, key=lambda row: (-row["dirty_before"] / row["examples"], row["benchmark"])
    ):
        table.add_row(*cells(row))
    total = [
        sum(row[key] for row in rows)
        for key in ("examples", "short", "dirty_before", "dirty_after")
    ]
    table.add_section()
    clean = [row for row in rows if not row["dirty_before"]]
    counts = [f"{sum(row[key] for row in clean):,}" for key in ("examples", "short")]
    table.add_row(f"{len(clean)} clean benchmarks", "", *counts, "0", "", "0", "", "")
    both = [cell for dirty in total[2:] for cell in _dirty(dirty, total[0])]
    table.add_row("all", "", f"{total[0]:,}", f"{total[1]:,}", *both, "")
    return table
