"""The parts of an archive: each must begin with the record that the part before it ends at.

Costs nothing where they do, and they do but for archives that hold archives, or whose damage changes
what a reader takes them for (`readers.archive_parts`). Else a part is read again from the beginning
of its file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from curation import store
from curation.readers.archive_parts import AT_END, ArchivePart
from curation.rundir.directory import Shard
from curation.rundir.results import ShardResult

if TYPE_CHECKING:
    from curation.engine.base import Engine

BEGINS, ENDS = "begins", "ends"  # notes: marks of a part's first record, and of that behind it


def archive_part(file: store.File, from_beginning: bool) -> ArchivePart:
    """What a reader is told of a part of a file; the last one has no end but the file's."""
    return ArchivePart(file.start, file.end if file.end < file.size else 0, from_beginning)


def notes_of(notes: Mapping[str, int]) -> dict[str, int]:
    """Those notes of a table that say where its part begins and ends."""
    return {name: notes[name] for name in (BEGINS, ENDS) if name in notes}


def joined(
    engine: Engine,
    task: Callable[..., ShardResult],
    shards: Sequence[Shard],
    results: Sequence[ShardResult],
) -> list[ShardResult]:
    """The results of all shards, with those parts done again that do not begin where the part before
    them ends.

    Read from its beginning a file gives the right ends, so with each round one part more is right.
    """
    out, again = list(results), set[int]()
    while wrong := [i for i in range(len(out)) if i not in again and _is_misplaced(shards, out, i)]:
        redone = engine.map(
            "extract: again", partial(task, from_beginning=True), [shards[i] for i in wrong]
        )
        again |= set(wrong)
        for i, result in zip(wrong, redone, strict=True):
            out[i] = result
    return out


def _is_misplaced(shards: Sequence[Shard], results: Sequence[ShardResult], i: int) -> bool:
    notes = results[i].notes
    if BEGINS not in notes or not shards[i].files[0].start:
        return False
    return notes[BEGINS] != results[i - 1].notes.get(ENDS, AT_END)
