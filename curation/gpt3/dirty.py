"""Which examples of a benchmark file the training text overlaps with, and table C.1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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


def overlap_table(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each result that was scored with `dirty`, from the dirtiest to the cleanest.

    `relative_difference` is (clean - all) / all of the task's metric, in shares of one: below 0 the
    examples that the training text overlaps with made the score better. It is None where no example
    is clean or the score of all is 0. Examples too short to be looked for count among all alone.
    """
    rows = [_row(result) for result in results if "clean" in result]
    return sorted(rows, key=lambda row: (row["clean_share"], row["task"]))


def _row(result: dict[str, Any]) -> dict[str, Any]:
    sides = {side: result.get(side) or {} for side in ("clean", "dirty", "unsearched")}
    counts = {side: int(of_side.get("examples", 0)) for side, of_side in sides.items()}
    values = {side: _value(of_side) for side, of_side in sides.items()}
    everything, clean = _value(result), values["clean"]
    difference = (clean - everything) / everything if everything and clean is not None else None
    kept = ("model", "task", "title", "file", "metric", "shots_asked", "described")
    return {
        **{key: result[key] for key in kept if key in result},
        "n": result.get("n"),
        "score": everything,
        "examples": result["examples"],
        "dirty_score": values["dirty"],
        "dirty": counts["dirty"],
        "clean_score": clean,
        "clean": counts["clean"],
        "unsearched": counts["unsearched"],
        "clean_share": counts["clean"] / max(1, result["examples"]),
        "relative_difference": None if difference is None else round(difference, 4),
    }


def _value(result: dict[str, Any]) -> float | None:
    score = result.get("score")
    return None if score is None else float(score["value"])
