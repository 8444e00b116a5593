"""The recipes that ship with the package, and the page that documents every key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from curation.recipe import reading as recipe
from curation.recipe.line import DEFAULT, STAGES
from curation.recipe.tables import Dataset, Recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "curation" / "recipes").glob("*.toml"))
PAGE = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_loads(path: Path) -> None:
    made = recipe.load(str(path))
    assert any(d.role == "crawl" for d in made.dataset)
    assert set(made.mix.weights) <= set(made.names())
    assert recipe.parse(recipe.as_dict(made)) == made


def test_gpt3_is_the_paper() -> None:
    made = recipe.load(str(ROOT / "curation/recipes/gpt3.toml"))
    assert made.classify.alpha == 9.0
    assert made.classify.scaling == "tf"
    assert made.dedup.bands * made.dedup.rows == 10
    assert made.dedup.features == "unigram"
    rule = made.decontaminate
    assert (rule.gram_words, rule.margin_chars, rule.min_piece_chars) == (13, 200, 200)
    assert (rule.max_pieces, rule.max_documents) == (10, 10)
    assert made.mix.weights == {
        "commoncrawl": 60,
        "webtext2": 22,
        "books1": 8,
        "books2": 8,
        "wikipedia": 3,
    }
    assert made.mix.tokens == 300_000_000_000
    assert made.stages == DEFAULT == tuple(s for s in STAGES if s != "filter")


def test_gpt3_names_41_monthly_crawls_of_2016_to_2019() -> None:
    made = recipe.load(str(ROOT / "curation/recipes/gpt3.toml"))
    crawls = made.dataset[made.place("commoncrawl")].crawls
    assert len(set(crawls)) == len(crawls) == 41
    assert list(crawls) == sorted(crawls)
    weeks = [re.fullmatch(r"CC-MAIN-(201[6-9])-(\d\d)", crawl) for crawl in crawls]
    assert all(week and 1 <= int(week[2]) <= 52 for week in weeks)
    assert {week[1] for week in weeks if week} == {"2016", "2017", "2018", "2019"}


def test_the_sample_recipe_names_what_the_sample_has(tmp_path: Path) -> None:
    from curation import store
    from curation.demo.build import build_demo

    build_demo(tmp_path)
    (tmp_path / "recipe.toml").write_bytes((ROOT / "curation/recipes/demo.toml").read_bytes())
    made = recipe.load(str(tmp_path / "recipe.toml"))
    for pattern in [*(p for d in made.dataset for p in d.files), *made.decontaminate.benchmarks]:
        assert store.find(pattern)


def toml(value: Any) -> str:
    """A default as TOML writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def defaults(cls: Any) -> dict[str, str]:
    """Every key of a config class with its default; nested tables and lists of tables left out."""
    out = {}
    for field in dataclasses.fields(cls):
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
            if not dataclasses.is_dataclass(value):
                out[field.name] = toml(value)
        elif field.name != "dataset":
            out[field.name] = (
                "required" if field.default is dataclasses.MISSING else toml(field.default)
            )
    return out


def documented(heading: str) -> dict[str, str]:
    """Key -> default, from the table under a heading of the page."""
    section = re.split(r"^## ", PAGE, flags=re.M)
    body = next(s for s in section if s.startswith(heading + "\n")).partition("\n### ")[0]
    rows = re.findall(r"^\| `([A-Za-z_]+)` \| .+ \| (.+?) \|$", body, re.M)
    return {key: default.strip("`") for key, default in rows}


TABLES = {"Top of the file": Recipe, "[[dataset]]": Dataset} | {
    f"[{stage}]": Recipe.__dataclass_fields__[stage].default_factory for stage in STAGES
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_lists_every_key_with_its_default(heading: str) -> None:
    assert documented(heading) == defaults(TABLES[heading])


def test_the_page_lists_no_other_tables() -> None:
    assert set(re.findall(r"^## (.+)$", PAGE, re.M)) == set(TABLES)
