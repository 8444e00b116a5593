"""A key of a recipe's table, or of the trainer's options: its default, its help sentence, and what
its values may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from typing import Any

from curation.shown import brief

MANY = 10**9  # what a number may be at most where nothing else is said


def key(default: Any, help: str, *, of_tables: bool = True, **bounds: float) -> Any:
    """A key with its default, its help sentence, and its bounds.

    Bounds: `least` and `most` are allowed values, `above` and `below` are not. A number without an
    upper one may be at most 1,000,000,000. They hold for numbers, and for each value of a table of
    numbers; text such as "auto" has none. A key that is not `of_tables` stays out of the `repr`,
    and so out of the digests of tables.
    """
    if bounds and not {"most", "below"} & set(bounds):
        bounds["most"] = MANY
    metadata = {"help": help, **bounds}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata, repr=of_tables)
    return field(default=default, metadata=metadata, repr=of_tables)


def expected(bounds: Mapping[str, Any]) -> str:
    """What a number's bounds ask for, in words.

    >>> expected({"above": 0, "most": 5000}), expected({"least": 0, "below": 1})
    ('a number in (0, 5,000]', 'a number in [0, 1)')
    """
    low = f"[{bounds['least']:,}" if "least" in bounds else f"({bounds['above']:,}"
    high = f"{bounds['most']:,}]" if "most" in bounds else f"{bounds['below']:,})"
    return f"a number in {low}, {high}"


def check_bounds(table: Any) -> None:
    """Raise ValueError with the key's name where a number is outside its bounds."""
    for f in fields(table):
        bounds = f.metadata
        for where, number in _numbers(f.name, getattr(table, f.name)):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            inside = (
                number >= bounds.get("least", number)
                and number <= bounds.get("most", number)
                and ("above" not in bounds or number > bounds["above"])
                and ("below" not in bounds or number < bounds["below"])
            )
            if not inside:
                raise ValueError(f"{where}: {expected(bounds)} expected, got {brief(number)}")


def _numbers(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value, or each of a table of values, with its place."""
    if not isinstance(value, dict):
        yield where, value
        return
    for name, inner in value.items():
        yield from _numbers(f"{where}.{name[:80]}" if name else where, inner)
