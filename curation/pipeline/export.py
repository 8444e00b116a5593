"""What a step writes for its user: kept/, removed/ and hits.parquet.

The columns are those of the input, in its order and under their own names, with `id` in front where
the input has none; then those of the step. One file a shard; text is copied a row group at a time.
Kept and removed rows are Parquet, or lines of JSON; where the input is lines too, its lines are read
once more, so that every value comes out as it went in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.engine.base import Engine
from curation.pipeline.lines import ROW, has_lines, lines, new_name, original_rows, step_columns
from curation.recipe.line import DECIDING
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.plan import Plan
from curation.rundir.results import ShardResult, run_once
from curation.rundir.survivors import masked_texts, shard_masks
from curation.stages.decontaminate.benchmarks import load_table
from curation.stages.extract.columns import columns_path, is_table

VERSION = 5
INPUT = "input"  # the dataset of the files that the user named
PLACES = ("kept", "removed", "hits.parquet")
PARQUET, SAME = "parquet", "same"  # `same`: lines for lines, packed alike; Parquet for all else
FORMATS = (PARQUET, SAME, "jsonl", "jsonl.gz", "jsonl.zst")
ARCHIVE_COLUMNS = ("id", "url", "text", "date", "language", "language_score", "crawl_language",
                   "crawl_language_share", "crawl_language_reliable", "robots", "license",
                   "license_from", "archive", "offset", "place")  # fmt: skip
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


def run(rundir: RunDirectory, plan: Plan, engine: Engine, format: str = PARQUET) -> None:
    """Write kept/ and removed/ for the last filtering stage of the recipe, and hits.parquet
    after `decontaminate`. `format` is one of `FORMATS`."""
    stage = next(stage for stage in reversed(rundir.recipe.stages) if stage in DECIDING)
    shards = plan.of(INPUT)
    _drop_others(rundir, {shard.name + ending(rundir, shard, format) for shard in shards})
    engine.map("export", partial(export_shard, rundir, stage, format), shards)
    if stage == "decontaminate":
        write_hits(rundir, plan, engine)


def write_hits(rundir: RunDirectory, plan: Plan, engine: Engine) -> None:
    """Write hits.parquet of the dataset `input`."""
    shards = plan.of(INPUT)
    engine.map("export hits", partial(_export_hits, rundir, shards), ["hits.parquet"])


def _drop_others(rundir: RunDirectory, names: set[str]) -> None:
    """Remove what an earlier run over more files left: a reader takes the whole folder."""
    for side in ("kept", "removed"):
        folder = rundir.path(side)
        if store.exists(folder):
            for file in store.listing(folder):
                if file.name not in names:
                    store.delete(file.path)


def ending(rundir: RunDirectory, shard: Shard, format: str) -> str:
    """What the names of a shard's files in kept/ and removed/ end in."""
    if format == SAME:
        name = shard.files[0].name.lower()
        packed = next((p for p in (".gz", ".zst") if name.endswith(p)), "")
        return ".jsonl" + packed if has_lines(rundir, shard) else ".parquet"
    return "." + format


def export_shard(rundir: RunDirectory, stage: str, format: str, shard: Shard) -> ShardResult:
    """Write one shard's kept and removed rows."""
    name = shard.name + ending(rundir, shard, format)
    if not name.endswith(".parquet"):
        return _export_lines(rundir, stage, shard, name)
    decision = store.need_footer(rundir.decision(stage, shard)).identity
    columns = _table_columns(rundir, shard)
    digest = config_digest("export", VERSION, stage, decision, str(columns))
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
        batch = batch.drop_columns([ROW])
        if self._writer is None:
            self._writer = store.TableWriter(self._path, batch.schema, self._digest).__enter__()
        self._writer.write(batch)

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)


# ---- lines ---------------------------------------------------------------------------------------


def _export_lines(rundir: RunDirectory, stage: str, shard: Shard, name: str) -> ShardResult:
    """The same as lines of JSON; removed/ is committed first."""
    packing: Any = name.rpartition(".jsonl")[2].removeprefix(".")
    decision = store.need_footer(rundir.decision(stage, shard)).identity
    from_lines = has_lines(rundir, shard)
    originals = original_rows(rundir, shard) if from_lines else itertools.repeat(None)
    with (
        store.atomic(rundir.path("kept", name)) as kept_file,
        store.atomic(rundir.path("removed", name)) as removed_file,
    ):
        writers = [store.LinesWriter(file, packing) for file in (kept_file, removed_file)]
        for batches, rows in zip(SPLIT[stage](rundir, shard), originals, strict=from_lines):
            for writer, batch in zip(writers, batches, strict=True):
                writer.write(b"".join(lines(rundir, stage, shard, batch, rows)))
        for writer in writers:
            writer.finish()
    return ShardResult(config_digest("export", VERSION, stage, decision, name))


