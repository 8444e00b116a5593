"""`curation dedup INPUT --plan`: what deduplication will find and cost, for files or for what a run has extracted."""

from __future__ import annotations

from typing import Any

import click

from curation.cli.console import console, print_json


def is_run(path: str) -> bool:
    """Whether the path is a run directory."""
    from curation import store

    return store.exists(store.join(path, "plan.json"))


def show_run_plan(run: str, settings: dict[str, Any], workers: int | None) -> None:
    """The plan of a run directory under its own recipe, with the settings given on the command line."""
    import dataclasses

    from curation import store
    from curation.errors import RunError
    from curation.rundir import plan as plans
    from curation.rundir.directory import RunDirectory

    rundir, plan = plans.read(run)
    source = click.get_current_context().get_parameter_source
    given = {
        key: value
        for key, value in settings.items()
        if source(key) is click.core.ParameterSource.COMMANDLINE
    }
    config = dataclasses.replace(rundir.recipe.dedup, **given)
    rundir = RunDirectory(run, dataclasses.replace(rundir.recipe, dedup=config))
    shards = [shard for shard in plan.shards if store.exists(rundir.survivors(shard))]
    if not shards:
        raise RunError(f"{run}: nothing has been extracted or classified yet; run the recipe first")
    documents = sum(store.need_footer(rundir.survivors(shard)).rows for shard in shards)
    _show(rundir, shards, float(documents), workers)


def show_plan(tables: dict[str, Any], workers: int | None) -> None:
    """The plan for files: some of them, drawn by the seed, are extracted into a folder that is gone afterwards."""
    import tempfile

    from curation import store
    from curation.engine.local import LocalEngine
    from curation.inspect.evidence.dedup_plan import sampled_shards
    from curation.pipeline import line as pipeline
    from curation.recipe import reading
    from curation.rundir import plan as plans

    recipe = reading.parse(tables, "command line")
    shards = list(plans.make(recipe, ".").shards)
    chosen = sampled_shards(recipe, shards)
    datasets = [
        {
            **table,
            "files": [
                file.path
                for shard in chosen
                if shard.dataset == table["name"]
                for file in shard.files
            ],
        }
        for table in tables["dataset"]
    ]
    drawn = reading.parse({**tables, "dataset": datasets}, "command line")
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(workers or 0)
        try:
            rundir, plan = pipeline.run(
                drawn, store.join(folder, "run"), engine, until="extract", say=lambda _: None
            )
        finally:
            engine.close()
        documents = 0.0
        for name in recipe.names():
            documents_read = sum(
                store.need_footer(rundir.documents(shard)).rows for shard in plan.of(name)
            )
            documents += documents_read * _bytes(shards, name) / max(1, _bytes(chosen, name))
        _show(rundir, list(plan.shards), documents, workers)


def _bytes(shards: list[Any], dataset: str) -> int:
    files = {f.path: f.size for shard in shards if shard.dataset == dataset for f in shard.files}
    return sum(files.values())  # of whole files, since the sample reads them whole


def _show(rundir: Any, shards: list[Any], documents: float, workers: int | None) -> None:
    import os

    from curation.inspect.evidence.dedup_plan import (
        compared_sample,
        dedup_plan,
        sampled_shards,
    )
    from curation.inspect.terminal.dedup_plan import plan_parts

    sample = compared_sample(rundir, sampled_shards(rundir.recipe, shards))
    cores = workers or os.cpu_count() or 1
    plan = dedup_plan(rundir.recipe.dedup, sample, documents, cores)
    if click.get_current_context().params.get("as_json"):
        return print_json(plan)
    for part in plan_parts(rundir.recipe, plan):
        console().print(part)
    return None
