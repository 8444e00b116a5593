"""The largest clusters of duplicates, with some of their texts and what those have in common.

Memory: the texts of `MEMBERS` documents of one cluster, and the numbers of the removed documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from curation import store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.rundir.directory import ordinal_and_row
from curation.stages.dedup.index import indexed_shards

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

MEMBERS = 40  # documents of a cluster whose words are counted
SHINGLE_WORDS = 5


@dataclass(frozen=True, slots=True)
class ClusterDocument:
    """A document of a cluster; `jaccard`: similarity to the kept one (None: it is the kept one)."""

    dataset: str
    id: str
    url: str | None
    text: str
    jaccard: float | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A kept document, and how many of `dataset` were removed as duplicates of it.

    `share`: of the documents that dedup got from `dataset`. `removed`: some of them. `shingles`:
    the commonest runs of words, with how many of the texts have them.
    """

    dataset: str
    documents: int
    share: float
    kept: ClusterDocument
    removed: list[ClusterDocument]
    shingles: list[tuple[str, int]]


def largest_clusters(
    rundir: RunDirectory, plan: Plan, dataset: str | None = None, n: int = 10
) -> Iterator[Cluster]:
    """The n largest clusters, largest first, one at a time.

    Raises RunError where dedup has not run, InputError for an unknown dataset.
    """
    names = rundir.recipe.names()
    if dataset is not None and dataset not in names:
        raise InputError(f"no dataset {dataset!r} in this run; it has {', '.join(names)}")
    folder = rundir.path("dedup", "pairs", "clusters")
    if not store.exists(folder):
        raise RunError(f"{rundir.out}: dedup has not run here, so there are no clusters to show")
    rows = [row for f in store.listing(folder) for row in store.read_table(f.path).to_pylist()]
    rows = [row for row in rows if dataset in (None, names[row["dataset"]])]
    rows.sort(key=lambda row: (-row["documents"], row["dataset"], row["kept"]))
    for row in rows[:n]:
        yield _cluster(rundir, plan, names[row["dataset"]], row["documents"], row["kept"])


def _cluster(rundir: RunDirectory, plan: Plan, name: str, documents: int, kept: int) -> Cluster:
    jaccard = dict(_duplicates_of(rundir, kept))
    texts = _documents(rundir, plan, [kept, *jaccard])
    removed = [
        replace(texts[doc], jaccard=jaccard[doc])
        for doc in sorted(jaccard)
        if texts[doc].dataset == name
    ]
    counts: Counter[str] = Counter()
    for document in (texts[kept], *removed):
        words = document.text.split()
        starts = range(len(words) - SHINGLE_WORDS + 1)
        counts.update(dict.fromkeys(" ".join(words[i : i + SHINGLE_WORDS]) for i in starts).keys())
    entered = sum(store.need_footer(rundir.decision("dedup", s)).rows for s in plan.of(name))
    share = documents / max(1, entered)
    return Cluster(name, documents, share, texts[kept], removed, counts.most_common(3))


def _duplicates_of(rundir: RunDirectory, kept: int) -> Iterator[tuple[int, float]]:
    """Number and similarity of at most `MEMBERS` documents removed as duplicates of one."""
    room = MEMBERS
    for file in store.listing(rundir.path("dedup", "pairs", "removed")):
        table = store.read_table(file.path, ["doc", "kept", "shared", "total"])
        rows = table.filter(pc.equal(table.column("kept"), kept)).slice(0, room).to_pylist()
        yield from ((row["doc"], row["shared"] / row["total"]) for row in rows)
        room -= len(rows)
        if not room:
            return


def _documents(rundir: RunDirectory, plan: Plan, docs: list[int]) -> dict[int, ClusterDocument]:
    """Documents by number, of this run and those that it has as an index."""
    all_shards = indexed_shards(rundir, plan)
    ordinals, rows = ordinal_and_row(np.array(docs, np.int64))
    documents = {}
    for ordinal in np.unique(ordinals).tolist():
        member, at = all_shards[ordinal], np.flatnonzero(ordinals == ordinal)
        survivors = member.rundir.survivors(member.shard)
        table = frames.take(survivors, rows[at], ["id", "url", "text"]).to_pylist()
        for i, row in zip(at.tolist(), table, strict=True):
            documents[docs[i]] = ClusterDocument(member.shard.dataset, **row)
    return documents
