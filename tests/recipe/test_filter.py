"""The table [filter], and the sets of rules that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.errors import RecipeError
from curation.recipe import reading
from curation.recipe.filter import FilterConfig, rule_set_names
from curation.recipe.rules import check
from curation.stages.filter.measure import columns_before, measurement

DATASET = {"name": "web", "role": "crawl", "files": ["x.jsonl"]}


def _filter(table: dict[str, Any], folder: str = "") -> FilterConfig:
    tables = {"dataset": [DATASET], "stages": ["extract", "filter"], "filter": table}
    return reading.parse(tables, "r.toml", folder).filter


def test_the_sets_that_ship() -> None:
    assert rule_set_names() == ["c4", "cs336", "fineweb", "gopher"]


@pytest.mark.parametrize("name", rule_set_names())
def test_every_rule_that_ships_reads_signals_that_there_are(name: str) -> None:
    config = _filter({"rules": name})
    columns = columns_before(config, measurement(config))
    for rule in config.rule:
        assert check(rule.name, rule.drop, columns)
    assert set(config.mask) <= set(columns)


def test_sets_become_the_recipes_own_rules_in_order(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('[[rule]]\nname = "short"\ndrop = "chars < 9"\n')
    config = _filter(
        {
            "rules": ["gopher", "ours.toml"],
            "rule": [
                {"name": "gopher_few_words", "drop": "words < 20"},
                {"name": "gopher_many_words", "drop": ""},
                {"name": "own", "drop": "lower(url) like '%.pdf'"},
            ],
        },
        str(tmp_path),
    )
    gopher = _filter({"rules": "gopher"}).reasons()
    kept = [name for name in gopher if name != "gopher_many_words"]
    assert list(config.reasons()) == [*kept, "short", "own"]
    assert config.rules == ()
    assert {r.name: r.drop for r in config.rule}["gopher_few_words"] == "words < 20"


def test_a_recipe_with_its_sets_taken_in_reads_back_as_itself() -> None:
    tables = {"dataset": [DATASET], "stages": ["extract", "filter"], "filter": {"rules": "fineweb"}}
    recipe = reading.parse(tables)
    assert reading.parse(reading.as_dict(recipe)) == recipe


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rules": "finweb"}, "did you mean 'fineweb'?"),
        ({"rules": "nowhere.toml"}, "nowhere.toml: no file of rules"),
        ({"rule": [{"name": "Few Words", "drop": "true"}]}, "a lower case letter"),
        ({"rule": [{"name": "kept", "drop": "true"}]}, "'kept'"),
        ({"rule": [{"name": "low_quality", "drop": "true"}]}, "'low_quality'"),
        ({"rule": [{"name": "a", "dropp": "true"}]}, "did you mean 'drop'?"),
        ({"mask": {"email": "a\nb"}}, "mask.email"),
        ({"signals": ["a b:c"]}, "signals"),
        ({"rule": [{"name": "a", "drop": "true"}] * 2}, "two rules are called 'a'"),
        ({"rule": [{"name": "a", "drop": ""}]}, "filter.rule a: an expression expected"),
        (
            {"rules": "gopher", "rule": [{"name": "gopher_few_wrds", "drop": ""}]},
            "did you mean 'gopher_few_words'?",
        ),
    ],
)
def test_what_is_no_table_of_rules_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _filter(table)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_of_rules_has_rules_only(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text("max_removed = 0.5\n")
    with pytest.raises(RecipeError, match="only signals, mask and"):
        _filter({"rules": "ours.toml"}, str(tmp_path))
    (tmp_path / "ours.toml").write_text("= 3")
    with pytest.raises(RecipeError, match="not a TOML file"):
        _filter({"rules": "ours.toml"}, str(tmp_path))


def test_changes_name_the_rules_that_differ() -> None:
    old = {"filter": {"mask": {}, "rule": [{"name": "a", "drop": "words < 5"}]}}
    new = {
        "filter": {
            "mask": {"c4_lines": ""},
            "rule": [{"name": "b", "drop": "words > 9"}, {"name": "a", "drop": "words < 6"}],
        }
    }
    assert reading.changes(old, new) == [
        'filter.mask.c4_lines: nothing -> ""',
        "filter.rule a: words < 5 -> words < 6",
        "filter.rule b: nothing -> words > 9",
    ]


def test_rules_on_lists_are_taken_where_lists_are_given() -> None:
    without, given = (
        _filter({"rules": "fineweb"}),
        _filter({"rules": "fineweb", "block_lists": "x"}),
    )
    assert not [name for name in without.reasons() if name.startswith("blocked")]
    assert [name for name in given.reasons() if name.startswith("blocked")] == [
        "blocked_domain",
        "blocked_url",
    ]
