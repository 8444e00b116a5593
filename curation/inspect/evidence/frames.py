"""A run's evidence as Arrow tables and numpy arrays: what the report, the commands and the notebooks read.

Cost: column projections only; a text is read for the rows that are asked for, a row group at a time.

Trap: tables of the stages after `classify` have the rows of the survivors, not of the documents, and their `keep` is null where an earlier
stage said no.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curation import draws, store
from curation.errors import RunError
from curation.kernels.pareto import pareto_draw

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
DECISIONS = (
    "tokenize",
    "decontaminate",
    "dedup",
)  # stages row-aligned to the survivors, the last first
SCORES = pa.schema(
    [
        ("dataset", pa.string()),
        ("ordinal", pa.int64()),  # of the shard, over all datasets
        ("row", pa.int64()),  # in documents/
        ("score", pa.float64()),
        ("u", pa.float64()),
        ("keep", pa.bool_()),  # null for datasets that classify does not filter
    ]
)


# ---- where a stage says it -------------------------------------------------------------------------------------------------------------


def decision_path(rundir: RunDirectory, stage: str, shard: Shard) -> str:
    """The table that holds `keep` and `reason` of a stage."""
    return rundir.table("tokens", shard) if stage == "tokenize" else rundir.decision(stage, shard)


def last_decision(rundir: RunDirectory, shard: Shard) -> str | None:
    """The newest table row-aligned to a shard's survivors; None where all of them are still in."""
    for stage in DECISIONS:
        if stage in rundir.recipe.stages:
            path = decision_path(rundir, stage, shard)
            if store.exists(path):
                return path
    return None


def survivors_path(rundir: RunDirectory, shard: Shard) -> str | None:
    """The survivors of a shard as far as the run has got: its documents where classify has not decided; None before extract."""
    for path in (rundir.survivors(shard), rundir.documents(shard)):
        if store.exists(path):
            return path
    return None


def kept_rows(rundir: RunDirectory, shard: Shard) -> tuple[str | None, Int64s]:
    """The survivors table and its rows that no stage has removed (int64[n])."""
    path = survivors_path(rundir, shard)
    if path is None:
        return None, np.zeros(0, np.int64)
    decided = last_decision(rundir, shard)
    if decided is None:
        return path, np.arange(store.need_footer(path).rows, dtype=np.int64)
    return path, np.flatnonzero(
        column(decided, "keep").fill_null(False).to_numpy(zero_copy_only=False)
    )


def column(path: str, name: str) -> pa.Array:
    """One column of a table, in one piece."""
    chunks = store.read_table(path, [name]).column(0)
    return pa.concat_arrays(chunks.chunks) if chunks.num_chunks else pa.array([], chunks.type)


def take(path: str, rows: Int64s, columns: Sequence[str]) -> pa.Table:
    """Some rows of a table, in the order asked for; only the row groups they lie in are read."""
    order = np.argsort(rows, kind="stable")
    wanted = rows[order]
    parts = []
    with store.open_input(path) as stream:
        file = pq.ParquetFile(stream)
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            first, last = np.searchsorted(wanted, [start, end])
            if first < last:
                table = file.read_row_group(group, columns=list(columns)).select(list(columns))
                parts.append(table.take(pa.array(wanted[first:last] - start)))
            start = end
    if not parts:
        return pa.Table.from_batches([], schema)
    back = np.empty(len(rows), np.int64)
    back[order] = np.arange(len(rows))
    return pa.concat_tables(parts).take(pa.array(back))


def with_texts(rundir: RunDirectory, shard: Shard, rows: Int64s, *, chars: int = 0) -> pa.Table:
    """`id`, `url` and `text` of some rows of documents/; the first `chars` characters of each text, or all of it with 0."""
    import pyarrow.compute as pc

    table = take(rundir.documents(shard), rows, ["id", "url", "text"])
    if not chars:
        return table
    return table.set_column(2, "text", pc.utf8_slice_codeunits(table.column("text"), 0, chars))


# ---- quality ---------------------------------------------------------------------------------------------------------------------------


def score_parts(rundir: RunDirectory, plan: Plan, dataset: str | None = None) -> Iterator[pa.Table]:
    """The scores of one shard after the other, as tables of SCORES; nothing where classify has not scored."""
    for shard in plan.shards if dataset is None else plan.of(dataset):
        evidence = rundir.table("classify", shard, "evidence")
        if "classify" not in rundir.recipe.stages or not store.exists(evidence):
            continue
        found = store.read_table(evidence)
        decision = rundir.decision("classify", shard)
        n = found.num_rows
        decided = rundir.recipe.filtered(shard.dataset) and store.exists(decision)
        columns = [
            pa.array([shard.dataset] * n, pa.string()),
            np.full(n, shard.ordinal, np.int64),
            np.arange(n, dtype=np.int64),
            *(found.column(name).combine_chunks() for name in ("score", "u")),
            column(decision, "keep") if decided else pa.nulls(n, pa.bool_()),
        ]
        yield pa.table(columns, schema=SCORES)


def scores(rundir: RunDirectory, plan: Plan, dataset: str | None = None) -> pa.Table:
    """Every document's score, draw and keep: a table of SCORES.

    Raises RunError where classify has not run.
    """
    parts = list(score_parts(rundir, plan, dataset))
    if not parts:
        what = f"dataset {dataset!r}" if dataset else "documents"
        raise RunError(
            f"{rundir.out}: there are no scores of {what}; the run has not got to the end of classify"
        )
    return pa.concat_tables(parts)


