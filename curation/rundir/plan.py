"""What a run will do: `plan.json` with the recipe, the inputs and the shards.

Inputs are told apart by name, size and modification time. A shard whose inputs changed loses its
documents before the new plan is written, so everything made from them is made again; nothing else
is. The plan is kept twice; where both are lost, all inputs are read again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curation import store
from curation.errors import InputError, RunError
from curation.recipe import reading as recipes
from curation.recipe.line import STAGES
from curation.recipe.tables import Dataset, Recipe
from curation.rundir import manifest as manifests
from curation.rundir import shards as shards_of
from curation.rundir import sources
from curation.rundir.directory import SHARD_FOLDERS, RunDirectory, Shard
from curation.shown import masked
from curation.version import __version__

RECORDED = "recorded"  # in plan.json: what "auto" came to, which later runs keep
EXPORTED = "input"  # the dataset whose rows a step also writes to kept/ and removed/
# The stages of the commands for one step.
ONE_STEP = [("extract",), ("mix",)] + [
    ("extract", step) for step in ("filter", "classify", "dedup", "decontaminate", "tokenize")
]


@dataclass(frozen=True, slots=True)
class Plan:
    """The shards of a run, in the order of the recipe's datasets."""

    shards: tuple[Shard, ...]

    def of(self, *datasets: str) -> list[Shard]:
        return [shard for shard in self.shards if shard.dataset in datasets]


def make(recipe: Recipe, out: str, say: Callable[[str], None] = lambda line: None) -> Plan:
    """Find the inputs and group them into shards; the same files give the same shards.

    `say` receives a line about the files that were passed over.
    """
    shards: list[Shard] = []
    for dataset in recipe.dataset:
        number = 0
        for batch, files in enumerate(_batches(RunDirectory(out, recipe), dataset, say)):
            _known_formats(dataset, files)
            if "mix" in recipe.stages and "tokenize" not in recipe.stages:
                files = _tokens_of_finished_runs(files)
                groups = shards_of.alone(files)
            else:
                groups = shards_of.groups(dataset, files)
            for group in groups:
                shards.append(Shard(dataset.name, number, len(shards), batch, group))
                number += 1
    return Plan(tuple(shards))


def _tokens_of_finished_runs(files: list[store.File]) -> list[store.File]:
    """Those of some runs' token tables that belong to the shards of their runs' plans.

    Raises RunError where such a run is not finished. Tables beside no plan are taken as they are.
    """
    known: dict[str, set[str]] = {}
    out = []
    for file in files:
        run, _, place = file.path.rpartition("/tokens/")
        if place and run not in known and store.exists(store.join(run, "plan.json")):
            rundir, plan = read(run)
            need_finished(rundir, "tokenize")
            known[run] = {f"{shard}.parquet" for shard in plan.shards}
        if run not in known or place in known[run]:
            out.append(file)
    return out


def _known_formats(dataset: Dataset, files: list[store.File]) -> None:
    """Raise InputError, naming the file, where a name does not say what a file is."""
    from curation.readers.formats import guess_format

    for file in files if dataset.format == "auto" and not dataset.by_record else ():
        try:
            guess_format(file.name)
        except InputError as error:
            raise InputError(f"dataset {dataset.name!r}: {file.path}: {error}") from error


def _batches(
    rundir: RunDirectory, dataset: Dataset, say: Callable[[str], None]
) -> list[list[store.File]]:
    batches = sources.input_files(rundir, dataset, say)
    if dataset.crawls:
        return batches
    (files,) = batches
    alike = len({file.name for file in files}) < len(files)
    # Files of the same name are told apart by their place in the folder they share.
    if alike and not any(store.is_web(file.path) for file in files):
        shared = os.path.commonpath([os.path.dirname(file.path) for file in files])
        files = [
            dataclasses.replace(file, name=os.path.relpath(file.path, shared)) for file in files
        ]
    names = sorted(file.name for file in files)
    for name, next_name in itertools.pairwise(names):
        if name == next_name:
            raise InputError(
                f"dataset {dataset.name!r}: the file {name!r} is named twice; name it once"
            )
    return [files]


