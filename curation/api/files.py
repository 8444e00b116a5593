"""One stage on files, or into a directory that stays: the recipe that the command runs.

Rows in memory that go there are first written to `downloads/` of the run directory, as Parquet files
of `PART_BYTES`, and are its inputs from then on. They appear together when all of them are there.

Trap: rows given again are files of another time, and are read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation import store
from curation.api.data import Batches, Files, checked, given, joined
from curation.api.documents import row_ids, with_ids
from curation.api.memory import Dataset
from curation.api.messages import in_python
from curation.api.read import need_files
from curation.api.results import INPUT, Side, ledger_table
from curation.errors import CurationError, InputError
from curation.pipeline import line
from curation.pipeline.engines import engine_for, input_size
from curation.recipe import reading
from curation.rundir import manifest as manifests
from curation.rundir import plan as plans
from curation.rundir import schema
from curation.rundir.directory import RunDirectory
from curation.rundir.lock import Lock
from curation.rundir.plan import Plan
from curation.shown import brief

PART_BYTES = 64 << 20  # of rows in memory, in each file of a run directory


@contextlib.contextmanager
def directory(out: str | os.PathLike[str] | None) -> Iterator[str]:
    """The run directory that was asked for, or one that is gone after the block."""
    if out is not None:
        yield local(out)
        return
    with tempfile.TemporaryDirectory(prefix="curation-") as folder, store.unsynced(folder):
        yield store.join(folder, "run")


def local(out: str | os.PathLike[str]) -> str:
    """A run directory as an address, or as a path from the root."""
    path = os.fspath(out)
    return path.rstrip("/") if store.is_remote(path) else os.path.abspath(path)


def run_step(
    stage: str,
    datasets: Sequence[Dataset],
    settings: Mapping[str, Any],
    out: str,
    *,
    workers: int | None,
    update: bool,
    before: Callable[[], None] | None = None,
    export: bool = True,
) -> tuple[RunDirectory, Plan]:
    """Run a stage as its command does, into `out`. `before` writes what the recipe names beside the
    datasets; nothing is written where `out` may not be."""
    stages = ["extract", stage]
    for dataset in datasets:
        if isinstance(dataset.data, Files):
            need_files(dataset.data.paths, dataset.argument)
            if any(map(store.is_web, dataset.data.paths)):
                stages = ["download", "extract", stage]
    tables: dict[str, Any] = {
        "stages": stages,
        "extract": {"table_languages": False},
        **settings,
        "dataset": [_dataset(dataset, out) for dataset in datasets],
    }
    with in_python(), _taken_back(out, datasets):
        recipe = reading.parse(tables, stage)
        rundir = RunDirectory(out, recipe)
        plans.check_directory(rundir, update)  # before anything is read
        _write_inputs(rundir, datasets)
        if before is not None:
            before()
        # It has the sizes of files that were just written again.
        store.delete(manifests.path(out, "download"))
        engine = engine_for(input_size(recipe), workers, recipe=recipe)
        try:
            return line.run(recipe, out, engine, update=update, export=export, say=_silent)
        finally:
            engine.close()


@contextlib.contextmanager
def _taken_back(out: str, datasets: Sequence[Dataset]) -> Iterator[None]:
    """Where the block fails before it has read everything, what it wrote to a new directory is
    removed. Documents of files stay, since the same call goes on from them."""
    is_new, is_folder = not store.listing(out, hidden=True), store.exists(out)
    try:
        yield
    except Exception as error:
        has_read = store.exists(manifests.path(out, "extract"))
        if any(isinstance(dataset.data, Files) for dataset in datasets):
            has_read = has_read or bool(store.listing(store.join(out, "documents")))
        if is_new and not has_read and not store.exists(store.join(out, "run.lock")):
            names = {file.name.partition("/")[0] for file in store.listing(out, hidden=True)}
            for path in [store.join(out, name) for name in names] if is_folder else [out]:
                store.delete(path)
            if isinstance(error, CurationError):  # it may name what is gone
                place = f"; look at {store.join(out, 'rejects')}"
                error.args = (str(error).replace(place, ""),)
        raise


def _silent(text: str) -> None:
    """Messages about resuming are for a terminal."""


def sides(rundir: RunDirectory, plan: Plan, is_kept: bool) -> dict[str, Side]:
    """`kept`, `removed`, `rejects` and `hits` of a step: the files, or where the directory will be
    gone (`is_kept` is False) their rows."""
    tables: dict[str, Side] = {}
    shards = plan.of(INPUT)
    for side in ("kept", "removed"):
        there = {file.name for file in store.listing(rundir.path(side))}
        names = [shard.name + ".parquet" for shard in shards]
        paths = tuple(rundir.path(side, name) for name in names if name in there)
        fields = store.read_schema(paths[0]) if paths else pa.schema([])
        tables[side] = store.Table(paths, fields)
    paths = tuple(rundir.table("rejects", shard) for shard in shards)
    tables["rejects"] = store.Table(paths, schema.REJECTS)
    if store.exists(hits := rundir.path("hits.parquet")):
        tables["hits"] = store.Table((hits,), store.read_schema(hits))
    return tables if is_kept else {name: loaded(table) for name, table in tables.items()}


def loaded(table: Side) -> pa.Table:
    """The rows of some files."""
    if isinstance(table, pa.Table):
        return table
    parts = [store.read_table(path).replace_schema_metadata(None) for path in table.paths]
    return pa.concat_tables(parts) if parts else pa.Table.from_batches([], table.schema)


def ledger_of(rundir: RunDirectory, plan: Plan) -> pa.Table:
    """The ledgers of a run as a table."""
    return ledger_table(line.ledgers(rundir, plan))


# ---- inputs --------------------------------------------------------------------------------------


def _dataset(dataset: Dataset, out: str) -> dict[str, Any]:
    files: Sequence[str] = [store.join(out, "downloads", dataset.name, "*.parquet")]
    columns = dataset.columns
    if isinstance(dataset.data, Files):
        files = dataset.data.paths
        columns = columns.of_files(files)
    return {"name": dataset.name, "role": dataset.role, "files": files, **columns.as_keys()}


def _write_inputs(rundir: RunDirectory, datasets: Sequence[Dataset]) -> None:
    """Write the rows that are in memory into the run directory, all or none of them."""
    given = [dataset for dataset in datasets if isinstance(dataset.data, Batches)]
    if not given:
        return
    with _no_empty_folders(rundir, given), Lock(rundir.out, _silent):
        written: set[str] = set()
        with contextlib.ExitStack() as commit:
            for dataset in given:
                for number, part in enumerate(_parts(dataset)):
                    path = rundir.path("downloads", dataset.name, f"{number:05d}.parquet")
                    _write_part(part, dataset.name, commit.enter_context(store.atomic(path)))
                    written.add(path)
        for dataset in given:
            for file in store.listing(rundir.path("downloads", dataset.name)):
                if file.path not in written:
                    store.delete(file.path)


@contextlib.contextmanager
def _no_empty_folders(rundir: RunDirectory, datasets: Sequence[Dataset]) -> Iterator[None]:
    """Folders that this block makes and leaves empty, since reading failed, are removed."""
    folders = [rundir.path("downloads", dataset.name) for dataset in datasets]
    folders += [rundir.path("downloads"), rundir.out]
    made = [] if store.is_remote(rundir.out) else [f for f in folders if not store.exists(f)]
    try:
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it is in use
                os.rmdir(folder)


def _parts(dataset: Dataset) -> Iterator[pa.Table]:
    """The rows of a dataset with an id in each, some megabytes at a time; at least one table."""
    assert isinstance(dataset.data, Batches)
    waiting: list[pa.Table] = []
    size = rows = 0
    for table in dataset.data:
        waiting.append(checked(table, dataset.columns, dataset.data.name))
        size += table.nbytes
        if size >= PART_BYTES:
            part = _identified(joined(waiting, dataset.data.name), dataset, rows)
            yield part
            rows, size, waiting = rows + part.num_rows, 0, []
    if waiting or not rows:
        empty = pa.table({dataset.columns.text: pa.array([], pa.string())})
        yield _identified(joined(waiting or [empty], dataset.data.name), dataset, rows)


def _identified(table: pa.Table, dataset: Dataset, start: int) -> pa.Table:
    name = dataset.columns.id
    column = table.column(name) if name in table.column_names else None
    return with_ids(table, name, row_ids(column, dataset.name, start, table.num_rows))


def _write_part(table: pa.Table, name: str, file: Any) -> None:
    try:
        pq.write_table(table, file, compression="zstd")
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"{name}: columns that Parquet can hold expected ({str(error).splitlines()[0]}); "
            "convert the column or leave it out"
        ) from error


# ---- benchmarks ----------------------------------------------------------------------------------


def benchmark_files(benchmarks: Any, folder: str) -> tuple[list[str], dict[str, Batches]]:
    """The files of some benchmarks, and what is to be written to those of them that are in memory:
    path -> rows."""
    if not isinstance(benchmarks, Mapping):
        benchmarks = {"benchmark": benchmarks}
    if not benchmarks:
        raise InputError("benchmarks: at least one expected, got none")
    paths: list[str] = []
    rows: dict[str, Batches] = {}
    for name, some in benchmarks.items():
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            raise InputError(
                f"benchmarks: names of letters, digits and '-._' expected, got {brief(name)}"
            )
        source = given(some, f"benchmarks[{name!r}]")
        if isinstance(source, Files):
            paths += source.paths
            continue
        paths.append(store.join(folder, f"{name}.jsonl"))
        rows[paths[-1]] = source
    return paths, rows


def write_benchmarks(rows: Mapping[str, Batches]) -> None:
    """Write the benchmarks that are in memory as lines of JSON, where `benchmark_files` says."""
    for path, tables in rows.items():
        with store.atomic(path) as file:
            count = 0
            for table in tables:
                count += table.num_rows
                for row in table.to_pylist():
                    file.write(json.dumps(row, default=str).encode() + b"\n")
            if not count:
                raise InputError(f"{tables.name}: at least one example expected, got none")
