"""Which benchmark examples are dirty (appendix C.2): the study that decontaminate wrote.

Cost: one small JSON file.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.errors import RunError
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.numbers import percent

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory

HEAD = (
    *("benchmark", "N", "examples", "too short", "dirty", "share", "after cuts", "share"),
    "by dataset, before → after cuts",
)


@dataclass(frozen=True, slots=True)
class DirtyCounts:
    """Examples that one dataset makes dirty, before and after the cuts."""

    after: int
    before: int


@dataclass(frozen=True, slots=True)
class BenchmarkStudy:
    """One benchmark: an example is dirty where it shares `n` words in a row with a document.

    `examples`: all of them; `short`: those of fewer than `n` words, which were not looked for and
    may be dirty, and `short_ids` their ids. Dirty ones before and after the cuts, in all and by dataset.
    """

    benchmark: str
    datasets: dict[str, DirtyCounts]
    dirty_after: int
    dirty_before: int
    examples: int
    n: int
    short: int
    short_ids: list[str]


def contamination(rundir: RunDirectory) -> list[BenchmarkStudy] | None:
    """The study of each benchmark; None where no study was made."""
    path = rundir.path("decontaminate", "contamination.json")
    wanted = "decontaminate" in rundir.recipe.stages and rundir.recipe.decontaminate.study
    if not (wanted and store.exists(path)):
        return None
    return [
        BenchmarkStudy(
            **row | {"datasets": {n: DirtyCounts(**d) for n, d in row["datasets"].items()}}
        )
        for row in store.read_json(path)
    ]


def need_contamination(rundir: RunDirectory) -> list[BenchmarkStudy]:
    """As `contamination`. Raises RunError where there is none."""
    studies = contamination(rundir)
    if studies is None:
        raise RunError(
            f"{rundir.out}: no study of benchmark examples there; "
            "run the recipe as far as decontaminate, with decontaminate.study = true"
        )
    return studies


def dirty_listing(studies: list[BenchmarkStudy]) -> Listing:
    """The benchmarks with dirty examples, the largest dirty share first, then those of which
    nothing else is known, since examples of theirs were too short to be looked for."""
    named = [study for study in studies if not _is_clean(study)]
    named.sort(key=lambda study: (-study.dirty_before / study.examples, study.benchmark))
    return listing("", HEAD, map(_cells, named), left=(0, len(HEAD) - 1))


def _is_clean(study: BenchmarkStudy) -> bool:
    """Whether every example was looked for and none is dirty."""
    return not (study.dirty_before or study.short)


def _cells(study: BenchmarkStudy) -> tuple[str, ...]:
    datasets = {name: counts for name, counts in study.datasets.items() if counts.before}
    return (
        study.benchmark,
        str(study.n),
        f"{study.examples:,}",
        f"{study.short:,}" if study.short else "",
        *_dirty_cells(study.dirty_before, study.examples - study.short, study.examples),
        *_dirty_cells(study.dirty_after, study.examples - study.short, study.examples),
        ", ".join(f"{name} {c.before:,} → {c.after:,}" for name, c in datasets.items()),
    )


def total_listing(studies: list[BenchmarkStudy]) -> Listing:
    """The rows below `dirty_listing`: the clean benchmarks together, if any, and all."""
    clean = [study for study in studies if _is_clean(study)]
    rows = []
    for name, part in ((f"{len(clean)} clean benchmarks", clean), ("all", studies)):
        if part:
            examples = sum(study.examples for study in part)
            short = sum(study.short for study in part)
            before = sum(study.dirty_before for study in part)
            after = sum(study.dirty_after for study in part)
            cells = (_dirty_cells(dirty, examples - short, examples) for dirty in (before, after))
            rows.append((name, "", f"{examples:,}", f"{short:,}", *itertools.chain(*cells), ""))
    return listing("", HEAD, rows)


def _dirty_cells(dirty: int, looked_for: int, examples: int) -> tuple[str, str]:
    if not looked_for:
        return ("unknown", "")
    return (f"{dirty:,}", percent(dirty / examples)) if dirty else ("0", "")
