"""What an expression of a rule may be: hostile ones are refused in one sentence, useful ones work."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from curation.recipe import rules
from curation.recipe.rules import check, columns_of

SPANS = pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))
COLUMNS = {
    "words": pa.int64(),
    "mean_word_length": pa.float64(),
    "lorem_ipsum": pa.bool_(),
    "email": SPANS,
    "url": pa.string(),
    "host": pa.string(),
    "language": pa.string(),
    "language_score": pa.float32(),
    "date": pa.string(),
    "extra": pa.struct([("stars", pa.int64()), ("Topic Name", pa.string())]),
}
REFUSED = [
    # files, the network, the database and its settings
    ("words > (SELECT count(*) FROM read_csv('/etc/passwd'))", "a subquery"),
    ("url IN (SELECT content FROM read_text('/etc/passwd'))", "a subquery"),
    ("url = read_text('/etc/passwd')", "function 'read_text'"),
    ("words > 1 FROM 'secret.parquet'", "a single expression"),
    ("words > 1 FROM t", "a single expression"),
    ("COPY t TO '/tmp/x.csv'", "syntax error"),
    ("ATTACH '/tmp/x.db'", "no type 'ATTACH'"),
    ("words > 1; DROP TABLE t", "SELECT"),
    ("words > 1; SELECT 2", "a single expression"),
    ("words > 1;", "syntax error"),
    ("words > 1) FROM t; DROP TABLE t; SELECT (1", "syntax error"),
    ("words > 1) OR (words < 1", "syntax error"),
    ("words > 1) AS a, (words < 2", "syntax error"),
    ("words > 1 /*", "unterminated"),
    ("*/ words > 1 /*", "unterminated"),
    ("words > 1 UNION SELECT true", "single expression"),
    ("words > 1 LIMIT 1", "a single expression"),
    ("words > 1 ORDER BY words", "a single expression"),
    ("words > 1 GROUP BY words", "a single expression"),
    ("words > 1 WHERE url = 'a'", "a single expression"),
    ("words > 1, words > 2", "a single expression"),
    ("words > 1 AS name", "syntax error"),
    ("LOAD httpfs", "syntax error"),
    ("PRAGMA version", "syntax error"),
    ("getenv('HOME') = url", "function 'getenv'"),
    ("current_setting('threads')::INT < words", "function 'current_setting'"),
    ("nextval('s') < words", "function 'nextval'"),
    ("getvariable('x') = url", "function 'getvariable'"),
    ("json_serialize_sql(url) = 'a'", "function 'json_serialize_sql'"),
    # chance and clocks
    ("random() < 0.5 AND words > 1", "not the same at every run"),
    ("now() > '2020-01-01' AND words > 1", "not the same at every run"),
    ("current_date > date", "no column 'current_date'"),
    ("user = url", "no column 'user'"),
    ("uuid() = url", "not the same at every run"),
    ("words + ln(words) > 3", "last bits"),
    ("words ^ 0.5 > 3", "last bits"),
    ("pow(words, 2) > 3", "last bits"),
    # other rows
    ("sum(words) > 3", "more than one document"),
    ("count(*) > 3", "more than one document"),
    ("row_number() OVER () > words", "a window function"),
    ("avg(words) OVER (PARTITION BY host) > 3", "a window function"),
    ("EXISTS (SELECT 1)", "a subquery"),
    ("words > ANY (SELECT 1)", "a subquery"),
    ("unnest(email) IS NULL", "more than one document"),
    ("grouping(words) = 1", "grouping_function is not allowed"),
    ("rowid > 3", "no column 'rowid'"),
    # size
    ("repeat(url, 1000000000) = 'a'", "very long text"),
    ("len(range(1000000000)) > words", "very long text"),
    ("lpad(url, 1000000000, 'b') = 'a'", "very long text"),
    ("(" * 100_000 + "words > 1" + ")" * 100_000, "at most 4,000 characters"),
    ("(" * 1900 + "words > 1" + ")" * 1900, "nested too deep"),
    ("NOT " * 900 + "lorem_ipsum", "nested too deep"),
    ("NOT " * 80 + "lorem_ipsum", "at most 50 levels"),
    ("words" + " + 1" * 900 + " > 3", "nested too deep"),
    ("[" * 500, "syntax error"),
    # shapes
    ("words > 1\0 OR true", "control characters"),
    ("url = '\0'", "control characters"),
    ("url = '\udcff'", "control characters"),
    ("", "syntax error|SELECT clause"),
    ("words", "a Boolean expected, such as words < 50, got BIGINT"),
    ("'words < 50'", "reads a column"),
    ("true", "reads a column"),
    ("words > ?", "a parameter"),
    ("words > $1", "a parameter"),
    ("words > #1", "a column by its number"),
    ("*", "a star"),
    ("COLUMNS('w.*') > 3", "a star"),
    ("extra.* IS NULL", "a star"),
    ("url COLLATE de = 'a'", "a collation"),
    ("list_filter(email, lambda s: s.start > 1) = []", "list_filter|a lambda"),
    ("[s FOR s IN email] = []", "list_apply|a lambda"),
    ("url.upper() = 'A'", "without a dot"),
    ("main.upper(url) = 'A'", "without a dot"),
    ("url::JSON IS NULL", "no type"),
    ("url::TIMESTAMPTZ IS NULL", "no type"),
    ("words::no_such_type > 3", "no type 'no_such_type'"),
    # names and types
    ("wrods > 3", "no column 'wrods'; did you mean 'words'"),
    ("t.words > 3", "no column 't'"),
    ("extra.starz > 3", "extra has no field 'starz'; did you mean 'stars'"),
    ("words.stars > 3", "words is int64 and has no fields"),
    ("wrods(words) > 3", "function 'wrods' is not allowed"),
    ("url > 3", "Cannot compare"),
]
ALLOWED = [
    ("words < 50", {"words"}),
    ("WORDS < 50", {"words"}),
    ("words < 50 -- too few", {"words"}),
    ("words /* of the text */ < 50", {"words"}),
    ("words < 50 OR words > 100_000", {"words"}),
    ("NOT words BETWEEN 50 AND 100000", {"words"}),
    ("lorem_ipsum", {"lorem_ipsum"}),
    ("NOT lorem_ipsum", {"lorem_ipsum"}),
    ("mean_word_length NOT BETWEEN 3 AND 10", {"mean_word_length"}),
    ("language <> 'en' OR language_score < 0.65", {"language", "language_score"}),
    ("language IN ('en', 'de')", {"language"}),
    ("language IS NULL", {"language"}),
    ("language IS DISTINCT FROM 'en'", {"language"}),
    ("coalesce(language_score, 0) < 0.5", {"language_score"}),
    ("len(email) > 10", {"email"}),
    ("email[1].start = 0", {"email"}),
    ("extra.stars < 3", {"extra"}),
    ("extra['stars'] < 3", {"extra"}),
    ("extra.\"topic name\" = 'spam'", {"extra"}),
    ("url LIKE '%/wp-login%'", {"url"}),
    ("url ILIKE '%viagra%' AND host NOT LIKE '%.edu'", {"url", "host"}),
    ("regexp_matches(url, '(a+)+$')", {"url"}),
    ("host SIMILAR TO '.*[.]gov'", {"host"}),
    ("starts_with(url, 'http://')", {"url"}),
    ("length(url) > 2000", {"url"}),
    ("lower(host) = 'example.com'", {"host"}),
    ("split_part(host, '.', -1) = 'xyz'", {"host"}),
    ("host || '/' = url", {"host", "url"}),
    ("date < '2020-01-01'", {"date"}),
    ("year(TRY_CAST(date AS TIMESTAMP)) < 2015", {"date"}),
    ("EXTRACT(year FROM date::DATE) < 2015", {"date"}),
    ("CASE WHEN language = 'zh' THEN words < 20 ELSE words < 50 END", {"language", "words"}),
    ("if(language = 'zh', words < 20, words < 50)", {"language", "words"}),
    ("words / 2 > 3 AND words // 2 > 1 AND words % 7 = 0", {"words"}),
    ("sqrt(words) > 100", {"words"}),
    ("TRY(words * 9223372036854775807) IS NULL", {"words"}),
    ("(words, host) = (1, 'a')", {"words", "host"}),
    ("greatest(words, 1) > 3", {"words"}),
    ("url = 'it''s; DROP TABLE t'", {"url"}),
    ("url = '(' AND host = '/*'", {"url", "host"}),
    ("(" * 40 + "words > 1" + ")" * 40, {"words"}),
    (" AND ".join(f"words <> {n}" for n in range(200)), {"words"}),
]


@pytest.mark.parametrize(("expression", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^rule 'r': .*({reason})") as caught:
        check("r", expression, COLUMNS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("expression", "columns"), ALLOWED, ids=range(len(ALLOWED)))
def test_what_is_allowed(expression: str, columns: set[str]) -> None:
    assert check("r", expression, COLUMNS) == columns


def test_names_that_come_later_are_taken_and_the_form_is_checked_at_once() -> None:
    known: dict[str, pa.DataType | None] = {"words": pa.int64(), "extra": None}
    assert check("r", "extra.stars < words", known) == {"extra", "words"}
    assert check("r", "my_signal < Words", known, more_columns=True) == {"my_signal", "words"}
    assert columns_of("r", "my_signal < Words") == {"my_signal", "Words"}
    with pytest.raises(ValueError, match="no column 'my_signal'"):
        check("r", "my_signal < words", known)
    for bad in ("random() < my_signal", "my_signal <", "(SELECT my_signal)"):
        with pytest.raises(ValueError, match=r"^rule 'r': "):
            check("r", bad, known, more_columns=True)
    with pytest.raises(ValueError, match="a Boolean expected"):
        check("r", "words + 1", known, more_columns=True)


def test_columns_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(ValueError, match="columns Digits and digits differ only in case"):
        check("r", "digits > 3", {"Digits": pa.int64(), "digits": pa.int64()})


def test_every_allowed_function_is_pure_by_the_catalogue() -> None:
    """DuckDB's own list: none of them has a side effect, changes within a run, or is an aggregate."""
    from curation.store.query import _closed_database

    rows = (
        _closed_database()
        .cursor()
        .sql(
            "SELECT function_name, function_type, stability, has_side_effects FROM duckdb_functions()"
        )
    )
    kinds: dict[str, set[tuple[str, str | None, bool | None]]] = {}
    for function, *kind in rows.fetchall():
        kinds.setdefault(function, set()).add((kind[0], kind[1], kind[2]))
    # These are written as functions, and are parts of the grammar.
    missing = rules.FUNCTIONS - kinds.keys() - {"coalesce", "ifnull"}
    assert not missing
    pure = {("scalar", "CONSISTENT", False), ("macro", None, None)}
    assert {f: kinds[f] - pure for f in rules.FUNCTIONS if kinds.get(f, pure) - pure} == {}


def test_the_page_of_rules_lists_every_function() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)`", page.partition("## Functions")[2]))
    words = {function for function in rules.FUNCTIONS if function[0].isalpha()}
    assert listed - {"LIKE", "ILIKE", "GLOB", "IN", "BETWEEN", "AND", "OR", "NOT", "CASE"} == words
