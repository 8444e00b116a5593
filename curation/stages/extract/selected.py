"""The records that a dataset selects by the index: near ones in one request, each tested by its
digest, and read as pages.

Memory: the bytes of one request, and the pages that go to the extractor together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from curation import store
from curation.errors import Unreachable
from curation.kernels.ranges import bounds_of_ranges, range_numbers
from curation.recipe.tables import Dataset, ExtractConfig
from curation.stages.extract.inputs import with_texts

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from curation.readers.records import Document, Page, Reject, Skipped


def ranges_of(dataset: Dataset, rows: pa.Table) -> npt.NDArray[np.int64]:
    """The number of the request that each row of a table of selected records is in: int64[n]."""
    names = rows.column("filename").combine_chunks().dictionary_encode()
    # Numbered as they come: the rows are sorted by name.
    archives = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    gap, most = dataset.range_gap_kb * 1000, max(1, int(dataset.range_mb * 1e6))
    return range_numbers(archives, *_places(rows), gap, most)


def cost(dataset: Dataset, rows: pa.Table) -> tuple[int, int]:
    """Requests that a table of selected records takes, and the bytes that they bring."""
    numbers = ranges_of(dataset, rows)
    _, starts, ends = bounds_of_ranges(numbers, *_places(rows))
    return len(starts), int((ends - starts).sum())


def _places(rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return rows.column("start").to_numpy(), rows.column("size").to_numpy()


def records(
    base: str,
    dataset: Dataset,
    config: ExtractConfig,
    file: store.File,
    patience: store.Patience,
    notes: dict[str, int],
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What became of each record of a table of selected ones, with the archive it is from. Counts
    the requests and their bytes in `notes`; what is asked for again counts once."""
    rows = store.read_table(file.path)
    if not rows.num_rows:
        return
    for name in ("requests", "bytes"):
        notes.setdefault(name, 0)
    numbers = ranges_of(dataset, rows)
    first, starts, ends = bounds_of_ranges(numbers, *_places(rows))
    last = np.append(first[1:], rows.num_rows)
    names = rows.column("filename")
    archive = ""
    waiting: list[tuple[int, int, int, int]] = []
    for place in range(len(first)):
        name = names[int(first[place])].as_py()
        if waiting and name != archive:
            yield from _archive(base, config, rows, archive, waiting, patience, notes)
            waiting = []
        archive = name
        waiting.append((int(first[place]), int(last[place]), int(starts[place]), int(ends[place])))
    yield from _archive(base, config, rows, archive, waiting, patience, notes)


def _archive(
    base: str,
    config: ExtractConfig,
    rows: pa.Table,
    name: str,
    ranges: list[tuple[int, int, int, int]],
    patience: store.Patience,
    notes: dict[str, int],
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What became of the records of one archive."""
    path = base.rstrip("/") + "/" + name
    archive = store.File(path, name.rpartition("/")[2], 0, "")

    def found() -> Iterator[Page | Reject | Skipped]:
        for first, last, start, end in ranges:
            notes["requests"] += 1
            asked = rows.slice(first, last - first).to_pylist()
            yield from _range(config, archive, asked, start, end, patience, notes)

    for outcome in with_texts(config, found()):
        yield archive, outcome


def _range(
    config: ExtractConfig,
    archive: store.File,
    asked: list[dict[str, Any]],
    start: int,
    end: int,
    patience: store.Patience,
    notes: dict[str, int],
) -> Iterator[Page | Reject | Skipped]:
    """What the records of one request hold. Those of one that fails are asked for one by one: the
    archive may be shorter than the index says, or a part of it broken."""
    from curation.readers.one_record import read_record
    from curation.readers.records import Reject

    try:
        data = store.read_range(archive.path, start, end - start, patience)
    except Unreachable as error:
        if len(asked) == 1:
            row = asked[0]
            yield Reject("unreachable", row["url"], row["start"], str(error))
            return
        for row in asked:
            notes["requests"] += 1
            until = row["start"] + row["size"]
            yield from _range(config, archive, [row], row["start"], until, patience, notes)
        return
    notes["bytes"] += len(data)
    for row in asked:
        at = row["start"] - start
        yield read_record(
            data[at : at + row["size"]],
            archive.name,
            digest=row["digest"] or "",
            url=row["url"],
            max_page_bytes=config.max_page_bytes,
            offset=row["start"],
        )
