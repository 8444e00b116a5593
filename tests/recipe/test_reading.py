from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path
from typing import Any

import orjson
import pytest

from curation.errors import RecipeError
from curation.recipe import reading as recipe
from curation.recipe.tables import Dataset, Recipe

DATASET = {"name": "a", "files": ["x"]}
EXTRACT_ONLY: dict[str, Any] = {"stages": ["extract"], "dataset": [DATASET]}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"sed": 1}, "no key 'sed'; did you mean 'seed'?"),
        ({"seed": "1"}, "seed: int expected, got '1'"),
        ({"seed": True}, "seed: int expected"),
        ({"classify": {"alpa": 3}}, "classify: no key 'alpa'; did you mean 'alpha'?"),
        ({"classify": {"alpha": 0}}, r"alpha: a number in \[0.01, 1,000\] expected, got 0"),
        ({"classify": {"scaling": "log_l2"}}, "did you mean 'log-l2'?"),
        ({"dedup": {"min_jaccard": 1.5}}, r"min_jaccard: a number in \(0, 1\]"),
        ({"dedup": {"bands": 0}}, r"bands: a number in \[1, 1,000,000,000\] expected, got 0"),
        ({"dedup": {"bands": 5000, "rows": 9}}, "bands: at most 10,000 hashes .*got 45,000"),
        ({"dedup": {"bands": "many"}}, "bands: int or one of 'auto' expected, got 'many'"),
        ({"stages": ["extract", "dedupe"]}, "no stage 'dedupe'; did you mean 'dedup'?"),
        (
            {"stages": ["dedup", "extract", "dedup"]},
            "stages: each once and in the order of the line expected, extract, dedup; got dedup, extract",
        ),
        ({"dataset": []}, "at least one"),
        ({"dataset": [DATASET, DATASET]}, "two datasets are called 'a'"),
        ({"dataset": [{"name": "a"}]}, "give either `files`, `crawls`"),
        ({"dataset": [{"files": ["x"]}]}, "the key 'name' is missing"),
        ({"dataset": [{"name": "../a", "files": ["x"]}]}, "letters and digits"),
        ({"dataset": [{**DATASET, "role": "trust"}]}, "did you mean 'trusted'?"),
        ({"stages": ["extract", "decontaminate"]}, "decontaminate.benchmarks"),
        ({"stages": ["extract", "mix"]}, "mix.weights"),
        ({"stages": ["mix"], "mix": {"weights": {"b": 1}}}, "no dataset 'b'"),
        ({"mix": {"weights": {"a": -1}}}, r"weights.a: a number in \[0, "),
        ({"mix": {"shards": 0}}, r"shards: a number in \[1, 100,000\]"),
        ({"mix": {"shards": 100_001}}, r"shards: a number in \[1, 100,000\]"),
        ({"dataset": [{"name": "a", "crawls": ["2019"]}]}, "crawls: a crawl such as .*got '2019'"),
        (
            {"dataset": [{"name": "a", "crawls": ["CC-1"], "archives": "0:x"}]},
            "archives: .* got '0:x'",
        ),
        ({"dataset": [{"name": "a", "files": ["http://h/"]}]}, "files: .*no file name"),
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
    for name, found in (("none.toml", "no such file"), ("", "a folder")):
        with pytest.raises(RecipeError, match=f"expected, found {found}; `curation init"):
            recipe.load(str(tmp_path / name))


# As TOML writes them.
ODD = {
    "400 digits": "9" * 400,
    "5,000 digits": "9" * 5000,
    "5,000 hexadecimal digits": "0x" + "f" * 5000,
    "2^64": str(2**64),
    "-2^63": str(-(2**63)),
    "nan": "nan",
    "-inf": "-inf",
    "1e308": "1e308",
    "5e-324": "5e-324",
    "deep": "[" * 3000 + "]" * 3000,
    "nested": "[" * 60 + "]" * 60,
    "NUL": r'"a\u0000b"',
    "long": '"' + "x" * 100_000 + '"',
    "controls": r'"\u001b[2Ja\u0007"',
    "empty": '""',
    "empty list": "[]",
    "list of empty": '[""]',
    "table": "{x = {y = 1}}",
    "date": "1979-05-27",
    "true": "true",
}


def keys_of(cls: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Every key of the recipe as `table.key`, with its field; those of [[dataset]] as `dataset.key`."""
    out = []
    for entry in dataclasses.fields(cls):
        hint = typing.get_type_hints(cls)[entry.name]
        if entry.name == "dataset":
            out += keys_of(Dataset, "dataset.")
        elif dataclasses.is_dataclass(hint):
            out += keys_of(hint, f"{entry.name}.")
        else:
            out.append((prefix + entry.name, entry))
    return out


KEYS = dict(keys_of(Recipe))


def refusal(path: Path, *overrides: str) -> str:
    """The sentence that refuses a recipe; empty where it is taken, and can be written to a plan."""
    try:
        assert orjson.dumps(recipe.as_dict(recipe.load(str(path), overrides)))
    except RecipeError as error:
        said = str(error)
    else:
        return ""
    assert said.isprintable()
    assert len(said) < 450
    return said


@pytest.mark.parametrize("key", KEYS)
def test_an_odd_value_of_any_key_is_taken_or_one_sentence_with_the_key(
    key: str, tmp_path: Path
) -> None:
    table, _, name = key.rpartition(".")
    for what, value in ODD.items():
        text = 'stages = ["extract"]\n' * (key != "stages") + "{}[[dataset]]\nfiles = 'x'\n"
        head = f"{name} = {value}\n"
        if table == "dataset":
            text = text.format("") + 'name = "a"\n' * (name != "name")
            text = text.replace(
                "files = 'x'\n", "" if name in ("files", "crawls") else "files='x'\n"
            )
            text += head
        else:
            text = text.format(f"[{table}]\n{head}" if table else head) + 'name = "a"\n'
        path = tmp_path / "r.toml"
        path.write_text(text)
        said = refusal(path)
        if said:
            assert name in said or "deep" in said or "not a TOML file" in said, (what, said)
        else:
            assert what not in ("NUL", "long", "deep", "5,000 digits", "date"), what


@pytest.mark.parametrize("value", [*ODD.values(), "a.b=1", "=", "."], ids=lambda text: text[:8])
def test_an_odd_override_is_taken_or_one_sentence(value: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('stages = ["extract"]\n[[dataset]]\nname="a"\nfiles="x"\n')
    for text in (f"seed={value}", f"{value}=1", f"mix.weights.{value[:9999]}=1", value):
        refusal(tmp_path / "r.toml", text)


def test_every_number_has_bounds_on_both_sides() -> None:
    """What makes sure that no value of a recipe overflows, takes all memory or never ends."""
    for key, entry in KEYS.items():
        if re.search(r"\b(int|float)\b", str(entry.type)):
            assert {"least", "above"} & set(entry.metadata), key
            assert {"most", "below"} & set(entry.metadata), key
