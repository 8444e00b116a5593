"""What the rules say of the documents of a shard.

Each rule is an SQL expression (`curation/recipe/rules.py` says which); DuckDB evaluates all of them
in one pass over the shard's columns. A rule fires where it is true. Where it is null it does not, and
is undecided: a signal is missing, or a division by zero.

Cost: some milliseconds a rule for 100,000 documents. Memory: the columns that rules read, no text.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curation.errors import RecipeError
from curation.recipe.rules import check
from curation.shown import brief


def decide(
    table: pa.Table | pa.RecordBatch, rules: Sequence[tuple[str, str]]
) -> dict[str, pa.BooleanArray]:
    """What each rule, a (name, expression), says of each row of a table: bool[n] by the rule's name,
    null where it is undecided.

    Raises RecipeError for a rule that does not fit the columns, or fails on a row: it names the row.

    >>> documents = pa.table({"words": [10, 80, None], "lines": [1, 2, 3]})
    >>> decide(documents, [("few_words", "words < 50")])["few_words"].to_pylist()
    [True, False, None]
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
    if not rules:
        return {}
    values = _values(table.select([name for name in table.schema.names if name in used]), rules)
    arrays = [values.column(place).combine_chunks() for place in range(len(rules))]
    return {name: array for (name, _), array in zip(rules, arrays, strict=True)}


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
