from __future__ import annotations

from typing import Any

import pytest

from curation.errors import RecipeError
from curation.recipe import reading
from curation.recipe.groups import chosen_keys

DATASET = {"name": "web", "role": "crawl", "files": ["any.jsonl"]}


def parsed(**mix: Any) -> Any:
    stages = ["extract", "classify", "tokenize", "mix"]
    return reading.parse(
        {"dataset": [DATASET], "stages": stages, "mix": {"weights": {"web": 1}, **mix}}
    )


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"by": "date"}, r"mix\.by_weights: weights of the values of 'date' expected"),
        ({"by_weights": {"web": {"a": 1}}}, "the column of these values expected in `by`"),
        ({"by": "date", "by_weights": {"web": {}}}, "a value with a weight above 0 expected"),
        ({"by": "date", "by_weights": {"web": {"a": 0}}}, "a value with a weight above 0"),
        ({"by": "date", "by_weights": {"web": {"a": -1}}}, r"by_weights\.web\.a: a number in \[0"),
        ({"by": "date", "by_weights": {"wob": {"a": 1}}}, "no dataset 'wob'; did you mean 'web'"),
        ({"by": "date", "by_weights": {"a": 1}}, r"mix: by_weights\.a: a table expected"),
        ({"by": "quality_quantile:1"}, "2 to 1,000 quantiles expected, got 1"),
        ({"by": "quality_quantile:1001"}, "2 to 1,000 quantiles"),
        ({"by": "quality_quantile"}, "a column and a number of quantiles expected"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(mix: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parsed(**mix)


def test_a_recipe_reads_back_as_it_is_stored() -> None:
    made = parsed(by="quality_decile", by_weights={"web": {"": 1, "10": 2, "1+": 0.5}})
    assert made.mix.by_weights == {"web": {"": 1.0, "10": 2.0, "1+": 0.5}}
    assert reading.parse(reading.as_dict(made)) == made


def test_an_exact_key_comes_before_a_bound_and_a_bound_before_the_rest() -> None:
    keys = ["*", "5", "1+", "1e3+", "C++", "x+", "-2.5+"]
    values = [
        "5",
        "5.0",
        "999",
        "1000",
        "-3",
        "-2.5",
        "0",
        "C++",
        "C+",
        "x+",
        "",
        "1_0",
        "nan",
        "٣",
    ]
    assert chosen_keys(values, keys) == [
        *("5", "1+", "1+", "1e3+", "*", "-2.5+", "-2.5+", "C++", "*", "x+", "*", "*", "*", "*")
    ]
    assert chosen_keys(["0", "a"], ["1+"]) == [None, None]
