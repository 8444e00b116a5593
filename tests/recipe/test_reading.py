from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.errors import InputError, RecipeError
from curation.recipe import reading as recipe

DATASET = {"name": "a", "files": ["x"]}
EXTRACT_ONLY: dict[str, Any] = {"stages": ["extract"], "dataset": [DATASET]}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"sed": 1}, "no key 'sed'; did you mean 'seed'?"),
        ({"seed": "1"}, "seed: int expected, got '1'"),
        ({"seed": True}, "seed: int expected"),
        ({"classify": {"alpa": 3}}, "classify: no key 'alpa'; did you mean 'alpha'?"),
        ({"classify": {"alpha": 0}}, "alpha: more than 0 expected, got 0"),
        ({"classify": {"scaling": "log_l2"}}, "did you mean 'log-l2'?"),
        ({"dedup": {"min_jaccard": 1.5}}, r"min_jaccard: a number in \(0, 1\]"),
        ({"dedup": {"bands": 0}}, "bands: at least 1"),
        ({"stages": ["extract", "dedupe"]}, "no stage 'dedupe'; did you mean 'dedup'?"),
        ({"dataset": []}, "at least one"),
        ({"dataset": [DATASET, DATASET]}, "two datasets are called 'a'"),
        ({"dataset": [{"name": "a"}]}, "give either `files`, `crawls`"),
        ({"dataset": [{"files": ["x"]}]}, "the key 'name' is missing"),
        ({"dataset": [{"name": "../a", "files": ["x"]}]}, "letters and digits"),
        ({"dataset": [{**DATASET, "role": "trust"}]}, "did you mean 'trusted'?"),
        ({"stages": ["extract", "decontaminate"]}, "decontaminate.benchmarks"),
        ({"stages": ["extract", "mix"]}, "mix.weights"),
        ({"stages": ["mix"], "mix": {"weights": {"b": 1}}}, "no dataset 'b'"),
        ({"mix": {"weights": {"a": -1}}}, r"weights\.a: at least 0"),
        ({"mix": {"shards": 0}}, "shards: at least 1"),
        ({"mix": 3}, "mix: a table expected"),
        ({"memory_gb": 0}, "memory_gb"),
    ],
)
def test_nonsense_is_refused_with_its_place_and_what_was_expected(
    table: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RecipeError, match=expected):
        recipe.parse({**EXTRACT_ONLY, **table}, "r.toml")


def test_overrides_and_paths_relative_to_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        'stages = ["extract"]\n[[dataset]]\nname = "a"\nfiles = ["x.jsonl", "/abs", "s3://b/k"]\n'
    )
    made = recipe.load(
        str(path), ["seed=7", "classify.scaling=tf", "mix.weights.a=2", 'extract.languages=["en"]']
    )
    assert made.dataset[0].files == (f"{tmp_path}/x.jsonl", "/abs", "s3://b/k")
    assert (made.seed, made.classify.scaling, made.mix.weights) == (7, "tf", {"a": 2.0})
    assert made.extract.languages == ("en",)
    with pytest.raises(RecipeError, match=r"table\.key=value expected"):
        recipe.load(str(path), ["seed"])


def test_a_recipe_survives_json(tmp_path: Path) -> None:
    table = {**EXTRACT_ONLY, "dedup": {"across": [["a", "a"]]}, "mix": {"weights": {"a": 1}}}
    made = recipe.parse(table)
    assert recipe.parse(recipe.as_dict(made)) == made


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("seed = = 1")
    with pytest.raises(RecipeError, match="not a TOML file"):
        recipe.load(str(tmp_path / "bad.toml"))
    with pytest.raises(InputError, match="no such file"):
        recipe.load(str(tmp_path / "none.toml"))