def keep_chance(score: Floats, alpha: float) -> Floats:
    """P(keep | score) = (2 - score)**-alpha, GPT-3's appendix A.

    >>> keep_chance(np.array([0.0, 1.0]), 9.0).round(5).tolist()
    [0.00195, 1.0]
    """
    return np.asarray((2.0 - score) ** -alpha)


def kept_share(score: Floats, u: Floats, alphas: Sequence[float]) -> Floats:
    """The share of documents that the Pareto rule keeps at each alpha, with the draws they have: float64[alphas].

    >>> kept_share(np.array([0.0, 1.0]), np.array([0.5, 0.5]), [9.0]).tolist()
    [0.5]
    """
    return np.array(
        [np.mean(pareto_draw(u, alpha) > 1.0 - score) if len(score) else 0.0 for alpha in alphas]
    )


def margins(table: pa.Table, alpha: float) -> Floats:
    """How far each draw of a SCORES table lies above what its document needed: kept where it is more than 0. float64[n]."""
    score, u = (table.column(name).to_numpy() for name in ("score", "u"))
    return np.asarray(pareto_draw(u, alpha) - (1.0 - score))


def near_threshold(
    rundir: RunDirectory, plan: Plan, dataset: str, n: int = 5, chars: int = 300, seed: int = 0
) -> pa.Table:
    """Random documents that just stayed and just left: `n` of each, from the nearest 4 n.

    Columns: kept, score, draw, needed, id, url, text (its first `chars` characters).
    """
    alpha = rundir.recipe.classify.alpha
    table = scores(rundir, plan, dataset)
    margin = margins(table, alpha)
    chosen: list[int] = []
    for side in (margin > 0, margin <= 0):
        rows = np.flatnonzero(side)
        nearest = rows[np.argsort(np.abs(margin[rows]), kind="stable")][: 4 * n]
        keys = [int(row).to_bytes(8, "little") for row in nearest]
        chosen += nearest[
            np.argsort(draws.uniforms(seed, "inspect/threshold", keys), kind="stable")
        ][:n].tolist()
    some = table.take(pa.array(chosen, pa.int64()))
    score = some.column("score").to_numpy()
    texts = _texts(rundir, plan, some, chars)
    columns = {
        "kept": pa.array(margin[chosen] > 0),
        "score": score,
        "draw": margin[chosen] + 1.0 - score,
    }
    named = {
        name: pa.array([text[name] for text in texts], pa.string())
        for name in ("id", "url", "text")
    }
    return pa.table({**columns, "needed": 1.0 - score, **named})


def _texts(rundir: RunDirectory, plan: Plan, some: pa.Table, chars: int) -> list[dict[str, Any]]:
    """id, url and text of rows of a SCORES table, in its order."""
    out: list[dict[str, Any]] = [{} for _ in range(some.num_rows)]
    ordinals, rows = (some.column(name).to_numpy() for name in ("ordinal", "row"))
    for ordinal in np.unique(ordinals).tolist():
        at = np.flatnonzero(ordinals == ordinal)
        found = with_texts(rundir, plan.shards[ordinal], rows[at], chars=chars).to_pylist()
        for place, row in zip(at.tolist(), found, strict=True):
            out[place] = row
    return out


# ---- duplicates ------------------------------------------------------------------------------------------------------------------------


def removed_duplicates(rundir: RunDirectory, plan: Plan) -> pa.Table:
    """Every document that left for another: dataset, ordinal, row (in the survivors), reason, kept_id, kept_dataset, jaccard.

    Those that left for what they say twice themselves (`repetitive`) are not among them.
    """
    parts = []
    for shard in plan.shards:
        path = rundir.decision("dedup", shard)
        if "dedup" not in rundir.recipe.stages or not store.exists(path):
            continue
        table = store.read_table(path)
        rows = np.flatnonzero(table.column("kept_id").is_valid().to_numpy())
        some = table.take(pa.array(rows)).drop_columns(["keep"])
        n = len(rows)
        places = {
            "dataset": pa.array([shard.dataset] * n, pa.string()),
            "ordinal": np.full(n, shard.ordinal, np.int64),
        }
        parts.append(
            pa.table(
                {**places, "row": rows, **{name: some.column(name) for name in some.column_names}}
            )
        )
    if not parts:
        raise RunError(f"{rundir.out}: dedup has not run here, so there are no duplicates to show")
    return pa.concat_tables(parts)


def duplicate_pairs(
    rundir: RunDirectory, plan: Plan, n: int = 3, seed: int = 0
) -> list[dict[str, Any]]:
    """Random near duplicates with both texts: dicts of id, dataset, text, kept_id, kept_dataset, kept_text, jaccard."""
    from curation.inspect.evidence.find import find_id

    table = removed_duplicates(rundir, plan)
    near = np.flatnonzero(np.array(table.column("reason").to_pylist(), object) == "duplicate")
    keys = [int(row).to_bytes(8, "little") for row in near]
    chosen = near[np.argsort(draws.uniforms(seed, "inspect/duplicates", keys), kind="stable")][:n]
    out = []
    for pair in table.take(pa.array(chosen)).to_pylist():
        shard = plan.shards[pair["ordinal"]]
        own = take(rundir.survivors(shard), np.array([pair["row"]]), ["id", "text"]).to_pylist()[0]
        path, kept_row = find_id(rundir, plan, pair["kept_dataset"], pair["kept_id"])
        kept = take(path, np.array([kept_row]), ["text"]).to_pylist()[0]
        out.append({**pair, **own, "kept_text": kept["text"]})
    return out
