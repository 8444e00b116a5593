"""What a recipe reads, from listings and the index alone: files, stored bytes, shards, requests.

No page is read. Where no listing can be had the size must be given (`--size`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation import store
from curation.errors import InputError, Unreachable
from curation.readers import commoncrawl
from curation.recipe.tables import Dataset, Recipe
from curation.rundir import shards, sources
from curation.rundir.directory import RunDirectory
from curation.stages.download.index_files import IndexFile, index_files
from curation.stages.download.rows import Seen, selected_rows
from curation.stages.download.selection import asked_of
from curation.stages.extract.inputs import input_format
from curation.stages.extract.selected import cost

if TYPE_CHECKING:
    from collections.abc import Sequence

ASKED = 5  # files at addresses that are asked for their size
INDEX_FILES = 3  # of the index that are read of each crawl, the others taken to be like them
CRAWLS_READ = 2  # of which the index is read
_SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9}(?:\.[0-9]+)?)")
_KINDS = {"mediawiki": "mediawiki", "wikimedia-html": "html", "table": "table", "text": "text"}


@dataclass(frozen=True, slots=True)
class Input:
    """One dataset as it is stored. `known` says from what; `is_exact` whether all of it is told.
    `records` is 0 where it is not known before reading; `index_bytes` are those of the index that a
    run reads, in `index_requests`. `parts` are the shards that are a part of a file; `alone` the
    large files that are one shard each, with their bytes."""

    dataset: str
    role: str
    kind: str
    files: int
    bytes: int
    shards: int
    known: str
    is_exact: bool
    records: int = 0
    requests: int = 0
    remote_bytes: int = 0
    stored_here: int = 0
    index_bytes: int = 0
    index_requests: int = 0
    parts: int = 0
    alone: tuple[tuple[str, int], ...] = ()


def sizes_given(texts: Sequence[str]) -> dict[str, tuple[int, float]]:
    """`NAME=FILESxMB` of each text: files and megabytes of one. Raises InputError."""
    out = {}
    for text in texts:
        name, _, size = text.partition("=")
        match = _SIZE.fullmatch(size)
        if not match:
            raise InputError(
                f"--size {text}: NAME=FILESxMB expected, such as --size commoncrawl=90000x1000 (of one "
                "crawl, where the dataset has crawls)"
            )
        out[name] = (int(match[1]), float(match[2]))
    return out


def read(
    recipe: Recipe,
    given: Mapping[str, tuple[int, float]],
    folder: str,
    say: Callable[[str], None],
) -> list[Input]:
    """The inputs of a recipe. `folder` holds what is fetched to find them: lists, and no page.

    Raises InputError where a listing cannot be had and no size is given.
    """
    if unknown := sorted(set(given) - set(recipe.names())):
        raise InputError(f"--size {unknown[0]}: no dataset of this name in the recipe")
    rundir = RunDirectory(folder, recipe)
    out = []
    for dataset in recipe.dataset:
        if dataset.name in given:
            out.append(_given(dataset, *given[dataset.name]))
            continue
        try:
            out.append(_listed(rundir, dataset, say))
        except Unreachable as error:
            raise InputError(
                f"dataset {dataset.name!r}: no listing ({error}); give its size: --size "
                f"{dataset.name}=FILESxMB"
            ) from error
        except InputError as error:
            raise InputError(
                f"{error}; or give the size: --size {dataset.name}=FILESxMB"
            ) from error
    return out


def _given(dataset: Dataset, files: int, mb: float) -> Input:
    crawls = max(1, len(dataset.crawls))
    how, _, end = dataset.archives.partition(":")
    if how == "sample":
        files = min(files, int(end))
    elif dataset.archives:
        files = max(0, min(files, int(end or files)) - int(how or 0))
    files *= crawls
    size = int(files * mb * 1e6)
    name = dataset.files[0] if dataset.files else ""
    name = name.rpartition("/")[2]
    alike = [store.File(name, name, int(mb * 1e6), "")] * (files // crawls)
    is_remote = bool(dataset.crawls) or any(map(store.is_web, dataset.files))
    cut = _cut(dataset, [alike])
    return Input(
        dataset.name,
        dataset.role,
        _kind(dataset, ""),
        files,
        size,
        known="given with --size",
        is_exact=False,
        requests=files * is_remote,
        remote_bytes=size * is_remote,
        stored_here=size * (is_remote and not dataset.stream),
        **{**cut, "shards": cut["shards"] * crawls},
    )


def _kind(dataset: Dataset, name: str) -> str:
    """The kind of a dataset's files, as rates know it."""
    if dataset.crawls:
        return dataset.kind
    try:
        named = dataset.files[0] if dataset.files and not name else name
        kind = input_format(dataset, store.File(named, named.rpartition("/")[2], 0, ""))
    except (InputError, IndexError):
        return "table"
    wet = "wet" if ".wet" in (name or named) else "warc"
    return _KINDS.get(kind, wet)


def _listed(rundir: RunDirectory, dataset: Dataset, say: Callable[[str], None]) -> Input:
    if dataset.selects:
        return _selected(rundir, dataset, say)
    if dataset.urls:
        raise InputError(
            f"dataset {dataset.name!r}: how many of its `urls` are in the index is not known before "
            "`download`"
        )
    _fetch_lists(rundir, dataset)
    remote = sources.remote_files(rundir, dataset)
    local = [pattern for pattern in dataset.files if not store.is_web(pattern)]
    files = [file for pattern in local for file in store.find(pattern)]
    size, is_exact = _remote_size(rundir, remote)
    count = len(files) + len(remote)
    names = [file.name for file in files] or [source.address.name for source in remote]
    known = "listing" if is_exact else f"listing, and the sizes of {ASKED} files"
    return Input(
        dataset.name,
        dataset.role,
        _kind(dataset, names[0]),
        count,
        size + sum(file.size for file in files),
        known=known,
        is_exact=is_exact,
        requests=len(remote),
        remote_bytes=size,
        stored_here=0 if dataset.stream else size,
        **_cut(dataset, _batches(dataset, files, remote, size)),
    )


