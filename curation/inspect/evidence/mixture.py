"""The plan of a mixture, what was placed in the shards, and the paper's table 2.2.

Cost: the columns `content` and `counts` of every token table; for `placed_mixture` two small files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curation import store
from curation.errors import RunError
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.numbers import percent
from curation.stages.mix.groups import check_groups, count_shard, shares_of, token_path
from curation.stages.mix.mixture import (
    PAPER,
    PAPER_TOKENS,
    GroupShare,
    Share,
    mixture_warnings,
    paper_epochs,
)

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan


# ---- the plan


@dataclass(frozen=True, slots=True)
class PlannedDataset:
    """One dataset of the mixture, in tokens.

    `weight`: normalised. `tokens`: there are for training; `validation_tokens`: held out.
    `planned`: tokens * epochs. `placed`: in the training shards; None where those are of another
    plan or not there. `groups`: where its documents are weighed by a column.
    """

    dataset: str
    weight: float
    tokens: int
    validation_tokens: int
    epochs: float
    planned: float
    placed: int | None
    groups: tuple[GroupShare, ...] = ()


def mixture_plan(rundir: RunDirectory, plan: Plan) -> list[PlannedDataset]:
    """The datasets of the mixture that the recipe plans.

    Raises RunError where a dataset with a weight has no tokens yet.
    """
    shards = [shard for shard in plan.shards if shard.dataset in rundir.recipe.mix.weights]
    for shard in shards:
        if not store.exists(token_path(rundir, shard)):
            raise RunError(
                f"{rundir.out}: {shard} has no tokens yet; run the recipe as far as tokenize"
            )
    check_groups(rundir, shards)
    shares = shares_of(rundir, shards, [count_shard(rundir, shard) for shard in shards])
    stored = placed_mixture(rundir)
    placed = {}
    if stored and [_plan_of(row) for row in stored.datasets] == [_plan_of(row) for row in shares]:
        placed = {row.dataset: row.placed for row in stored.datasets}
    return [
        PlannedDataset(
            *(share.dataset, share.weight, share.tokens, share.validation_tokens, share.epochs),
            planned=share.epochs * share.tokens,
            placed=placed.get(share.dataset),
            groups=share.groups,
        )
        for share in shares
    ]


def _plan_of(row: Share | PlacedDataset) -> tuple[Any, ...]:
    return row.dataset, row.tokens, row.epochs, row.groups


def plan_warnings(rows: list[PlannedDataset]) -> list[str]:
    """Unused and often repeated datasets, a sentence each."""
    return mixture_warnings([asdict(row) for row in rows])


# ---- what was placed


@dataclass(frozen=True, slots=True)
class PlacedDataset:
    """One dataset in the training shards, as `PlannedDataset`.

    `placed`: its tokens there, repetitions included; `share`: of all training tokens, with its
    extremes over single shards.
    """

    dataset: str
    weight: float
    tokens: int
    validation_tokens: int
    epochs: float
    placed: int
    share: float
    lowest_share: float
    highest_share: float
    groups: tuple[GroupShare, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenShard:
    """One token shard; `split` is "train" or "validation"."""

    name: str
    split: str
    tokens: int
    sequences: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PlacedMixture:
    """The mixture of a run whose shards are written."""

    datasets: list[PlacedDataset]
    shards: list[TokenShard]


def placed_mixture(rundir: RunDirectory) -> PlacedMixture | None:
    """Planned and placed shares of each dataset; None where mix has not written shards."""
    manifest = rundir.path("shards", "manifest.parquet")
    plan = rundir.path("shards", "shards.json")
    wanted = "mix" in rundir.recipe.stages
    if not (wanted and store.exists(manifest) and store.exists(plan)):
        return None
    rows = store.read_table(manifest).to_pylist()
    tokens = np.array([row["dataset_tokens"] for row in rows if row["split"] == "train"], np.int64)
    whole = max(1, int(tokens.sum()))
    shares = tokens / np.maximum(tokens.sum(axis=1, keepdims=True), 1)
    datasets = []
    for part in store.read_json(plan)["mixture"]:
        place = rundir.recipe.place(part["dataset"])
        part["groups"] = tuple(GroupShare(**group) for group in part.get("groups", ()))
        placed = int(tokens[:, place].sum())
        low, high = float(shares[:, place].min()), float(shares[:, place].max())
        datasets.append(
            PlacedDataset(
                **part, placed=placed, share=placed / whole, lowest_share=low, highest_share=high
            )
        )
    columns = ("name", "split", "tokens", "sequences", "sha256")
    return PlacedMixture(datasets, [TokenShard(*(row[c] for c in columns)) for row in rows])


# ---- tables for people


def plan_listing(rundir: RunDirectory, rows: list[PlannedDataset]) -> Listing:
    """The plan, and beside it what was placed where these shards were written."""
    budget = sum(row.planned for row in rows)
    config = rundir.recipe.mix
    asked = f"{config.tokens:,}" if config.tokens else "what lasts one epoch"
    title = f"The mixture: {budget:,.0f} tokens ({asked} asked for) in {config.shards:,} shards"
    head = ["dataset", "tokens", "held out", "weight", "epochs", "in the mixture"]
    whole = max(1, sum(row.placed or 0 for row in rows))
    cells = []
    for row in rows:
        counts = (f"{row.tokens:,}", f"{row.validation_tokens:,}", percent(row.weight, 2))
        cells.append([row.dataset, *counts, f"{row.epochs:,.2f}", f"{row.planned:,.0f}"])
        if row.placed is not None:
            share, epochs = row.placed / whole, row.placed / row.tokens
            cells[-1] += [f"{row.placed:,}", percent(share, 2), f"{epochs:,.2f}"]
    if rows[0].placed is not None:
        head += ["placed", "share", "epochs placed"]
    return listing(title, head, cells)


def groups_listing(
    by: str, rows: Sequence[PlannedDataset] | Sequence[PlacedDataset]
) -> Listing | None:
    """The groups that documents are weighed by; None where no dataset has any."""
    head = ("dataset", by, "weight", "documents", "tokens", "held out", "epochs", "in the mixture")
    cells = [
        [
            *(row.dataset, group.value or "(none)", f"{group.weight:g}", f"{group.documents:,}"),
            *(f"{group.tokens:,}", f"{group.validation_tokens:,}", f"{group.epochs:,.2f}"),
            f"{group.epochs * group.tokens:,.0f}",
        ]
        for row in rows
        for group in row.groups
    ]
    return listing(f"By {by}", head, cells) if cells else None


def paper_listing() -> Listing:
    """The paper's table 2.2, with the epochs that follow from its own numbers."""
    head = ("dataset", "tokens", "weight", "of 101", "epochs printed", "epochs that follow")
    rows = [
        (
            *(name, f"{tokens} billion", f"{weight} %", percent(weight / 101, 2), f"{epochs:g}"),
            f"{paper_epochs(tokens, weight):.2f}",
        )
        for name, tokens, weight, epochs in PAPER
    ]
    return listing(f"Table 2.2 of the paper, for {PAPER_TOKENS} billion tokens", head, rows)
