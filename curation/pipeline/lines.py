"""Rows of a step as lines of JSON, with the values that they had in the input's own lines.

Cost: one more reading of the input. Memory: the rows of a row group. The trap: Arrow gives all
objects of a column the keys of all, so what came as lines is not written from Arrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from curation import store
from curation.errors import RunError
from curation.recipe.tables import Dataset
from curation.rundir.directory import RunDirectory, Shard
from curation.stages.extract.columns import is_lines
from curation.stages.extract.inputs import open_stream

ROW = "\0row"  # of a row of the input in its row group; never written
# The columns that a step adds; one of the input with such a name becomes input_<name>.
STEP_COLUMNS = {
    "filter": {"reason", "fired"},
    "classify": {"reason", "quality", "pareto_draw"},
    "dedup": {
        "reason",
        "kept_id",
        "kept_dataset",
        "cluster_size",
        "jaccard",
        "repeated_lines",
        "repeated_paragraphs",
    },
    "decontaminate": {"reason", "piece", "cuts"},
}


def step_columns(rundir: RunDirectory, stage: str, shard: Shard) -> set[str]:
    """The columns that a step adds to a shard's rows: of `filter` also every signal."""
    if stage != "filter":
        return STEP_COLUMNS[stage]
    evidence = store.read_schema(rundir.table("filter", shard, "evidence"))
    return STEP_COLUMNS[stage] | set(evidence.names)


def new_name(name: str, columns: Mapping[str, Any], taken: set[str]) -> str:
    """The name of a column of the input, input_<name> where the step writes one of that name."""
    new = name
    while new in taken or (new != name and new in columns):
        new = f"input_{new}"
    return new


def has_lines(rundir: RunDirectory, shard: Shard) -> bool:
    """Whether a shard was made from lines of JSON."""
    dataset = rundir.recipe.named(shard.dataset)
    return all(is_lines(dataset, file) for file in shard.files)


def lines(
    rundir: RunDirectory,
    stage: str,
    shard: Shard,
    batch: pa.RecordBatch,
    originals: list[dict[str, Any]] | None,
) -> Iterator[bytes]:
    """Rows as lines: the input's own values, where it was lines, then those of the step."""
    if originals is None:
        for row in batch.drop_columns([ROW]).to_pylist():
            yield store.json_line({k: store.without_nulls(v) for k, v in row.items()})
        return
    dataset = rundir.recipe.named(shard.dataset)
    ours = step_columns(rundir, stage, shard)
    added = [name for name in batch.schema.names if name in ours]
    names = ("text",) if "piece" in added else (dataset.text_column, "text")
    changed = "piece" in added or (stage == "filter" and bool(rundir.recipe.filter.mask))
    id_name, text_name = (
        next(n for n in known if n in batch.schema.names)
        for known in ((dataset.id_column, "id"), names)
    )
    read = [ROW, id_name, *[text_name] * changed, *added]
    for row in batch.select(list(dict.fromkeys(read))).to_pylist():
        original = originals[row[ROW]]
        columns = {new_name(name, original, ours): value for name, value in original.items()}
        if original.get(dataset.id_column) is None:
            columns = {dataset.id_column: row[id_name], **columns, dataset.id_column: row[id_name]}
        if changed:
            columns[new_name(dataset.text_column, original, ours)] = row[text_name]
        yield store.json_line({**columns, **{name: row[name] for name in added}})


def original_rows(rundir: RunDirectory, shard: Shard) -> Iterator[list[dict[str, Any]]]:
    """The objects of the input's lines, in lists as long as the row groups of the documents.

    Raises RunError where a file is not the one that the documents were made from.
    """
    dataset = rundir.recipe.named(shard.dataset)
    rows = _input_lines(dataset, shard)
    for batch in store.read_groups(rundir.documents(shard), ["archive", "offset"]):
        found = []
        for place in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            row = next((row for *where, row in rows if tuple(where) == place), None)
            if row is None:
                raise RunError(f"{place[0]}: changed while it was read; run the same command again")
            found.append(row)
        yield found


def _input_lines(dataset: Dataset, shard: Shard) -> Iterator[tuple[str, int, dict[str, Any]]]:
    from curation.readers.json_lines import json_rows

    for file in shard.files:
        with open_stream(dataset, file, store.Patience()) as stream:
            for offset, row in json_rows(stream, file.name, dataset.text_column, *file.part):
                if isinstance(row, dict):
                    yield file.name, offset, row
