"""`curation submit slurm`: a run as array jobs between main jobs, each waiting for the one before."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import say
from curation.cli.options import number_option, set_option
from curation.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBMIT_S = 300.0  # that sbatch may take


@dataclass(frozen=True, slots=True)
class Job:
    """A job: its name, the script that it runs, and the options of sbatch."""

    name: str
    script: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many jobs there are, how large they are, and where they run."""

    tasks: int
    partition: str | None
    time_limit: str | None
    mem: str
    cpus: int
    main_mem: str | None
    main_cpus: int | None
    at_once: int | None
    further: tuple[str, ...]


@click.command()
@click.argument("recipe")
@click.option("--out", required=True, help="The run directory, which every node sees.")
@number_option(
    "--tasks", default=16, least=1, most=100_000, help="Array tasks that share the shards out."
)
@click.option("--partition", help="Slurm's partition.  [default: Slurm's own]")
@click.option("--time", "time_limit", help="Most time of one job, as Slurm writes it.")
@click.option("--mem", default="8G", show_default=True, help="Memory of an array task.")
@number_option("--cpus", default=4, least=1, help="Cores of an array task.")
@click.option("--main-mem", help="Memory of a main job.  [default: that of an array task]")
@click.option(
    "--main-cpus",
    type=click.IntRange(1),
    help="Cores of a main job.  [default: those of an array task]",
)
@click.option("--at-once", type=click.IntRange(1), help="Array tasks at the same time, at most.")
@click.option(
    "--sbatch-option",
    "further",
    multiple=True,
    metavar="--NAME=VALUE",
    help="A further option of sbatch, for instance --account=corpora.  May be repeated.",
)
@click.option(
    "--scripts", default="slurm", show_default=True, help="The folder for scripts and logs."
)
@click.option(
    "--dry-run", is_flag=True, help="Write the scripts, and show what would be submitted."
)
@set_option
@click.option("--update", is_flag=True, help="As of `curation run`, in the first job.")
def slurm(
    recipe: str,
    out: str,
    overrides: tuple[str, ...],
    update: bool,
    scripts: str,
    dry_run: bool,
    **sizes: Any,
) -> None:
    """Submit RECIPE to Slurm: main jobs that plan and do what must meet on one node, and arrays of
    tasks that share out the shards between them.

    Each job waits for the one before it. Where one fails, the later ones are cancelled: submit again,
    and the run goes on where it stopped. The last job finishes what is left. The bytes are those of
    `curation run`. `curation status RUN` says how far it is.

    \b
    Examples:
      curation submit slurm recipe.toml --out /shared/run --tasks 64 --partition cpu
      curation submit slurm recipe.toml --out /shared/run --dry-run
    """
    from curation.pipeline.sharded import rounds
    from curation.recipe import reading

    stages = reading.load(recipe, overrides).stages
    folder = os.path.abspath(scripts)
    os.makedirs(folder, exist_ok=True)
    changes = [part for text in overrides for part in ("--set", text)]
    line = [sys.executable, "-m", "curation", "run", _absolute(recipe), "--out", _absolute(out)]
    jobs = _jobs(folder, [*line, *changes], update, Sizes(**sizes))
    order = ["first", *["array", "main"] * rounds(stages), "last"]
    numbers = _submitted([jobs[name] for name in order], folder, dry_run)
    if not dry_run:
        say(
            f"Submitted {len(numbers)} jobs, {numbers[0]} to {numbers[-1]}; scripts and logs are in "
            f"{folder}. How far it is: curation status {out}"
        )


def _jobs(folder: str, command: Sequence[str], update: bool, sizes: Sizes) -> dict[str, Job]:
    """The four kinds of jobs, their scripts written."""
    common = [f"--partition={sizes.partition}"] if sizes.partition else []
    common += [f"--time={sizes.time_limit}"] if sizes.time_limit else []
    common += sizes.further
    array = f"--array=0-{sizes.tasks - 1}" + (f"%{sizes.at_once}" if sizes.at_once else "")
    cpus, mem = sizes.main_cpus or sizes.cpus, sizes.main_mem or sizes.mem
    main = (*common, f"--cpus-per-task={cpus}", f"--mem={mem}")
    each = (*common, f"--cpus-per-task={sizes.cpus}", f"--mem={sizes.mem}", array)
    first, part = [*command, *["--update"] * update], f"main/{sizes.tasks}"
    number = f'"$SLURM_ARRAY_TASK_ID"/{sizes.tasks}'
    return {
        "first": Job("first", _script(folder, "first", first, part), main),
        "main": Job("main", _script(folder, "main", command, part), main),
        "array": Job("array", _script(folder, "array", command, number), each),
        "last": Job("last", _script(folder, "last", command, ""), main),
    }


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _script(folder: str, name: str, command: Sequence[str], shards: str) -> str:
    """Write the script of a job; its path. `shards` is for the shell, not quoted."""
    path = os.path.join(folder, f"{name}.sh")
    part = f" --shards {shards}" if shards else ""
    workers = ' --workers "${SLURM_CPUS_PER_TASK:-1}"'
    text = f"#!/bin/sh\nexec {shlex.join(command)}{part}{workers}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def _submitted(jobs: Sequence[Job], folder: str, dry_run: bool) -> list[str]:
    """Submit jobs, each after the one before; their numbers."""
    numbers: list[str] = []
    for command in _commands(jobs, folder, numbers):
        if dry_run:
            say(shlex.join(command))
            numbers.append(f"JOB{len(numbers) + 1}")
            continue
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=SUBMIT_S
            )
        except FileNotFoundError as error:
            raise RunError(
                "sbatch: no such program; submit on a machine of the Slurm cluster, or look at what "
                f"would be submitted with --dry-run (the scripts are in {folder})"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise RunError(f"sbatch: no answer in {SUBMIT_S:.0f} s{_before(numbers)}") from error
        number = done.stdout.strip().partition(";")[0]
        if done.returncode or not number.isdigit():
            said = " ".join((done.stderr or done.stdout).split())[:300]
            raise RunError(f"sbatch refused a job: {said or 'no reason told'}{_before(numbers)}")
        numbers.append(number)
    return numbers


def _before(numbers: Sequence[str]) -> str:
    return f"; jobs {numbers[0]} to {numbers[-1]} are submitted: scancel them" if numbers else ""


def _commands(jobs: Sequence[Job], folder: str, numbers: list[str]) -> Iterator[list[str]]:
    """The command of each job; `numbers` are those of the jobs before it."""
    for place, job in enumerate(jobs):
        log = os.path.join(folder, f"{place:02d}-{job.name}-%j.log")
        command = ["sbatch", "--parsable", f"--job-name=curation-{job.name}", f"--output={log}"]
        command += job.options
        if numbers:
            command += [f"--dependency=afterok:{numbers[-1]}", "--kill-on-invalid-dep=yes"]
        yield [*command, job.script]
