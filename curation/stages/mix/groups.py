"""How many tokens each dataset and each group of it has, and how often a document is read.

Cost: the columns `content`, `counts` and `group` of every token table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.errors import InputError
from curation.recipe.groups import OTHERS, chosen_keys, in_order
from curation.rundir.directory import RunDirectory, Shard
from curation.stages.mix.mixture import GroupShare, Share, plan_mixture

MOST_VALUES = 1000  # without a weight, counted of each shard for the message

Counts = tuple[int, int, int]  # documents, tokens for training, tokens held out
NONE: Counts = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """What a shard has: by the key of the table of weights (`*` where the dataset has none); and
    how many documents have values that no key covers."""

    groups: dict[str, Counts]
    unweighed: dict[str, int] = field(default_factory=dict)

    @property
    def training(self) -> int:
        """Tokens for training."""
        return sum(counts[1] for counts in self.groups.values())


def token_path(rundir: RunDirectory, shard: Shard) -> str:
    """The table of a shard's tokens; where this recipe does not tokenize, that of the run that
    made it, as long as it is there."""
    source = shard.files[0].path
    borrowed = "tokenize" not in rundir.recipe.stages and store.exists(source)
    return source if borrowed else rundir.table("tokens", shard)


def held_out(rundir: RunDirectory, content: pa.Array) -> npt.NDArray[np.bool_]:
    """By document draw, so that the same text is never on both sides."""
    return (
        draws.uniforms(rundir.recipe.seed, "validation", content.to_pylist())
        < rundir.recipe.mix.validation
    )


def count_shard(rundir: RunDirectory, shard: Shard) -> ShardCounts:
    """Count a shard's documents and tokens."""
    weights = rundir.recipe.mix.by_weights.get(shard.dataset, {})
    path = token_path(rundir, shard)
    keys = list(weights) or [OTHERS]
    totals = np.zeros((3, len(keys) + 1), np.int64)  # the last column: of no key
    unweighed: Counter[str] = Counter()
    for batch in store.read_groups(path, ["content", "counts", *["group"] * bool(weights)]):
        lists = batch.column(1)
        offsets = lists.offsets.to_numpy()
        sums = np.concatenate([[0], np.cumsum(lists.values.to_numpy(), dtype=np.int64)])
        tokens = sums[offsets[1:]] - sums[offsets[:-1]]
        out = held_out(rundir, batch.column(0))
        place = np.zeros(len(tokens), np.int64)
        if weights:
            place = _places(batch.column(2), keys, unweighed)
        is_document = np.asarray(lists.is_valid())
        for row, amount in enumerate((is_document, tokens * ~out, tokens * out)):
            totals[row] += np.bincount(place, amount, len(keys) + 1).astype(np.int64)
    groups = {
        key: (int(documents), int(train), int(held))
        for key, documents, train, held in zip(keys, *totals[:, :-1].tolist(), strict=True)
    }
    return ShardCounts(groups, dict(unweighed.most_common(MOST_VALUES)))


def _places(
    values: pa.Array, keys: Sequence[str], unweighed: Counter[str]
) -> npt.NDArray[np.int64]:
    """The number of the key of each value, one past the last for nulls and values of none; those
    are counted."""
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    numbers = {key: number for number, key in enumerate(keys)}
    chosen = [len(keys) if key is None else numbers[key] for key in chosen_keys(distinct, keys)]
    indices = encoded.indices.fill_null(len(distinct)).to_numpy()
    for value, place, documents in zip(
        distinct, chosen, np.bincount(indices, minlength=len(distinct) + 1).tolist(), strict=False
    ):
        if place == len(keys):
            unweighed[value] += documents
    places: npt.NDArray[np.int64] = np.array([*chosen, len(keys)], np.int64)[indices]
    return places


