"""`curation dedup INPUT --plan`: what deduplication will find and cost, for files or for what a run has extracted."""

from __future__ import annotations

from typing import Any

import click


def is_run(path: str) -> bool:
    """Whether the path is a run directory."""
    from curation import store

    return store.exists(store.join(path, "plan.json"))


def show_run_plan(run: str, settings: dict[str, Any], workers: int | None) -> None:
    """The plan of a run directory under its own recipe, with the settings given on the command line."""
    import dataclasses

    from curation import plan as plans
    from curation import store
    from curation.context import Context
    from curation.errors import RunError

    context, plan = plans.read(run)
    source = click.get_current_context().get_parameter_source
    given = {
        key: value
        for key, value in settings.items()
        if source(key) is click.core.ParameterSource.COMMANDLINE
    }
    config = dataclasses.replace(context.recipe.dedup, **given)
    context = Context(run, dataclasses.replace(context.recipe, dedup=config))
    shards = [shard for shard in plan.shards if store.exists(context.survivors(shard))]
    if not shards:
        raise RunError(f"{run}: nothing has been extracted or classified yet; run the recipe first")
    documents = sum(store.need_footer(context.survivors(shard)).rows for shard in shards)
    _show(context, shards, float(documents), workers)


def show_plan(tables: dict[str, Any], workers: int | None) -> None:
    """The plan for files: some of them, drawn by the seed, are extracted into a folder that is gone afterwards."""
    import tempfile

    from curation import pipeline, store
    from curation import plan as plans
    from curation import recipe as recipes
    from curation.engine.local import LocalEngine
    from curation.inspect.dedup_plan import sampled_shards

    recipe = recipes.parse(tables, "command line")
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
    drawn = recipes.parse({**tables, "dataset": datasets}, "command line")
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(workers or 0)
        try:
            context, plan = pipeline.run(
                drawn, store.join(folder, "run"), engine, until="extract", say=lambda _: None
            )
        finally:
            engine.close()
        documents = 0.0
        for name in recipe.names():
            found = sum(store.need_footer(context.documents(shard)).rows for shard in plan.of(name))
            documents += found * _bytes(shards, name) / max(1, _bytes(chosen, name))
        _show(context, list(plan.shards), documents, workers)


def _bytes(shards: list[Any], dataset: str) -> int:
    return sum(file.size for shard in shards if shard.dataset == dataset for file in shard.files)


def _show(context: Any, shards: list[Any], documents: float, workers: int | None) -> None:
    import os

    from rich.console import Console

    from curation.inspect.dedup_plan import look, plan_view, sampled_shards

    console = Console()
    console = console if console.width >= 120 else Console(width=120)
    sample = look(context, sampled_shards(context.recipe, shards))
    for part in plan_view(context.recipe, sample, documents, workers or os.cpu_count() or 1):
        console.print(part)
