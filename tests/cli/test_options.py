"""Options made from the keys of the recipe, and the width of what is printed."""

from __future__ import annotations

import ast

import click
import pytest
from click.testing import CliRunner

from curation.cli.console import PIPE_COLUMNS, console
from curation.cli.options import config_options
from curation.recipe.tables import ClassifyConfig, DedupConfig, ExtractConfig, MixConfig, Recipe


@click.command()
@config_options(DedupConfig, "features", "bands", "min_jaccard")
@config_options(ExtractConfig, "comments", "languages")
@config_options(MixConfig, "validation")
@config_options(Recipe, "seed")
def command(settings: dict[str, object]) -> None:
    click.echo(repr(settings))


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, result.output


def test_only_what_stands_on_the_command_line_becomes_a_setting() -> None:
    assert ast.literal_eval(call()[1]) == {"dedup": {}, "extract": {}, "mix": {}}
    code, text = call("--bands", "auto", "--languages", "en", "--languages", "de", "--comments")
    assert code == 0
    assert ast.literal_eval(text) == {
        "dedup": {"bands": "auto"},
        "extract": {"languages": ("en", "de"), "comments": True},
        "mix": {},
    }
    assert ast.literal_eval(call("--seed", "3", "--bands", "7")[1]) == {
        "seed": 3,
        "dedup": {"bands": 7},
        "extract": {},
        "mix": {},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("--min-jaccard", "0"),
        ("--min-jaccard", "1.1"),
        ("--bands", "0"),
        ("--bands", "many"),
        ("--features", "words"),
        ("--validation", "1"),
    ],
)
def test_values_outside_a_keys_bounds_are_a_usage_error(arguments: tuple[str, ...]) -> None:
    assert call(*arguments)[0] == 2


def test_the_help_has_the_keys_sentence_and_default() -> None:
    text = " ".join(call("--help")[1].split())
    help_of = {f.name: f.metadata["help"] for f in DedupConfig.__dataclass_fields__.values()}
    assert help_of["min_jaccard"] in text
    assert "[default: 0.8; 0<x<=1]" in text
    assert "NUMBER|auto" in text
    assert "rows for --min-jaccard" in text


def test_a_pipe_gets_long_lines_and_columns_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console().width == PIPE_COLUMNS
    monkeypatch.setenv("COLUMNS", "80")
    assert console().width == 80


def test_an_option_of_every_kind_of_key_can_be_made() -> None:
    """None of the keys that commands name has a type that no option can have."""
    for config in (ClassifyConfig, DedupConfig):
        keys = [k for k in config.__dataclass_fields__ if k not in ("across", "weights")]
        assert callable(config_options(config, *keys)(lambda **_: None))