def _batches(
    dataset: Dataset, local: list[store.File], remote: list[sources.Source], size: int
) -> list[list[store.File]]:
    """The files of each crawl, since a shard holds files of one; all files where there are none.

    Those at addresses are taken to be equal parts of `size` bytes.
    """
    batches: list[list[store.File]] = [[] for _ in dataset.crawls] or [[]]
    batches[0] += local
    for source in remote:
        file = store.File(source.address.name, source.address.name, size // len(remote), "")
        batches[source.batch].append(file)
    return batches


def _cut(dataset: Dataset, batches: list[list[store.File]]) -> dict[str, Any]:
    """How many shards files are, how many of these are parts, and which files stay whole."""
    groups = [group for files in batches for group in _shards(dataset, files)]
    whole = {file.name: file.size for file in shards.unsplit(dataset, groups)}
    parts = sum(bool(group[0].part) for group in groups)
    return {"shards": len(groups), "parts": parts, "alone": tuple(whole.items())}


def _shards(dataset: Dataset, files: list[store.File]) -> list[tuple[store.File, ...]]:
    """The shards of files; each is one where a name does not say what a file is."""
    try:
        return shards.groups(dataset, files)
    except InputError:
        return shards.alone(files)


def _remote_size(rundir: RunDirectory, remote: list[sources.Source]) -> tuple[int, bool]:
    """Stored bytes of files at addresses, and whether all were told."""
    if not remote:
        return 0, True
    asked = remote
    if len(remote) > ASKED:
        asked = [remote[i * (len(remote) - 1) // (ASKED - 1)] for i in range(ASKED)]
    patience = _patience(rundir)
    sizes = []
    for source in asked:
        known = source.address.size
        size = known if known >= 0 else store.describe(source.address.url, patience)[0]
        if size is not None:
            sizes.append(size)
    if not sizes:
        raise InputError(f"{remote[0].address}: the server tells no sizes")
    is_exact = len(sizes) == len(remote)
    return round(sum(sizes) / len(sizes) * len(remote)), is_exact


def _fetch_lists(rundir: RunDirectory, dataset: Dataset) -> None:
    """Bring the crawls' lists of archives, and of the files of the index."""
    config = rundir.recipe.download
    kinds: list[str] = [dataset.kind] if not dataset.selects or dataset.archives else []
    kinds += [commoncrawl.INDEX] if dataset.selects and not dataset.index else []
    for crawl in dataset.crawls:
        for kind in kinds:
            url = config.base_url.rstrip("/") + "/" + commoncrawl.list_path(crawl, kind)
            place = sources.list_path(rundir, crawl, kind)
            store.fetch(store.address(url), place, _patience(rundir))


def _patience(rundir: RunDirectory) -> store.Patience:
    """Of a person who waits for a plan: two tries."""
    return replace(rundir.recipe.download.patience(1), max_attempts=2)


def _selected(rundir: RunDirectory, dataset: Dataset, say: Callable[[str], None]) -> Input:
    """What a selection asks for: some files of the index are read, by their columns."""
    _fetch_lists(rundir, dataset)
    seen, requests, fetched, files, read = Seen(), 0, 0, 0, 0
    crawls = dataset.crawls[:CRAWLS_READ]
    for crawl in crawls:
        chosen, count = _chosen_files(rundir, dataset, crawl)
        asked = asked_of(rundir, dataset, crawl, 1)
        tables = [rows for file in chosen for rows in selected_rows(asked, file, seen)]
        if tables:
            rows = pa.concat_tables(tables).sort_by(
                [("filename", "ascending"), ("start", "ascending")]
            )
            asked_for, size = cost(dataset, rows)
            requests, fetched = requests + asked_for, fetched + size
        files, read = files + count, read + len(chosen)
    scale = files / read * len(dataset.crawls) / len(crawls)
    known = "the index" if scale == 1 else f"{read} of {files} files of the index"
    if scale != 1:
        say(
            f"{dataset.name}: {known} read; the others are taken to be like them. Near records share "
            "a request, so there will be fewer requests than planned."
        )
    size = round(seen.bytes * scale)
    return Input(
        dataset=dataset.name,
        role=dataset.role,
        kind=dataset.kind,
        files=round(files * len(dataset.crawls) / len(crawls)),
        bytes=size,
        shards=max(1, round(size / (dataset.select_shard_mb * 1e6) + 0.5)),
        known=known,
        is_exact=scale == 1,
        records=round(seen.selected * scale),
        requests=round(requests * scale),
        remote_bytes=round(fetched * scale),
        index_bytes=round(seen.received * scale),
        index_requests=round(seen.requests * scale),
    )


def _chosen_files(
    rundir: RunDirectory, dataset: Dataset, crawl: str
) -> tuple[list[IndexFile], int]:
    """The files of a crawl's index that are read, evenly spread, and how many there are."""
    every = index_files(rundir, dataset, crawl)
    if len(every) <= INDEX_FILES:
        return every, len(every)
    last = len(every) - 1
    return [every[i * last // (INDEX_FILES - 1)] for i in range(INDEX_FILES)], len(every)
