"""Input files -> the groups and parts that are a shard each: small files together, large ones split.

Fixed by names, sizes and the recipe, never by the machine. The order of files is kept, and that of
the records in them, so results do not depend on where the borders lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from curation import store
from curation.errors import InputError
from curation.readers.formats import PACKED, guess_format
from curation.recipe.tables import Dataset
from curation.rundir.directory import Shard
from curation.rundir.survivors import decided_table

SPLIT_MB = 32.0  # where the recipe names no size
# Archives of a crawl may be streamed, and are not asked for their sizes then.
ARCHIVE_MB = {"wet": 140.0, "warc": 1000.0}


def groups(dataset: Dataset, files: Iterable[store.File]) -> list[tuple[store.File, ...]]:
    """The input of each shard of a dataset (of one crawl, where it has crawls)."""
    if dataset.by_record:
        return alone(files)
    target, most = int(dataset.target_shard_mb * 1e6), _most(dataset)
    out: list[tuple[store.File, ...]] = []
    together: list[store.File] = []
    held = 0
    for file in files:
        parts = [file]
        if file.size > most and can_split(dataset, file):
            parts = split(file, most)
        size = _size(dataset, file)
        if together and (not size or len(parts) > 1 or held + size > target):
            out.append(tuple(together))
            together, held = [], 0
        if len(parts) > 1 or not size:
            out += [(part,) for part in parts]
        else:
            together.append(file)
            held += size
    return [*out, tuple(together)] if together else out


def alone(files: Iterable[store.File]) -> list[tuple[store.File, ...]]:
    """Each file as the input of one shard."""
    return [(file,) for file in files]


def _most(dataset: Dataset) -> int:
    """Stored bytes above which a file is split."""
    return int(dataset.target_shard_mb * 1e6) or int(SPLIT_MB * 1e6)


def _size(dataset: Dataset, file: store.File) -> int:
    """Stored bytes of a file; 0 where they are not known."""
    if dataset.crawls:
        return int(ARCHIVE_MB[dataset.kind] * 1e6)
    return file.size or (0 if dataset.stream else 1)


def split(file: store.File, target: int) -> list[store.File]:
    """Equal parts of a file, none of more bytes than `target`; the file itself where it is no larger.

    >>> big = store.File("in/a.jsonl", "a.jsonl", 10, "")
    >>> [(part.start, part.end) for part in split(big, 4)]
    [(0, 3), (3, 6), (6, 10)]
    """
    count = -(-file.size // max(1, target))
    if count < 2:
        return [file]
    borders = [file.size * i // count for i in range(count + 1)]
    return [replace(file, start=start, end=end) for start, end in pairwise(borders)]


def whole_files(shards: Iterable[Shard]) -> Iterator[Shard]:
    """The shards of files with all parts of a file as one."""
    for shard in shards:
        if not shard.files[0].start:
            files = tuple(replace(file, start=0, end=0) for file in shard.files)
            yield replace(shard, files=files)


def unsplit(dataset: Dataset, groups: Iterable[tuple[store.File, ...]]) -> list[store.File]:
    """The large files that are one shard each, since no part of them can be read alone. Those of a
    crawl are not named: there are many, and they are alike."""
    if dataset.crawls or dataset.by_record or dataset.first_pages or dataset.first_mb:
        return []
    most = _most(dataset)
    return [group[0] for group in groups if not group[0].part and group[0].size > most]


def can_split(dataset: Dataset, file: store.File) -> bool:
    """Whether parts of a file can be read alone: plain lines of JSON, Parquet, and archives that are
    plain or packed member by member, of which the beginning is read.

    Not where only the first rows of a file are read, nor tables whose rows are those of another.
    """
    if dataset.stream or dataset.first_pages or dataset.crawls or store.is_web(file.path):
        return False
    kind = guess_format(file.name) if dataset.format == "auto" else dataset.format
    if kind == "archive":
        return _has_members(file.path)
    if kind != "table" or file.name.lower().endswith((".arrow", *PACKED)):
        return False
    return decided_table(file.path) is None


def _has_members(path: str) -> bool:
    """Whether an archive is plain or of many members; one that is not there yet is taken for that."""
    from curation.readers.unpack import has_members

    try:
        with store.open_input(path) as stream:
            return has_members(stream)
    except InputError:
        return True
