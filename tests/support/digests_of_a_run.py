"""The digests that the tables of a run would have, by the stages' own code, without making a table.

What makes tables is replaced: each task names its table and digest and makes nothing, each query has
one row, each table ten documents. A table that is made again has other content, so its identity is
its digest.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation import store
from curation.pipeline import line as pipeline
from curation.recipe.tables import Recipe
from curation.rundir import plan as plans
from curation.rundir import results, sources
from curation.rundir.directory import RunDirectory
from curation.stages.classify import fit as classify_fit
from curation.stages.classify import stage as classify
from curation.stages.classify.model import Model
from curation.stages.dedup import candidates as dedup_candidates
from curation.stages.dedup import stage as dedup
from curation.stages.dedup.index import SIGNED
from curation.stages.download import captures, selection
from curation.stages.filter import stage as filters
from curation.stages.mix import stage as mix
from curation.stages.mix.groups import ShardCounts
from curation.stages.tokenize import stage as tokenize

BOOKS = {"in": [10, 1000, 0], "kept": [10, 1000, 0]}


class _Engine:
    """Runs tasks where they are called; queries and shuffles make nothing."""

    workers = 1

    def map(self, label: str, task: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [task(item) for item in items]

    def sql(self, text: str, tables: Any, out: str, *_: Any, **__: Any) -> list[tuple[int, int]]:
        return [(0, 1)]


class _Writer:
    """Takes the place of `store.TableWriter`."""

    def __init__(self, run: _Run, path: str, schema: pa.Schema, digest: str, *_: Any) -> None:
        self.rows = 10
        run.digests[path] = digest
        run.schemas[path] = schema

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, batch: Any) -> None: ...


class _Run:
    """The tables named so far: path -> digest."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.schemas: dict[str, pa.Schema] = {}

    def run_once(self, path: str, digest: str, make: Any, beside: str = "") -> results.ShardResult:
        self.digests |= {one: digest for one in (path, beside) if one}
        return results.ShardResult(digest, BOOKS, {SIGNED: 10})

    def footer(self, path: str) -> store.Footer:
        digest = self.digests.get(path, "of another run")
        return store.Footer(digest, digest, BOOKS, 10, {SIGNED: 10})

    def shuffled_tables(self, *args: Any) -> tuple[str, ...]:
        _, _, out, digest, _, _, parts = args[:7]
        paths = tuple(dedup_candidates.part_table(out, part) for part in range(parts))
        self.digests.update(dict.fromkeys(paths, digest))
        return paths

    def read_table(self, path: str, columns: Any = None) -> pa.Table:
        if path.endswith("_manifest.parquet"):
            return pa.table({"value": [0], "rows": [1]})
        return pa.table({name: pa.array([], pa.int64()) for name in columns or ("any",)})

    def model(self, path: str) -> Model:
        identity = self.digests.get(path, "given")
        return Model(np.zeros(0), 0.0, "log-l2", (), "sigmoid", identity)

    def folds(self, path: str) -> list[Model]:
        return [self.model(path)]

    def fit(self, *args: Any) -> None:
        digest, path = args[6:]
        self.digests[path] = digest

    def files(self, rundir: RunDirectory, dataset: Any, say: Any) -> list[list[store.File]]:
        """As `sources.input_files`; the table of captures has another size when it is another."""
        if dataset.selects:
            folder = sources.selected_path(rundir, dataset, dataset.crawls[0])
            path = folder + "/00000.parquet"
            self.digests[path] = self.digests[folder + "/_manifest.parquet"]
            return [[store.File(path, "00000.parquet", 0, "")]]
        if not dataset.urls:
            return _FILES(rundir, dataset)
        path = rundir.path("downloads", dataset.name, "captures", "00000.parquet")
        size = zlib.crc32(self.digests[os.path.dirname(path) + "/_manifest.parquet"].encode())
        return [[store.File(path, "00000.parquet", size, "")]]


_FILES, _ONCE, _SHUFFLED = sources.input_files, results.run_once, dedup_candidates.shuffled_tables


def run_digests(recipe: Recipe, out: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Path of each table -> digest, of a run of `recipe` in the folder `out`; and the key of each
    stage's manifest, whatever the stages before it wrote."""
    run, keys = _Run(), {}
    rundir = RunDirectory(str(out), recipe)
    engine: Any = _Engine()
    with pytest.MonkeyPatch.context() as patch:
        for name, replacement in _replacements(run):
            patch.setattr(name, replacement)
        for module in list(sys.modules.values()):
            for name, original in (("run_once", _ONCE), ("shuffled_tables", _SHUFFLED)):
                if vars(module).get(name) is original:  # each module has imported its own name
                    patch.setattr(module, name, getattr(run, name))
        for dataset in recipe.dataset:
            if dataset.urls:
                captures.write_captures(rundir, engine, dataset)
            if dataset.selects:
                selection.write_selected(rundir, engine, dataset, print)
        plan = plans.make(recipe, str(out))
        for stage in recipe.stages:
            if stage != "download":
                keys[stage] = pipeline.step_key(rundir, plan, stage, [])
                pipeline.MODULES[stage].run(rundir, plan, engine)
    digests = {
        os.path.relpath(path, out): digest
        for path, digest in run.digests.items()
        if path.startswith(str(out))
    }
    return digests, keys


def _counted(rundir: RunDirectory, shard: Any) -> ShardCounts:
    keys = rundir.recipe.mix.by_weights.get(shard.dataset, "*")
    return ShardCounts(dict.fromkeys(keys, (10, 100, 10)))


def _replacements(run: _Run) -> Iterator[tuple[str, Any]]:
    def nothing(*_: Any, **__: Any) -> None: ...

    for name in ("write_json", "write_bytes", "write_array", "delete"):
        yield f"curation.store.{name}", nothing
    yield "curation.store.TableWriter", lambda *args: _Writer(run, *args)
    yield "curation.store.done", nothing
    yield "curation.store.footer", run.footer
    yield "curation.store.need_footer", run.footer
    yield "curation.store.read_table", run.read_table
    read_schema = store.read_schema
    yield (
        "curation.store.read_schema",
        lambda path: run.schemas[path] if path in run.schemas else read_schema(path),
    )
    yield f"{sources.__name__}.input_files", run.files
    yield f"{selection.__name__}.selected_rows", lambda *_: iter(())
    yield f"{classify.__name__}.load_model", run.model
    yield f"{classify.__name__}.load_folds", run.folds
    yield f"{classify_fit.__name__}._fit", run.fit
    yield f"{classify_fit.__name__}.check_chance", nothing
    yield f"{classify_fit.__name__}.whole_card", lambda path: {"heldout": {}}
    yield f"{classify.__name__}.check_ledgers", nothing
    yield f"{dedup.__name__}._raise_alarm", nothing
    yield f"{filters.__name__}._write_warnings", nothing
    yield f"{filters.__name__}.check_columns", nothing
    yield f"{filters.__name__}.check_ledgers", nothing
    yield f"{tokenize.__name__}.encoding_facts", lambda name: {}
    yield f"{mix.__name__}.count_shard", _counted
    yield f"{mix.__name__}.check_groups", nothing
