"""What a step writes for its user: kept/*.parquet, removed/*.parquet and hits.parquet.

The columns are those of the input, under their own names, `id` first; then those of the step. One
file a shard; text is copied a row group at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.engine.base import Engine
from curation.recipe.line import DECIDING
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.plan import Plan
from curation.rundir.results import ShardResult, run_once
from curation.stages.decontaminate.benchmarks import load_table

VERSION = 2
INPUT = "input"  # the dataset of the files that the user named
# The columns that steps add; one of the input with such a name becomes input_<name>.
STEP_COLUMNS = {
    "reason",
    "kept_id",
    "kept_dataset",
    "jaccard",
    "repeated_lines",
    "repeated_paragraphs",
    "quality",
    "pareto_draw",
    "piece",
    "cuts",
}
ARCHIVE_COLUMNS = ("id", "url", "text", "date", "language", "language_score", "archive", "offset")
HITS = pa.schema(
    [
        ("id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("benchmark", pa.string()),
        ("example", pa.string()),
        ("gram", pa.string()),
    ]
)


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> None:
    """Write kept/ and removed/ for the last filtering stage of the recipe, and hits.parquet
    after `decontaminate`."""
    stage = next(stage for stage in reversed(rundir.recipe.stages) if stage in DECIDING)
    shards = plan.of(INPUT)
    _drop_others(rundir, {shard.name + ".parquet" for shard in shards})
    engine.map("export", partial(export_shard, rundir, stage), shards)
    if stage == "decontaminate":
        engine.map("export hits", partial(_export_hits, rundir, shards), ["hits.parquet"])


def _drop_others(rundir: RunDirectory, names: set[str]) -> None:
    """Remove what an earlier run over more files left: a reader takes the whole folder."""
    for side in ("kept", "removed"):
        folder = rundir.path(side)
        if store.exists(folder):
            for file in store.listing(folder):
                if file.name not in names:
                    store.delete(file.path)


def export_shard(rundir: RunDirectory, stage: str, shard: Shard) -> ShardResult:
    """Write one shard's kept and removed rows."""
    decision = store.need_footer(rundir.decision(stage, shard)).identity
    digest = config_digest("export", VERSION, stage, decision)
    kept, removed = (rundir.path(side, shard.name + ".parquet") for side in ("kept", "removed"))

    def make() -> ShardResult:
        # removed/ is committed first.
        with _Sink(kept, digest) as kept_table, _Sink(removed, digest) as removed_table:
            for kept_rows, removed_rows in SPLIT[stage](rundir, shard):
                kept_table.write(kept_rows)
                removed_table.write(removed_rows)
        return ShardResult(digest)

    return run_once(kept, digest, make, removed)


class _Sink:
    """A table whose columns are those of the first batch it gets."""

    def __init__(self, path: str, digest: str) -> None:
        self._path, self._digest = path, digest
        self._writer: store.TableWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = store.TableWriter(self._path, batch.schema, self._digest).__enter__()
        self._writer.write(batch)

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)


# ---- the input's columns -------------------------------------------------------------------------


def _input_columns(
    rundir: RunDirectory, shard: Shard, batch: pa.RecordBatch
) -> dict[str, pa.Array]:
    """The columns of the input, as the user named them."""
    from curation.readers.formats import guess_format

    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    if all(guess_format(file.name) == "table" for file in shard.files):
        columns = {dataset.id_column: batch.column("id"), dataset.url_column: batch.column("url")}
        columns[dataset.text_column] = batch.column("text")
    else:
        columns = {name: batch.column(name) for name in ARCHIVE_COLUMNS}
    if "extra" in batch.schema.names:
        extra = batch.column("extra")
        columns |= {field.name: extra.field(i) for i, field in enumerate(extra.type)}
    return {
        f"input_{name}" if name in STEP_COLUMNS else name: column
        for name, column in columns.items()
    }


def _rows(columns: dict[str, pa.Array], rows: npt.NDArray[Any]) -> pa.RecordBatch:
    chosen = pa.array(rows if rows.dtype != bool else np.flatnonzero(rows))
    return pa.RecordBatch.from_arrays(
        [column.take(chosen) for column in columns.values()], names=list(columns)
    )


def _groups(
    rundir: RunDirectory, shard: Shard, table: pa.Table
) -> Iterator[tuple[dict[str, pa.Array], pa.RecordBatch]]:
    """Row groups of the documents: the input's columns, and the rows of a row-aligned table
    beside them."""
    table = table.combine_chunks()
    start = 0
    for batch in store.read_groups(rundir.documents(shard)):
        beside = table.slice(start, batch.num_rows)
        arrays = [c.chunk(0) if c.num_chunks else pa.array([], c.type) for c in beside.columns]
        yield (
            _input_columns(rundir, shard, batch),
            pa.RecordBatch.from_arrays(arrays, schema=beside.schema),
        )
        start += batch.num_rows


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


