"""What a run will do: `plan.json` with the recipe, the inputs and the shards.

Inputs are told apart by name, size and modification time. A shard whose inputs changed loses its
documents before the new plan is written, so everything made from them is made again; nothing else
is.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curation import store
from curation.errors import InputError, RunError
from curation.recipe import reading as recipes
from curation.recipe.tables import Dataset, Recipe
from curation.rundir import sources
from curation.rundir.directory import RunDirectory, Shard
from curation.version import __version__


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
            for start in range(0, len(files), dataset.archives_per_shard):
                group = tuple(files[start : start + dataset.archives_per_shard])
                shards.append(Shard(dataset.name, number, len(shards), batch, group))
                number += 1
    return Plan(tuple(shards))


def _known_formats(dataset: Dataset, files: list[store.File]) -> None:
    """Raise InputError, naming the file, where a name does not say what a file is."""
    from curation.readers.formats import guess_format

    for file in files if dataset.format == "auto" and not dataset.urls else ():
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
    path = rundir.path("plan.json")
    if store.exists(path):
        differences = recipes.changes(_read(path)["recipe"], recipes.as_dict(rundir.recipe))
        if differences and not update:
            raise RunError(
                f"{rundir.out}: made by another recipe ({'; '.join(differences[:3])}"
                f"{' ...' if len(differences) > 3 else ''}); add --update to run it again under "
                "the new one "
                "(whatever is still valid is reused), or name another --out"
            )
    elif store.is_folder(rundir.out) and not store.is_remote(rundir.out):
        strange = sorted(set(os.listdir(rundir.out)) - {"run.lock", "downloads"})
        if strange:
            raise RunError(
                f"{rundir.out}: not a run directory, and not empty (it holds {strange[0]!r}); name "
                "a new folder with --out"
            )


def commit(rundir: RunDirectory, plan: Plan) -> None:
    """Write `plan.json`, having cleared what the last plan's changed inputs made."""
    path = rundir.path("plan.json")
    new = _as_json(rundir, plan)
    old = _read(path) if store.exists(path) else None
    for name in _stale(old["shards"], new["shards"]) if old else ():
        store.delete(rundir.path("documents", name + ".parquet"))
        store.delete(rundir.path("rejects", name + ".parquet"))
    if old != new:
        store.write_json(path, new)


def _read(path: str) -> dict[str, Any]:
    """plan.json as it stands. Raises RunError where it is something else."""
    data = store.read_json(path)
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("recipe"), dict)
        or not isinstance(data.get("shards"), list)
    ):
        raise RunError(f"{path}: not a plan; the file was changed by something else")
    return data


def read(out: str) -> tuple[RunDirectory, Plan]:
    """The run directory at `out` and its plan. Raises RunError where it is none."""
    path = store.join(out, "plan.json")
    if not store.exists(path):
        raise RunError(
            f"{out}: not a run directory (no plan.json); give the folder that `curation run --out` "
            "wrote"
        )
    data = _read(path)
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
            "files": [
                {"path": f.path, "name": f.name, "size": f.size, "tag": f.tag} for f in s.files
            ],
        }
        for s in plan.shards
    ]
    return {
        "curation": __version__,
        "recipe": recipes.as_dict(rundir.recipe),
        "shards": shards,
    }


def _stale(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Names of shards whose files are not the ones they were."""

    def files(shards: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            f"{s['dataset']}/{s['number']:05d}": [
                (f["name"], f["size"], f["tag"]) for f in s["files"]
            ]
            for s in shards
        }

    now = files(new)
    return [name for name, inputs in files(old).items() if now.get(name) != inputs]
