"""The Parquet files of the columnar index that belong to a crawl, and what is asked of their rows.

In Common Crawl's table they lie in folders `crawl=CC-MAIN-2024-10/subset=warc/`: these two are
columns too, of one value a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from curation import store
from curation.errors import InputError
from curation.readers import commoncrawl
from curation.recipe import selection
from curation.recipe.tables import Dataset
from curation.rundir import sources
from curation.rundir.directory import RunDirectory

SUBSET = "warc"  # of pages; the others are of redirects and of robots.txt
_PARTS = re.compile(r"(?:^|/)(crawl|subset)=([^/]+)(?=/)")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of the index. `identity` changes with its content; `parts` are the columns that its
    folders name."""

    path: str
    identity: str
    crawl: str
    number: int
    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.path


def index_files(rundir: RunDirectory, dataset: Dataset, crawl: str) -> list[IndexFile]:
    """The files of a crawl, in the order of their paths.

    Raises InputError where there are none, or where it is not told which crawl they are of.
    """
    found = _listed(rundir, crawl) if not dataset.index else _given(dataset)
    bounds = selection.bounds(dataset.select)
    asked_subset = any(bound.column == "subset" for bound in bounds)
    files: list[IndexFile] = []
    for path, identity in sorted(found.items()):
        parts = dict(_PARTS.findall(path))
        if "crawl" not in parts and len(dataset.crawls) > 1:
            raise InputError(
                f"dataset {dataset.name!r}: {path}: a folder crawl=... in its path expected, which "
                "says the crawl that it is of"
            )
        if parts.setdefault("crawl", crawl) != crawl:
            continue
        if parts.setdefault("subset", SUBSET) != SUBSET and not asked_subset:
            continue
        if all(b.may_hold(parts[b.column], parts[b.column]) for b in bounds if b.column in parts):
            files.append(IndexFile(path, identity, crawl, len(files), tuple(sorted(parts.items()))))
    if not files:
        where = ", ".join(dataset.index) or rundir.recipe.download.base_url
        raise InputError(
            f"dataset {dataset.name!r}: no Parquet files of {crawl} that may hold what `select` asks "
            f"for, in the index at {where}"
        )
    return files


def _given(dataset: Dataset) -> dict[str, str]:
    """Path -> identity of the files that the recipe names."""
    out = {}
    for text in dataset.index:
        if store.is_web(text):
            out[store.address(text).url] = text
            continue
        for file in store.find(text):
            if file.path.endswith(".parquet"):
                out[file.path] = f"{file.name} {file.size} {file.tag}"
    return out


def _listed(rundir: RunDirectory, crawl: str) -> dict[str, str]:
    """The same of those that Common Crawl lists: they never change under their names."""
    place = sources.list_path(rundir, crawl, commoncrawl.INDEX)
    base = rundir.recipe.download.base_url.rstrip("/") + "/"
    paths = commoncrawl.paths_in(store.read_bytes(place), place)[0]
    return {base + path: path for path in paths if path.endswith(".parquet")}


def wanted_archives(rundir: RunDirectory, dataset: Dataset, crawl: str) -> tuple[str, ...]:
    """The archives that `archives` chooses of a crawl's list; none where all are wanted."""
    if not dataset.archives:
        return ()
    place = sources.list_path(rundir, crawl, dataset.kind)
    paths = commoncrawl.paths_in(store.read_bytes(place), place)[0]
    return tuple(commoncrawl.selected_archives(paths, dataset.archives, rundir.recipe.seed))
