"""The value that the mixture weighs each document by: the column `group` of `tokens/`.

A value is that of a column as text, or the number of the quantile of a number in it, from 1, ranked
over all documents of the dataset that have one, removed ones too. Documents of equal numbers are
ranked by the hash of their text, so quantiles are of equal size and the same for any shards.

Cost: the columns of numbers are read three times, or as often as equal numbers need. Memory: the
keys of one shard, and the counts of some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.digests import config_digest
from curation.errors import InputError, did_you_mean
from curation.kernels import quantiles
from curation.recipe.groups import Grouping, grouping
from curation.rundir import columns
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import table_facts

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.plan import Plan

VERSION = 1
SHARDS = 64  # whose counts are in memory at the same time
TAKEN = 1 << 18  # keys: where fewer are left, they are taken themselves
NEEDS = {
    "quality": "classify",
    "cluster_size": "dedup",
    **dict.fromkeys(columns.SIGNALS, "filter"),
}


def check_column(rundir: RunDirectory) -> None:
    """Raise InputError where the run cannot have the column that the recipe weighs by."""
    by, stages = rundir.recipe.mix.by, rundir.recipe.stages
    if not by:
        return
    asked = grouping(by)
    known_name = asked.column.startswith(columns.EXTRA) or asked.column in columns.NAMES
    if not known_name and not columns.is_own_signal(rundir, asked.column):
        known = [*columns.NAMES, "quality_decile", "extra.NAME"]
        raise InputError(
            f"mix.by: no column {asked.column[:80]!r}{did_you_mean(asked.column, known)}"
        )
    stage = NEEDS.get(asked.column)
    if stage and stage not in stages:
        raise InputError(
            f"mix.by: {by!r} needs the stage {stage}, which this recipe leaves out; add it to "
            f"`stages`, or write extra.{asked.column} for a column of the input"
        )
    if asked.quantiles and asked.column == "cluster_size":
        raise InputError(
            "mix.by: no quantiles of cluster_size, for most documents have 1; weigh by "
            '"cluster_size", with weights such as "1", "2+" and "100+"'
        )


# ---- cuts ----------------------------------------------------------------------------------------


def write_cuts(rundir: RunDirectory, plan: Plan, engine: Engine) -> None:
    """Write `tokens/quantiles/<dataset>.json` for each dataset that is weighed by quantiles."""
    mix = rundir.recipe.mix
    asked = grouping(mix.by)
    if not asked.quantiles:
        store.delete(rundir.path("tokens", "quantiles"))
        return
    for dataset in rundir.recipe.names():
        shards = plan.of(dataset)
        if rundir.recipe.named(dataset).role == "reference" or not shards:
            continue
        identity = partial(columns.column_identity, rundir, name=asked.column)
        made_from = engine.map("tokenize: columns", identity, shards)
        digest, path = _cuts_digest(rundir, shards, asked, made_from), _cuts_path(rundir, dataset)
        if not (store.exists(path) and store.read_json(path).get("digest") == digest):
            store.write_json(path, {"digest": digest, **_cuts(rundir, engine, shards, asked)})


def _cuts_path(rundir: RunDirectory, dataset: str) -> str:
    return rundir.path("tokens", "quantiles", dataset + ".json")


def _cuts_digest(
    rundir: RunDirectory, shards: Sequence[Shard], asked: Grouping, made_from: list[str]
) -> str:
    facts = table_facts(rundir, [rundir.documents(shard) for shard in shards])
    texts = [fact.identity for fact in facts.values()]
    return config_digest("tokenize/quantiles", VERSION, asked, made_from, texts)


def _cuts(
    rundir: RunDirectory, engine: Engine, shards: Sequence[Shard], asked: Grouping
) -> dict[str, Any]:
    """How many documents of a dataset have a number, and the last key of each quantile."""

    def counted(prefixes: list[bytes]) -> Any:
        task = partial(_shard_counts, rundir, asked.column, prefixes)
        return quantiles.summed([quantiles.summed(part) for part in _parts(engine, task, shards)])

    bins, counts = counted([b""])
    documents = int(counts.sum())
    if not documents:
        return {"documents": 0, "cuts": []}
    cuts = quantiles.first_cuts(documents, asked.quantiles)
    cuts, left = quantiles.narrowed(cuts, [b""], bins, counts)
    while left > TAKEN and len(cuts[0].prefix) < quantiles.WIDTH:
        prefixes = quantiles.prefixes_of(cuts)
        cuts, left = quantiles.narrowed(cuts, prefixes, *counted(prefixes))
    if len(cuts[0].prefix) == quantiles.WIDTH:  # many documents of one text
        keys = [cut.prefix for cut in cuts]
    else:
        task = partial(_shard_keys, rundir, asked.column, quantiles.prefixes_of(cuts))
        taken = [np.concatenate(part) for part in _parts(engine, task, shards)]
        keys = quantiles.cut_keys(cuts, np.concatenate(taken))
    return {
        "documents": documents,
        "cuts": [{"value": quantiles.number_of(key), "key": key.hex()} for key in keys],
    }


def _parts(engine: Engine, task: Callable[[Shard], Any], shards: Sequence[Shard]) -> Any:
    """The results of a task on all shards, those of some at a time."""
    for start in range(0, len(shards), SHARDS):
        yield engine.map("tokenize: quantiles", task, shards[start : start + SHARDS])


def _shard_counts(rundir: RunDirectory, column: str, prefixes: list[bytes], shard: Shard) -> Any:
    deep = len(prefixes[0]) >= quantiles.NUMBER
    return quantiles.digit_counts(_keys(rundir, shard, column, deep)[0], prefixes)


def _shard_keys(
    rundir: RunDirectory, column: str, prefixes: list[bytes], shard: Shard
) -> quantiles.Keys:
    return quantiles.keys_below(_keys(rundir, shard, column, True)[0], prefixes)


def _keys(
    rundir: RunDirectory, shard: Shard, column: str, with_content: bool
) -> tuple[quantiles.Keys, npt.NDArray[np.int64]]:
    """Keys of a shard's documents that have a number, and their rows. The hashes are zeros unless
    asked for."""
    values = _numbers(columns.document_column(rundir, shard, column), column)
    rows = np.flatnonzero(~np.isnan(values))
    content = np.zeros((len(rows), 16), np.uint8)
    if with_content:
        content = _hashes(rundir.documents(shard))[rows]
    return quantiles.rank_keys(values[rows], content), rows


def _numbers(column: pa.Array, name: str) -> npt.NDArray[np.float64]:
    """A column as float64[n], NaN for null."""
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
    if not is_number:
        raise InputError(
            f"numbers expected in the column {name!r} to cut them into quantiles, got {kind}; set "
            f"mix.by to {name!r} to weigh by its values"
        )
    numbers = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


def _hashes(path: str) -> npt.NDArray[np.uint8]:
    """The column `content` of a table: uint8[n, 16]."""
    parts = [
        np.frombuffer(batch.column(0).buffers()[1], np.uint8)[16 * batch.column(0).offset :][
            : 16 * batch.num_rows
        ]
        for batch in store.read_groups(path, ["content"])
    ]
    return np.concatenate([np.zeros(0, np.uint8), *parts]).reshape(-1, 16)


# ---- groups --------------------------------------------------------------------------------------


def group_identity(rundir: RunDirectory, shard: Shard) -> tuple[str, ...]:
    """What the groups of a shard are made from; empty where the recipe weighs by datasets only."""
    by = rundir.recipe.mix.by
    if not by:
        return ()
    asked = grouping(by)
    identity = columns.column_identity(rundir, shard, asked.column)
    cuts = store.read_json(_cuts_path(rundir, shard.dataset))["digest"] if asked.quantiles else ""
    return (by, identity, cuts)


def groups_of(rundir: RunDirectory, shard: Shard) -> pa.Array | None:
    """The group of each survivor of a shard, as text; None where the recipe weighs by datasets
    only."""
    by = rundir.recipe.mix.by
    if not by:
        return None
    asked = grouping(by)
    if not asked.quantiles:
        column = columns.column_of(rundir, shard, asked.column)
        try:
            return columns.as_text(column)
        except TypeError as error:
            raise InputError(
                f"{error} in the column {asked.column!r}; set mix.by to another"
            ) from error
    keys, rows = _keys(rundir, shard, asked.column, True)
    cuts = store.read_json(_cuts_path(rundir, shard.dataset))["cuts"]
    numbers = quantiles.quantiles_of(keys, [bytes.fromhex(cut["key"]) for cut in cuts])
    groups = np.full(store.need_footer(rundir.documents(shard)).rows, "", object)
    groups[rows] = numbers.astype(str)
    if rundir.survivors(shard) != rundir.documents(shard):
        groups = groups[store.read_table(rundir.survivors(shard), ["row"]).column(0).to_numpy()]
    return pa.array(groups, pa.string())
