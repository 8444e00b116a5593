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
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from curation import store
from curation.digests import config_digest
from curation.errors import InputError, RunError
from curation.rundir.directory import SHARD_FOLDERS

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.engine.tasks import Cost

FOLDER = "manifests"
PLANS = ("plan.json", f"{FOLDER}/plan.json")  # the plan and its copy
GONE = "archives_per_shard"  # a key of datasets in plans of earlier versions
GROUP = 16  # files that one task reads
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. `identity` is that of its footer; a file without a footer has its sha256."""

    size: int
    sha256: str
    identity: str
    ledger: store.Ledger = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a stage wrote under a key: path in the run directory -> file."""

    key: str
    files: dict[str, Entry]

    @property
    def identity(self) -> str:
        """What later stages depend on: what the files say, not how they were made."""
        return config_digest(*((name, entry.identity) for name, entry in self.files.items()))


def path(out: str, stage: str) -> str:
    """Where a stage's manifest stands in a run directory."""
    return store.join(out, FOLDER, stage + ".json")


def read(out: str, stage: str) -> Manifest | None:
    """A stage's manifest; None where there is none, or it is damaged."""
    data = read_data(path(out, stage))
    try:
        rows = data["files"]
        if any(name.startswith("/") or ".." in name.split("/") for name in rows):
            return None  # what is named may be deleted: nothing outside the run directory
        # Of many files, rows are let go of as they become entries.
        return Manifest(data["key"], {name: Entry(**rows.pop(name)) for name in list(rows)})
    except (KeyError, TypeError, AttributeError):
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
    written: store.Written | None = None,
) -> Manifest:
    """Write the manifest of a stage that has ended: every file in some places of a run directory.

    `written`: path in it -> row, of files that tasks have written and need not be read again.
    """
    sizes, written = _sizes(out, places), written or {}
    names = sorted(sizes)
    known = {n: written[n] for n in names if n in written and written[n]["size"] == sizes[n]}
    asked = [name for name in names if name not in known]
    items = [(asked[i], asked[i : i + GROUP]) for i in range(0, len(asked), GROUP)]
    rows = engine.map(f"{stage}: manifest", partial(_rows_of_group, out), items)
    known |= {name: row for group in rows for name, row in group.items()}
    files = {name: known[name] for name in names}
    if any("unreachable" in row.get("ledger", ()) for row in files.values()):
        key = ""  # fits nothing: the next run asks for them again
    store.sync_folders(out, {name.rpartition("/")[0] for name in names})
    store.write_json(path(out, stage), {"stage": stage, "key": key, "files": files})
    return Manifest(key, {name: Entry(**row) for name, row in files.items()})


@contextlib.contextmanager
def following(out: str, engine: Engine | None, places: Sequence[str]) -> Iterator[store.Written]:
    """What the tasks of an engine and this process write in this block, for `write`; nothing without
    an engine. In those of the places that hold nothing when it begins no table is looked for."""
    written: store.Written = {}
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
    sizes = _sizes(out, ["downloads"])
    names = [name for name in sizes if not name.endswith((store.PART, ".tag", "_failed.json"))]
    files = {name: {"size": sizes[name], "sha256": "", "identity": ""} for name in names}
    data = {"stage": "download", "key": "", "files": files}
    if files and read_data(path(out, "download")) != data:
        store.write_json(path(out, "download"), data)


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
    """Path in the run directory -> bytes, of every file in some places: folders, or single tables."""
    sizes: dict[str, int] = {}
    for place in places:
        where = store.join(out, place)
        if not place.endswith(".parquet"):
            sizes |= {f"{place}/{f.name}": f.size for f in store.listing(where, hidden=True)}
        elif store.exists(where):
            sizes[place] = store.find(where)[0].size
    return sizes


def misfits(out: str, manifest: Manifest) -> dict[str, str]:
    """Path -> what is wrong with it, of files that are missing or have another size."""
    sizes = _sizes(out, sorted({name.partition("/")[0] for name in manifest.files}))
    return {
        name: f"{sizes[name]:,} bytes, {entry.size:,} expected" if name in sizes else MISSING
        for name, entry in manifest.files.items()
        if sizes.get(name) != entry.size
    }


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