def check_directory(rundir: RunDirectory, update: bool) -> None:
    """Raise RunError where the directory holds another recipe's run and `update` was not asked
    for, or something that is no run."""
    if store.exists(rundir.out) and not store.is_folder(rundir.out):
        raise RunError(f"{rundir.out}: a file is there; name a folder with --out")
    if plan := manifests.stored_plan(rundir.out):
        differences = recipes.changes(plan["recipe"], recipes.as_dict(rundir.recipe))
        if differences and not update and _has_results(rundir):
            raise RunError(
                f"{rundir.out}: made by another recipe ({'; '.join(differences[:3])}"
                f"{' ...' if len(differences) > 3 else ''}); add --update to run it again under "
                "the new one "
                "(whatever is still valid is reused), or name another --out"
            )
    elif store.is_folder(rundir.out) and not store.is_remote(rundir.out):
        names = {name for name in os.listdir(rundir.out) if store.TEMPORARY not in name}
        strange = sorted(names - {"run.lock", "downloads", manifests.FOLDER})
        if strange and not _is_run(rundir):
            raise RunError(
                f"{rundir.out}: not a run directory, and not empty (it holds {strange[0]!r}); name "
                "a new folder with --out"
            )


def _is_run(rundir: RunDirectory) -> bool:
    """Whether a run was here, even if its plan cannot be read."""
    names = [f"{manifests.FOLDER}/{stage}.json" for stage in STAGES[1:]]
    return any(store.exists(rundir.path(name)) for name in (*manifests.PLANS, *names))


def _has_results(rundir: RunDirectory) -> bool:
    """Whether a run directory holds documents or token shards: a first try that failed before it
    had any may be followed by another."""
    tables = store.listing(rundir.path("documents")) + store.listing(rundir.path("tokens"))
    footers = (store.footer(file.path) for file in tables if file.path.endswith(".parquet"))
    return any(footer is not None and footer.rows for footer in footers)


def commit(
    rundir: RunDirectory, plan: Plan, say: Callable[[str], None] = lambda line: None
) -> None:
    """Write the plan, having cleared what the last plan's changed inputs made, and everything that
    was made of shards which are no longer planned."""
    values = recorded(rundir.out)
    new = _as_json(rundir, plan) | ({RECORDED: values} if values else {})
    data = store.json_bytes(new)
    if all(_stored(rundir.path(name)) == data for name in manifests.PLANS):
        return
    old = manifests.stored_plan(rundir.out)
    first = next((stage for stage in STAGES[1:] if stage in rundir.recipe.stages), STAGES[0])
    if old is None and _is_run(rundir):
        say(
            f"{rundir.path('plan.json')}: it and its copy are missing or damaged, so the inputs "
            "cannot be compared with those of the last run; all are read again"
        )
        store.delete(manifests.path(rundir.out, first))
        for folder in ("documents", "rejects"):
            store.delete(rundir.path(folder))
    stale = _stale(old["shards"], new["shards"]) if old else []
    if stale:
        store.delete(manifests.path(rundir.out, first))
    planned = {str(shard) for shard in plan.shards}
    for name in stale:
        for folder in ("documents", "rejects") if name in planned else SHARD_FOLDERS:
            store.delete(rundir.path(*folder.split("/"), name + ".parquet"))
        if name not in planned and name.startswith(EXPORTED + "/"):
            for side in ("kept", "removed"):
                stem = name.removeprefix(EXPORTED + "/")
                for ending in (".parquet", *store.ENDINGS.values()):
                    store.delete(rundir.path(side, stem + ending))
    for name in reversed(manifests.PLANS):
        if _stored(rundir.path(name)) != data:
            if old == new:
                say(f"{rundir.path(name)}: missing or damaged; it is written again")
            store.write_bytes(rundir.path(name), data)


def _stored(path: str) -> bytes | None:
    """The bytes of a file; None where there is none."""
    try:
        return store.read_bytes(path)
    except InputError:
        return None


def recorded(out: str) -> dict[str, Any]:
    """What the keys of a recipe that say "auto" came to in a run: table.key -> value."""
    values = (manifests.stored_plan(out) or {}).get(RECORDED, {})
    return values if isinstance(values, dict) else {}


def record(out: str, name: str, value: Any) -> None:
    """Keep what a key that says "auto" came to, in the plan and its copy."""
    plan = manifests.stored_plan(out)
    if plan is not None:
        plan[RECORDED] = {**recorded(out), name: value}
        for place in reversed(manifests.PLANS):
            store.write_json(store.join(out, place), plan)


