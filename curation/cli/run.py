"""`curation run` and `curation init`: the line from a recipe; and what the jobs for spark-submit share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from curation.cli.completion import among, stages
from curation.cli.console import console, print_json, say
from curation.cli.options import (
    json_option,
    set_option,
    strict_option,
    with_options,
    workers_option,
)

if TYPE_CHECKING:
    from curation.engine.base import Engine, Progress
    from curation.recipe.tables import Recipe
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan


@click.command()
@click.argument("recipe")
@click.option(
    "--out",
    required=True,
    help="The run directory: a folder, or an address such as s3://bucket/run.",
)
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True)
@click.option(
    "--master",
    help="Spark master, for instance local[4] or spark://host:7077.  [default: local[*]]",
)
@workers_option
@click.option(
    "--from",
    "again_from",
    metavar="STAGE",
    help="Make this stage and those after it again.",
    shell_complete=among(stages),
)
@click.option(
    "--until", metavar="STAGE", help="Stop after this stage.", shell_complete=among(stages)
)
@set_option
@click.option(
    "--update",
    is_flag=True,
    help="Run again under a changed recipe; what is still valid is reused.",
)
@click.option(
    "--shards",
    metavar="I/N",
    help="Without Spark, on many machines: array task I of N, from 0, or main/N for what plans and "
    "meets between them (`curation submit slurm`).",
)
@strict_option
@json_option
def run(
    recipe: str,
    engine: str,
    master: str | None,
    overrides: tuple[str, ...],
    shards: str | None,
    **options: Any,
) -> None:
    """Run RECIPE into a run directory; go on where a run was interrupted.

    \b
    Examples:
      curation run recipe.toml --out RUN
      curation run recipe.toml --out RUN --engine spark --master local[8]
      curation run recipe.toml --out RUN --set classify.alpha=5 --update
      curation run recipe.toml --out RUN --shards 3/16
    """
    if master and engine != "spark":
        raise click.UsageError("--master goes with --engine spark")
    if shards and engine == "spark":
        raise click.UsageError(
            "--shards goes with --engine local; Spark shares the shards out itself"
        )
    if engine == "local":
        from curation.engine import forkserver

        forkserver.start()  # before what takes long to import
    from curation.recipe import reading

    given = reading.load(recipe, overrides)
    execute(given, engine=engine, master=master, shards=shards, **options)


@click.command()
@click.argument("path", default="recipe.toml")
def init(path: str) -> None:
    """Write a commented recipe to PATH, to fill in.

    \b
    Example:
      curation init recipe.toml
    """
    from importlib.resources import files

    from curation.errors import InputError

    text = files("curation").joinpath("recipes/starter.toml").read_text(encoding="utf-8")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"{path}: there is such a file already; name another") from error
    say(f"Wrote {path}. Name your files in it, then: curation run {path} --out RUN")


def execute(
    recipe: Recipe,
    out: str,
    *,
    engine: str = "local",
    master: str | None = None,
    workers: int | None = None,
    shards: str | None = None,
    strict: bool = False,
    as_json: bool = False,
    **options: Any,
) -> None:
    """Run a recipe with progress on the terminal, and show its funnel at the end, or print it as
    JSON.

    With `strict` it exits with code 3 where archives are damaged.
    """
    from curation.cli.progress import RunLine
    from curation.compiler import load_without_extras
    from curation.errors import AlarmError
    from curation.recipe.own import is_own

    load_without_extras(pandas=engine == "spark" or any(map(is_own, recipe.filter.signals)))
    from curation.pipeline import line
    from curation.stages.extract import stage as extract

    out = out.rstrip("/") or out
    if shards:
        if _share(shards, recipe, out, workers or 0, options):
            return
        options["again_from"] = None  # it was made again; what follows only shows it
    with RunLine() as shown:
        run_engine = _engine(engine, master, workers or 0, recipe, shown)
        try:
            rundir, plan = line.run(
                recipe, out, run_engine, say=shown.say, show=shown.show, **options
            )
        except AlarmError as alarm:
            if str(alarm).startswith("dedup: "):  # filter's alarm is no matter of duplicates
                _show_largest_cluster(out)
            raise
        finally:
            run_engine.close()
    _show_end(rundir, plan, out, as_json)
    if strict and extract.damage(rundir):
        raise SystemExit(3)


def _show_end(rundir: RunDirectory, plan: Plan, out: str, as_json: bool) -> None:
    """The funnel of a finished run, its warnings, and what was fetched."""
    from rich.text import Text

    from curation.inspect.evidence import labels
    from curation.inspect.evidence.flow import funnel, nothing_kept
    from curation.inspect.terminal.funnel import funnel_table
    from curation.pipeline import line
    from curation.stages.extract import stage as extract

    flows = funnel(rundir, plan)
    found = [*line.warnings(rundir), *nothing_kept(flows), *labels.warnings(rundir, plan)]
    warnings = [with_options(text) for text in found]
    fetched = extract.fetched(rundir)
    if as_json:
        return print_json({"run": out, "funnel": flows, "warnings": warnings, "fetched": fetched})
    screen = console()
    screen.print(funnel_table(flows, screen.width))
    for warning in warnings:
        screen.print(Text("! ", style="yellow").append(warning, style="default"))
    for name, cost in fetched.items():
        megabytes = f"{cost['bytes'] / 1e6:,.1f} MB"
        say(f"Fetched for {name}: {cost['requests']:,} requests, {megabytes} of records.")
    say(f"Run directory: {out}\nTo look at it: curation report {out}")
    return None


def _share(shards: str, recipe: Recipe, out: str, workers: int, options: dict[str, Any]) -> bool:
    """Do one job of a run that is shared out. False where the run is finished, so that only its end is
    to be shown."""
    from curation.cli.progress import RunLine
    from curation.engine.local import LocalEngine
    from curation.errors import RunError
    from curation.pipeline import sharded

    role = sharded.role_of(shards)
    with RunLine() as shown:
        engine = LocalEngine(workers, recipe.memory_gb, shown)
        try:
            if role.index is None:
                label = sharded.run_main(
                    recipe, out, engine, role, say=shown.say, show=shown.show, **options
                )
                if label:
                    say(f"Next: array tasks 0 to {role.of - 1} of {role.of}, for {label}.")
                return bool(label)
            if options.get("again_from") or options.get("until") or options.get("update"):
                raise RunError(
                    f"--shards {shards}: --from, --until and --update go with main/{role.of}"
                )
            label = sharded.run_member(recipe, out, engine, role, shown.say)
        finally:
            engine.close()
    done = f"did its shards for {label}" if label else "found nothing shared out"
    say(f"Array task {role.index} of {role.of} {done}.")
    return True


def _show_largest_cluster(out: str) -> None:
    """The largest cluster of duplicates, which shows best what raised the alarm."""
    from curation.inspect.evidence.clusters import largest_clusters
    from curation.inspect.terminal.documents import cluster_panel
    from curation.rundir import plan

    for cluster in largest_clusters(*plan.read(out), n=1):
        console(stderr=True).print(cluster_panel(cluster))


def _engine(
    kind: str, master: str | None, workers: int, recipe: Recipe, progress: Progress
) -> Engine:
    if kind == "spark":
        from curation.engine.spark import SparkEngine

        return SparkEngine(master, workers, recipe.memory_gb, progress)
    from curation.pipeline.engines import engine_for, input_size

    return engine_for(input_size(recipe), workers or None, recipe.memory_gb, progress, recipe)


def run_job(stage: str | None, arguments: list[str]) -> None:
    """Run the line up to `stage`, all of it for None, on the session that spark-submit made."""

    @click.command(
        help=f"The line up to {stage or 'its end'}, on the Spark session that spark-submit made."
    )
    @click.argument("recipe")
    @click.option("--out", required=True)
    @set_option
    @click.option("--update", is_flag=True)
    def command(recipe: str, out: str, overrides: tuple[str, ...], update: bool) -> None:
        from curation.recipe import reading

        execute(reading.load(recipe, overrides), out, engine="spark", until=stage, update=update)

    from curation.cli import Commands

    group = Commands(name="job", sections={}, commands={"job": command})
    group.main(args=["job", *arguments])
