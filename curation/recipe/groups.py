"""`[mix] by`: the column by whose values the documents of a dataset are weighed, and which weight a
value has.

A key of a table of weights is a value as it is written, a number and `+` (numbers from this one up
to the next such key), or `*` (every value that no other key covers). A document without a value has
the empty one.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OTHERS = "*"
MOST_QUANTILES = 1000
_QUANTILES = re.compile(r"(.+)_quantile:(\d{1,9})")
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Grouping:
    """A column of documents; `quantiles`: into how many groups of equal size its numbers are cut
    (0: its values as they are)."""

    column: str
    quantiles: int = 0


def grouping(by: str) -> Grouping:
    """What `[mix] by` asks for. Raises ValueError for a number of quantiles out of bounds.

    >>> grouping("license"), grouping("quality_decile")
    (Grouping(column='license', quantiles=0), Grouping(column='quality', quantiles=10))
    >>> grouping("extra.score_quantile:4")
    Grouping(column='extra.score', quantiles=4)
    """
    match = _QUANTILES.fullmatch("quality_quantile:10" if by == "quality_decile" else by)
    if match is None:
        if by.endswith("_quantile") or "_quantile:" in by:
            raise ValueError(
                f"by: a column and a number of quantiles expected, such as quality_quantile:10, "
                f"got {by[:80]!r}"
            )
        return Grouping(by)
    column, quantiles = match[1], int(match[2])
    if not 2 <= quantiles <= MOST_QUANTILES:
        raise ValueError(f"by: 2 to {MOST_QUANTILES:,} quantiles expected, got {quantiles:,}")
    return Grouping(column, quantiles)


def check_groups(by: str, by_weights: Mapping[str, Mapping[str, float]]) -> None:
    """Raise ValueError for a column or tables of weights that make no sense."""
    grouping(by)
    if by_weights and not by:
        raise ValueError(
            'by_weights: the column of these values expected in `by`, for instance "quality_decile"'
        )
    for dataset, weights in by_weights.items():
        if not any(weights.values()):
            raise ValueError(
                f"by_weights.{dataset[:80]}: a value with a weight above 0 expected, got none"
            )


def in_order(weights: Mapping[str, float]) -> list[tuple[str, float]]:
    """The keys of a table of weights with their weights: numbers ascending, then text.

    >>> in_order({"*": 1, "10": 3, "2+": 1, "2": 2, "": 0})
    [('2', 2), ('2+', 1), ('10', 3), ('', 0), ('*', 1)]
    """

    def place(key: str) -> tuple[bool, float, str]:
        number = _NUMBER.fullmatch(key.removesuffix("+"))
        return (number is None, float(number[0]) if number else 0.0, key)

    return sorted(weights.items(), key=lambda item: place(item[0]))


def chosen_keys(values: Iterable[str], keys: Iterable[str]) -> list[str | None]:
    """The key of a table of weights that covers each value; None where none does.

    >>> chosen_keys(["1", "7", "2000", "en", ""], ["1", "2+", "100+"])
    ['1', '2+', '100+', None, None]
    >>> chosen_keys(["en", ""], ["*", ""])
    ['*', '']
    """
    known = set(keys)
    from_numbers = sorted(
        (float(key[:-1]), key) for key in known if key[-1:] == "+" and _NUMBER.fullmatch(key[:-1])
    )
    bounds = [number for number, _ in from_numbers]
    rest = OTHERS if OTHERS in known else None

    def key_of(value: str) -> str | None:
        if value in known:
            return value
        if bounds and _NUMBER.fullmatch(value) and float(value) >= bounds[0]:
            return from_numbers[bisect.bisect_right(bounds, float(value)) - 1][1]
        return rest

    return [key_of(value) for value in values]
