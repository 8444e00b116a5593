"""What a run shares out to array tasks (`--shards i/n`): `parts/next.json` says which map of which
stage, and beside it lies what the tasks returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.recipe.line import STAGES
from curation.rundir.lock import member_lock
from curation.rundir.manifest import read_data

if TYPE_CHECKING:
    from typing import Any

FOLDER = "parts"
NEXT = f"{FOLDER}/next.json"
MOST = 1_000_000  # array tasks


@dataclass(frozen=True, slots=True)
class SharedMap:
    """The map that array tasks do next: its stage and label, the key of the stage, and how many
    tasks share it."""

    stage: str
    label: str
    key: str
    of: int


def next_map(out: str) -> SharedMap | None:
    """What array tasks do next; None where nothing is shared out."""
    data: Any = read_data(store.join(out, NEXT))
    try:
        found = SharedMap(str(data["stage"]), str(data["label"]), str(data["key"]), int(data["of"]))
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.stage in STAGES and 0 < found.of <= MOST else None


def members(out: str) -> tuple[str, ...]:
    """The names of the locks that array tasks of a run may hold."""
    shared = next_map(out)
    return tuple(member_lock(index, shared.of) for index in range(shared.of)) if shared else ()