# ---- the steps' columns --------------------------------------------------------------------------

Split = Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]


def _classify(rundir: RunDirectory, shard: Shard) -> Split:
    decision = store.read_table(rundir.decision("classify", shard))
    evidence = store.read_table(rundir.table("classify", shard, "evidence"), ["score"])
    for columns_in, beside in _groups(
        rundir, shard, decision.append_column("quality", evidence.column(0))
    ):
        keep = _mask(beside.column("keep"))
        columns = {
            **columns_in,
            "quality": beside.column("quality"),
            "pareto_draw": beside.column("pareto_draw"),
        }
        yield _rows(columns, keep), _rows({**columns, "reason": beside.column("reason")}, ~keep)


def _dedup(rundir: RunDirectory, shard: Shard) -> Split:
    table = store.read_table(rundir.decision("dedup", shard))
    repeated = store.read_table(
        rundir.table("dedup", shard, "evidence"), ["repeated_lines", "repeated_paragraphs"]
    )
    for name in repeated.column_names:
        table = table.append_column(name, repeated.column(name))
    for columns_in, beside in _groups(rundir, shard, table):
        keep = _mask(beside.column("keep"))
        names = ("reason", "kept_id", "kept_dataset", "jaccard", *repeated.column_names)
        yield (
            _rows(columns_in, keep),
            _rows({**columns_in, **{name: beside.column(name) for name in names}}, ~keep),
        )


def _decontaminate(rundir: RunDirectory, shard: Shard) -> Split:
    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    for columns_in, beside in _groups(
        rundir, shard, store.read_table(rundir.decision("decontaminate", shard))
    ):
        keep = _mask(beside.column("keep"))
        rows, numbers, texts = [], [], []
        column = columns_in[dataset.text_column if dataset.text_column in columns_in else "text"]
        for row in np.flatnonzero(keep).tolist():
            spans, text = beside.column("pieces")[row].as_py(), column[row].as_py()
            for number, span in enumerate(spans or [{"start": 0, "end": len(text)}]):
                rows.append(row)
                numbers.append(number)
                texts.append(text[span["start"] : span["end"]])
        rest = {
            f"input_{k}" if k == "text" else k: v for k, v in columns_in.items() if v is not column
        }
        pieces = _rows(rest, np.array(rows, np.int64))
        names = [*pieces.schema.names, "piece", "text"]
        arrays = [*pieces.columns, pa.array(numbers, pa.int64()), pa.array(texts, pa.string())]
        removed = {**columns_in, "reason": beside.column("reason"), "cuts": beside.column("cuts")}
        yield pa.RecordBatch.from_arrays(arrays, names=names), _rows(removed, ~keep)


# The kept and the removed rows of a shard, by the stage that decides.
SPLIT: dict[str, Callable[[RunDirectory, Shard], Split]] = {
    "classify": _classify,
    "dedup": _dedup,
    "decontaminate": _decontaminate,
}


def _export_hits(rundir: RunDirectory, shards: list[Shard], _: str) -> ShardResult:
    """Every hit with its gram and the first ten examples that hold it, an evidence row each."""
    evidence = [rundir.table("decontaminate", shard, "evidence") for shard in shards]
    digest = config_digest(
        "export/hits", VERSION, [store.need_footer(path).identity for path in evidence]
    )
    path = rundir.path("hits.parquet")

    def make() -> ShardResult:
        folder = rundir.path("decontaminate", "benchmarks")
        table = load_table(folder, store.read_json(store.join(folder, "card.json"))["identity"])
        examples = store.read_table(store.join(folder, "examples.parquet"))
        names, ids = (examples.column(name).to_pylist() for name in ("benchmark", "id"))
        with store.TableWriter(path, HITS, digest) as writer:
            for shard, source in zip(shards, evidence, strict=True):
                documents = store.read_table(rundir.documents(shard), ["id"]).column(0)
                for batch in store.read_groups(source):
                    rows = [
                        (
                            documents[row].as_py(),
                            start,
                            end,
                            names[example],
                            ids[example],
                            table.gram_text(gram),
                        )
                        for row, _, start, end, gram in zip(
                            *(c.to_pylist() for c in batch.columns), strict=True
                        )
                        for example in table.examples_of(gram)
                    ]
                    if rows:
                        columns = [
                            pa.array(c, f.type)
                            for c, f in zip(zip(*rows, strict=True), HITS, strict=True)
                        ]
                        writer.write(pa.record_batch(columns, schema=HITS))
        return ShardResult(digest)

    return run_once(path, digest, make)
