"""One stage on rows that are in memory: its own code, in a run directory that is gone afterwards.

Cost: the texts are written once and read by the stage; few bytes start no process
(pipeline/engines.py).
Memory: the rows, and what the stage takes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.api.data import Batches, Columns, Files
from curation.api.documents import FILE, check_ids, with_ids, write_documents
from curation.api.messages import in_python
from curation.api.results import INPUT, Side, ledger_table
from curation.engine.base import Engine
from curation.pipeline import export as exports
from curation.pipeline import line
from curation.pipeline.compile import compile_kernels
from curation.pipeline.engines import engine_for
from curation.pipeline.lines import new_name, step_columns
from curation.recipe import reading
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.plan import Plan

SHARD_ROWS = 16_384  # of rows that workers share
ROW = "curation:row"  # the number of a user's row, while tables are put together
# The columns that a step adds to the rows that it keeps, and to those that it removes.
_DUPLICATE = {
    "reason": pa.string(),
    "kept_id": pa.string(),
    "kept_dataset": pa.string(),
    "jaccard": pa.float64(),
    "repeated_lines": pa.float64(),
    "repeated_paragraphs": pa.float64(),
}
_QUALITY = {"quality": pa.float64(), "pareto_draw": pa.float64()}
STEP_TYPES: dict[str, tuple[dict[str, pa.DataType], dict[str, pa.DataType]]] = {
    "classify": (_QUALITY, {**_QUALITY, "reason": pa.string()}),
    "dedup": ({"cluster_size": pa.int64()}, _DUPLICATE),
    "decontaminate": (
        {"piece": pa.int64()},
        {"reason": pa.string(), "cuts": schema.DECONTAMINATED.field("cuts").type},
    ),
    "tokenize": ({}, {"reason": pa.string()}),
}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset in memory or in files: its name, role, and which columns mean what."""

    name: str
    role: str
    data: Batches | Files
    columns: Columns = field(default_factory=Columns)

    @property
    def argument(self) -> str:
        """The argument that it was given as."""
        return {INPUT: "data", "reference": "against"}.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Finished:
    """A stage that has run in a directory that is still there."""

    rundir: RunDirectory
    plan: Plan
    engine: Engine
    table: pa.Table  # the user's rows
    columns: Columns
    ledger: pa.Table
    warnings: tuple[str, ...]


@contextlib.contextmanager
def finished(
    stage: str,
    datasets: Sequence[Dataset],
    settings: Mapping[str, Any],
    workers: int | None,
    before: Callable[[], None] | None = None,
) -> Iterator[Finished]:
    """Run a stage on datasets of which `input` is the user's, and give what it wrote while the
    block lasts."""
    own = next(dataset for dataset in datasets if dataset.name == INPUT)
    assert isinstance(own.data, Batches)
    table = own.data.table(own.columns)
    if before is not None:
        before()
    with in_python():
        recipe = reading.parse(_tables(stage, datasets, settings), stage)
    with tempfile.TemporaryDirectory(prefix="curation-") as folder, store.unsynced(folder):
        rundir = RunDirectory(store.join(folder, "run"), recipe)
        if stage in line.CHECKED:
            line.MODULES[stage].check(rundir)
        plan, table = _write(rundir, datasets, table)
        engine = engine_for(_chars(rundir, plan), workers)
        try:
            compile_kernels(engine, [stage])
            line.MODULES[stage].run(rundir, plan, engine)
            by_stage = line.ledgers(rundir, plan)
            store.write_json(rundir.path("ledger.json"), by_stage)
            warnings = tuple(line.MODULES[stage].warnings(rundir))
            ledger = ledger_table(by_stage)
            yield Finished(rundir, plan, engine, table, own.columns, ledger, warnings)
        finally:
            engine.close()


def result_sides(done: Finished, stage: str) -> dict[str, Side]:
    """The kept, removed and rejected rows of a stage that filters, in the user's own columns."""
    rundir, table = done.rundir, done.table
    shards = done.plan.of(INPUT)
    taken = step_columns(rundir, stage, shards[0])
    names = {
        name: new_name(name, dict.fromkeys(table.column_names), taken)
        for name in table.column_names
    }

    def columns_of(batch: pa.RecordBatch) -> dict[str, pa.Array]:
        return rows_of(table, batch.column("offset"), names)

    kept: list[pa.Table] = []
    removed: list[pa.Table] = []
    for shard in shards:
        for sides in exports.SPLIT[stage](rundir, shard, columns_of):
            for parts, batch in zip((kept, removed), sides, strict=True):
                parts.append(pa.Table.from_batches([batch]))
    rejects = rejected(done)
    columns_in = rows_of(table, pa.array(rejects.column("offset").to_numpy()), names)
    refused = pa.table({**columns_in, "reason": rejects.column("reason")})
    # Pieces are a new column.
    text = "text" if stage == "decontaminate" and kept else names[done.columns.text]
    none, (of_kept, of_removed) = refused.drop_columns("reason").slice(0, 0), _types(done, stage)
    return {
        "kept": _in_order(kept or [none], of_kept, table, text),
        "removed": _in_order([*removed, refused], of_removed, table, names[done.columns.text]),
        "rejects": rejects,
    }


