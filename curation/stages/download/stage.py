"""download: what lies at addresses -> downloads/: archives of crawls, files of datasets,
benchmarks; and the lists that streaming needs.

Costs the network; says before it begins what it will fetch, and how long that takes. Each file is
resumed where it broke off and appears under its name when it is whole (`store.fetch`). The trap: a
file that stays broken must not stop ten thousand others, and must not be forgotten either: it is
listed in downloads/_failed.json, named at the end of every run, and asked for again by the next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from curation import store
from curation.errors import InputError, Unreachable
from curation.rundir import manifest as manifests
from curation.rundir import sources
from curation.rundir.directory import RunDirectory
from curation.rundir.sources import Source
from curation.shown import brief
from curation.stages.download import captures, selection

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.tables import Dataset

ASKED = 5  # files of a dataset that are asked for their size; the others are taken to be like them
RATES_MBIT = (25, 200)  # a home's and an office's


def fetch(rundir: RunDirectory, engine: Engine, say: Callable[[str], None]) -> None:
    """Fetch what is missing: lists, then files; look addresses up in an index.

    Raises InputError where more than `max_failed` of a dataset's files cannot be fetched, or a
    single benchmark.
    """
    _drop_damaged(rundir, say)
    _fetch_lists(rundir, say)
    wanted = sources.remote_benchmarks(rundir)
    for dataset in rundir.recipe.dataset:
        wanted += sources.remote_files(rundir, dataset) + sources.remote_index_files(
            rundir, dataset
        )
    there = sources.fetched_files(wanted)
    fetched = [
        source for source in wanted if source.destination and source.destination not in there
    ]
    streamed = [source for source in wanted if not source.destination]
    announce(rundir, fetched, [] if store.exists(rundir.path("plan.json")) else streamed, say)
    outcomes: list[str] = []
    if fetched:  # an engine need not start where there is nothing to fetch
        patience = rundir.recipe.download.patience(engine.workers)
        outcomes = engine.map("download", partial(fetch_file, patience), fetched)
    failed = [(source, why) for source, why in zip(fetched, outcomes, strict=True) if why]
    _list_failed(rundir, wanted, failed)
    for dataset in rundir.recipe.dataset:
        if dataset.urls:
            addresses, records, size = captures.write_captures(rundir, engine, dataset)
            pace = rundir.recipe.download.requests_per_second
            if not store.exists(rundir.path("plan.json")):
                say(
                    f"To stream: {dataset.name}: {records} records of {addresses} addresses, "
                    f"{megabytes(size)}: at least "
                    f"{duration(records / pace)} at {pace:g} requests a second"
                )
        if dataset.selects:
            _select(rundir, engine, dataset, say)
    manifests.write_downloads(rundir.out)


def _select(
    rundir: RunDirectory, engine: Engine, dataset: Dataset, say: Callable[[str], None]
) -> None:
    """Choose a dataset's records by the index, and say what fetching them takes. Raises InputError
    where there are none."""
    records, requests, size = selection.write_selected(rundir, engine, dataset, say)
    if not records:
        raise InputError(
            f"dataset {dataset.name!r}: nothing of {', '.join(dataset.crawls)} is selected by "
            f"select = {dataset.select!r}, archives = {dataset.archives!r} and "
            f"sample = {dataset.sample:g}; ask for more"
        )
    pace = rundir.recipe.download.requests_per_second
    if not store.exists(rundir.path("plan.json")):
        say(
            f"To stream: {dataset.name}: {records:,} records in {requests:,} requests, "
            f"{megabytes(size)}: at least {duration(requests / pace)} at {pace:g} requests a second"
        )


def _drop_damaged(rundir: RunDirectory, say: Callable[[str], None]) -> None:
    """Remove files that have another size than when they were fetched."""
    if manifest := manifests.read(rundir.out, "download"):
        wrong = manifests.misfits(rundir.out, manifest)
        manifests.remove(rundir.out, manifest, list(wrong))
        for name, what in wrong.items():
            if what != manifests.MISSING:
                say(f"{rundir.path(name)}: {what}; fetched again")


def warnings(rundir: RunDirectory) -> list[str]:
    """Files that the run goes without, a line for each dataset."""
    path = rundir.path("downloads", "_failed.json")
    failed = store.read_json(path) if store.exists(path) else []
    out = []
    for name in dict.fromkeys(file["dataset"] for file in failed):
        urls = [file["url"] for file in failed if file["dataset"] == name]
        out.append(
            f"download: {len(urls)} files of {name} could not be fetched and are missing here, "
            f"{urls[0]} first ({path}); the same command asks for them again"
        )
    return out


def fetch_file(patience: store.Patience, source: Source) -> str:
    """Fetch one file; says what went wrong, nothing where it is there."""
    try:
        store.fetch(source.address, source.destination, patience)
    except Unreachable as error:
        return str(error)
    return ""


def _fetch_lists(rundir: RunDirectory, say: Callable[[str], None]) -> None:
    """Each crawl's list of archives, once a run directory: it is part of what the run is made
    from. A line that is no path costs that line."""
    from curation.readers import commoncrawl

    config = rundir.recipe.download
    for kind, crawl in _wanted_lists(rundir):
        url = config.base_url.rstrip("/") + "/" + commoncrawl.list_path(crawl, kind)
        place = sources.list_path(rundir, crawl, kind)
        if store.exists(place):
            continue
        store.fetch(store.address(url), place, config.patience(1))
        if bad := commoncrawl.paths_in(store.read_bytes(place), place)[1]:
            say(f"{url}: {len(bad)} lines are no paths and are passed over, first {brief(bad[0])}")


def _wanted_lists(rundir: RunDirectory) -> list[tuple[str, str]]:
    """Kind and crawl of each list that is read: of archives, and of the files of the index."""
    from curation.readers.commoncrawl import INDEX

    wanted: dict[tuple[str, str], None] = {}
    for dataset in rundir.recipe.dataset:
        for crawl in dataset.crawls:
            if not dataset.selects or dataset.archives:
                wanted[dataset.kind, crawl] = None
            if dataset.selects and not dataset.index:
                wanted[INDEX, crawl] = None
    return list(wanted)


def _list_failed(
    rundir: RunDirectory, wanted: Sequence[Source], failed: Sequence[tuple[Source, str]]
) -> None:
    """List what could not be fetched; stop where it is too much."""
    path = rundir.path("downloads", "_failed.json")
    if failed:
        rows = [{"dataset": s.owner, "url": str(s.address), "why": why} for s, why in failed]
        store.write_json(path, rows)
    elif store.exists(path):
        store.delete(path)
    for owner in dict.fromkeys(source.owner for source, _ in failed):
        reasons = [why for source, why in failed if source.owner == owner]
        total = sum(source.owner == owner for source in wanted)
        most = 0.0 if owner == sources.BENCHMARKS else rundir.recipe.download.max_failed
        if len(reasons) > most * total:
            name = (
                "decontaminate.benchmarks" if owner == sources.BENCHMARKS else f"dataset {owner!r}"
            )
            raise InputError(
                f"{name}: {len(reasons)} of {total} files could not be fetched "
                f"(download.max_failed allows {100 * most:.0f} %); the first: {reasons[0]}"
            )


# ---- what will be fetched ------------------------------------------------------------------------


def announce(
    rundir: RunDirectory,
    fetched: Sequence[Source],
    streamed: Sequence[Source],
    say: Callable[[str], None],
) -> None:
    """Say what will be fetched and read, how large it is and how long it takes."""
    total, unknown = 0, False
    for verb, wanted in (("fetch", fetched), ("stream", streamed)):
        for owner in dict.fromkeys(source.owner for source in wanted):
            files = [source for source in wanted if source.owner == owner]
            size, exact = _size(rundir, files)
            total, unknown = total + (size or 0), unknown or size is None
            first_mb = (
                0.0
                if verb == "fetch"
                else rundir.recipe.dataset[rundir.recipe.place(owner)].first_mb
            )
            hosts = ", ".join(
                dict.fromkeys(urlsplit(str(source.address)).netloc for source in files)
            )
            amount = (
                "size not told" if size is None else ("" if exact else "about ") + megabytes(size)
            )
            part = f", the first {first_mb:g} MB of each" if first_mb else ""
            count = f"{len(files)} file{'s' * (len(files) > 1)}{part}"
            say(f"To {verb + ':':<8}{owner.lstrip('_'):<16}{count:<32} {amount:>14}  from {hosts}")
    if total:
        times = " or ".join(
            f"{duration(total * 8 / (rate * 1e6))} at {rate} Mbit/s" for rate in RATES_MBIT
        )
        say(f"In all   {'at least ' if unknown else ''}{megabytes(total)}: {times}")


def _size(rundir: RunDirectory, files: Sequence[Source]) -> tuple[int | None, bool]:
    """Bytes of some files, and whether each was asked. None where no server tells."""
    first_mb = 0.0
    if not files[0].destination:
        first_mb = rundir.recipe.dataset[rundir.recipe.place(files[0].owner)].first_mb
    patience = replace(rundir.recipe.download.patience(1), max_attempts=2)
    sizes = [source.address.size for source in files if source.address.size >= 0]
    open_ = [source for source in files if source.address.size < 0]
    asked = (
        open_
        if len(open_) <= ASKED
        else [open_[i * (len(open_) - 1) // (ASKED - 1)] for i in range(ASKED)]
    )
    for source in asked:
        with contextlib.suppress(Unreachable):  # the fetching itself will say so
            sizes.append(store.describe(source.address.url, patience)[0] or 0)
    sizes = [min(size, int(first_mb * 1e6)) if first_mb else size for size in sizes if size]
    if not sizes:
        return None, False
    exact = len(sizes) == len(files)
    return (sum(sizes) if exact else round(sum(sizes) / len(sizes) * len(files))), exact


def megabytes(size: int) -> str:
    """
    >>> megabytes(1_234_567), megabytes(12_345_678_900), megabytes(1_500)
    ('1.2 MB', '12.3 GB', '1.5 KB')"""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.1f} KB"


def duration(seconds: float) -> str:
    """
    >>> duration(0.2), duration(75), duration(20_000), duration(500_000)
    ('1 s', '2 min', '5.6 h', '5.8 days')"""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 7200:
        return f"{-(-seconds // 60):.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
