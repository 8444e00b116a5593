"""The tables of a run directory: the documents that it removed, and every other table by name.

Cost: a row group at a time, of the documents asked for. What a run keeps is in `rundir/kept.py`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.errors import InputError, did_you_mean
from curation.recipe.line import DECIDING, stage_named
from curation.rundir.directory import SHARD_FOLDERS, RunDirectory, Shard

if TYPE_CHECKING:
    from curation.rundir.plan import Plan

COLUMNS = ("id", "url", "text", "date", "language")
FUNNEL = pa.schema(
    [
        ("stage", pa.string()),
        ("outcome", pa.string()),
        ("dataset", pa.string()),
        ("documents", pa.int64()),
        ("chars", pa.int64()),
        ("tokens", pa.int64()),
        ("exact", pa.bool_()),
    ]
)
MIXTURE = pa.schema(
    [
        ("dataset", pa.string()),
        ("value", pa.string()),
        ("weight", pa.float64()),
        ("tokens", pa.int64()),
        ("epochs", pa.float64()),
        ("planned", pa.float64()),
        ("placed", pa.int64()),
    ]
)
CONTAMINATION = pa.schema(
    [
        ("benchmark", pa.string()),
        ("n", pa.int64()),
        ("examples", pa.int64()),
        ("short", pa.int64()),
        ("dirty_before", pa.int64()),
        ("dirty_after", pa.int64()),
    ]
)
# Evidence that has a row for each row of the decision, and the columns of it that say something.
EVIDENCE = {
    "classify": {"score": "quality", "fold": "fold"},
    "dedup": {name: name for name in ("repeated_lines", "repeated_paragraphs")},
}
# Folders whose tables are not one a shard.
OTHERS = ("dedup/pairs/clusters", "dedup/pairs/measured", "dedup/pairs/copies", "kept", "removed")
FILES = {"shards": "shards/manifest.parquet", "hits": "hits.parquet"}


# ---- documents -----------------------------------------------------------------------------------


def removed_documents(
    rundir: RunDirectory, plan: Plan, columns: Sequence[str] = COLUMNS
) -> Iterator[pa.RecordBatch]:
    """The documents that a stage removed, with its name and reason, stage by stage."""
    for shard in _shards(rundir, plan):
        for stage in DECIDING:
            path = rundir.decision(stage, shard)
            if not rundir.decides(stage, shard.dataset) or not store.exists(path):
                continue
            reasons = store.read_table(path, ["reason"]).column(0).combine_chunks()
            is_early = stage_named(stage).aligned_to == "documents"
            texts = rundir.documents(shard) if is_early else rundir.survivors(shard)
            start = 0
            for batch in store.read_groups(texts, columns):
                reason = reasons.slice(start, batch.num_rows)
                start += batch.num_rows
                rows = pa.array(np.flatnonzero(_is_there(reason)))
                if len(rows):
                    names = pa.repeat(pa.scalar(stage), len(rows))
                    why = {"stage": names, "reason": reason.take(rows)}
                    yield _named(shard, batch.take(rows), why)


def _is_there(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), bool)


def _named(shard: Shard, batch: pa.RecordBatch, more: dict[str, pa.Array]) -> pa.RecordBatch:
    """The columns of documents, the dataset in front and others behind."""
    names = pa.repeat(pa.scalar(shard.dataset), batch.num_rows)
    columns = {name: batch.column(name) for name in batch.schema.names}
    return pa.RecordBatch.from_pydict({"dataset": names, **columns, **more})


def _shards(rundir: RunDirectory, plan: Plan) -> list[Shard]:
    """The shards whose documents are the corpus, where they are written."""
    return [
        shard
        for shard in plan.shards
        if rundir.recipe.named(shard.dataset).role != "reference"
        and store.exists(rundir.survivors(shard))
    ]


# ---- tables by name ------------------------------------------------------------------------------


def table_names(rundir: RunDirectory, plan: Plan) -> list[str]:
    """Stages with decisions, folders with tables and single tables that are there."""
    stages = [
        stage
        for stage in DECIDING
        if any(store.exists(rundir.decision(stage, shard)) for shard in plan.shards)
    ]
    folders = [name for name in (*SHARD_FOLDERS, *OTHERS) if _paths(rundir, plan, name)]
    files = [name for name, path in FILES.items() if store.exists(rundir.path(path))]
    return list(dict.fromkeys([*stages, *folders, *files]))


def table(rundir: RunDirectory, plan: Plan, name: str, columns: Sequence[str] | None) -> pa.Table:
    """A stage's decisions with dataset and id, or all tables of a folder one below the other."""
    names = _need(rundir, plan, name)
    if name in DECIDING and name in names:
        parts = [
            _decisions(rundir, shard, name)
            for shard in plan.shards
            if rundir.decides(name, shard.dataset) and store.exists(rundir.decision(name, shard))
        ]
        whole = pa.concat_tables(parts)
        return whole if columns is None else whole.select(list(columns))
    read = [store.read_table(path, columns) for path in _paths(rundir, plan, name)]
    return pa.concat_tables(read, promote_options="permissive")


