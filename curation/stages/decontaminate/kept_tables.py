"""Gram tables that outlive a run: another run with the same benchmarks has them, as names of the
same files where the disk allows it, else as copies.

They lie in `$CURATION_CACHE`, or `~/.cache/curation`, a folder for each set of benchmark files as
they are (their bytes count, not their names' folders or times) and each rule by which grams are made.
An empty `CURATION_CACHE` keeps nothing. What was used last stays, up to `MOST_BYTES`. With each file
is kept its row of a run's manifest, so that it is not read again for that.

Trap: a kept file is used only if it has the digest that was noted when it was written; what is
damaged is made anew.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from curation import store
from curation.digests import text_digest
from curation.rundir import manifest

MOST_BYTES = 4 << 30
_CARD, _DIGESTS = "card.json", "digests.json"


def prepared(
    folder: str, asked: str, key: str, files: Sequence[str], make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The card of the tables in `folder`, after those of `asked` are there.

    Those that are there stay. Others come from what was kept under `key`, or `make` writes
    `files` and returns what the card says beside `asked`. The card is written last.
    """
    path = store.join(folder, _CARD)
    if store.exists(path):
        card: dict[str, Any] = store.read_json(path)
        if card.get("asked") == asked:
            return card
        store.delete(path)  # the files it speaks of are about to change
    restored = _restored(folder, key, files)
    card = {**(restored or make()), "asked": asked}
    store.write_json(path, card)
    if not restored:
        _keep(folder, key, files, card)
    return card


def is_kept(key: str) -> bool:
    """Whether tables of this key were kept."""
    kept = _place(key)
    return kept is not None and (kept / _DIGESTS).is_file()


def _place(key: str) -> Path | None:
    cache = os.environ.get("CURATION_CACHE")
    if cache is None:
        base = os.environ.get("XDG_CACHE_HOME")
        cache = os.path.join(base or os.path.expanduser("~/.cache"), "curation")
    return Path(cache, "benchmarks", key) if cache else None


def _restored(folder: str, key: str, files: Sequence[str]) -> dict[str, Any] | None:
    """The card of kept tables, placed into `folder`; None where there are none that are whole."""
    kept = _place(key)
    if kept is None:
        return None
    try:
        noted = orjson.loads((kept / _DIGESTS).read_bytes())
        if any(_digest(kept / name) != noted[name]["digest"] for name in (*files, _CARD)):
            return None
        for name in files:
            path = store.join(folder, name)
            store.copy_local(str(kept / name), path)
            store.note_written(path, noted[name]["row"])
        card: dict[str, Any] = orjson.loads((kept / _CARD).read_bytes())
        os.utime(kept)
        return card
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _digest(file: Path) -> str:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as data:
        return text_digest(data).hex()  # type: ignore[arg-type]  # any buffer


def _keep(folder: str, key: str, files: Sequence[str], card: dict[str, Any]) -> None:
    """Place tables where other runs find them. A place that cannot be written is no error."""
    kept = _place(key)
    if kept is None:
        return
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=kept.parent))
        try:
            (made / _CARD).write_bytes(orjson.dumps(card))
            rows = manifest.rows_of(folder, files)
            for name in files:
                path = store.join(folder, name)
                if store.is_remote(path):
                    (made / name).write_bytes(store.read_bytes(path))
                else:
                    store.copy_local(path, str(made / name))
                store.note_written(path, rows[name])
            noted: dict[str, Any] = {name: {"row": row} for name, row in rows.items()}
            for name in (*files, _CARD):
                noted.setdefault(name, {})["digest"] = _digest(made / name)
            (made / _DIGESTS).write_bytes(orjson.dumps(noted))
            shutil.rmtree(kept, ignore_errors=True)  # one that was damaged
            os.replace(made, kept)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        _make_room(kept.parent)


def _make_room(folder: Path) -> None:
    """Remove what was not used for the longest, while all is above `MOST_BYTES`."""
    by_use = sorted(folder.iterdir(), key=lambda kept: kept.stat().st_mtime, reverse=True)
    total = 0
    for kept in by_use:
        total += sum(file.stat().st_size for file in kept.iterdir())
        if total > MOST_BYTES:
            shutil.rmtree(kept, ignore_errors=True)
