"""Documents as a list, a page at a time: filtered, and searched for words.

Cost: of each row group that is looked at a few columns, until the page is full or the time is up;
the texts only for a search. A page names where the next one begins, so none is counted from the
start. Shards whose ledger lacks the fate asked for are not read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.inspect.evidence import frames
from curation.inspect.evidence.fates import KEPT, fates_between

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

STEP = 8192  # rows looked at at once
TEXTS_STEP = 1024  # the same where texts are searched
SNIPPET = 160  # characters around a word that was found
MOST_TEXT = 2_000_000  # characters of a text that are searched
EXTRACT = "extract: "
Place = tuple[int, int]  # the shard's ordinal, and the row there


@dataclass(frozen=True, slots=True)
class Filters:
    """What documents are asked for; empty or None: any.

    `fate`: "kept", "removed", a stage, or "stage: reason". `host`: it and all below it ("org": every
    host that ends with .org). `address`: what the address holds, and `words`: what the text holds,
    in any case of letters. `low`, `high`: of the quality score.
    """

    dataset: str = ""
    fate: str = ""
    language: str = ""
    host: str = ""
    address: str = ""
    low: float | None = None
    high: float | None = None
    words: str = ""

    @property
    def rejects(self) -> bool:
        """Whether records that never became documents are asked for."""
        return self.fate == "extract" or self.fate.startswith(EXTRACT)


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One row; of a record that never became a document `id` is None and `detail` says why."""

    shard: Shard
    row: int
    id: str | None
    url: str | None
    language: str | None
    score: float | None
    fate: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """`next_place`: where to go on, None at the end; `looked_at` of `documents` so far in all."""

    rows: list[ListedDocument]
    next_place: Place | None
    looked_at: int
    documents: int


def list_page(
    rundir: RunDirectory,
    plan: Plan,
    filters: Filters,
    sizes: dict[int, int],
    after: Place = (0, 0),
    size: int = 50,
    seconds: float = 1.0,
) -> ListPage:
    """The rows from `after` on that pass the filters: at most `size`, and no longer than `seconds`.

    `sizes`: rows of each shard by ordinal, of its documents or rejects.
    """
    ends, rows = time.monotonic() + seconds, list[ListedDocument]()
    shards = [s for s in plan.shards if filters.dataset in ("", s.dataset) and sizes.get(s.ordinal)]
    total = sum(sizes[shard.ordinal] for shard in shards)
    before = sum(sizes[shard.ordinal] for shard in shards if shard.ordinal < after[0])
    for shard in (shard for shard in shards if shard.ordinal >= after[0]):
        start = after[1] if shard.ordinal == after[0] else 0
        if _cannot_hold(rundir, shard, filters):
            start = sizes[shard.ordinal]
        step = TEXTS_STEP if filters.words else STEP
        while start < sizes[shard.ordinal]:
            stop = min(start + step, sizes[shard.ordinal])
            for row in _matches(rundir, shard, filters, start, stop, size - len(rows)):
                rows.append(row)
            if len(rows) == size:
                place = shard.ordinal, rows[-1].row + 1
                return ListPage(rows, place, before + place[1], total)
            start = stop
            if time.monotonic() > ends:
                return ListPage(rows, (shard.ordinal, start), before + start, total)
        before += sizes[shard.ordinal]
    return ListPage(rows, None, total, total)


def shard_sizes(rundir: RunDirectory, plan: Plan, rejects: bool = False) -> dict[int, int]:
    """Rows of each shard's documents (or rejects), by ordinal, of those that are there."""
    from curation.rundir import manifest

    there = manifest.read(rundir.out, "extract")
    sizes = {}
    for shard in plan.shards:
        path = rundir.table("rejects", shard) if rejects else rundir.documents(shard)
        name = path.removeprefix(rundir.out).strip("/")
        if not rejects and there and name in there.files and "kept" in there.files[name].ledger:
            sizes[shard.ordinal] = there.files[name].ledger["kept"][0]
        elif (footer := store.footer(path)) is not None:
            sizes[shard.ordinal] = footer.rows
    return sizes


def _cannot_hold(rundir: RunDirectory, shard: Shard, filters: Filters) -> bool:
    """Whether a shard's ledger shows that none of it has the fate asked for."""
    stage, _, reason = filters.fate.partition(": ")
    if not reason or filters.rejects:
        return False
    path = rundir.ledger_table(stage, shard) if stage in rundir.recipe.stages else None
    footer = store.footer(path) if path else None
    return footer is None or reason not in footer.ledger


