"""Where things lie in a run directory, and what a shard is. Small and picklable: it goes with every task to every worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store

if TYPE_CHECKING:
    from curation.recipe import Recipe

DECIDING = (
    "classify",
    "dedup",
    "decontaminate",
)  # stages with a decision table, in the order of the line


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work: a fixed group of input files and the tables made from it.

    `number` counts within the dataset, `ordinal` over all datasets; `batch` is the crawl that the files belong to.
    """

    dataset: str
    number: int
    ordinal: int
    batch: int
    files: tuple[store.File, ...]

    @property
    def name(self) -> str:
        return f"{self.number:05d}"

    def __str__(self) -> str:
        return f"{self.dataset}/{self.name}"

    def doc(self, row: int) -> int:
        """The number of a survivor, over the whole run."""
        return (self.ordinal << 32) + row


@dataclass(frozen=True, slots=True)
class Context:
    """A run directory and its recipe."""

    out: str
    recipe: Recipe

    def path(self, *parts: str) -> str:
        return store.join(self.out, *parts)

    def table(self, stage: str, shard: Shard, kind: str = "") -> str:
        """`<stage>/<kind>/<dataset>/<shard>.parquet`."""
        return self.path(*filter(None, (stage, kind, shard.dataset, shard.name + ".parquet")))

    def documents(self, shard: Shard) -> str:
        return self.table("documents", shard)

    def survivors(self, shard: Shard) -> str:
        """What `classify` kept; an unfiltered dataset's survivors are its documents, not copied."""
        return self.table(
            "survivors" if self.recipe.filtered(shard.dataset) else "documents", shard
        )

    def decision(self, stage: str, shard: Shard) -> str:
        return self.table(stage, shard, "decision")

    def decided_before(self, stage: str, shard: Shard) -> str | None:
        """The decision table, row-aligned to the survivors, of the nearest stage before `stage`; None where all survivors are in."""
        for earlier in reversed(
            DECIDING[1 : DECIDING.index(stage)] if stage in DECIDING else DECIDING[1:]
        ):
            if earlier in self.recipe.stages:
                return self.decision(earlier, shard)
        return None
