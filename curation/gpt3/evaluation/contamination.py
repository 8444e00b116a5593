"""Table C.1 and figure 4.2: how much better or worse a model does on the clean examples than on
all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


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
