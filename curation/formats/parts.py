"""The parts that an export is made in: consecutive shards of one dataset, or one shard of the mixture.

A part has a key, the digest of all that its files depend on, and files named after it. So names are
the same in every export of a run, and what is finished is not made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import RunError
from curation.formats.layouts import Format
from curation.rundir import ledger
from curation.rundir.kept import kept_shards

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

MOST_SHARDS = 1000  # of one part


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `shards`: of the run, whose documents or tokens it has; `mixture`: shards of the
    mixture. `bytes`: about how much is read for it."""

    name: str
    key: str
    kind: str  # "texts" or "tokens"
    shards: tuple[Shard, ...] = ()
    mixture: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def label(self) -> str:
        """Its name among texts and tokens."""
        return f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Job:
    """What every part is written by.

    `schema`: the columns of the documents that are read. `columns`: those that are written.
    `encoding`: what tokens/encoding.json says; empty where no tokens are written. `validation`: the
    share of documents held out, where no mixture has parted them.
    """

    rundir: RunDirectory
    out: str
    format: Format
    name: str
    max_bytes: int
    packing: store.Packing
    schema: pa.Schema
    columns: tuple[str, ...]
    encoding: dict[str, Any]
    validation: float


def text_parts(
    rundir: RunDirectory, plan: Plan, max_bytes: int, settings: Sequence[object]
) -> list[Part]:
    """The parts of a run's documents, dataset by dataset. Raises RunError where none is kept."""
    sized, documents = [], 0
    for shard in kept_shards(rundir, plan):
        path = rundir.ledger_before("tokenize", shard) or rundir.documents(shard)
        footer = store.need_footer(path)
        made_from = [rundir.survivors(shard), rundir.decided_before("tokenize", shard)]
        if rundir.decides("classify", shard.dataset):
            made_from.append(rundir.table("classify", shard, "evidence"))
        count, size, _ = footer.ledger.get(ledger.KEPT, [0, 0, 0])
        documents += count
        sized.append((shard, size, [store.need_footer(p).identity for p in made_from if p]))
    if not documents:
        raise RunError(f"{rundir.out}: no document is kept; `curation report` shows why")
    return _parts("texts", sized, max_bytes, settings)


def token_parts(
    rundir: RunDirectory, plan: Plan, max_bytes: int | None, settings: Sequence[object]
) -> list[Part]:
    """The parts of a run's tokens in the order of its documents; one where `max_bytes` is None."""
    sized = []
    for shard in kept_shards(rundir, plan):
        footer = store.need_footer(rundir.table("tokens", shard))
        size = footer.ledger.get(ledger.KEPT, [0, 0, 0])[2] * 4
        sized.append((shard, size, [footer.identity]))
    if max_bytes is None:
        return [_part("tokens", "all", sized, settings)]
    return _parts("tokens", sized, max_bytes, settings)


def mixture_parts(
    rundir: RunDirectory, max_bytes: int | None, settings: Sequence[object]
) -> list[Part]:
    """The shards of a run's mixture as parts; one where `max_bytes` is None."""
    table = store.read_table(
        rundir.path("shards", "manifest.parquet"), ["name", "tokens", "sha256"]
    )
    rows = table.to_pylist()
    groups = [rows] if max_bytes is None else [[row] for row in rows]
    return [
        Part(
            "all" if max_bytes is None else group[0]["name"],
            config_digest("mixture", *settings, [(row["name"], row["sha256"]) for row in group]),
            "tokens",
            mixture=tuple(row["name"] for row in group),
            bytes=sum(row["tokens"] for row in group) * 4,
        )
        for group in groups
    ]


Sized = tuple["Shard", int, list[str]]  # a shard, about how many bytes, what it was made from


def _parts(
    kind: str, sized: Sequence[Sized], max_bytes: int, settings: Sequence[object]
) -> list[Part]:
    groups: list[list[Sized]] = []
    size = 0
    for row in sized:
        is_next = groups and groups[-1][0][0].dataset == row[0].dataset
        if is_next and size + row[1] <= max_bytes and len(groups[-1]) < MOST_SHARDS:
            groups[-1].append(row)
            size += row[1]
        else:
            groups.append([row])
            size = row[1]
    parts = []
    numbers: dict[str, int] = {}
    for group in groups:
        dataset = group[0][0].dataset
        number = numbers[dataset] = numbers.get(dataset, -1) + 1
        parts.append(_part(kind, f"{dataset}-{number:05d}", group, settings))
    return parts


def _part(kind: str, name: str, group: Sequence[Sized], settings: Sequence[object]) -> Part:
    made_from = [(str(shard), identities) for shard, _, identities in group]
    return Part(
        name,
        config_digest(kind, *settings, name, made_from),
        kind,
        tuple(shard for shard, _, _ in group),
        bytes=sum(size for _, size, _ in group),
    )
