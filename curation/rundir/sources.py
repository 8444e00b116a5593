"""What a dataset's files are: local patterns, addresses, and the archives of crawls; and where in
the run directory each is brought.

Costs nothing but a reading of the lists that `download` fetched. The trap: a folder of downloads
may hold more than the recipe asks for now (another slice, half a file), so a file is only taken by
the name that is wanted.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from curation import store
from curation.errors import InputError, Unreachable
from curation.recipe import reading as recipes
from curation.recipe.line import DECIDING
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.manifest import stored_plan

if TYPE_CHECKING:
    from curation.recipe.tables import Dataset

BENCHMARKS = "_benchmarks"  # their place in downloads/; no dataset's name begins so
# Files that tell of a dataset, where they lie beside its tables.
_ABOUT = re.compile(
    r"(?i)(?:readme|licen[cs]e|notice|copying|citation|changelog)(?:[._-].*)?"
    r"|(?:dataset_infos?|dataset_dict|dataset-metadata|state|metadata|croissant)\.json"
)
_KEPT = re.compile(r"(\d+)\.(parquet|jsonl(?:\.gz|\.zst)?)")


@dataclass(frozen=True, slots=True)
class Source:
    """One file at an address: whose it is, which crawl's (`batch`), and where it is brought
    (nowhere: it is streamed)."""

    owner: str
    batch: int
    address: store.Address
    destination: str

    def __str__(self) -> str:
        return str(self.address)


def remote_files(rundir: RunDirectory, dataset: Dataset) -> list[Source]:
    """The remote files of a dataset, crawl by crawl, in the order of their names."""
    out: list[Source] = []
    for batch, crawl in enumerate(() if dataset.selects else dataset.crawls):
        out += _crawl_archives(rundir, dataset, crawl, batch)
    remote = [store.address(text) for text in dataset.files if store.is_web(text)]
    for name, count in Counter(address.name for address in remote).items():
        if count > 1:
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
    texts = () if dataset.selects else dataset.index  # a selection reads them by columns there
    addresses = [store.address(text) for text in texts if store.is_web(text)]
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


def selected_path(rundir: RunDirectory, dataset: Dataset, crawl: str) -> str:
    """Where the tables of records are that a dataset selects of a crawl."""
    return rundir.path("downloads", dataset.name, "selected", crawl)


def selection_identity(rundir: RunDirectory) -> str:
    """What changes with the records that datasets select; empty where none does."""
    paths = [
        store.join(selected_path(rundir, dataset, crawl), "_manifest.parquet")
        for dataset in rundir.recipe.dataset
        if dataset.selects
        for crawl in dataset.crawls
    ]
    return " ".join(store.need_footer(path).digest for path in paths)


def _crawl_archives(rundir: RunDirectory, dataset: Dataset, crawl: str, batch: int) -> list[Source]:
    from curation.readers import commoncrawl

    place = list_path(rundir, crawl, dataset.kind)
    if not store.exists(place):
        raise InputError(
            f"{place}: the list of archives is not here; the stage `download` fetches it"
        )
    paths = commoncrawl.paths_in(store.read_bytes(place), place)[0]
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


def input_files(
    rundir: RunDirectory, dataset: Dataset, say: Callable[[str], None] = lambda line: None
) -> list[list[store.File]]:
    """The input files of a dataset, batch by batch: what its patterns find, what was fetched, and
    what is to be streamed.

    A file that could not be fetched is left out; `download` has counted and listed it. `say`
    receives what else was passed over.
    """
    batches: list[list[store.File]] = [[] for _ in dataset.crawls] or [[]]
    batches[0] += _local_files(rundir, dataset, say)
    wanted = remote_files(rundir, dataset)
    fetched = fetched_files(wanted)
    for source in wanted:
        if not source.destination:
            batches[source.batch].append(_streamed(rundir, dataset, source))
        elif source.destination in fetched:
            batches[source.batch].append(fetched[source.destination])
    if dataset.urls:
        batches[0] += store.find(rundir.path("downloads", dataset.name, "captures"))
    for batch, crawl in enumerate(dataset.crawls if dataset.selects else ()):
        batches[batch] += store.listing(selected_path(rundir, dataset, crawl))
    if not any(batches):
        raise InputError(
            f"dataset {dataset.name!r}: none of its files could be fetched; run the same command "
            "again"
        )
    return batches


def _local_files(
    rundir: RunDirectory, dataset: Dataset, say: Callable[[str], None]
) -> list[store.File]:
    """What the patterns of a dataset mean, each file once; `say` receives what is passed over."""
    given = [pattern for pattern in dataset.files if not store.is_web(pattern)]
    files: dict[str, store.File] = {}
    written, brought = (_real(path) + "/" for path in (rundir.out, rundir.path("downloads")))
    is_run = _is_run(rundir.out)
    for pattern in given:
        matches = _files_of(pattern, dataset.text_column)
        real = {file.path: _real(file.path) for file in matches}
        passed: dict[str, str] = {}
        # What `download` brought may be named; all else that this run wrote is no input of it.
        if is_run and not (_real(pattern) + "/").startswith(brought):
            passed |= {path: "this run wrote it" for path in real if real[path].startswith(written)}
        if _is_whole_folder(pattern):
            passed = {**_not_data(dataset, [f for f in matches if f.path not in passed]), **passed}
        for file in matches:
            if file.path not in passed:
                files.setdefault(real[file.path], file)
        for reason in sorted(set(passed.values())):
            names = [file.name for file in matches if passed.get(file.path) == reason]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            say(f"{dataset.name}: passed over {names[0]}{more} in {pattern}: {reason}.")
    if given and not files:
        raise InputError(
            f"dataset {dataset.name!r}: all files of {given[0]} were passed over, as what this run "
            "wrote or what is no data; name the files to read"
        )
    return list(files.values())


# What a run directory holds before its plan is written.
_BEFORE_PLAN = ("run.lock", "metrics.jsonl", "metrics", "manifests", "downloads")


def _files_of(pattern: str, text_column: str) -> list[store.File]:
    """The files of a pattern; a run directory stands for the documents that it kept."""
    if not store.is_folder(pattern) or not _is_run(pattern):
        return store.find(pattern)
    if (plan := stored_plan(pattern)) is None:
        files = store.find(pattern)
        if all(file.name.partition("/")[0] in _BEFORE_PLAN for file in files):
            raise InputError(
                f"{pattern}: a run that stopped before its plan was written, so it has no documents "
                "yet; run its command again to the end, then give it here"
            )
        return files
    there = {store.join(pattern, file.name): file for file in store.listing(pattern)}
    wanted = _kept_tables(pattern, plan, text_column)
    for path in wanted:
        if path not in there:
            raise InputError(f"{path}: missing, so the run is not finished; run it again first")
    return [there[path] for path in wanted]


def _kept_tables(run: str, plan: dict[str, Any], text_column: str) -> list[str]:
    """The tables of what a run kept: its own kept/, where the text is called so; or of each shard
    the last decision on its survivors (`survivors.decided_table` says of which), or the survivors
    where there is none."""
    if not set(DECIDING) & set(plan["recipe"]["stages"]):
        return [
            store.join(run, "documents", shard["dataset"], f"{shard['number']:05d}.parquet")
            for shard in plan["shards"]
        ]
    kept = _kept_files(run, plan)
    if kept and _step_names(plan).get("text_column", "text") == text_column:
        return [
            kept.get(shard["number"], store.join(run, "kept", f"{shard['number']:05d}.parquet"))
            for shard in plan["shards"]
            if shard["dataset"] == "input"
            and store.need_footer(
                store.join(run, "documents", "input", f"{shard['number']:05d}.parquet")
            ).rows
        ]
    rundir = RunDirectory(run, recipes.parse(plan["recipe"], store.join(run, "plan.json")))
    shards = [
        Shard(shard["dataset"], shard["number"], shard["ordinal"], shard["batch"], ())
        for shard in plan["shards"]
        if rundir.recipe.named(shard["dataset"]).role != "reference"
    ]
    return [rundir.decided_before("tokenize", shard) or rundir.survivors(shard) for shard in shards]


def _kept_files(run: str, plan: dict[str, Any]) -> dict[int, str]:
    """The files in kept/ of a run by shard, tables or lines; none where they are not what it kept.

    Lines that `decontaminate` wrote have several rows of one id where documents were cut.
    """
    files = {}
    for file in store.listing(store.join(run, "kept")):
        if match := _KEPT.fullmatch(file.name):
            if match[2] != "parquet" and "decontaminate" in plan["recipe"]["stages"]:
                return {}
            files[int(match[1])] = file.path
    return files


def column_names(patterns: Sequence[str]) -> dict[str, str]:
    """The keys of a dataset that name columns, where `patterns` are runs of steps, whose rows have
    names that the user chose; those of other values than their defaults.

    >>> column_names(["corpus/part.parquet"])
    {}
    """
    found: list[dict[str, str]] = []
    for pattern in patterns:
        if store.is_web(pattern) or not store.is_folder(pattern) or not _is_run(pattern):
            return {}
        plan = stored_plan(pattern)
        found.append(_step_names(plan) if plan and _kept_files(pattern, plan) else {})
    return found[0] if found and found.count(found[0]) == len(found) else {}


def _step_names(plan: dict[str, Any]) -> dict[str, str]:
    """The names of columns in kept/ of a step that are not the usual ones."""
    from curation.recipe.tables import Dataset

    usual = {f.name: str(f.default) for f in fields(Dataset) if f.name.endswith("_column")}
    datasets = plan["recipe"].get("dataset", ())
    own: dict[str, str] = next((d for d in datasets if d["name"] == "input"), {})
    names = {key: own[key] for key, name in usual.items() if own.get(key, name) != name}
    if "decontaminate" in plan["recipe"]["stages"]:  # pieces are a new column
        names.pop("text_column", None)
    return names


def _is_run(folder: str) -> bool:
    return any(store.exists(store.join(folder, name)) for name in ("plan.json", "run.lock"))


def _real(path: str) -> str:
    return path.rstrip("/") if store.is_remote(path) else os.path.realpath(path)


def _is_whole_folder(pattern: str) -> bool:
    return store.is_folder(pattern) or pattern.rpartition("/")[2] in ("*", "**")


def _not_data(dataset: Dataset, files: list[store.File]) -> dict[str, str]:
    """Paths of files that lie beside tables, archives or dumps and are no data -> why.

    Where there are none of those, or fewer than texts, texts are the data.
    """
    kinds = {file.path: _kind(dataset, file) for file in files}
    counts = Counter(kinds.values())
    data = sum(counts[kind] for kind in ("archive", "mediawiki", "wikimedia-html", "table"))
    runs = {file.path.removesuffix("/plan.json") for file in files if _is_plan(file, files)}
    why = {
        path: "it is in another run's directory; name that run to read what it kept"
        for path in kinds
        if any(path.startswith(run + "/") for run in runs)
    }
    if not data:
        return why
    unread = {"about", "unknown"} | ({"text"} if counts["text"] < data else set())
    beside = {path: "no data of a dataset" for path, kind in kinds.items() if kind in unread}
    return {**beside, **why}


def _is_plan(file: store.File, files: list[store.File]) -> bool:
    """Whether a file is the plan of a run, which has its documents beside it."""
    documents = file.path.removesuffix("plan.json") + "documents/"
    return posixpath.basename(file.path) == "plan.json" and any(
        other.path.startswith(documents) for other in files
    )


def _kind(dataset: Dataset, file: store.File) -> str:
    """What a file in a folder is, by its name and the dataset's `format`."""
    from curation.readers.formats import guess_format

    if dataset.format == "text":
        return "text"
    if _ABOUT.fullmatch(posixpath.basename(file.name)):
        return "about"
    try:
        return guess_format(file.name) if dataset.format == "auto" else dataset.format
    except InputError:
        return "unknown"


def _streamed(rundir: RunDirectory, dataset: Dataset, source: Source) -> store.File:
    """A file that `extract` reads from its address.

    An archive of a crawl never changes under its name, and is not asked for its size.
    """
    for ending, kind in ((".parquet", "a Parquet"), (".arrow", "an Arrow")):
        if source.address.name.endswith(ending):
            raise InputError(
                f"{source.address.url}: {kind} table cannot be streamed; leave out `stream`"
            )
    size, tag = None, ""
    if not dataset.crawls:
        with contextlib.suppress(Unreachable):  # the reading will count it
            size, tag = store.describe(source.address.url, rundir.recipe.download.patience(1))
    return store.File(source.address.url, source.address.name, size or 0, tag)
