"""What the rules say of the documents of a shard.

Each rule is an SQL expression (`curation/recipe/rules.py` says which); DuckDB evaluates all of them
in one pass over the shard's columns. A rule fires where it is true. Where it is null it does not, and
is undecided: a signal is missing, or a division by zero.

Cost: some milliseconds a rule for 100,000 documents. Memory: the columns that rules read, no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import RecipeError
from curation.recipe.rules import check
from curation.shown import brief


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Documents of a shard on which a rule fires, on which no other does, and those undecided."""

    fired: int
    only: int
    undecided: int


@dataclass(frozen=True, slots=True)
class Decision:
    """`fires`: for each rule, in order, bool[n] with null where it is undecided."""

    fires: Mapping[str, pa.BooleanArray]
    rows: int

    def reason(self) -> pa.StringArray:
        """The name of the first rule that fires, string[n]; null where none does."""
        first = pa.nulls(self.rows, pa.string())
        for name, fires in reversed(list(self.fires.items())):
            first = pc.if_else(pc.fill_null(fires, False), pa.scalar(name, pa.string()), first)
        return first

    def counts(self) -> dict[str, RuleCount]:
        """What each rule would remove alone, what none but it removes, and what it cannot decide."""
        fired = {name: pc.fill_null(fires, False) for name, fires in self.fires.items()}
        together = pa.array([0] * self.rows, pa.int64())
        for fires in fired.values():
            together = pc.add(together, fires.cast(pa.int64()))
        single = pc.equal(together, 1)
        return {
            name: RuleCount(
                pc.sum(fires).as_py() or 0,
                pc.sum(pc.and_(fires, single)).as_py() or 0,
                self.fires[name].null_count,
            )
            for name, fires in fired.items()
        }


def decide(table: pa.Table | pa.RecordBatch, rules: Sequence[tuple[str, str]]) -> Decision:
    """What each rule, a (name, expression), says of each row of a table.

    Raises RecipeError for a rule that does not fit the columns, or fails on a row: it names the row.

    >>> documents = pa.table({"words": [10, 80, None], "lines": [1, 2, 3]})
    >>> decide(documents, [("few_words", "words < 50"), ("one_line", "lines = 1")]).reason().to_pylist()
    ['few_words', None, None]
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    columns = {field.name: field.type for field in table.schema}
    used: set[str] = set()
    for name, expression in rules:
        try:
            used |= check(name, expression, columns)
        except ValueError as error:
            raise RecipeError(str(error)) from error
    rows = table.select([name for name in table.schema.names if name in used])
    if not rules:
        return Decision({}, table.num_rows)
    values = _values(rows, rules)
    arrays = [values.column(place).combine_chunks() for place in range(len(rules))]
    fires = {name: array for (name, _), array in zip(rules, arrays, strict=True)}
    return Decision(fires, table.num_rows)


def _values(rows: pa.Table, rules: Sequence[tuple[str, str]]) -> pa.Table:
    """The values of the rules, a column each. Raises RecipeError with the rule and the row."""
    from curation.store.query import expression_values

    try:
        return expression_values([expression for _, expression in rules], rows)
    except ValueError:
        for name, expression in rules:
            _raise_where_it_fails(rows, name, expression)
        raise


def _raise_where_it_fails(rows: pa.Table, name: str, expression: str) -> None:
    """Raise RecipeError with the first row on which a rule fails; return where it fails on none."""
    from curation.store.query import expression_values

    def failure(count: int) -> ValueError | None:
        try:
            expression_values([expression], rows.slice(0, count))
        except ValueError as error:
            return error
        return None

    cause = failure(rows.num_rows)
    if cause is None:
        return
    good, bad = 0, rows.num_rows
    while bad - good > 1:
        middle = (good + bad) // 2
        error = failure(middle)
        good, bad, cause = (good, middle, error) if error else (middle, bad, cause)
    raise RecipeError(
        f"rule {brief(name)} fails on row {bad - 1:,}: {cause}; TRY_CAST(... AS ...) or TRY(...) "
        "give null instead, which does not fire"
    ) from cause
