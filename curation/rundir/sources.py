"""What a dataset's files are: local patterns, addresses, and the archives of crawls; and where in
the run directory each is brought.

Costs nothing but a reading of the lists that `download` fetched. The trap: a folder of downloads
may hold more than the recipe asks for now (another slice, half a file), so a file is only taken by
the name that is wanted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.errors import InputError, Unreachable
from curation.rundir.directory import RunDirectory

if TYPE_CHECKING:
    from curation.recipe.tables import Dataset

BENCHMARKS = "_benchmarks"  # their place in downloads/; no dataset's name begins so


@dataclass(frozen=True, slots=True)
class Source:
    """One file at an address: whose it is, which crawl's (`batch`), and where it is brought
    (nowhere: it is streamed)."""

    owner: str
    batch: int
    address: store.Address
    destination: str

    def __str__(self) -> str:
        return self.address.url


def remote_files(rundir: RunDirectory, dataset: Dataset) -> list[Source]:
    """The remote files of a dataset, crawl by crawl, in the order of their names."""
    out: list[Source] = []
    for batch, crawl in enumerate(dataset.crawls):
        out += _crawl_archives(rundir, dataset, crawl, batch)
    remote = [store.address(text) for text in dataset.files if store.is_web(text)]
    names = [address.name for address in remote]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"dataset {dataset.name!r}: two addresses end in {name!r}; name one of them: "
                "#name=..."
            )
    for address in sorted(remote, key=lambda address: address.name):
        place = "" if dataset.stream else rundir.path("downloads", dataset.name, address.name)
        out.append(Source(dataset.name, 0, address, place))
    return out


def remote_benchmarks(rundir: RunDirectory) -> list[Source]:
    """The benchmarks of `decontaminate` that are at addresses."""
    if "decontaminate" not in rundir.recipe.stages:
        return []
    texts = [text for text in rundir.recipe.decontaminate.benchmarks if store.is_web(text)]
    addresses = [store.address(text) for text in texts]
    return [
        Source(BENCHMARKS, 0, address, rundir.path("downloads", BENCHMARKS, address.name))
        for address in addresses
    ]


def remote_index_files(rundir: RunDirectory, dataset: Dataset) -> list[Source]:
    """The files of an index at http(s) addresses, which cannot be read by columns there."""
    addresses = [store.address(text) for text in dataset.index if store.is_web(text)]
    folder = rundir.path("downloads", dataset.name, "_index")
    return [
        Source(dataset.name, 0, address, store.join(folder, address.name)) for address in addresses
    ]


def local_patterns(rundir: RunDirectory, patterns: Sequence[str]) -> tuple[str, ...]:
    """Patterns of benchmarks, those at addresses replaced by where `download` brought them."""
    return tuple(
        rundir.path("downloads", BENCHMARKS, store.address(text).name)
        if store.is_web(text)
        else text
        for text in patterns
    )


def list_path(rundir: RunDirectory, crawl: str, kind: str) -> str:
    """Where a crawl's list of archives is kept, as it was published."""
    return rundir.path("downloads", "_lists", f"{crawl}.{kind}.paths.gz")


def _crawl_archives(rundir: RunDirectory, dataset: Dataset, crawl: str, batch: int) -> list[Source]:
    from curation.readers import commoncrawl

    place = list_path(rundir, crawl, dataset.kind)
    if not store.exists(place):
        raise InputError(
            f"{place}: the list of archives is not here; the stage `download` fetches it"
        )
    paths = commoncrawl.paths_in(store.read_bytes(place), place)
    base = rundir.recipe.download.base_url.rstrip("/") + "/"
    try:
        chosen = commoncrawl.selected_archives(paths, dataset.archives, rundir.recipe.seed)
    except InputError as error:
        raise InputError(f"dataset {dataset.name!r}, crawl {crawl}: {error}") from error
    addresses = [store.address(base + path) for path in chosen]
    folder = rundir.path("downloads", dataset.name, crawl)
    return [
        Source(
            dataset.name,
            batch,
            address,
            "" if dataset.stream else store.join(folder, address.name),
        )
        for address in sorted(addresses, key=lambda address: address.name)
    ]


def fetched_files(wanted: Sequence[Source]) -> dict[str, store.File]:
    """Destination -> file of what has been fetched.

    One listing of each folder: asking object storage for each file would take long.
    """
    folders = {source.destination.rpartition("/")[0] for source in wanted if source.destination}
    return {
        store.join(folder, file.name): file for folder in folders for file in store.listing(folder)
    }


def input_files(rundir: RunDirectory, dataset: Dataset) -> list[list[store.File]]:
    """The input files of a dataset, batch by batch: what its patterns find, what was fetched, and
    what is to be streamed.

    A file that could not be fetched is left out; `download` has counted and listed it.
    """
    batches: list[list[store.File]] = [[] for _ in dataset.crawls] or [[]]
    for pattern in dataset.files:
        if not store.is_web(pattern):
            batches[0] += store.find(pattern)
    wanted = remote_files(rundir, dataset)
    fetched = fetched_files(wanted)
    for source in wanted:
        if not source.destination:
            batches[source.batch].append(_streamed(rundir, dataset, source))
        elif source.destination in fetched:
            batches[source.batch].append(fetched[source.destination])
    if dataset.urls:
        batches[0] += store.find(rundir.path("downloads", dataset.name, "captures"))
    if not any(batches):
        raise InputError(
            f"dataset {dataset.name!r}: none of its files could be fetched; run the same command "
            "again"
        )
    return batches


def _streamed(rundir: RunDirectory, dataset: Dataset, source: Source) -> store.File:
    """A file that `extract` reads from its address.

    An archive of a crawl never changes under its name, and is not asked for its size.
    """
    if source.address.name.endswith(".parquet"):
        raise InputError(
            f"{source.address.url}: a Parquet table cannot be streamed; leave out `stream`"
        )
    size, tag = None, ""
    if not dataset.crawls:
        with contextlib.suppress(Unreachable):  # the reading will count it
            size, tag = store.describe(source.address.url, rundir.recipe.download.patience(1))
    return store.File(source.address.url, source.address.name, size or 0, tag)