def _types(
    done: Finished, stage: str
) -> tuple[Mapping[str, pa.DataType], Mapping[str, pa.DataType]]:
    """The columns that a step adds to kept and to removed rows: of `filter` every signal."""
    if stage != "filter":
        return STEP_TYPES[stage]
    evidence = done.rundir.table("filter", done.plan.of(INPUT)[0], "evidence")
    signals = {field.name: field.type for field in store.read_schema(evidence)}
    return signals, {**signals, "reason": pa.string(), "fired": pa.list_(pa.string())}


def rejected(done: Finished) -> pa.Table:
    """The rejects of the user's rows."""
    paths = [done.rundir.table("rejects", shard) for shard in done.plan.of(INPUT)]
    return pa.concat_tables([store.read_table(path) for path in paths])


def rows_of(table: pa.Table, rows: pa.Array, names: Mapping[str, str]) -> dict[str, pa.Array]:
    """Some rows of a table, one array a column under the new names, and last their numbers."""
    taken = table.take(rows).combine_chunks()
    arrays = {
        names[name]: column.chunk(0) if column.num_chunks else pa.array([], column.type)
        for name, column in zip(taken.column_names, taken.columns, strict=True)
    }
    return {**arrays, ROW: rows}


def _in_order(
    parts: Sequence[pa.Table], added: Mapping[str, pa.DataType], table: pa.Table, text: str
) -> pa.Table:
    """The parts as one table in the order of the user's rows: his columns, then those `added`."""
    whole = pa.concat_tables(parts, promote_options="default")
    order = [(ROW, "ascending"), *([("piece", "ascending")] if "piece" in added else [])]
    for name, kind in added.items():
        if name not in whole.column_names:
            whole = whole.append_column(name, pa.nulls(whole.num_rows, kind))
    if len(parts) > 1:
        whole = whole.take(pc.sort_indices(whole, order))
    own = [name for name in whole.column_names if name not in (*added, ROW)]
    whole = whole.select([*own, *added])
    at, kind = own.index(text), whole.column(text).type
    wanted = table.schema.field(at).type
    if kind != wanted and not pa.types.is_null(wanted):  # pieces are new texts
        whole = whole.set_column(at, text, whole.column(text).cast(wanted))
    return whole.replace_schema_metadata(table.schema.metadata)


# ---- what a stage reads --------------------------------------------------------------------------


def _tables(stage: str, datasets: Sequence[Dataset], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe as TOML has it. Its files are never opened."""
    return {
        "stages": ["extract", stage],
        "extract": {"table_languages": False},
        **settings,
        "dataset": [
            {
                "name": dataset.name,
                "role": dataset.role,
                "files": [FILE],
                **dataset.columns.as_keys(),
            }
            for dataset in datasets
        ],
    }


def _write(
    rundir: RunDirectory, datasets: Sequence[Dataset], table: pa.Table
) -> tuple[Plan, pa.Table]:
    """Write the documents of every dataset. Returns the plan, and the user's table with an id in
    every row."""
    shards: list[Shard] = []
    for dataset in datasets:
        is_own, used = dataset.name == INPUT, dataset.columns
        rows = table if is_own else _read(dataset)
        if isinstance(dataset.data, Files):
            used = used.of_files(dataset.data.paths)
        ids: list[str] = []
        for number, start in enumerate(range(0, max(1, rows.num_rows), SHARD_ROWS)):
            shard = Shard(dataset.name, number, len(shards), 0, ())
            part = rows.slice(start, SHARD_ROWS)
            ids += write_documents(rundir, shard, part, used, start)
            shards.append(shard)
        check_ids(ids, dataset.argument)
        table = with_ids(table, used.id, ids) if is_own else table
    return Plan(tuple(shards)), table


def _read(dataset: Dataset) -> pa.Table:
    """The rows of a dataset that is only compared with or learned from."""
    if isinstance(dataset.data, Batches):
        return dataset.data.table(dataset.columns)
    from curation.api.read import need_files, read

    text, id_, url = dataset.columns.text, dataset.columns.id, dataset.columns.url
    need_files(dataset.data.paths, dataset.argument)
    documents = read(dataset.data.paths, text_column=text, id_column=id_, url_column=url)
    return documents.table()


def _chars(rundir: RunDirectory, plan: Plan) -> int:
    """Characters of all documents."""
    ledgers = (store.need_footer(rundir.documents(shard)).ledger for shard in plan.shards)
    return sum(counts.get("kept", [0, 0])[1] for counts in ledgers)
