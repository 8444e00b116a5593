"""What a dataset selects of its crawls by the columnar index, and which parts of the index can hold
it.

The expression is checked as rules are (`rules.check`). From its comparisons of a column with
constants follow bounds: a row group, or a whole partition, whose smallest and largest values lie
outside them has no row to select, and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.recipe import rules
from curation.shown import brief

if TYPE_CHECKING:
    import pyarrow as pa

# Column of the index that a table of annotations is joined to, by its own column of this name.
JOINED = {"url": "url", "host": "url_host_name", "domain": "url_host_registered_domain"}
Value = str | int
_LEAST = {"COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO"}
_MOST = {"COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO"}


@dataclass(frozen=True, slots=True)
class Bound:
    """Rows to select have a value of `column` in [least, most], None being no bound, or, where
    there are any, one of `values`."""

    column: str
    least: Value | None = None
    most: Value | None = None
    values: tuple[Value, ...] = ()

    def may_hold(self, smallest: Value, largest: Value) -> bool:
        """Whether rows between these two, inclusive, may have such a value.

        >>> Bound("status", 200, 299).may_hold(300, 404), Bound("tld", values=("at",)).may_hold("a", "b")
        (False, True)
        """
        bounds = [b for b in (self.least, self.most, *self.values) if b is not None]
        if any(type(bound) is not type(value) for bound in bounds for value in (smallest, largest)):
            return True  # DuckDB converts one of them: nothing is known
        if self.values:
            return any(smallest <= value <= largest for value in self.values)  # type: ignore[operator]
        under = self.least is None or largest >= self.least  # type: ignore[operator]
        return under and (self.most is None or smallest <= self.most)  # type: ignore[operator]


def checked(
    dataset: str, expression: str, columns: Mapping[str, pa.DataType], where: str
) -> frozenset[str]:
    """The columns of the index and of annotations that an expression reads. Raises ValueError with
    the dataset and the place of the index where it does not fit them."""
    if not expression:
        return frozenset()
    kind = f"dataset {brief(dataset)}, {where}:"
    return rules.check("select", expression, columns, kind=kind)


def bounds(expression: str) -> list[Bound]:
    """What the comparisons that must all be true say of single columns.

    >>> bounds("status between 200 and 299 and (a = 1 or b = 2) and tld in ('at', 'de')")
    [Bound(column='status', least=200, most=299, values=()), Bound(column='tld', least=None, most=None, values=('at', 'de'))]
    """
    return list(_bounds(rules.tree(expression))) if expression else []


def _bounds(node: Mapping[str, Any]) -> Iterator[Bound]:
    kind = node["type"]
    if kind == "CONJUNCTION_AND":
        for child in node["children"]:
            yield from _bounds(child)
    elif kind == "COMPARE_IN":
        column, *rest = node["children"]
        yield from _bound(column, [_value(one) for one in rest])
    elif node["class"] == "BETWEEN":
        low, high = _value(node["lower"]), _value(node["upper"])
        if (name := _column(node["input"])) and None not in (low, high):
            yield Bound(name, low, high)
    elif node["class"] == "COMPARISON":
        yield from _comparison(kind, node["left"], node["right"])


def _comparison(kind: str, left: Any, right: Any) -> Iterator[Bound]:
    swapped = _column(left) is None
    column, value = (right, _value(left)) if swapped else (left, _value(right))
    name = _column(column)
    if name is None or value is None:
        return
    if kind == "COMPARE_EQUAL":
        yield Bound(name, values=(value,))
    elif kind in _LEAST | _MOST:
        is_least = (kind in _LEAST) != swapped
        yield Bound(name, value if is_least else None, None if is_least else value)


def _bound(column: Any, values: list[Value | None]) -> Iterator[Bound]:
    known = tuple(value for value in values if value is not None)
    if (name := _column(column)) and known and len(known) == len(values):
        yield Bound(name, values=known)


def _column(node: Mapping[str, Any]) -> str | None:
    is_plain = node["class"] == "COLUMN_REF" and len(node["column_names"]) == 1
    return str(node["column_names"][0]).lower() if is_plain else None


def _value(node: Mapping[str, Any]) -> Value | None:
    """A constant text or whole number; None for all else."""
    literal = node.get("literal") or {}
    if node["class"] != "CONSTANT" or literal.get("kind") not in ("STRING", "INTEGER"):
        return None
    return str(literal["text"]) if literal["kind"] == "STRING" else int(literal["text"])