# ---- the input's columns -------------------------------------------------------------------------


def _table_columns(rundir: RunDirectory, shard: Shard) -> pa.Schema | None:
    """The columns of the tables that a shard was made from; None where it is no tables."""
    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    if all(is_table(dataset, file) for file in shard.files):
        return store.read_schema(columns_path(rundir, dataset))
    return None


def _input_columns(
    rundir: RunDirectory, stage: str, shard: Shard, batch: pa.RecordBatch
) -> dict[str, pa.Array]:
    """The columns of the input, those renamed that the step adds, and the numbers of the rows."""
    columns, taken = input_columns(rundir, shard, batch), step_columns(rundir, stage, shard)
    named = {new_name(name, columns, taken): column for name, column in columns.items()}
    return {**named, ROW: pa.array(range(batch.num_rows), pa.int64())}


def input_columns(rundir: RunDirectory, shard: Shard, batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """The columns of the input, in its order and as the user named them."""
    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    extra: dict[str, pa.Array] = {}
    if "extra" in batch.schema.names:
        struct = batch.column("extra")
        extra = {field.name: struct.field(i) for i, field in enumerate(struct.type)}
    columns = {name: batch.column(name) for name in ARCHIVE_COLUMNS} | extra
    if (schema := _table_columns(rundir, shard)) is not None:
        columns = {}
        document_column = {
            dataset.text_column: "text",
            dataset.url_column: "url",
            dataset.id_column: "id",
        }
        for field in schema:
            column = extra.get(field.name)
            column = batch.column(document_column[field.name]) if column is None else column
            is_number = field.name == dataset.id_column and pa.types.is_integer(field.type)
            columns[field.name] = column.cast(field.type) if is_number else column
    return columns


def _rows(columns: dict[str, pa.Array], rows: npt.NDArray[Any]) -> pa.RecordBatch:
    chosen = pa.array(rows if rows.dtype != bool else np.flatnonzero(rows))
    return pa.RecordBatch.from_arrays(
        [column.take(chosen) for column in columns.values()], names=list(columns)
    )


# The input's columns of a batch of documents, where they are not those of the documents.
ColumnsOf = Callable[[pa.RecordBatch], dict[str, pa.Array]]


def _groups(
    rundir: RunDirectory,
    stage: str,
    shard: Shard,
    table: pa.Table,
    columns_of: ColumnsOf | None = None,
) -> Iterator[tuple[dict[str, pa.Array], pa.RecordBatch]]:
    """Row groups of the documents: the input's columns, and the rows of a row-aligned table
    beside them."""
    columns_of = columns_of or partial(_input_columns, rundir, stage, shard)
    table = table.combine_chunks()
    start = 0
    for batch in store.read_groups(rundir.documents(shard)):
        beside = table.slice(start, batch.num_rows)
        arrays = [c.chunk(0) if c.num_chunks else pa.array([], c.type) for c in beside.columns]
        yield (
            columns_of(batch),
            pa.RecordBatch.from_arrays(arrays, schema=beside.schema),
        )
        start += batch.num_rows


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


# ---- the steps' columns --------------------------------------------------------------------------

Split = Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]


def _filter(rundir: RunDirectory, shard: Shard, columns_of: ColumnsOf | None = None) -> Split:
    """All signals stand beside both kinds of rows; texts are masked in what is kept."""
    table = store.read_table(rundir.table("filter", shard, "evidence"))
    decision = store.read_table(rundir.decision("filter", shard))
    reasons = rundir.recipe.filter.reasons()
    fired = [[reasons[i] for i in row] for row in decision.column("fired").to_pylist()]
    table = table.append_column("keep", decision.column("keep"))
    table = table.append_column("reason", decision.column("reason"))
    table = table.append_column("fired", pa.array(fired, pa.list_(pa.string())))
    if (masks := shard_masks(rundir, shard)) is not None:
        table = table.append_column("masks", masks)
    text_column = rundir.recipe.named(shard.dataset).text_column
    for columns_in, beside in _groups(rundir, "filter", shard, table, columns_of):
        keep = _mask(beside.column("keep"))
        own = ("keep", "masks", "reason", "fired")
        signals = {name: beside.column(name) for name in beside.schema.names if name not in own}
        masked = dict(columns_in)
        if masks is not None:
            name = text_column if text_column in columns_in else "text"
            masked[name] = masked_texts(columns_in[name], beside.column("masks"))
        why = {name: beside.column(name) for name in ("reason", "fired")}
        yield _rows({**masked, **signals}, keep), _rows({**columns_in, **signals, **why}, ~keep)