def scan(rundir: RunDirectory, plan: Plan, name: str) -> Any:
    """The tables of a folder as an Arrow data set."""
    _need(rundir, plan, name)
    paths = _paths(rundir, plan, name)
    if not paths:
        raise InputError(
            f"{name!r}: decisions are put together in memory; take table({name!r}), or scan "
            f"'{name}/decision'"
        )
    return store.dataset(store.Table(tuple(paths), store.read_schema(paths[0])))


def _need(rundir: RunDirectory, plan: Plan, name: str) -> list[str]:
    names = table_names(rundir, plan)
    if name not in names and name in OTHERS and store.listing(folder := rundir.path(name)):
        raise InputError(
            f"{folder}: lines of JSON, which have no types; curation.read({folder!r}) reads them"
        )
    if name not in names:
        raise InputError(f"{rundir.out}: no table {name!r}{did_you_mean(name, names)}")
    return names


def _paths(rundir: RunDirectory, plan: Plan, name: str) -> list[str]:
    """The files of a name, those of planned shards in their order."""
    if name in FILES:
        return [rundir.path(FILES[name])]
    if name in SHARD_FOLDERS:
        paths = [rundir.path(name, shard.dataset, shard.name + ".parquet") for shard in plan.shards]
        return [path for path in paths if store.exists(path)]
    if name in OTHERS:
        found = store.listing(rundir.path(name))
        names = [(posixpath.basename(f.name), f.path) for f in found]
        return [path for name, path in names if name[:1].isdigit() and name.endswith(".parquet")]
    return []


def _decisions(rundir: RunDirectory, shard: Shard, stage: str) -> pa.Table:
    """A shard's decisions of one stage, beside the documents that they are about."""
    is_early = stage_named(stage).aligned_to == "documents"
    about = rundir.documents(shard) if is_early else rundir.survivors(shard)
    decided = store.read_table(rundir.decision(stage, shard))
    parts = {
        "dataset": pa.repeat(pa.scalar(shard.dataset), decided.num_rows),
        "id": store.read_table(about, ["id"]).column(0),
        **dict(zip(decided.column_names, decided.columns, strict=True)),
    }
    evidence = EVIDENCE.get(stage, {})
    path = rundir.table(stage, shard, "evidence")
    if evidence and store.exists(path):
        measured = store.read_table(path, list(evidence))
        parts |= dict(zip(evidence.values(), measured.columns, strict=True))
    return pa.table(parts)


def contamination(rundir: RunDirectory) -> pa.Table:
    """The study of each benchmark, as CONTAMINATION. Raises RunError where there is none."""
    from curation.inspect.evidence.contamination import need_contamination

    rows = [
        {name: getattr(study, name) for name in CONTAMINATION.names}
        for study in need_contamination(rundir)
    ]
    return pa.Table.from_pylist(rows, CONTAMINATION)


def mixture(rundir: RunDirectory, plan: Plan) -> pa.Table:
    """Each dataset of the mixture, and below it each value that its documents are weighed by."""
    from curation.inspect.evidence.mixture import mixture_plan

    names = ("weight", "tokens", "epochs", "planned")
    rows: list[dict[str, Any]] = []
    for part in mixture_plan(rundir, plan):
        whole = {name: getattr(part, name) for name in names}
        rows.append({"dataset": part.dataset, "placed": part.placed, **whole})
        for group in part.groups:
            own = {"weight": group.weight, "tokens": group.tokens, "epochs": group.epochs}
            planned = group.epochs * group.tokens
            rows.append({"dataset": part.dataset, "value": group.value, "planned": planned, **own})
    return pa.Table.from_pylist(rows, MIXTURE)
