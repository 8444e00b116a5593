"""`curation filter`: rules on measured signals, on a user's own files."""

from __future__ import annotations

import os
from typing import Any

import click

from curation.cli.options import column_options, config_options, row_options
from curation.cli.steps import Tables, absolute, dataset_table, inputs_argument, run_tables
from curation.errors import RecipeError
from curation.recipe.filter import LISTS
from curation.recipe.own import is_own, resolve_own
from curation.recipe.tables import FilterConfig


def _two_values(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Refuse another option as the second of two values: it is missing."""
    options = {name for parameter in context.command.params for name in parameter.opts}
    for first, second in pairs:
        if second in options:
            one, other = (option.metavar or "").split()
            raise click.UsageError(
                f"{option.opts[0]} takes {one} and {other}, got {first!r} alone before {second}; "
                'give both, "" for an empty text'
            )
    return pairs


@click.command("filter")
@inputs_argument
@config_options(FilterConfig, "rules", "signals")
@click.option(
    "--drop",
    "drops",
    nargs=2,
    multiple=True,
    metavar="NAME EXPRESSION",
    callback=_two_values,
    help="A rule: documents of which EXPRESSION is true are removed as NAME.  May be repeated.",
)
@click.option(
    "--mask",
    "masks",
    nargs=2,
    multiple=True,
    metavar="SIGNAL TEXT",
    callback=_two_values,
    help="What stands in the text for the spans of SIGNAL.  May be repeated.",
)
@config_options(FilterConfig, *LISTS, "max_removed", "alarm")
@column_options()
@row_options
def filter_(
    inputs: tuple[str, ...],
    drops: tuple[tuple[str, str], ...],
    masks: tuple[tuple[str, str], ...],
    settings: Tables,
    **options: Any,
) -> None:
    """Rules on measured signals: words, repetition, addresses, and signals of your own.

    Writes DIR/kept/ and DIR/removed/ with every signal as a column. Rows of removed/ have the rule
    (`reason`) and all rules that are true (`fired`). docs/filter.md says what rules may read. An
    INPUT that is a run directory means what that run keeps.

    \b
    Examples:
      curation filter crawl.jsonl.zst --rules fineweb --out RUN
      curation filter crawl.jsonl.zst --drop short "words < 50" --out RUN
      curation filter crawl.jsonl.zst --signals my_signals.py:digits --out RUN
      curation filter crawl.jsonl.zst --mask email "email@example.com" --out RUN
    """
    keys = settings["filter"]
    if not (keys.get("rules") or keys.get("signals") or drops or masks):
        raise RecipeError(
            "curation filter: --rules, --drop, --signals or --mask expected, else nothing is to do"
        )
    keys["rule"] = [{"name": name, "drop": drop} for name, drop in drops]
    keys["mask"] = dict(masks)
    for name in LISTS:
        if name in keys:
            keys[name] = [absolute(path) for path in keys[name]]
    if "rules" in keys:
        keys["rules"] = [absolute(r) if r.endswith(".toml") else r for r in keys["rules"]]
    if "signals" in keys:
        keys["signals"] = [
            resolve_own(name, os.getcwd()) if is_own(name) else name for name in keys["signals"]
        ]
    datasets = [dataset_table("input", "crawl", inputs)]
    run_tables(settings, ["extract", "filter"], datasets, **options)
