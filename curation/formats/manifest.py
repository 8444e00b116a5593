"""What an export is: `_manifest.json` beside its files, written when all of them are there.

It names the format, the settings and the identity of the run, and of every file its size and sha256.
While an export is made, `_export/` has a record of each part that is finished; so the same call goes
on where it was interrupted. Names with `_` in front are passed over by what reads a whole folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation import store
from curation.digests import config_digest
from curation.errors import InputError, RunError
from curation.rundir import manifest as manifests
from curation.version import __version__

if TYPE_CHECKING:
    from curation.formats.parts import Part
    from curation.rundir.directory import RunDirectory

NAME = "_manifest.json"
WORK = "_export"  # records of the parts of an export that has not ended
HEADER, BEFORE = f"{WORK}/header.json", f"{WORK}/before.json"
Files = dict[str, dict[str, Any]]


def run_identity(rundir: RunDirectory) -> str:
    """What stands for all that a run has made: the identities of its stages."""
    made = [manifests.read(rundir.out, stage) for stage in rundir.recipe.stages]
    return config_digest("run", [manifest.identity for manifest in made if manifest])


def need_own_folder(out: str, header: Mapping[str, Any], update: bool) -> None:
    """Raise RunError where `out` holds something that is no export, or, without `update`, one of
    another run or other settings."""
    if not store.exists(out):
        return
    if not store.is_folder(out):
        raise RunError(f"{out}: a file is there; name a folder")
    there = read_header(out)
    if there is None:
        names = [file.name for file in store.listing(out, hidden=True)]
        names += [] if store.is_remote(out) else os.listdir(out)
        first = {name.partition("/")[0] for name in names if store.TEMPORARY not in name}
        strange = sorted(first - {"run.lock", WORK})
        if strange:
            raise RunError(
                f"{out}: not an export, and not empty (it holds {strange[0]!r}); name a new folder"
            )
        return
    differing = sorted(key for key in header if there.get(key) != header[key])
    if differing and not update:
        what = {"run": "of another run, or of an earlier state of this one"}
        key = "format" if "format" in differing else differing[0]
        how = what.get(key, f"made with {key} = {there.get(key)!r}, and here it is {header[key]!r}")
        raise RunError(
            f"{out}: an export {how}; name another folder, or add --update (in Python update=True) "
            "to write it again"
        )


def read_header(out: str) -> dict[str, Any] | None:
    """The format, settings and run of the export in a folder, finished or not; None where there is
    none."""
    for name in (NAME, HEADER):
        data = manifests.read_data(store.join(out, name))
        if isinstance(data, dict) and "format" in data:
            return data
    return None


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier calls left: the records of finished parts by name, and every file they wrote."""

    parts: dict[str, dict[str, Any]]
    files: frozenset[str]


def begin(out: str, header: Mapping[str, Any]) -> Before:
    """What is there of this export; from here on it has not ended."""
    path, aside = store.join(out, NAME), store.join(out, BEFORE)
    parts: dict[str, dict[str, Any]] = {}
    files: set[str] = set()
    finished = manifests.read_data(path)
    for data in (manifests.read_data(aside), finished):
        if isinstance(data, dict):
            parts |= data.get("parts", {})
            files |= set(data.get("files", ()))
    for file in store.listing(store.join(out, WORK)):
        record = manifests.read_data(file.path)
        if isinstance(record, dict) and "part" in record:
            parts[record["part"]] = record
            files |= set(record["files"])
    if finished:
        store.write_json(aside, {"parts": parts, "files": sorted(files)})
    store.write_json(store.join(out, HEADER), dict(header))
    store.delete(path)
    inside = (name for name in files if not name.startswith("/") and ".." not in name.split("/"))
    return Before(parts, frozenset(inside))


def is_done(out: str, part: Part, records: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the files of a part are there, as they were written under the same key."""
    record = records.get(part.label, {})
    if record.get("key") != part.key:
        return False
    for name, row in record["files"].items():
        try:
            (file,) = store.find(store.join(out, name))
        except InputError:
            return False
        if file.size != row["size"]:
            return False
    return True


def record_part(out: str, part: Part, files: Files) -> dict[str, Any]:
    """Write that a part is finished, and return it."""
    record = {"part": part.label, "key": part.key, "files": files}
    store.write_json(store.join(out, WORK, part.label.replace("/", "-") + ".json"), record)
    return record


def end(
    out: str,
    header: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    others: Files,
    before: Before,
) -> dict[str, Any]:
    """Remove what earlier calls wrote and this one has not, write the manifest, and return it."""
    files: Files = {name: row for record in records for name, row in record["files"].items()}
    files |= others
    for name in sorted(before.files - files.keys()):
        store.delete(store.join(out, name))
    totals: dict[str, int] = {}
    for row in files.values():
        for key in ("documents", "tokens", "sequences"):
            if key in row:
                totals[key] = totals.get(key, 0) + row[key]
    data = {
        "curation": __version__,
        **header,
        "parts": {record["part"]: record for record in records},
        "files": dict(sorted(files.items())),
        "totals": totals,
    }
    store.write_json(store.join(out, NAME), data)
    store.delete(store.join(out, WORK))
    return data
