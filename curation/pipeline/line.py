"""The line: a list of stages and a for loop.

    download -> extract -> classify -> dedup -> decontaminate -> tokenize -> mix

Each stage reads what the ones before committed and commits its own. A stage whose output is there
and valid costs a reading of its footers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType

from curation import store
from curation.engine.base import Engine
from curation.errors import RecipeError, RunError
from curation.pipeline import export as exports
from curation.pipeline.compile import compile_kernels
from curation.pipeline.finished import is_finished
from curation.recipe.line import STAGES, stage_named
from curation.recipe.tables import Recipe
from curation.rundir import ledger
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.rundir.lock import Lock
from curation.rundir.plan import Plan
from curation.stages.classify import stage as classify
from curation.stages.decontaminate import stage as decontaminate
from curation.stages.dedup import index as dedup_index
from curation.stages.dedup import stage as dedup
from curation.stages.download import stage as download
from curation.stages.extract import stage as extract
from curation.stages.mix import stage as mix
from curation.stages.tokenize import stage as tokenize

# Each has `run(rundir, plan, engine)` and `warnings(rundir)`. `download` has `fetch` instead of
# `run`: the plan is made from what it brought.
MODULES: dict[str, ModuleType] = {
    "download": download,
    "extract": extract,
    "classify": classify,
    "dedup": dedup,
    "decontaminate": decontaminate,
    "tokenize": tokenize,
    "mix": mix,
}
CHECKED = ("classify", "decontaminate", "tokenize")  # those have `check(rundir)`
LEAST_ROOM = 0.01  # bytes that a run surely writes for each byte of its inputs


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
) -> tuple[RunDirectory, Plan]:
    """Run a recipe into the directory `out`, reusing whatever is there and valid.

    Args:
        again_from: make this stage and those after it again, whatever is there.
        until: stop after this stage.
        update: run again under a changed recipe, where `out` was made by another.
        export: write kept/ and removed/ of the dataset `input`, for a step on a user's own files.
        say: receives messages for the user, one line at a time.

    Raises:
        CurationError: one clear sentence. What finished stays, and the same call goes on from
            there.
    """
    rundir = RunDirectory(out, recipe)
    wanted = [stage for stage in STAGES if stage in recipe.stages]
    _check_stages(wanted, again_from, until)
    plans.check_directory(rundir, update)  # before anything is written or removed
    dedup_index.index_runs(rundir)  # and the runs that its index is made of
    with Lock(out, say):
        plans.check_directory(rundir, update)
        asked = wanted[: wanted.index(until) + 1] if until else wanted
        if not store.exists(rundir.path("plan.json")):
            check_start(rundir, asked)  # before anything is fetched
        store.sweep(out)
        if again_from:
            for stage in wanted[wanted.index(again_from) :]:
                for folder in stage_named(stage).folders:
                    store.delete(rundir.path(folder))
        # also where the stage is left out: streamed archives need their lists
        download.fetch(rundir, engine, say)
        plan = plans.make(recipe, out, say)
        same_plan = plans.commit(rundir, plan)
        run_stages = partial(_run_stages, asked, export)
        if not again_from and is_finished(rundir, plan, run_stages):
            say("Every table is there already: nothing to do.")
            if same_plan:  # what comes after `until` stays finished
                asked = [*asked, *store.read_json(rundir.path("ledger.json"))]
        else:
            check_inputs(rundir, plan, asked, say)
            store.delete(rundir.path("ledger.json"))  # a run without it is not finished
            compile_kernels(engine, asked)
            run_stages(rundir, plan, engine)
        store.write_json(rundir.path("ledger.json"), ledgers(rundir, plan, asked))
    return rundir, plan


def _check_stages(stages: Sequence[str], again_from: str | None, until: str | None) -> None:
    for stage in (again_from, until):
        if stage is not None and stage not in stages:
            raise RecipeError(f"no stage {stage!r} in this recipe; it has {', '.join(stages)}")
    if again_from and until and stages.index(again_from) > stages.index(until):
        raise RecipeError(
            f"--from {again_from} comes after --until {until}; nothing would be made again"
        )


def check_start(rundir: RunDirectory, stages: Sequence[str]) -> None:
    """Raise what would end a run hours later and is known now: models, benchmarks, encodings, and
    the right to write."""
    for stage in stages:
        if stage in CHECKED:
            MODULES[stage].check(rundir)
        for folder in stage_named(stage).folders:
            store.need_writable(rundir.path(folder))


def check_inputs(
    rundir: RunDirectory, plan: Plan, stages: Sequence[str], say: Callable[[str], None]
) -> None:
    """The same once all inputs are here: also what benchmarks hold, and the room on the disk. Where
    that may be too little, `say` receives it; RunError where it surely is."""
    check_start(rundir, stages)
    if "decontaminate" in stages:
        decontaminate.check_read(rundir)
    free = store.free_bytes(rundir.out)
    if free is None or free >= sum(file.size for shard in plan.shards for file in shard.files):
        return
    unread = [s for s in plan.shards if store.footer(rundir.documents(s)) is None]
    size = sum(file.size for shard in unread for file in shard.files)
    if free >= size:
        return
    line = (
        f"{rundir.out}: {free:,} bytes are free on its disk, for inputs of {size:,} bytes; free "
        "some, or name another --out"
    )
    if free < LEAST_ROOM * size:
        raise RunError(line)
    say(line)


def _run_stages(
    stages: Sequence[str], export: bool, rundir: RunDirectory, plan: Plan, engine: Engine
) -> None:
    for stage in stages:
        if stage != "download":
            MODULES[stage].run(rundir, plan, engine)
    if export:
        exports.run(rundir, plan, engine)


def warnings(rundir: RunDirectory) -> list[str]:
    """The warnings of a finished run, a line each, in the order of the stages."""
    return [line for stage in STAGES for line in MODULES[stage].warnings(rundir)]


def ledgers(
    rundir: RunDirectory, plan: Plan, stages: Sequence[str] = STAGES
) -> dict[str, dict[str, ledger.Ledger]]:
    """The ledgers of some stages of a run, from the footers of its tables: stage -> dataset ->
    ledger.

    Stages that have no ledger are absent.
    """
    out: dict[str, dict[str, ledger.Ledger]] = {}
    for stage in (stage for stage in rundir.recipe.stages if stage in stages):
        for dataset in rundir.recipe.names():
            paths = [rundir.ledger_table(stage, shard) for shard in plan.of(dataset)]
            footers = [store.footer(path) for path in paths if path]
            if footers and all(footers):
                out.setdefault(stage, {})[dataset] = ledger.total(f.ledger for f in footers if f)
    return out
