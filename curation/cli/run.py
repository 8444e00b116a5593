"""`curation run` and `curation init`: the line from a recipe; and what the jobs for spark-submit share."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Recipe


FUNNEL_COLUMNS = 104


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
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one a core]")
@click.option(
    "--from", "again_from", metavar="STAGE", help="Make this stage and those after it again."
)
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Change one value of the recipe.",
)
@click.option(
    "--update",
    is_flag=True,
    help="Run again under a changed recipe; what is still valid is reused.",
)
def run(
    recipe: str,
    out: str,
    engine: str,
    master: str | None,
    workers: int | None,
    again_from: str | None,
    until: str | None,
    overrides: tuple[str, ...],
    update: bool,
) -> None:
    """Run RECIPE into a run directory; go on where a run was interrupted.

    \b
    Examples:
      curation run recipe.toml --out RUN
      curation run recipe.toml --out RUN --engine spark --master local[8]
      curation run recipe.toml --out RUN --set classify.alpha=5 --update
    """
    if master and engine != "spark":
        raise click.UsageError("--master goes with --engine spark")
    if engine == "local":
        from curation.engine import forkserver

        forkserver.start()  # before what takes long to import
    from curation.recipe import reading as recipes

    execute(
        recipes.load(recipe, overrides),
        out,
        engine=engine,
        master=master,
        workers=workers or 0,
        again_from=again_from,
        until=until,
        update=update,
    )


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
    click.echo(f"Wrote {path}. Name your files in it, then: curation run {path} --out RUN")


def execute(
    recipe: Recipe,
    out: str,
    *,
    engine: str = "local",
    master: str | None = None,
    workers: int = 0,
    **options: Any,
) -> None:
    """Run a recipe with progress on the terminal, and show its funnel at the end."""
    from rich.console import Console

    from curation.cli.progress import Steps
    from curation.errors import AlarmError
    from curation.inspect.evidence.flow import funnel
    from curation.inspect.terminal.funnel import funnel_table
    from curation.pipeline import line as pipeline

    out = out.rstrip("/") or out
    signal.signal(signal.SIGTERM, _terminated)
    with Steps() as steps:
        made = _engine(engine, master, workers, recipe, steps)
        try:
            rundir, plan = pipeline.run(recipe, out, made, say=steps.say, **options)
        except AlarmError:
            _show_largest_cluster(out)
            raise
        finally:
            made.close()
    console = Console()
    if (
        console.width < FUNNEL_COLUMNS
    ):  # a file, a pipe, or a narrow window: whole lines are better than cut numbers
        console = Console(width=FUNNEL_COLUMNS)
    console.print(funnel_table(funnel(rundir, plan)))
    for warning in pipeline.warnings(rundir):
        console.print(f"[yellow]![/] {warning}", highlight=False)
    console.print(
        f"Run directory: {out}    Look at it: curation report {out}",
        highlight=False,
        soft_wrap=True,
    )


def _show_largest_cluster(out: str) -> None:
    """What raised the alarm is best seen: the largest cluster, with some of its texts and what they have in common."""
    from rich.console import Console

    from curation.inspect.evidence.clusters import largest_clusters
    from curation.inspect.terminal.clusters import cluster_panel
    from curation.rundir import plan as plans

    for cluster in largest_clusters(*plans.read(out), n=1):
        Console(stderr=True).print(cluster_panel(cluster))


def _terminated(number: int, frame: Any) -> None:
    """SIGTERM, as schedulers and containers send it: leave as from ctrl-C, locks and temporary files removed."""
    raise SystemExit(128 + number)


def _engine(kind: str, master: str | None, workers: int, recipe: Recipe, steps: Any) -> Engine:
    if kind == "spark":
        from curation.engine.spark import SparkEngine

        steps.say("Starting Spark ...")
        return SparkEngine(master, workers, recipe.memory_gb, progress=steps)
    from curation.engine.local import LocalEngine

    return LocalEngine(workers, recipe.memory_gb, progress=steps)


def job(stage: str | None) -> None:
    """A job for spark-submit: the line up to `stage` (all of it for None) on the session that spark-submit made.

    Reads RECIPE and --out from the command line, as `curation run` does.
    """

    @click.command(
        help=f"The line up to {stage or 'its end'}, on the Spark session that spark-submit made."
    )
    @click.argument("recipe")
    @click.option("--out", required=True)
    @click.option("--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE")
    @click.option("--update", is_flag=True)
    def command(recipe: str, out: str, overrides: tuple[str, ...], update: bool) -> None:
        from curation.recipe import reading as recipes

        execute(recipes.load(recipe, overrides), out, engine="spark", until=stage, update=update)

    from curation.cli import Commands

    group = Commands(name="job", commands={"job": command})
    group.main(args=["job", *os.sys.argv[1:]])  # type: ignore[attr-defined]
