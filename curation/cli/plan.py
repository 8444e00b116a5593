"""`curation plan`: what a recipe will take, before it runs."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import click

from curation.cli.console import console, print_json, say
from curation.cli.options import json_option, number_option, set_option

if TYPE_CHECKING:
    from curation.costs.estimate import RunPlan
    from curation.costs.inputs import Input
    from curation.costs.rates import Rates
    from curation.recipe.tables import Recipe


@click.command()
@click.argument("recipe")
@number_option("--machines", default=1, least=1, help="Machines that run it.")
@click.option(
    "--cores", type=click.IntRange(1), help="Cores of each.  [default: those of this one]"
)
@number_option(
    "--mbit", default=1000.0, least=1, help="Network of each machine, million bits a second."
)
@click.option("--calibrate", is_flag=True, help="Measure the rates on a sample of the inputs.")
@number_option(
    "--seconds", default=120.0, least=5, help="With --calibrate: how long that may take."
)
@click.option(
    "--rates", "rates_file", help="A file of rates.  [default: those that ship, which are rough]"
)
@click.option("--save-rates", metavar="FILE.json", help="Write the rates that were used.")
@click.option("--prices", "prices_file", metavar="FILE.toml", help="Prices.  [default: an example]")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=FILESxMB",
    help="The files of a dataset, or of each of its crawls, and megabytes of one, where no listing "
    "can be had. May be repeated.",
)
@set_option
@json_option
def plan(
    recipe: str,
    machines: int,
    cores: int | None,
    mbit: float,
    calibrate: bool,
    seconds: float,
    rates_file: str | None,
    save_rates: str | None,
    prices_file: str | None,
    sizes: tuple[str, ...],
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """What RECIPE will take: core-hours, time, memory, disk, requests and dollars.

    From listings and the columnar index alone: no page is read without --calibrate, and nothing is
    written.

    \b
    Examples:
      curation plan recipe.toml --machines 100 --cores 16
      curation plan recipe.toml --calibrate
      curation plan recipe.toml --size commoncrawl=90000x1000 --prices prices.toml
    """
    from curation.costs import estimate, inputs, rates
    from curation.recipe import reading

    if rates_file and calibrate:
        raise click.UsageError("--rates and --calibrate: give one of them")
    given = inputs.sizes_given(sizes)
    prices = rates.prices(prices_file or "")
    made = reading.load(recipe, overrides)
    with tempfile.TemporaryDirectory(prefix="curation-plan-") as folder:
        found = inputs.read(made, given, os.path.join(folder, "lists"), _note)
        used = rates.load(rates_file or "")
        if calibrate:
            used = _calibrated(made, found, used, folder, seconds)
    if save_rates:
        rates.save(save_rates, used)
    cluster = estimate.Cluster(machines, cores or os.cpu_count() or 1, mbit)
    planned = estimate.plan(made, found, used, cluster, prices)
    if as_json:
        print_json(_totals(planned))
    else:
        _show(planned)


def _totals(planned: RunPlan) -> dict[str, object]:
    """The plan, and what a program asks for first."""
    return {
        "plan": planned,
        "core_hours": planned.core_s / 3600,
        "wall_hours": planned.wall_s / 3600,
        "disk_bytes": planned.disk_bytes,
        "dollars": planned.dollars.total,
    }


def _calibrated(
    recipe: Recipe, found: list[Input], base: Rates, folder: str, seconds: float
) -> Rates:
    from curation.costs.calibrate import calibrate
    from curation.store import unsynced

    with unsynced(folder):
        return calibrate(recipe, found, base, folder, seconds, _note)


def _note(line: str) -> None:
    say(line, err=True)


def _show(planned: RunPlan) -> None:
    from curation.inspect.terminal.run_plan import alone_line, plan_tables
    from curation.inspect.terminal.tables import table_of

    screen = console()
    for listing in plan_tables(planned):
        screen.print(table_of(listing))
        screen.print()
    for one in planned.datasets:
        if line := alone_line(one.input):
            say(line)
    if planned.is_rough:
        say(
            f"Rough: the rates are {planned.rates}, not of these inputs or this machine; figures may "
            "be wrong by half and more. --calibrate measures them."
        )
