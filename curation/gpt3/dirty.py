"""Which examples of a benchmark file the training text overlaps with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from curation.errors import InputError
from curation.gpt3.tasks import read_records
from curation.kernels.examples import is_benchmark_of


class DirtyIds(dict[str, set[str]]):
    """Benchmark -> ids of its dirty examples.

    `unsearched` is the same for examples too short to be looked for: nobody knows whether they are
    clean. `words` is N of each benchmark, how many words in a row were looked for.
    """

    def __init__(
        self,
        dirty: Mapping[str, set[str]],
        unsearched: Mapping[str, set[str]],
        words: Mapping[str, int],
    ) -> None:
        super().__init__(dirty)
        self.unsearched = unsearched
        self.words = words


def read_dirty(path: Path) -> DirtyIds:
    """The ids of dirty examples, as the training text stood at the end.

    `path` is a run directory, or a `dirty.jsonl` of one, which does not name the benchmarks without
    a dirty example. Raises InputError where it is neither.
    """
    file = path / "decontaminate" / "dirty.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{path}: no contamination report there (decontaminate/dirty.jsonl); run "
            "`curation run` with decontaminate.study"
        )
    report = file.with_name("contamination.json")
    rows = json.loads(report.read_bytes()) if report.is_file() else []
    ids: dict[str, set[str]] = {str(row["benchmark"]): set() for row in rows}
    short = {str(row["benchmark"]): set(map(str, row.get("short_ids", ()))) for row in rows}
    words = {str(row["benchmark"]): int(row["n"]) for row in rows if row.get("n")}
    for _, record in read_records(file):
        of_benchmark = ids.setdefault(str(record.get("benchmark")), set())
        if record.get("after"):
            of_benchmark.add(str(record.get("id")))
    return DirtyIds(ids, short, words)


def ids_of_file(by_benchmark: Mapping[str, set[str]], path: Path) -> set[str] | None:
    """The ids of a benchmark file; None where no benchmark of `by_benchmark` is that file."""
    file = str(path.resolve())
    matches = [ids for name, ids in by_benchmark.items() if is_benchmark_of(name, file)]
    return set().union(*matches) if matches else None


def words_of_file(by_benchmark: Mapping[str, int], path: Path) -> int | None:
    """N of a benchmark file; None where it is not known."""
    file = str(path.resolve())
    return next((n for name, n in by_benchmark.items() if is_benchmark_of(name, file)), None)


def join_warnings(path: Path, dirty: set[str] | None, ids: set[str]) -> list[str]:
    """Where the dirty ids of a file match no example of it, or are not known, in sentences."""
    if dirty is None:
        return [
            f"{path}: the contamination report has no benchmark of this name, so nothing is known "
            "of its examples; decontaminate with this file among the benchmarks"
        ]
    if unknown := dirty - ids:
        return [
            f"{path}: {len(unknown):,} of {len(dirty):,} dirty examples in the contamination "
            f"report, such as {min(unknown)!r}, are ids of no example here and count as clean; "
            "decontaminate with this very file"
        ]
    return []