def _matches(
    rundir: RunDirectory, shard: Shard, filters: Filters, start: int, stop: int, most: int
) -> Iterator[ListedDocument]:
    if filters.rejects:
        yield from _rejects(rundir, shard, filters, start, stop, most)
        return
    path = rundir.documents(shard)
    table = frames.between(path, ["id", "url", "language"], start, stop)
    fates = fates_between(rundir, shard, start, start + table.num_rows)
    score = _scores(rundir, shard, start, start + table.num_rows)
    passing = _has_fate(fates, filters.fate) & _has_values(table, filters)
    if filters.low is not None or filters.high is not None:
        low = -np.inf if filters.low is None else filters.low
        high = np.inf if filters.high is None else filters.high
        passing &= (score >= low) & (score <= high)
    snippets: dict[int, str] = {}
    if filters.words and passing.any():
        snippets = _found(frames.between(path, ["text"], start, stop).column(0), passing, filters)
        passing &= np.isin(np.arange(len(passing)), list(snippets))
    rows = np.flatnonzero(passing)[:most]
    for row, columns in zip(rows.tolist(), table.take(pa.array(rows)).to_pylist(), strict=True):
        value = None if np.isnan(score[row]) else float(score[row])
        yield ListedDocument(
            shard,
            start + row,
            **columns,
            score=value,
            fate=fates[row],
            detail=snippets.get(row, ""),
        )


def _rejects(
    rundir: RunDirectory, shard: Shard, filters: Filters, start: int, stop: int, most: int
) -> Iterator[ListedDocument]:
    columns = ["url", "reason", "detail"]
    table = frames.between(rundir.table("rejects", shard), columns, start, stop)
    fates = np.array([f"{EXTRACT}{reason}" for reason in table.column(1).to_pylist()], object)
    passing = _has_fate(fates, filters.fate) & _has_values(table, replace(filters, language=""))
    rows = np.flatnonzero(passing)[:most]
    for row, reject in zip(rows.tolist(), table.take(pa.array(rows)).to_pylist(), strict=True):
        detail = reject["detail"] or ""
        yield ListedDocument(
            shard, start + row, None, reject["url"], None, None, fates[row], detail
        )


def _has_fate(fates: npt.NDArray[np.object_], wanted: str) -> npt.NDArray[np.bool_]:
    if not wanted:
        return np.ones(len(fates), bool)
    if wanted == "removed":
        return np.asarray(fates != KEPT, bool)
    if wanted == KEPT or ": " in wanted:
        return np.asarray(fates == wanted, bool)
    return np.array([fate.startswith(f"{wanted}: ") for fate in fates], bool)


def _has_values(table: pa.Table, filters: Filters) -> npt.NDArray[np.bool_]:
    passing: Any = np.ones(table.num_rows, bool)
    if filters.language:
        passing = passing & _flags(pc.equal(table.column("language"), filters.language))
    if filters.host:
        host = re.escape(filters.host.lower().strip("."))
        pattern = rf"(?i)^[a-z]+://([^/?#]*[@.])?{host}\.?(:\d*)?([/?#]|$)"
        passing = passing & _flags(pc.match_substring_regex(table.column("url"), pattern))
    if filters.address:
        holds = pc.match_substring(table.column("url"), filters.address, ignore_case=True)
        passing = passing & _flags(holds)
    return np.asarray(passing, bool)


def _flags(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(column.fill_null(False).to_numpy(), bool)


def _scores(rundir: RunDirectory, shard: Shard, start: int, stop: int) -> npt.NDArray[np.float64]:
    """Quality scores, NaN where there are none."""
    path = rundir.table("classify", shard, "evidence")
    if "classify" not in rundir.recipe.stages or not store.exists(path):
        return np.full(stop - start, np.nan)
    values = frames.between(path, ["score"], start, stop).column(0)
    return np.asarray(values.to_numpy(), np.float64)


def _found(
    texts: pa.ChunkedArray, passing: npt.NDArray[np.bool_], filters: Filters
) -> dict[int, str]:
    """What stands around the words in each text that holds them, by row."""
    rows = np.flatnonzero(passing)
    texts = texts.take(pa.array(rows))
    hits = _flags(pc.match_substring(texts, filters.words, ignore_case=True))
    pattern = re.compile(re.escape(filters.words), re.IGNORECASE)
    snippets = {}
    for place in np.flatnonzero(hits).tolist():
        text = texts[place].as_py()[:MOST_TEXT]
        match = pattern.search(text)
        at = match.start() if match else 0
        around = text[max(0, at - SNIPPET // 2) : at + len(filters.words) + SNIPPET // 2]
        snippets[int(rows[place])] = " ".join(around.split())
    return snippets
