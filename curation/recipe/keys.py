"""A key of a recipe's table: its default, its help sentence, and the bounds of its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any


def key(default: Any, help: str, *, of_tables: bool = True, **bounds: float) -> Any:
    """A key with its default, its help sentence, and its bounds.

    Bounds: `least` and `most` are allowed values, `above` and `below` are not. They hold for
    numbers, and for each value of a table of numbers; text such as "auto" has none. A key that is
    not `of_tables` stays out of the `repr`, and so out of the digests of tables.
    """
    metadata = {"help": help, **bounds}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata, repr=of_tables)


def expected(bounds: Mapping[str, Any]) -> str:
    """What a number's bounds ask for, in words.

    >>> expected({"least": 1}), expected({"above": 0}), expected({"least": 0, "below": 1})
    ('at least 1', 'more than 0', 'a number in [0, 1)')
    """
    low = f"[{bounds['least']:g}" if "least" in bounds else f"({bounds.get('above', 0):g}"
    high = f"{bounds['most']:g}]" if "most" in bounds else f"{bounds.get('below', 0):g})"
    if "most" not in bounds and "below" not in bounds:
        return f"at least {bounds['least']:g}" if "least" in bounds else f"more than {low[1:]}"
    return f"a number in {low}, {high}"


def check_bounds(table: Any) -> None:
    """Raise ValueError with the key's name where a number is outside its bounds."""
    for f in fields(table):
        bounds, value = f.metadata, getattr(table, f.name)
        items = value.items() if isinstance(value, dict) else [("", value)]
        for name, number in items:
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            inside = (
                number >= bounds.get("least", number)
                and number <= bounds.get("most", number)
                and ("above" not in bounds or number > bounds["above"])
                and ("below" not in bounds or number < bounds["below"])
            )
            if not inside:
                where = f"{f.name}.{name}" if name else f.name
                raise ValueError(f"{where}: {expected(bounds)} expected, got {number}")
