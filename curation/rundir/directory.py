"""Where things are in a run directory, and what a shard is.

Small and picklable: it goes with every task to every worker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from curation import store
from curation.recipe.line import LINE, stage_named
from curation.recipe.tables import Recipe

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Number = TypeVar("Number", int, "npt.NDArray[np.int64]")
# The folders of a run directory with a table for each shard.
SHARD_FOLDERS = (
    "documents",
    "rejects",
    "filter/evidence",
    "filter/decision",
    "classify/features",
    "classify/evidence",
    "classify/decision",
    "survivors",
    "dedup/evidence",
    "dedup/decision",
    "decontaminate/evidence",
    "decontaminate/decision",
    "tokens",
)


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work: a fixed group of input files and the tables made from it.

    `number` counts within the dataset, `ordinal` over all datasets; `batch` is the crawl that the
    files belong to.
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
        return document_number(self.ordinal, row)


def document_number(ordinal: int, row: int) -> int:
    """Shard ordinal * 2**32 + row: small enough for SQL, and read back by `ordinal_and_row`.

    >>> document_number(1, 5), ordinal_and_row(document_number(1, 5))
    (4294967301, (1, 5))
    """
    return (ordinal << 32) + row


def ordinal_and_row(number: Number) -> tuple[Number, Number]:
    """The shard's ordinal and the row of a document number, or those of an array of numbers."""
    return number >> 32, number & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run directory and its recipe."""

    out: str
    recipe: Recipe

    def path(self, *parts: str) -> str:
        return store.join(self.out, *parts)

    def for_tasks(self) -> RunDirectory:
        """The same with only the first of each dataset's `files`: a recipe may list many, and no
        stage reads them, since the plan has each shard's own."""
        datasets = tuple(replace(d, files=d.files[:1]) for d in self.recipe.dataset)
        return RunDirectory(self.out, replace(self.recipe, dataset=datasets))

    def table(self, stage: str, shard: Shard, kind: str = "") -> str:
        """`<stage>/<kind>/<dataset>/<shard>.parquet`."""
        return self.path(*filter(None, (stage, kind, shard.dataset, shard.name + ".parquet")))

    def documents(self, shard: Shard) -> str:
        return self.table("documents", shard)

    def survivors(self, shard: Shard) -> str:
        """What `filter` and `classify` kept; where neither decides on a dataset, its survivors are
        its documents, not copied."""
        decided = any(self.decides(stage, shard.dataset) for stage in ("filter", "classify"))
        return self.table("survivors" if decided else "documents", shard)

    def decision(self, stage: str, shard: Shard) -> str:
        return self.table(stage, shard, "decision")

    def decides(self, stage: str, dataset: str) -> bool:
        """Whether a stage of this run decides which documents of a dataset stay."""
        return self.recipe.decides(stage, dataset)

    def decided_before(self, stage: str, shard: Shard) -> str | None:
        """The decision table of the nearest stage before `stage` whose rows are those that `stage`
        has: documents for `classify`, else survivors; None where all of them are in."""
        names = [entry.name for entry in LINE]
        rows = stage_named(stage).aligned_to or "survivors"
        for name in reversed(names[: names.index(stage)]):
            if stage_named(name).aligned_to == rows and self.decides(name, shard.dataset):
                return self.decision(name, shard)
        return None

    def ledger_table(self, stage: str, shard: Shard) -> str | None:
        """The table whose footer has a stage's ledger of a shard; None where it keeps none."""
        entry = stage_named(stage)
        if not entry.ledger or (entry.aligned_to and not self.decides(stage, shard.dataset)):
            return None
        return self.path(*entry.ledger.split("/"), shard.dataset, shard.name + ".parquet")

    def ledger_before(self, stage: str, shard: Shard) -> str | None:
        """The table with the ledger of the nearest stage before `stage` that has one for this
        shard."""
        names = [entry.name for entry in LINE]
        for name in reversed(names[: names.index(stage)]):
            if name in self.recipe.stages and (path := self.ledger_table(name, shard)):
                return path
        return None