def need_finished(rundir: RunDirectory, until: str = STAGES[-1]) -> None:
    """Raise RunError, with the command that finishes it, unless a run is finished up to a stage and
    its files are whole."""
    if until not in rundir.recipe.stages:
        raise RunError(
            f"{rundir.out}: its recipe has no stage {until!r}; add it to `stages` and run it again"
        )
    if sentence := unfinished(rundir, until):
        raise RunError(sentence)
    for stage in _stages(rundir, until):
        manifest = manifests.read(rundir.out, stage)
        for name, what in manifests.misfits(rundir.out, manifest).items() if manifest else ():
            raise RunError(f"{rundir.path(name)}: {what}; {_again(rundir)}")


def unfinished(rundir: RunDirectory, until: str = STAGES[-1]) -> str:
    """The sentence about a run that is not finished; empty where it is.

    A stage is finished where its manifest is there.
    """
    for stage in _stages(rundir, until):
        if manifests.read(rundir.out, stage) is None:
            ended = f"this run is not finished, for {stage} has not ended"
            return f"{rundir.out}: {ended}; {_again(rundir)}"
    return ""


def _stages(rundir: RunDirectory, until: str) -> list[str]:
    stages = [stage for stage in rundir.recipe.stages if stage != "download"]
    return stages[: stages.index(until) + 1] if until in stages else stages


def _again(rundir: RunDirectory) -> str:
    stages = tuple(stage for stage in rundir.recipe.stages if stage != "download")
    command = f"curation {stages[-1]} INPUT..." if stages in ONE_STEP else "curation run RECIPE"
    return f"run its command again (`{command} --out {rundir.out}`): it goes on where it stopped"


def read(out: str) -> tuple[RunDirectory, Plan]:
    """The run directory at `out` and its plan. Raises RunError where it is none."""
    path = store.join(out, "plan.json")
    data = manifests.stored_plan(out)
    if data is None and store.exists(path):
        raise RunError(
            f"{path}: not a plan, and there is no copy of it; run the command that wrote {out} "
            "again: it reads the inputs again and writes a new plan"
        )
    if data is None:
        raise RunError(
            f"{out}: not a run directory (no plan.json); give the folder that `curation run --out` "
            "wrote"
        )
    try:
        shards = tuple(
            Shard(
                s["dataset"],
                s["number"],
                s["ordinal"],
                s["batch"],
                tuple(store.File(**f) for f in s["files"]),
            )
            for s in data["shards"]
        )
    except (KeyError, TypeError) as error:
        raise RunError(
            f"{path}: not a plan ({error!r} in its shards); the file was changed by something else"
        ) from error
    return RunDirectory(out, recipes.parse(data["recipe"], path)), Plan(shards)


def _as_json(rundir: RunDirectory, plan: Plan) -> dict[str, Any]:
    shards = [
        {
            "dataset": s.dataset,
            "number": s.number,
            "ordinal": s.ordinal,
            "batch": s.batch,
            "files": [_file_as_json(f) for f in s.files],
        }
        for s in plan.shards
    ]
    return {
        "curation": __version__,
        "recipe": recipes.as_dict(rundir.recipe),
        "shards": shards,
    }


@functools.lru_cache(maxsize=1)
def shards_digest(shards: tuple[Shard, ...]) -> str:
    """The digest of all shards and their files: once a run, and a shard at a time, since there may be
    very many."""
    state = hashlib.sha256()
    for s in shards:
        files = [(f.name, f.size, *f.part) for f in s.files]
        state.update(repr((str(s), s.ordinal, s.batch, files)).encode())
    return state.hexdigest()


def _file_as_json(file: store.File) -> dict[str, Any]:
    row = {"path": masked(file.path), "name": file.name, "size": file.size, "tag": file.tag}
    return {**row, "start": file.start, "end": file.end} if file.part else row


def _stale(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Names of shards whose files are not the ones they were."""

    def files(shards: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            f"{s['dataset']}/{s['number']:05d}": [
                (f["name"], f["size"], f["tag"], f.get("start"), f.get("end")) for f in s["files"]
            ]
            for s in shards
        }

    now = files(new)
    return [name for name, inputs in files(old).items() if now.get(name) != inputs]
