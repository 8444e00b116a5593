"""The line: a list of stages and a for loop.

    download -> extract -> classify -> dedup -> decontaminate -> tokenize -> mix

Each stage reads what the ones before committed and commits its own; a stage whose output is there and valid costs a look at its footers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from curation import export as exports
from curation import ledger, store
from curation import plan as plans
from curation.context import Context
from curation.engine.base import Engine
from curation.errors import RecipeError
from curation.plan import Plan
from curation.recipe import STAGES, Recipe
from curation.stages import (
    classify,
    decontaminate,
    dedup,
    dedup_index,
    download,
    extract,
    mix,
    mixture,
    tokenize,
)
from curation.warm import compile_kernels

RUN: dict[str, Callable[[Context, Plan, Engine], Any]] = {
    "extract": extract.run,
    "classify": classify.run,
    "dedup": dedup.run,
    "decontaminate": decontaminate.run,
    "tokenize": tokenize.run,
    "mix": mix.run,
}
FOLDERS = {  # what each stage writes: `again_from` removes it
    "download": ("downloads",),
    "extract": ("documents", "rejects"),
    "classify": ("classify", "survivors"),
    "dedup": ("dedup",),
    "decontaminate": ("decontaminate",),
    "tokenize": ("tokens",),
    "mix": ("shards",),
}


def run(
    recipe: Recipe,
    out: str,
    engine: Engine,
    *,
    again_from: str | None = None,
    until: str | None = None,
    update: bool = False,
    export: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[Context, Plan]:
    """Run a recipe into the directory `out`, reusing whatever is there and valid.

    Args:
        again_from: make this stage and those after it again, whatever is there.
        until: stop after this stage.
        update: run again under a changed recipe, where `out` was made by another.
        export: write kept/ and removed/ of the dataset `input`, for a step on somebody's own files.
        say: told one line at a time what a person should know.

    Raises:
        CurationError: one clear sentence; what finished stays, and the same call goes on from there.
    """
    for stage in (again_from, until):
        if stage is not None and stage not in recipe.stages:
            raise RecipeError(
                f"no stage {stage!r} in this recipe; it has {', '.join(recipe.stages)}"
            )
    context = Context(out, recipe)
    wanted = [stage for stage in STAGES if stage in recipe.stages]
    if again_from and until and wanted.index(again_from) > wanted.index(until):
        raise RecipeError(
            f"--from {again_from} comes after --until {until}; nothing would be made again"
        )
    plans.admit(context, update)  # before anything is written or removed
    dedup_index.chain(context)  # and what it builds on
    with plans.Lock(out, say):
        plans.admit(context, update)
        store.sweep(out)
        if again_from:
            for stage in wanted[wanted.index(again_from) :]:
                for folder in FOLDERS[stage]:
                    store.delete(context.path(folder))
        download.run(context, engine, say)
        plan = plans.make(recipe, out)
        plans.commit(context, plan)
        compile_kernels(engine, wanted[: wanted.index(until) + 1] if until else wanted)
        for stage in wanted:
            if stage in RUN:
                RUN[stage](context, plan, engine)
            if stage == until:
                break
        if export:
            exports.run(context, plan, engine)
        store.write_json(context.path("ledger.json"), books(context, plan))
    return context, plan


def warnings(context: Context) -> list[str]:
    """What a careful person would want to know of a finished run, a line each."""
    found = (
        store.read_json(path).get("extract", {})
        if store.exists(path := context.path("ledger.json"))
        else {}
    )
    out = (
        download.warnings(context)
        + extract.warnings(context, found)
        + classify.warnings(context)
        + dedup.warnings(context)
    )
    if store.exists(path := context.path("shards", "shards.json")):
        out += mixture.warnings(store.read_json(path)["mixture"])
    return out


def books(context: Context, plan: Plan) -> dict[str, dict[str, ledger.Ledger]]:
    """The books of a run, from the footers of its tables: stage -> dataset -> ledger; stages not yet run are absent."""
    out: dict[str, dict[str, ledger.Ledger]] = {}
    for stage in context.recipe.stages:
        for dataset in context.recipe.names():
            found = [
                store.footer(path)
                for shard in plan.of(dataset)
                if (path := _ledger_path(context, stage, shard))
            ]
            if found and all(found):
                out.setdefault(stage, {})[dataset] = ledger.total(f.ledger for f in found if f)
    return out


def _ledger_path(context: Context, stage: str, shard: Any) -> str | None:
    if stage == "extract":
        return context.documents(shard)
    if stage == "tokenize":
        return context.table("tokens", shard)
    if stage in ("dedup", "decontaminate") or (
        stage == "classify" and context.recipe.filtered(shard.dataset)
    ):
        return context.decision(stage, shard)
    return None
