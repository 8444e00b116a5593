"""The line: a list of stages and a for loop.

    download -> extract -> filter -> classify -> dedup -> decontaminate -> tokenize -> mix

Each stage reads what the ones before committed and commits its own; its manifest comes last. A
stage whose manifest fits costs a listing of its folders.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from curation import store
from curation.digests import config_digest
from curation.engine.base import Engine
from curation.errors import CurationError, RecipeError, RunError
from curation.pipeline import export as exports
from curation.pipeline.compile import compile_kernels
from curation.recipe.filter import LISTS
from curation.recipe.line import STAGES, check_stages, folders
from curation.recipe.tables import Recipe
from curation.rundir import ledger, parts, sources
from curation.rundir import manifest as manifests
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.rundir.lock import Lock
from curation.rundir.manifest import Manifest
from curation.rundir.metrics import Metrics, Show, unseen
from curation.rundir.plan import Plan
from curation.stages.classify import stage as classify
from curation.stages.decontaminate import benchmarks
from curation.stages.decontaminate import stage as decontaminate
from curation.stages.dedup import index as dedup_index
from curation.stages.dedup import stage as dedup
from curation.stages.download import stage as download
from curation.stages.extract import languages
from curation.stages.extract import stage as extract
from curation.stages.filter import stage as filters
from curation.stages.mix import stage as mix
from curation.stages.tokenize import stage as tokenize

# Each has `run(rundir, plan, engine)` and `warnings(rundir)`. `download` has `fetch` instead of
# `run`: the plan is made from what it brought.
MODULES: dict[str, ModuleType] = {
    "download": download,
    "extract": extract,
    "filter": filters,
    "classify": classify,
    "dedup": dedup,
    "decontaminate": decontaminate,
    "tokenize": tokenize,
    "mix": mix,
}
CHECKED = (
    "extract",
    "filter",
    "classify",
    "decontaminate",
    "tokenize",
)  # those have `check(rundir)`
Ledgers = dict[str, dict[str, ledger.Ledger]]  # stage -> dataset -> ledger
# An engine for a stage, of its name and key.
EngineOf = Callable[[Engine, str, str], Engine]
LEAST_ROOM = 0.01  # bytes that a run surely writes for each byte of its inputs


def plain_engine(engine: Engine, stage: str, key: str) -> Engine:
    """The engine that was given, for every stage."""
    return engine


def run(
    recipe: Recipe,
    out: str,
    engine: Engine,
    *,
    again_from: str | None = None,
    until: str | None = None,
    update: bool = False,
    export: bool = False,
    export_format: str = exports.PARQUET,
    say: Callable[[str], None] = print,
    show: Show = unseen,
    engine_of: EngineOf = plain_engine,
) -> tuple[RunDirectory, Plan]:
    """Run a recipe into the directory `out`, reusing whatever is there and valid.

    Args:
        again_from: make this stage and those after it again, whatever is there.
        until: stop after this stage.
        update: run again under a changed recipe, where `out` was made by another.
        export: write kept/ and removed/ of the dataset `input`, for a step on a user's own files,
            as `export_format` says: one of `export.FORMATS`.
        say: receives messages for the user, one line at a time.
        show: receives a line that says how far the run is, twice a second at most, and whether it
            is one to keep.
        engine_of: the engine of a stage: the given one, or one in front of it.

    Raises:
        CurationError: one clear sentence. What finished stays, and the same call goes on from
            there.
    """
    rundir = RunDirectory(out, recipe)
    wanted = [stage for stage in STAGES if stage in recipe.stages]
    _check_stages(out, wanted, again_from, until)
    plans.check_directory(rundir, update)  # before anything is written or removed
    dedup_index.index_runs(rundir)  # and the runs that its index is made of
    metrics = Metrics(out, show=show)
    with (
        Lock(out, say, others=parts.members(out)),
        _left_clean(engine, out),
        contextlib.ExitStack() as following,
    ):
        plans.check_directory(rundir, update)
        asked = wanted[: wanted.index(until) + 1] if until else wanted
        if not store.exists(rundir.path("plan.json")):
            check_start(rundir, asked)  # before anything is fetched
        store.sweep(out)
        _forget(rundir, wanted[wanted.index(again_from) :] if again_from else ())
        # also where the stage is left out: streamed archives need their lists
        download.fetch(rundir, engine, say)
        plan = plans.make(recipe, out, say)
        plans.commit(rundir, plan, say)
        _need_ledger(rundir, say)
        steps = [stage for stage in wanted if stage != "download"] + ["export"] * export
        job = _Job(rundir, plan, engine, engine_of, say, export_format, metrics, following)
        busy, balanced = _run_steps(job, steps, until or STAGES[-1])
        if not busy and until != "download":
            say("Every table is there already: nothing to do.")
        store.write_json(rundir.path("ledger.json"), balanced)
    return rundir, plan


def _need_ledger(rundir: RunDirectory, say: Callable[[str], None]) -> None:
    """Say so where the ledger of the last run is damaged."""
    path = rundir.path("ledger.json")
    if store.exists(path) and manifests.read_data(path) is None:
        say(f"{path}: damaged; it is written again")


def _forget(rundir: RunDirectory, stages: Sequence[str]) -> None:
    """Remove what some stages made."""
    for stage in stages:
        for place in (*folders(stage, rundir.recipe.stages), f"{manifests.FOLDER}/{stage}.json"):
            store.delete(rundir.path(place))


def _check_stages(out: str, stages: Sequence[str], *ends: str | None) -> None:
    check_stages(stages, *ends)
    later = {"filter", "classify", "dedup", "decontaminate", "tokenize"}
    if "extract" not in stages and later & {*stages} and manifests.read(out, "extract") is None:
        raise RecipeError(
            f"stages: {', '.join(stages)} work on what extract wrote, and {out} holds nothing of it; "
            'put "extract" in front'
        )


def check_start(rundir: RunDirectory, stages: Sequence[str]) -> None:
    """Raise what would end a run hours later and is known now: models, benchmarks, encodings, and
    the right to write."""
    for stage in stages:
        if stage in CHECKED:
            MODULES[stage].check(rundir)
        for folder in folders(stage, rundir.recipe.stages):
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
    if free is None or free >= sum(f.part_size for shard in plan.shards for f in shard.files):
        return
    there = {file.name for file in store.listing(rundir.path("documents"))}
    unread = [shard for shard in plan.shards if f"{shard}.parquet" not in there]
    size = sum(file.part_size for shard in unread for file in shard.files)
    if free >= size:
        return
    line = (
        f"{rundir.out}: {free:,} bytes are free on its disk, for inputs of {size:,} bytes; free "
        "some, or name another --out"
    )
    if free < LEAST_ROOM * size:
        raise RunError(line)
    say(line)


@contextlib.contextmanager
def _left_clean(engine: Engine, out: str) -> Iterator[None]:
    """An interrupt in this block leaves no workers and no temporary files."""
    try:
        yield
    except KeyboardInterrupt:
        engine.close(interrupted=True)
        with contextlib.suppress(RunError):  # another run has taken over
            store.sweep(out)
        raise


@dataclass(frozen=True, slots=True)
class _Job:
    """What the steps of a run share."""

    rundir: RunDirectory
    plan: Plan
    engine: Engine
    engine_of: EngineOf
    say: Callable[[str], None]
    export_format: str
    metrics: Metrics
    following: contextlib.ExitStack


def _run_steps(job: _Job, steps: Sequence[str], until: str) -> tuple[bool, Ledgers]:
    """Run the steps up to `until` whose manifests do not fit. Returns whether there were any,
    and the ledgers of all that have ended.

    Of later ones, manifests that do not fit any more are removed: those stages have not ended.
    """
    identities: list[str] = []
    balanced: Ledgers = {}
    rundir, plan, say, busy = job.rundir, job.plan, job.say, False
    stages = [s for s in steps if s == "export" or STAGES.index(s) <= STAGES.index(until)]
    for step in steps:
        wanted = step == "export" or STAGES.index(step) <= STAGES.index(until)
        manifest = manifests.read(rundir.out, step)
        if manifest is None and not wanted:
            continue
        try:
            key = step_key(rundir, plan, step, identities, job.export_format)
        except CurationError:  # what a later step reads outside need not be there yet
            if wanted:
                raise
            key = ""
        wrong = manifests.misfits(rundir.out, manifest) if manifest else {}
        if manifest is None or wrong or manifest.key != key:
            _clear(rundir, step, manifest, wrong, key, say)
            if not wanted:
                continue
            if not busy:
                of_line = [stage for stage in stages if stage != "export"]
                check_inputs(rundir, plan, of_line, say)
                store.delete(rundir.path("ledger.json"))
                job.following.enter_context(job.metrics.following(job.engine))
                compile_kernels(job.engine, of_line)
            busy = True
            job.metrics.stage(step, stages.index(step) + 1, stages, len(plan.shards))
            manifest = _run_step(job, step, key)
            job.metrics.ended()
        identities.append(manifest.identity)
        if of_datasets := _stage_ledgers(rundir, plan, step, manifest):
            balanced[step] = of_datasets
        manifest = None  # of many files, before the next is read
    return busy, balanced


def _run_step(job: _Job, step: str, key: str) -> Manifest:
    """Run one step and write its manifest."""
    rundir, engine = job.rundir.for_tasks(), job.engine_of(job.engine, step, key)
    where = places(rundir, step)
    # Array tasks share the hashing out, and know nothing of each other.
    alone = job.engine if engine is job.engine else None
    with manifests.following(rundir.out, alone, where) as written:
        if step == "export":
            exports.run(rundir, job.plan, engine, job.export_format)
        else:
            MODULES[step].run(rundir, job.plan, engine)
    manifest = manifests.write(rundir.out, engine, step, key, where, written)
    store.delete(
        rundir.path(parts.FOLDER)
    )  # what array tasks returned; their tables are in the manifest
    return manifest


def places(rundir: RunDirectory, step: str) -> tuple[str, ...]:
    """Where a step writes, in a run directory."""
    if step == "export":
        return exports.PLACES
    borrowed = step == "mix" and "tokenize" not in rundir.recipe.stages
    return folders(step, rundir.recipe.stages) + ("tokens",) * borrowed


def _clear(
    rundir: RunDirectory,
    step: str,
    manifest: Manifest | None,
    wrong: Mapping[str, str],
    key: str,
    say: Callable[[str], None],
) -> None:
    """Remove what does not fit, and the manifest: from here on the step is interrupted."""
    path = manifests.path(rundir.out, step)
    if manifest is None and store.exists(path):
        say(f"{path}: damaged; the tables of {step} are compared by their footers")
    if manifest is not None and wrong:
        manifests.remove(rundir.out, manifest, list(wrong))
    if manifest is not None and key != manifest.key:  # files of changed inputs were removed before
        wrong = {name: what for name, what in wrong.items() if what != manifests.MISSING}
    if wrong:
        name, what = min(wrong.items())
        more = f", and {len(wrong) - 1} more files do not fit" if len(wrong) > 1 else ""
        how = ""
        if any(name.startswith("classify/model/") for name in wrong):
            anew = "; a model fitted anew is a new model: all that follows from it is made again"
            how = f" from {model}" if (model := rundir.recipe.classify.model) else anew
        say(f"{rundir.path(name)}: {what}{more}; made again{how}")
    store.delete(path)


# What these name is compared itself, wherever it lies.
_PATHS = ("files", "urls", "index", "annotations", "benchmarks", "catalogue", "model", "language_model",
          *LISTS)  # fmt: skip
# What a stage depends on beside the recipe and the plan's files.
_OUTSIDE: dict[str, Callable[[RunDirectory, Plan], str]] = {
    "extract": lambda rundir, plan: languages.identity(rundir) + sources.selection_identity(rundir),
    "filter": filters.outside,
    "classify": classify.outside,
    "dedup": lambda rundir, plan: dedup_index.identity(rundir),
    "decontaminate": lambda rundir, plan: benchmarks.asked(rundir),
    "tokenize": tokenize.outside,
}


def step_key(
    rundir: RunDirectory,
    plan: Plan,
    step: str,
    identities: Sequence[str],
    export_format: str = exports.PARQUET,
) -> str:
    """The digest of all that a step's files depend on; `identities` are of the steps before.

    It may change where no file does: then footers say what is reused.
    """
    recipe = rundir.recipe
    stages = STAGES if step == "export" else STAGES[: STAGES.index(step) + 1]
    settings = [
        [(k, v) for k, v in dataclasses.asdict(config).items() if k not in _PATHS]
        for config in (*recipe.dataset, *(getattr(recipe, stage) for stage in stages))
    ]
    shards = plans.shards_digest(plan.shards)
    versions: list[object] = [exports.VERSION]
    if export_format != exports.PARQUET:
        versions.append(export_format)
    if step != "export":
        folder = importlib.import_module(f"curation.stages.{step}")
        names = [
            module.name for module in pkgutil.iter_modules(folder.__path__, folder.__name__ + ".")
        ]
        versions = [getattr(importlib.import_module(name), "VERSION", 0) for name in names]
    ran = [stage for stage in stages if stage in recipe.stages]
    outside = _OUTSIDE[step](rundir, plan) if step in _OUTSIDE else ""
    return config_digest(step, versions, recipe.seed, ran, settings, shards, outside, identities)


def warnings(rundir: RunDirectory) -> list[str]:
    """The warnings of a finished run, a line each, in the order of the stages."""
    return [line for stage in STAGES for line in MODULES[stage].warnings(rundir)]


def ledgers(rundir: RunDirectory, plan: Plan, stages: Sequence[str] = STAGES) -> Ledgers:
    """The ledgers of some stages of a run: stage -> dataset -> ledger. They are in the stages'
    manifests, or in the footers of their tables.

    Stages that have no ledger are absent.
    """
    asked = [stage for stage in rundir.recipe.stages if stage in stages]
    read = {stage: manifests.read(rundir.out, stage) for stage in asked}
    out = {stage: _stage_ledgers(rundir, plan, stage, read[stage]) for stage in asked}
    return {stage: of_datasets for stage, of_datasets in out.items() if of_datasets}


def _stage_ledgers(
    rundir: RunDirectory, plan: Plan, stage: str, manifest: Manifest | None
) -> dict[str, ledger.Ledger]:
    """The ledgers of one stage by dataset; empty where it keeps none."""
    start, out = len(rundir.path("")), dict[str, ledger.Ledger]()
    for dataset in rundir.recipe.names() if stage in STAGES else ():
        tables = (rundir.ledger_table(stage, shard) for shard in plan.of(dataset))
        total: ledger.Ledger = {}
        for path in filter(None, tables):
            there = (manifest.files.get(path[start:]) if manifest else None) or store.footer(path)
            if there is None:
                break
            out[dataset] = total = ledger.total([total, there.ledger])
        else:
            continue
        out.pop(dataset, None)
    return out