def _classify(rundir: RunDirectory, shard: Shard, columns_of: ColumnsOf | None = None) -> Split:
    decision = store.read_table(rundir.decision("classify", shard))
    evidence = store.read_table(rundir.table("classify", shard, "evidence"), ["score"])
    for columns_in, beside in _groups(
        rundir,
        "classify",
        shard,
        decision.append_column("quality", evidence.column(0)),
        columns_of,
    ):
        keep = _mask(beside.column("keep"))
        columns = {
            **columns_in,
            "quality": beside.column("quality"),
            "pareto_draw": beside.column("pareto_draw"),
        }
        yield _rows(columns, keep), _rows({**columns, "reason": beside.column("reason")}, ~keep)


def _dedup(rundir: RunDirectory, shard: Shard, columns_of: ColumnsOf | None = None) -> Split:
    table = store.read_table(rundir.decision("dedup", shard))
    repeated = store.read_table(
        rundir.table("dedup", shard, "evidence"), ["repeated_lines", "repeated_paragraphs"]
    )
    for name in repeated.column_names:
        table = table.append_column(name, repeated.column(name))
    for columns_in, beside in _groups(rundir, "dedup", shard, table, columns_of):
        keep = _mask(beside.column("keep"))
        names = ("reason", "kept_id", "kept_dataset", "jaccard", *repeated.column_names)
        columns = {**columns_in, **{name: beside.column(name) for name in names}}
        dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
        ids = columns_in[dataset.id_column if dataset.id_column in columns_in else "id"].type
        # Documents of other datasets and of the index may have ids of another type.
        if (
            pa.types.is_integer(ids)
            and len(rundir.recipe.dataset) == 1
            and not rundir.recipe.dedup.index
        ):
            columns["kept_id"] = columns["kept_id"].cast(ids)
        kept = {**columns_in, "cluster_size": beside.column("cluster_size")}
        yield _rows(kept, keep), _rows(columns, ~keep)


def _decontaminate(
    rundir: RunDirectory, shard: Shard, columns_of: ColumnsOf | None = None
) -> Split:
    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    table = store.read_table(rundir.decision("decontaminate", shard))
    for columns_in, beside in _groups(rundir, "decontaminate", shard, table, columns_of):
        keep = _mask(beside.column("keep"))
        rows, numbers, texts = [], [], []
        column = columns_in[dataset.text_column if dataset.text_column in columns_in else "text"]
        for row in np.flatnonzero(keep).tolist():
            spans, text = beside.column("pieces")[row].as_py(), column[row].as_py()
            for number, span in enumerate(spans or [{"start": 0, "end": len(text)}]):
                rows.append(row)
                numbers.append(number)
                texts.append(text[span["start"] : span["end"]])
        chosen = pa.array(rows, pa.int64())
        pieces = {
            "text" if values is column else new_name(name, columns_in, {"text"}): values.take(
                chosen
            )
            for name, values in columns_in.items()
        }
        pieces["text"] = pa.array(texts, pa.string())
        pieces["piece"] = pa.array(numbers, pa.int64())
        removed = {**columns_in, "reason": beside.column("reason"), "cuts": beside.column("cuts")}
        yield pa.RecordBatch.from_pydict(pieces), _rows(removed, ~keep)


# The kept and the removed rows of a shard, by the stage that decides; `columns_of` may come third.
SPLIT: dict[str, Callable[..., Split]] = {
    "filter": _filter,
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
                for batch in store.read_groups(source, ["row", "start", "end", "gram"]):
                    rows = [
                        (
                            documents[row].as_py(),
                            start,
                            end,
                            names[example],
                            ids[example],
                            table.gram_text(gram),
                        )
                        for row, start, end, gram in zip(
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
