"""An earlier run as the index of what a corpus already holds, and the shards that take part in a
deduplication.

The index is the run directory itself: its signatures and band keys, its documents' rows and their
fates. Its documents are of higher priority than every new one and their fates are fixed; their
texts are read only to measure candidate pairs. The new run can be the index of the next. Since a
document is compared only with those of higher priority, adding batch after batch gives the
decisions of one run over all of them in that order.

Trap: an index is used where it lies. If it is moved, or its documents are thrown away, the runs
that build on it cannot go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.digests import config_digest
from curation.errors import RunError
from curation.recipe.line import STAGES
from curation.rundir import manifest as manifests
from curation.rundir.directory import document_number

if TYPE_CHECKING:
    import pyarrow as pa

    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

SIGNED = "signed"  # the note of evidence that says how many of its documents have band keys
# Shards whose rows of a query are one table: most have few rows, and there may be very many shards.
TOGETHER = 16
LEVELS = 128  # runs that can build on each other: what the priority has room for
SAME = (
    "features",
    "min_jaccard",
    "across",
    "within",
    "max_repeated_lines",
    "max_repeated_paragraphs",
)


@dataclass(frozen=True, slots=True)
class IndexedShard:
    """A shard that takes part: of which run, its number over all runs, its dataset's number, and
    whether its fates are fixed."""

    rundir: RunDirectory
    shard: Shard
    ordinal: int
    dataset: int
    level: int
    old: bool

    def doc(self, row: int) -> int:
        """The number of a document, over all runs."""
        return document_number(self.ordinal, row)

    @property
    def group(self) -> int:
        """The number of the table, of those of a query by `group_of`, that its rows are in."""
        return self.ordinal // TOGETHER

    def rows(self, path: str, *columns: str) -> pa.Table:
        """Its rows of such a table, or some of their columns; the table is sorted by `doc`."""
        start, end = self.doc(0), document_number(self.ordinal + 1, 0)
        return store.read_between(path, "doc", start, end, columns or None)

    @property
    def documents(self) -> str:
        return self.rundir.table("dedup", self.shard, "evidence")

    @property
    def decision(self) -> str:
        return self.rundir.decision("dedup", self.shard)

    def __str__(self) -> str:
        return f"{self.rundir.out}: {self.shard}" if self.old else str(self.shard)


def group_of(doc: str) -> str:
    """In SQL, the group of the shard that a document is of.

    >>> group_of("doc")
    'CAST((doc - doc % 68719476736) / 68719476736 AS BIGINT)'
    """
    documents = document_number(TOGETHER, 0)
    return f"CAST(({doc} - {doc} % {documents}) / {documents} AS BIGINT)"


def index_runs(rundir: RunDirectory) -> list[tuple[RunDirectory, Plan]]:
    """The runs that a run builds on, the oldest first.

    Raises RunError where one is missing or was made otherwise.
    """
    from curation.rundir import plan as plans

    runs: list[tuple[RunDirectory, Plan]] = []
    user = rundir
    while user.recipe.dedup.index:
        path = user.recipe.dedup.index
        if path == rundir.out or path in [run.out for run, _ in runs]:
            raise RunError(
                f"dedup.index: {path} would be its own index; name an earlier run's directory"
            )
        if manifests.stored_plan(path) is None:
            whose = "" if user is rundir else f" of {user.out}"
            raise RunError(
                f"{path}: the index{whose} is not there (no plan.json); give a run directory that "
                "`curation dedup` or "
                "`curation run` wrote, and leave it where it is as long as others build on it"
            )
        index, plan = plans.read(path)
        _check_settings(rundir, index)
        plans.need_finished(index, "dedup")
        runs.append((index, plan))
        user = index
    if len(runs) >= LEVELS:
        raise RunError(f"dedup.index: {len(runs)} runs build on each other; {LEVELS - 1} at most")
    return runs[::-1]


def identity(rundir: RunDirectory) -> str:
    """What the index says: all that its runs wrote up to their deduplication."""
    runs = []
    for run, plan in index_runs(rundir):
        read = (manifests.read(run.out, stage) for stage in STAGES)
        runs.append([run.recipe.names(), [str(shard) for shard in plan.shards]])
        runs[-1] += [manifest.identity for manifest in read if manifest]
    return config_digest(runs)


def _check_settings(rundir: RunDirectory, index: RunDirectory) -> None:
    """Raise RunError unless the index was made as this run is."""
    new, old = rundir.recipe, index.recipe
    if "dedup" not in old.stages:
        raise RunError(
            f"{index.out}: no index, for its recipe has no dedup; give a run that was deduplicated"
        )
    pairs = {f"dedup.{name}": (getattr(old.dedup, name), getattr(new.dedup, name)) for name in SAME}
    if new.dedup.features == "shingle":
        pairs["dedup.shingle_words"] = (old.dedup.shingle_words, new.dedup.shingle_words)
    for i, name in enumerate(("bands", "rows")):
        pairs[f"dedup.{name}"] = (old.dedup.banding()[i], new.dedup.banding()[i])
    pairs["seed"] = (old.seed, new.seed)
    for name, (was, is_) in pairs.items():
        if was != is_:
            raise RunError(
                f"{index.out}: this index was made with {name} = {was!r}, and here it is {is_!r}; "
                "use the same, or run over all texts anew"
            )


def dataset_names(rundir: RunDirectory) -> tuple[str, ...]:
    """Datasets by number: the recipe's in their order, then those that only older runs have."""
    older = [name for old, _ in index_runs(rundir) for name in old.recipe.names()]
    return tuple(dict.fromkeys((*rundir.recipe.names(), *older)))


def indexed_shards(rundir: RunDirectory, plan: Plan) -> list[IndexedShard]:
    """Every shard that takes part, by number: those of the index first."""
    older = index_runs(rundir)
    numbers = {name: number for number, name in enumerate(dataset_names(rundir))}
    out: list[IndexedShard] = []
    for level, (run, shards) in enumerate([*older, (rundir, plan)]):
        for shard in shards.shards:
            out.append(
                IndexedShard(
                    run, shard, len(out), numbers[shard.dataset], level, level < len(older)
                )
            )
    return out


def new_shards(all_shards: Sequence[IndexedShard]) -> list[IndexedShard]:
    """The shards of this run, not of its index."""
    return [member for member in all_shards if not member.old]


def evidence_facts(member: IndexedShard) -> tuple[list[str], int]:
    """The identities of a shard's evidence, with that of its fates where they are fixed, and how
    many of its documents have band keys."""
    paths = (member.documents, member.decision)[: 1 + member.old]
    footers = [store.need_footer(path) for path in paths]
    if SIGNED not in footers[0].notes:
        raise RunError(
            f"{member.documents}: made by an earlier version, without band keys; run the command "
            "that wrote it again"
        )
    return [footer.identity for footer in footers], footers[0].notes[SIGNED]
