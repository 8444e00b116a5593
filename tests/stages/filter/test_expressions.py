"""Rules over the columns of a shard: aligned with its rows, equal for any batches, and one sentence where one fails."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import RecipeError
from curation.stages.filter.expressions import decide

RULES = [
    ("few", "words < 50"),
    ("stars", "extra.stars < 3"),
    ("host", "host LIKE '%spam%' OR length(host) > 20"),
    ("share", "words / symbols > 7"),
]


def documents(rows: int) -> pa.Table:
    numbers = range(rows)
    return pa.table(
        {
            "words": pa.array(
                [None if i % 11 == 0 else i * 7919 % 100 for i in numbers], pa.int64()
            ),
            "symbols": pa.array([i % 5 for i in numbers], pa.int64()),
            "host": [f"spam{i}" if i % 13 == 0 else f"h{i}" for i in numbers],
            "extra": pa.array(
                [None if i % 17 == 0 else {"stars": i % 6} for i in numbers],
                pa.struct([("stars", pa.int64())]),
            ),
            "text": ["never read"] * rows,
        }
    )


def expected(row: dict[str, object]) -> dict[str, bool | None]:
    """The rules in Python, by hand."""
    words, symbols, host, extra = (row[k] for k in ("words", "symbols", "host", "extra"))
    assert isinstance(host, str)
    assert isinstance(symbols, int)
    return {
        "few": None if words is None else words < 50,  # type: ignore[operator]
        "stars": None if extra is None else extra["stars"] < 3,  # type: ignore[index]
        "host": "spam" in host or len(host) > 20,
        "share": None if words is None or not symbols else words / symbols > 7,  # type: ignore[operator]
    }


def test_a_large_table_keeps_its_rows_in_order() -> None:
    table = documents(100_000)
    fires = decide(table, RULES)
    by_hand = [expected(row) for row in table.drop_columns(["text"]).to_pylist()]
    for name, _ in RULES:
        assert fires[name].to_pylist() == [row[name] for row in by_hand]


@given(st.lists(st.integers(1, 400), max_size=6))
def test_batches_do_not_matter(cuts: list[int]) -> None:
    table = documents(900)
    edges = sorted({0, 900, *cuts})
    pieces = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    whole = decide(table, RULES)
    chunked = decide(pa.concat_tables(pieces), RULES)
    apart = [decide(piece.combine_chunks().to_batches()[0], RULES) for piece in pieces]
    for name, _ in RULES:
        assert chunked[name].equals(whole[name])
        assert pa.concat_arrays([d[name] for d in apart]).equals(whole[name])


def test_no_rows_and_no_rules() -> None:
    assert decide(documents(0), RULES)["few"].to_pylist() == []
    assert decide(documents(3), []) == {}


def test_a_rule_is_null_where_it_has_no_value() -> None:
    table = pa.table({"a": pa.array([1, 5, None, 0], pa.int64())})
    fires = decide(table, [("small", "a < 3"), ("share", "10 // a > 1")])
    assert fires["small"].to_pylist() == [True, False, None, True]
    assert fires["share"].to_pylist() == [True, True, None, None]


@pytest.mark.parametrize(
    ("expression", "row", "cause"),
    [
        ("CAST(host AS INT) > 3", 7, "Could not convert string 'x'"),
        ("words * 9223372036854775807 > 0", 9, "Overflow in multiplication"),
        ("sqrt(words) > 3", 3, "square root of a negative"),
        ("regexp_matches(host, host)", 5, r"missing \)"),
    ],
)
def test_one_that_fails_says_its_rule_and_the_first_row(
    expression: str, row: int, cause: str
) -> None:
    words = [1, 1, 1, -1, 0, 0, 0, 0, 0, 2] + [3] * 5000
    hosts = ["1"] * 5 + ["(" if "regexp" in expression else "2", "3", "x"] + ["y"] * 5002
    table = pa.table({"words": words, "host": hosts})
    with pytest.raises(
        RecipeError, match=rf"^rule 'r' fails on row {row}: .*{cause}.*TRY"
    ) as caught:
        decide(table, [("fine", "words > 5"), ("r", expression)])
    assert "\n" not in str(caught.value)


def test_nothing_outside_is_reached_even_by_the_connection() -> None:
    """The settings behind the list of functions: a second wall."""
    import duckdb

    from curation.store.query import _closed_database

    for query in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/curation-should-not-be'",
        "ATTACH '/tmp/curation-should-not-be.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET threads = 8",
        "SELECT * FROM 'https://example.com/a.parquet'",
    ):
        with pytest.raises(duckdb.Error):
            _closed_database().cursor().execute(query).fetchall()


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"date": ["2020-01-01T00:30:00Z", "2020-06-01T00:30:00Z"]})
    monkeypatch.setenv("TZ", "America/New_York")
    fires = decide(table, [("r", "hour(CAST(date AS TIMESTAMP)) = 0")])
    assert fires["r"].to_pylist() == [True, True]


def test_one_that_does_not_fit_the_columns_is_one_sentence() -> None:
    with pytest.raises(RecipeError, match=r"^rule 'r': no column 'wrods'; did you mean 'words'\?$"):
        decide(documents(3), [("r", "wrods < 3")])


def test_every_reason_is_kept_where_names_and_columns_have_odd_letters() -> None:
    table = pa.table({"a b": [1, 2], 'q"t': [3, 4], "v0": [5, 6]})
    rules = [("it's", '"a b" = 1'), ('say "no"', '"q""t" = 4 AND v0 = 6')]
    fires = decide(table, rules)
    assert [row.to_pylist() for row in fires.values()] == [[True, False], [False, True]]
    assert list(fires) == [name for name, _ in rules]
