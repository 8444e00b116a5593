"""`curation.mix`: the weighted mixture of runs that have tokens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from curation import store
from curation.api.data import path_of
from curation.api.files import local
from curation.api.messages import in_python
from curation.api.runs import Run
from curation.errors import InputError
from curation.pipeline import line
from curation.pipeline.engines import engine_for
from curation.recipe import reading
from curation.recipe.tables import Recipe
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.shown import brief


def mix(
    inputs: Mapping[str, Any],
    *,
    out: str | os.PathLike[str],
    weights: Mapping[str, float] | None = None,
    by: str = "",
    by_weights: Mapping[str, Mapping[str, float]] | None = None,
    tokens: int = 0,
    shards: int = 8,
    validation: float = 0.001,
    max_epochs: float = 16.0,
    parquet: bool = False,
    seed: int = 0,
    workers: int | None = None,
    update: bool = False,
) -> Run:
    """Token shards from runs that have tokens, mixed by weight without replacement.

    Args:
        inputs: name -> a run directory (its path, a Run, or a result that has `out`) with tokens.
        out: the run directory to write; the shards are in its folder shards/.
        weights: weight of each name, in any unit; by default all is taken once.
        by: within an input, weigh its documents by this column, which `tokenize(..., by=...)` kept.
        by_weights: with `by`: input -> value of the column -> weight, such as 1 or "2+".
        tokens: tokens of the whole mixture; 0: until the first input is used up.
        shards: training shards.
        validation: share of documents held out for validation.
        max_epochs: a mixture that repeats an input more often is refused.
        parquet: also write each shard as a table that names every chunk's document.
        seed: every random decision depends on it and on the content.
        workers: processes; by default none below 20 MB, and one a core above.
        update: run again in a directory that was made with other settings.

    Raises:
        InputError: an input without tokens, or a name without weight.

    >>> import tempfile
    >>> from curation.api.tokens import tokenize
    >>> folder = tempfile.mkdtemp()
    >>> texts = ["The tide turns twice a day.", "The ferry goes at noon."]
    >>> web = tokenize(texts, out=folder + "/web")
    >>> mixed = mix({"web": web}, out=folder + "/mixed", shards=1, validation=0)
    >>> mixed.table("shards").column("tokens").to_pylist()[0]
    15
    """
    groups = {name: dict(values) for name, values in (by_weights or {}).items()}
    keys: dict[str, Any] = {"by": by, "by_weights": groups, "tokens": tokens, "shards": shards}
    keys |= {"validation": validation, "max_epochs": max_epochs, "parquet": parquet}
    tables = _tables(_folders(inputs), weights, keys)
    tables["seed"] = seed
    with in_python():
        recipe = _recipe(tables, bool(weights))
        paths = [path for dataset in recipe.dataset for path in dataset.files]
        engine = engine_for(sum(f.size for path in paths for f in store.find(path)), workers)
        try:
            line.run(recipe, local(out), engine, update=update, say=lambda text: None)
        finally:
            engine.close()
    return Run.open(out)


def _tables(
    folders: Mapping[str, str], weights: Mapping[str, float] | None, keys: dict[str, Any]
) -> dict[str, Any]:
    """The recipe as TOML has it. Raises InputError where a name has no weight, or no input."""
    keys["weights"] = dict(weights) if weights else dict.fromkeys(folders, 1.0)
    if unmatched := folders.keys() ^ keys["weights"].keys():
        name = min(unmatched)
        problem = "no weight" if name in folders else "a weight, but no input"
        raise InputError(f"mix: {name!r} has {problem}; each needs both")
    datasets = [
        {"name": name, "files": [folder + "/tokens/*/*.parquet"], "format": "table"}
        for name, folder in folders.items()
    ]
    return {"stages": ["mix"], "mix": keys, "dataset": datasets}


def _recipe(tables: dict[str, Any], has_weights: bool) -> Recipe:
    """The recipe; without weights everything is taken once."""
    if not has_weights:
        keys = tables["mix"]
        sizes = training_tokens({**tables, "mix": {**keys, "tokens": 0}})
        keys["weights"] = {name: float(count) for name, count in sizes.items()}
        keys["tokens"] = keys["tokens"] or sum(sizes.values())
    return reading.parse(tables, "mix")


def training_tokens(tables: dict[str, Any], where: str = "mix") -> dict[str, int]:
    """How many tokens each dataset of a recipe that mixes has for training."""
    from curation.stages.mix.groups import check_groups, count_shard

    recipe = reading.parse(tables, where)
    rundir, sizes = RunDirectory(".", recipe), dict.fromkeys(recipe.names(), 0)
    shards = plans.make(recipe, ".").shards
    check_groups(rundir, shards)
    for shard in shards:
        sizes[shard.dataset] += count_shard(rundir, shard).training
    return sizes


def _folders(inputs: Any) -> dict[str, str]:
    """The run directory of each input."""
    if not isinstance(inputs, Mapping) or not inputs:
        raise InputError(f"mix: a dict of names and runs expected, got {brief(inputs)}")
    return {name: _folder(name, given) for name, given in inputs.items()}


def _folder(name: str, given: Any) -> str:
    """The run directory of an input, which has tokens."""
    found = getattr(given, "run_directory", None) or getattr(given, "out", None)
    if not isinstance(found, str):
        if not isinstance(given, str | os.PathLike):
            raise InputError(
                f"mix: a run directory expected for {name!r}, got {brief(given)}; give "
                "tokenize(..., out=...) or its folder"
            )
        found = path_of(given).rstrip("/")
    if not store.is_folder(store.join(found, "tokens")):
        raise InputError(
            f"{found}: no tokens there; give a folder that tokenize(..., out=...) or run wrote"
        )
    return found
