"""`curation clusters`: the documents that most others left for, with some of those, and what they have in common.

The first thing to look at after deduplication: a large cluster is a mirrored page, or a menu that the extractor took for text.

Memory: the texts of `MEMBERS` documents of one cluster, and the numbers of the documents that left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from curation import store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.inspect.terminal.explain import clean
from curation.stages.dedup.candidates import SHARD
from curation.stages.dedup.index import indexed_shards

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

MEMBERS = 40  # documents of a cluster whose words are counted
SHINGLE = 5


@dataclass(frozen=True, slots=True)
class Cluster:
    """A document that stays and how many of `dataset` left for it. members: some of those, with their similarity."""

    dataset: str
    documents: int
    share: float  # of the dataset's documents
    kept: dict[str, Any]  # id, url, text, dataset
    members: list[dict[str, Any]]  # id, url, text, jaccard
    shingles: list[
        tuple[str, int]
    ]  # the commonest runs of words, with how many of the texts have them


def show(
    rundir: RunDirectory, plan: Plan, console: Console, *, dataset: str | None, n: int
) -> None:
    """Print the n largest clusters, largest first."""
    found = largest(rundir, dataset, n)
    if not found:
        console.print("No document left for another: there are no clusters.")
    for rank in found:
        console.print(_panel(_opened(rundir, plan, rank)))


def largest(rundir: RunDirectory, dataset: str | None = None, n: int = 10) -> list[dict[str, int]]:
    """The n largest clusters as dataset, kept, documents. Raises RunError where dedup has not run, InputError for an unknown dataset."""
    names = rundir.recipe.names()
    if dataset is not None and dataset not in names:
        raise InputError(f"no dataset {dataset!r} in this run; it has {', '.join(names)}")
    folder = rundir.path("dedup", "pairs", "clusters")
    if not store.exists(folder):
        raise RunError(f"{rundir.out}: dedup has not run here, so there are no clusters to show")
    rows = [
        row for file in store.listing(folder) for row in store.read_table(file.path).to_pylist()
    ]
    rows = [row for row in rows if dataset is None or names[row["dataset"]] == dataset]
    return sorted(rows, key=lambda row: (-row["documents"], row["dataset"], row["kept"]))[:n]


def _opened(rundir: RunDirectory, plan: Plan, row: dict[str, int]) -> Cluster:
    """A cluster with its texts."""
    name = rundir.recipe.names()[row["dataset"]]
    kept = next(_documents(rundir, plan, [row["kept"]]))
    measured = dict(_left(rundir, row["kept"]))
    members = [
        {**found, "jaccard": measured[found["doc"]]}
        for found in _documents(rundir, plan, sorted(measured))
        if found["dataset"] == name
    ]
    counts: Counter[str] = Counter()
    for text in (kept["text"], *(member["text"] for member in members)):
        words = clean(text).split()
        counts.update({" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)})
    came = sum(store.need_footer(rundir.decision("dedup", shard)).rows for shard in plan.of(name))
    return Cluster(
        name,
        row["documents"],
        row["documents"] / max(1, came),
        kept,
        members,
        counts.most_common(3),
    )


def _left(rundir: RunDirectory, kept: int) -> Iterator[tuple[int, float]]:
    """(document number, similarity) of some documents that left for `kept`: the first of each file of decisions, `MEMBERS` at most."""
    room = MEMBERS
    for file in store.listing(rundir.path("dedup", "pairs", "removed")):
        table = store.read_table(file.path, ["doc", "kept", "shared", "total"])
        some = table.filter(pc.equal(table.column("kept"), kept)).slice(0, room)
        room -= some.num_rows
        for found in some.to_pylist():
            yield found["doc"], found["shared"] / found["total"]
        if not room:
            return


def _documents(rundir: RunDirectory, plan: Plan, docs: list[int]) -> Iterator[dict[str, Any]]:
    """id, url, text, dataset and number of some documents."""
    all_shards = indexed_shards(rundir, plan)
    for ordinal in sorted({doc // SHARD for doc in docs}):
        member = all_shards[ordinal]
        here = [doc for doc in docs if doc // SHARD == ordinal]
        path = member.rundir.survivors(member.shard)
        found = frames.take(path, np.array(here) % SHARD, ["id", "url", "text"]).to_pylist()
        yield from (
            {**row, "dataset": member.shard.dataset, "doc": doc}
            for doc, row in zip(here, found, strict=True)
        )


def _panel(cluster: Cluster) -> Panel:
    kept = cluster.kept
    head = Text(f"stays: {kept['dataset']} {clean(kept['id'])}", style="bold")
    if kept["url"]:
        head.append(f"  {clean(kept['url'])}", style="blue")
    parts = [head, Text(clean(kept["text"], 300))]
    for member in cluster.members[:3]:
        line = Text(
            f"left, Jaccard {member['jaccard']:.3f}: {clean(member['id'])}", style="bold dim"
        )
        if member["url"]:
            line.append(f"  {clean(member['url'])}", style="blue")
        parts += [line, Text(clean(member["text"], 150))]
    if cluster.shingles:
        looked = 1 + len(cluster.members)
        said = "; ".join(f"“{words}” ({count} of {looked})" for words, count in cluster.shingles)
        parts.append(Text(f"most in common: {said}", style="dim"))
    title = f"{cluster.documents:,} of {cluster.dataset} left ({100 * cluster.share:.1f} % of it)"
    return Panel(Group(*parts), title=Text(title), title_align="left", border_style="dim")
