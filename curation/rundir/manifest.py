"""What a stage wrote: `manifests/<stage>.json`, written when the stage has ended.

It names every file with its size, the sha256 of its bytes, its identity and its ledger, and has a
key: the digest of all that the stage depends on. Where key and sizes fit, the stage has nothing to
do, and none of its files is opened. A stage without a manifest was interrupted: there the footers of
its tables say what is reused.

Cost: one listing of each of the stage's folders to compare; one reading of its files to write.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from curation import store
from curation.digests import digest_of
from curation.errors import InputError, RunError
from curation.rundir.directory import SHARD_FOLDERS
from curation.rundir.entries import Files, read_files

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.engine.tasks import Cost

FOLDER = "manifests"
PLANS = ("plan.json", f"{FOLDER}/plan.json")  # the plan and its copy
GONE = "archives_per_shard"  # a key of datasets in plans of earlier versions
GROUP = 16  # files that one task reads
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a stage wrote under a key: path in the run directory -> file."""

    key: str
    files: Files

    @property
    def identity(self) -> str:
        """What later stages depend on: what the files say, not how they were made."""
        return digest_of((name, entry.identity) for name, entry in self.files.items())


def path(out: str, stage: str) -> str:
    """Where a stage's manifest stands in a run directory."""
    return store.join(out, FOLDER, stage + ".json")


def read(out: str, stage: str) -> Manifest | None:
    """A stage's manifest; None where there is none, or it is damaged."""
    try:
        files, about = read_files(path(out, stage))
        if any(name.startswith("/") or ".." in name.split("/") for name in files):
            return None  # what is named may be deleted: nothing outside the run directory
        return Manifest(about["key"], files)
    except (InputError, RunError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_data(path: str) -> Any:
    """A JSON file of a run directory; None where it is missing or damaged."""
    try:
        return store.read_json(path)
    except (InputError, RunError):
        return None


def write(
    out: str,
    engine: Engine,
    stage: str,
    key: str,
    places: Sequence[str],
    written: Files | None = None,
) -> Manifest:
    """Write the manifest of a stage that has ended: every file in some places of a run directory.

    `written`: files that tasks have written and need not be read again.
    """
    known, sizes = written or Files(), _sizes(out, places)
    names = sorted(sizes)
    asked = [name for name in names if name not in known or known[name].size != sizes[name]]
    items = [(asked[i], asked[i : i + GROUP]) for i in range(0, len(asked), GROUP)]
    for rows in engine.map(f"{stage}: manifest", partial(_rows_of_group, out), items):
        known.update(rows)
    files = Files()
    for name in names:
        files.take(name, known)
    if any("unreachable" in entry.ledger for entry in files.values()):
        key = ""  # fits nothing: the next run asks for them again
    store.sync_folders(out, {name.rpartition("/")[0] for name in names})
    files.write(path(out, stage), {"stage": stage, "key": key})
    return Manifest(key, files)


@contextlib.contextmanager
def following(out: str, engine: Engine | None, places: Sequence[str]) -> Iterator[Files]:
    """What the tasks of an engine and this process write in this block, for `write`; nothing without
    an engine. In those of the places that hold nothing when it begins no table is looked for."""
    written = Files()
    if engine is None:
        yield written
        return
    observe, start = engine.observe, len(store.join(out, ""))

    def both(label: str, item: Any, result: Any, cost: Cost) -> None:
        written.update({path[start:]: row for path, row in cost.files.items()})
        observe(label, item, result, cost)

    folders = [store.join(out, place) for place in places if not place.endswith(".parquet")]
    empty = {f"{folder}/" for folder in folders if not store.listing(folder, hidden=True)}
    store.fresh().update(empty)
    engine.observe = both
    try:
        with store.noting() as noted:
            yield written
        written.update({path[start:]: row for path, row in noted.items()})
    finally:
        engine.observe = observe
        store.fresh().difference_update(empty)


def write_downloads(out: str) -> None:
    """Write the manifest of what was fetched. It has sizes only: to hash it would be to read it all
    once more."""
    sizes, files = _sizes(out, ["downloads"]), Files()
    for name, size in sorted(sizes.items()):
        if not name.endswith((store.PART, ".tag", "_failed.json")):
            files.update({name: {"size": size, "sha256": "", "identity": ""}})
    if not files:
        return
    before = read(out, "download")
    if before is None or before.files != files:
        files.write(path(out, "download"), {"stage": "download", "key": ""})


def _rows_of_group(out: str, item: tuple[str, list[str]]) -> dict[str, dict[str, Any]]:
    return rows_of(out, item[1])


def rows_of(out: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows of some files of a folder, without what is empty."""
    entries = {}
    for name in names:
        where = store.join(out, name)
        footer = store.footer(where) if name.endswith(".parquet") else None
        size, sha256 = store.size_and_sha256(where)
        row: dict[str, Any] = {"size": size, "sha256": sha256}
        row["identity"] = footer.identity if footer else row["sha256"]
        if footer:
            row |= {k: v for k in ("ledger", "notes") if (v := getattr(footer, k))}
        entries[name] = row
    return entries


def _sizes(out: str, places: Sequence[str]) -> dict[str, int]:
    """Path in the run directory -> bytes, of every file in some places."""
    return {name: size for place in places for name, size in _files_in(out, place)}


def _files_in(out: str, place: str) -> Iterator[tuple[str, int]]:
    """Path in the run directory and bytes of every file in a place: a folder, or a single table."""
    where = store.join(out, place)
    if not place.endswith(".parquet"):
        yield from ((f"{place}/{name}", size) for name, size in store.sizes(where))
    elif store.exists(where):
        yield place, store.find(where)[0].size


def misfits(out: str, manifest: Manifest) -> dict[str, str]:
    """Path -> what is wrong with it, of files that are missing or have another size."""
    wrong = dict.fromkeys(manifest.files, MISSING)
    for place in sorted({name.partition("/")[0] for name in manifest.files}):
        for name, size in _files_in(out, place):
            if name not in wrong:
                continue
            if (expected := manifest.files[name].size) == size:
                del wrong[name]
            else:
                wrong[name] = f"{size:,} bytes, {expected:,} expected"
    return wrong


def remove(out: str, manifest: Manifest, names: Sequence[str]) -> None:
    """Delete files that do not fit, with those beside them that would vouch for them.

    The tables of shards and downloads stand for themselves. In every other folder one file vouches
    for all.
    """
    unfit = set(names)
    for folder in {name.rpartition("/")[0] for name in names}:
        alone = folder.rpartition("/")[0] in SHARD_FOLDERS
        alone |= folder.partition("/")[0] in ("", "kept", "removed", "downloads")
        if not alone or f"{folder}/_manifest.parquet" in manifest.files:
            unfit |= {name for name in manifest.files if name.rpartition("/")[0] == folder}
    for name in unfit:
        store.delete(store.join(out, name))


def stored_plan(out: str) -> dict[str, Any] | None:
    """plan.json of a run directory, or else its copy; None where neither can be read."""
    for name in PLANS:
        with contextlib.suppress(KeyError, TypeError):
            data: dict[str, Any] = read_data(store.join(out, name))
            if isinstance(data["recipe"], dict) and isinstance(data["shards"], list):
                for dataset in data["recipe"].get("dataset", ()):
                    dataset.pop(GONE, None)
                return data
    return None
