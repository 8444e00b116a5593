"""`curation submit`: a run as jobs of a scheduler."""

from __future__ import annotations

import click

from curation.cli.lazy import LazyGroup, Sections

SECTIONS: Sections = {
    "Schedulers": {
        "slurm": ("submit.slurm:slurm", "Array jobs with dependencies, by sbatch."),
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS)
def submit() -> None:
    """Run a recipe as jobs of a scheduler, on many machines without Spark.

    \b
    Example:
      curation submit slurm recipe.toml --out /shared/run --tasks 64 --partition cpu
    """
