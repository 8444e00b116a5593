"""Rates measured on a sample, and the command over them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_corpus import corpus, tiny_recipe

from curation.cli import main
from curation.costs import calibrate, estimate, inputs, processor, rates
from curation.errors import InputError
from curation.recipe import reading
from curation.recipe.tables import Recipe


def measured(recipe: Recipe, folder: Path) -> tuple[rates.Rates, estimate.RunPlan]:
    """The rates of a recipe, and what they say of a run of it."""
    found = inputs.read(recipe, {}, str(folder / "lists"), lambda line: None)
    made = calibrate.calibrate(
        recipe, found, rates.load(), str(folder / "work"), 2.0, lambda line: None
    )
    assert not made.is_rough
    assert set(made.extract) == set(recipe.names())
    assert all(rate.core_s > 0 for rate in made.extract.values())
    plan = estimate.plan(recipe, found, made, estimate.Cluster(1, 1, 1000.0), rates.prices())
    assert plan.core_s > 0
    return made, plan


def test_a_corpus_is_measured_as_it_is(tmp_path: Path) -> None:
    corpus(tmp_path)
    stages = ("extract", "dedup", "tokenize")
    made, plan = measured(dataclasses.replace(tiny_recipe(tmp_path), stages=stages), tmp_path)
    assert 0.9 < made.stages["dedup"].kept < 1
    assert made.chars_per_token == pytest.approx(3.2, abs=0.1)
    assert sum(one.documents for one in plan.datasets) == pytest.approx(44, rel=0.1)
    assert processor.core_s() > 0
    assert processor.peak_mb() > 10


@pytest.mark.slow  # every stage, and pages; the same law as above
def test_the_demo_corpus_is_measured_as_it_is(sample_folder: Path, tmp_path: Path) -> None:
    made, plan = measured(reading.load(str(sample_folder / "recipe.toml")), tmp_path)
    # the funnel of the README: 221 of 1,448 documents stay, and so on
    assert 0 < made.stages["classify"].kept < 1
    assert 0.9 < made.stages["dedup"].kept < 1
    assert made.chars_per_token == pytest.approx(4.1, abs=0.4)
    assert sum(one.documents for one in plan.datasets) == pytest.approx(1448, rel=0.2)


def test_what_is_not_here_cannot_be_sampled(tmp_path: Path) -> None:
    dataset = {"name": "web", "role": "crawl", "crawls": ["CC-MAIN-2024-10"]}
    recipe = reading.parse({"dataset": [dataset], "stages": ["download", "extract"]})
    found = inputs.read(recipe, {"web": (10, 1.0)}, str(tmp_path), lambda line: None)
    with pytest.raises(InputError, match="name them in `files`"):
        calibrate.calibrate(recipe, found, rates.load(), str(tmp_path / "w"), 5.0, lambda s: None)


def test_the_command_says_the_same_as_json_and_marks_rough_rates(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(
        'stages = ["download", "extract"]\n[[dataset]]\nname = "web"\nrole = "crawl"\n'
        'crawls = ["CC-MAIN-2024-10"]\nkind = "warc"\n'
    )
    words = ["plan", str(tmp_path / "recipe.toml"), "--machines", "100", "--cores", "16"]
    words += ["--size", "web=90000x1000"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "90,000" in shown.output
    assert "Rough" in shown.output
    result = CliRunner().invoke(main, [*words, "--json"])
    plan = json.loads(result.stdout)
    assert plan["plan"]["is_rough"] is True
    assert plan["plan"]["datasets"][0]["input"]["bytes"] == 90_000 * 10**9
    assert plan["core_hours"] > 1000