def check_groups(rundir: RunDirectory, shards: Sequence[Shard]) -> None:
    """Raise InputError unless the token tables have the groups that the recipe weighs by."""
    weighed = [token_path(rundir, s) for s in shards if rundir.recipe.mix.by_weights.get(s.dataset)]
    for folder in dict.fromkeys(path.rsplit("/", 2)[0] for path in weighed):
        _check_folder(rundir.recipe.mix.by, folder)


def _check_folder(by: str, folder: str) -> None:
    facts = store.read_json(store.join(folder, "encoding.json"))
    if facts.get("by", "") != by:
        made = f"with the column {facts['by']!r}" if "by" in facts else "without one"
        raise InputError(
            f"{folder}: tokens with the column {by!r} expected to weigh by, and they were made "
            f"{made}; make them again with [mix] by = {by!r} (`curation tokenize --by {by}`)"
        )


def shares_of(
    rundir: RunDirectory, shards: Sequence[Shard], counted: Sequence[ShardCounts]
) -> list[Share]:
    """The plan of the mixture from the counts of each shard."""
    mix = rundir.recipe.mix
    totals: dict[str, tuple[int, int]] = {}
    groups: dict[str, list[GroupShare]] = {}
    for name in rundir.recipe.names():
        own = [c for s, c in zip(shards, counted, strict=True) if s.dataset == name]
        weights = mix.by_weights.get(name, {}) if mix.weights.get(name) else {}
        if weights:
            _check_values(name, mix.by, own)
        parts = [GroupShare(key, weight, *_total(own, key)) for key, weight in in_order(weights)]
        # Of a value with weight 0 nothing is held out: it takes no part.
        parts = [part if part.weight else replace(part, validation_tokens=0) for part in parts]
        if parts:
            groups[name] = parts
            totals[name] = sum(p.tokens for p in parts), sum(p.validation_tokens for p in parts)
        else:
            _, train, held = _total(own, OTHERS)
            totals[name] = train, held
    return plan_mixture(mix.weights, mix.tokens, totals, mix.max_epochs, groups)


def _total(counted: Sequence[ShardCounts], key: str) -> Counts:
    documents, train, held = map(
        sum, zip(NONE, *(c.groups.get(key, NONE) for c in counted), strict=True)
    )
    return documents, train, held


def _check_values(name: str, by: str, counted: Sequence[ShardCounts]) -> None:
    """Raise InputError where documents have values that no key of the dataset's weights covers."""
    unweighed: Counter[str] = Counter()
    for counts in counted:
        unweighed.update(counts.unweighed)
    if not unweighed:
        return
    documents = unweighed.total()
    value, most = min(unweighed.items(), key=lambda item: (-item[1], item[0]))
    shown = repr(value) if value else "'' (no value)"
    others = f", and {documents - most:,} have {len(unweighed) - 1:,} other values without one"
    raise InputError(
        f"mix: {most:,} documents of dataset {name!r} have the value {shown} of {by!r}, which has "
        f"no weight{others if len(unweighed) > 1 else ''}; add {_toml(value)} = WEIGHT to "
        f'mix.by_weights.{name}, or "{OTHERS}" = WEIGHT for all values not named'
    )


def _toml(value: str) -> str:
    """A value as a key of TOML.

    >>> print(_toml('say "x"'), _toml(""))
    "say \\"x\\"" ""
    """
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


# ---- documents -----------------------------------------------------------------------------------


def group_columns(part: Mapping[str, Any]) -> list[str]:
    """The columns of token tables beside the usual ones that a dataset's documents are weighed by;
    `part` is a row of `mixture` in shards.json, or a share as a dict."""
    return ["group"] if part.get("groups") else []


def document_epochs(
    part: Mapping[str, Any], batch: pa.RecordBatch | pa.Table
) -> npt.NDArray[np.float64]:
    """How often each document of some rows of a token table is read: float64[n]."""
    groups = part.get("groups")
    if not groups:
        return np.full(batch.num_rows, part["epochs"])
    column = batch.column("group")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    keys = [group["value"] for group in groups]
    place = _places(column, keys, Counter())
    return np.array([*(group["epochs"] for group in groups), 0.0])[place]
