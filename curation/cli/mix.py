"""`curation mix`: the weighted mixture of runs that have tokens, or the plan of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from curation.cli.console import console, print_json
from curation.cli.options import (
    config_options,
    json_option,
    out_or_plan_option,
    update_option,
    workers_option,
)
from curation.recipe.tables import MixConfig, Recipe


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="NAME=DIR...")
@click.option(
    "--weights", help="For instance a=60,b=40; any unit.  [default: by size: all is taken once]"
)
@config_options(MixConfig, "by")
@click.option(
    "--by-weights",
    multiple=True,
    metavar="NAME:...",
    help="Weights of values of --by in an input: NAME:VALUE=WEIGHT,VALUE=WEIGHT.  May be repeated.",
)
@config_options(MixConfig, "tokens", "max_epochs", "shards", "validation", "parquet")
@config_options(Recipe, "seed")
@click.option(
    "--plan",
    "plan_only",
    is_flag=True,
    help="Only show the plan; DIR alone shows that of a recipe's run.",
)
@out_or_plan_option
@workers_option
@update_option
@json_option
def mix(
    inputs: tuple[str, ...],
    weights: str | None,
    by_weights: tuple[str, ...],
    plan_only: bool,
    out: str | None,
    settings: dict[str, Any],
    **options: Any,
) -> None:
    """Token shards from run directories that have tokens, mixed by weight without replacement.

    \b
    Examples:
      curation mix web=RUN1 books=RUN2 --weights web=60,books=40 --out MIXED
      curation mix web=RUN1 books=RUN2 --weights web=60,books=40 --plan
      curation mix RUN --plan
      curation mix web=RUN1 books=RUN2 --out MIXED   (everything once)
      curation mix a=RUN1 --by extra.cluster_size --by-weights a:1=1,2+=2 --out M
    """
    from curation import store
    from curation.api.mixing import training_tokens
    from curation.cli.steps import absolute, recipe_tables, run_tables

    keys = settings["mix"]
    keys |= _given_weights(weights, by_weights)
    if plan_only and len(inputs) == 1 and "=" not in inputs[0]:
        return _show_run_plan(inputs[0], keys)
    folders = _pairs(inputs, "NAME=DIR")
    by_size = not weights
    if by_size:
        keys["weights"] = dict.fromkeys(folders, 1.0)
    if unmatched := folders.keys() ^ keys["weights"].keys():
        name = min(unmatched)
        problem = "no weight" if name in folders else "a weight, but no NAME=DIR"
        raise click.UsageError(f"{name!r} has {problem}; each needs both")
    for folder in folders.values():
        if not store.is_folder(store.join(folder, "tokens")):
            raise click.UsageError(
                f"{folder}: no tokens there; give a folder that `curation tokenize --out` or "
                "`curation run --out` wrote"
            )
    datasets = [
        {
            "name": name,
            "files": [absolute(folder.rstrip("/")) + "/tokens/*/*.parquet"],
            "format": "table",
        }
        for name, folder in folders.items()
    ]
    if by_size:
        once = {**settings, "mix": {**keys, "tokens": 0}}
        sizes = training_tokens(recipe_tables(once, ["mix"], datasets), "command line")
        keys["weights"] = {name: float(tokens) for name, tokens in sizes.items()}
        keys.setdefault("tokens", sum(sizes.values()))
    if plan_only:
        return _show_plan(recipe_tables(settings, ["mix"], datasets))
    if not out:
        raise click.UsageError("--out is needed (or --plan)")
    return run_tables(settings, ["mix"], datasets, out=out, export=False, **options)


def _show_plan(tables: dict[str, Any]) -> None:
    """The plan of a mixture that has not been made."""
    from curation.recipe import reading
    from curation.rundir import plan
    from curation.rundir.directory import RunDirectory

    recipe = reading.parse(tables, "command line")
    _print_plan(RunDirectory(".", recipe), plan.make(recipe, "."))


def _show_run_plan(run: str, keys: dict[str, Any]) -> None:
    """The plan of a run directory, with the keys of `mix` given on the command line."""
    import dataclasses

    from curation.rundir import plan
    from curation.rundir.directory import RunDirectory

    rundir, run_plan = plan.read(run)
    changed = dataclasses.replace(rundir.recipe.mix, **keys)
    stages = tuple(dict.fromkeys((*rundir.recipe.stages, "mix")))
    recipe = dataclasses.replace(rundir.recipe, mix=changed, stages=stages)
    _print_plan(RunDirectory(run, recipe), run_plan)


def _print_plan(rundir: Any, run_plan: Any) -> None:
    from curation.inspect.evidence.mixture import mixture_plan
    from curation.inspect.terminal.results import mixture_parts

    rows = mixture_plan(rundir, run_plan)
    if click.get_current_context().params["as_json"]:
        return print_json(rows)
    for part in mixture_parts(rundir, rows):
        console().print(part)
    return None


def _pairs(items: Iterable[str], form: str, nameless: bool = False) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not ((name or nameless) and equals and value):
            raise click.UsageError(f"{form} expected, got {item!r}")
        if name in pairs:
            raise click.UsageError(f"{name!r} is named twice; give each run a name of its own")
        pairs[name] = value
    return pairs


def _given_weights(weights: str | None, by_weights: tuple[str, ...]) -> dict[str, Any]:
    """The keys `weights` of `a=60,b=40`, and `by_weights` of `a:1=0.5,2=1` and the like."""
    keys: dict[str, Any] = {}
    if weights:
        pairs = _pairs(weights.split(","), "NAME=WEIGHT")
        keys["weights"] = {name: _weight(text) for name, text in pairs.items()}
    tables: dict[str, dict[str, float]] = {}
    for item in by_weights:
        name, colon, rest = item.partition(":")
        if not colon:
            raise click.UsageError(f"NAME:VALUE=WEIGHT,... expected, got {item!r}")
        pairs = _pairs(rest.split(","), "VALUE=WEIGHT", nameless=True)
        tables.setdefault(name.strip(), {}).update(
            {value: _weight(text) for value, text in pairs.items()}
        )
    return {**keys, "by_weights": tables} if tables else keys


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise click.UsageError(f"a weight is a number, got {text!r}") from error
