"""`curation check`: is a run whole, and is what stands in its shards what its books say?

Cost: every token shard's bytes are read and hashed once; other tables column by column; texts of a few sampled documents.

Trap: a check that has nothing to look at (its stage has not run) is left out, not passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from rich.table import Table
from rich.text import Text

from curation import draws, store
from curation.errors import BooksError, CurationError
from curation.inspect.check.overlap import grams_left
from curation.inspect.check.shards import (
    SAMPLED,
    Problems,
    apart,
    mixture,
    pieces_left,
    shard_problems,
    shares,
)
from curation.inspect.evidence import frames
from curation.inspect.format import plain_table
from curation.kernels.bpe import encoding
from curation.recipe.line import DECIDING
from curation.rundir import ledger
from curation.rundir.results import previous_ledger

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan


@dataclass(frozen=True, slots=True)
class Result:
    """What a check looked at (a count and a noun) and what it found wrong."""

    name: str
    looked_at: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def check(rundir: RunDirectory, plan: Plan) -> list[Result]:
    """Run every check that has something to look at, in the order of the line."""
    results = [_books(rundir, plan), _rows(rundir, plan)]
    manifest = rundir.path("shards", "manifest.parquet")
    if store.exists(rundir.path("tokens", "encoding.json")):
        results.append(_round_trips(rundir, plan))
    if "mix" in rundir.recipe.stages and store.exists(manifest):
        rows = store.read_table(manifest).to_pylist()
        what = f"{len(rows)} token shards"
        results += [
            _result(name, what, problems) for name, problems in shard_problems(rundir, rows)
        ]
        tables = f"{len(plan.of(*mixture(rundir)))} tables"
        results.append(_result("train and validation apart", tables, apart(rundir, plan, rows)))
        if "decontaminate" in rundir.recipe.stages:
            results.append(_result("no benchmark gram left", what, grams_left(rundir, rows)))
        datasets = f"{len(mixture(rundir))} datasets"
        results.append(_result("mixture as planned", datasets, shares(rundir, plan, rows)))
    return results


def check_table(results: list[Result]) -> Table:
    """One line a check; the first problems of those that fail."""
    table = plain_table(["", "", ""], left=(0, 1, 2), show_header=False)
    for result in results:
        mark = Text("pass", style="green") if result.ok else Text("FAIL", style="bold red")
        detail = (
            result.looked_at
            if result.ok
            else f"{len(result.problems)} of {result.looked_at}: {result.problems[0]}"
        )
        table.add_row(mark, Text(result.name), Text(detail, style="dim" if result.ok else ""))
        for problem in result.problems[1:5]:
            table.add_row("", "", Text(problem))
    return table


def _result(name: str, looked_at: str, problems: Problems) -> Result:
    try:
        return Result(name, looked_at, tuple(problems))
    except (
        CurationError,
        pa.ArrowInvalid,
        OSError,
        ValueError,
    ) as error:  # a damaged file is a finding, not the end of the check
        return Result(name, looked_at, (str(error).splitlines()[0],))


# ---- tables ----------------------------------------------------------------------------------------------------------------------------


def _tables(rundir: RunDirectory, plan: Plan) -> list[tuple[str, Shard, str, str]]:
    """(stage, shard, the stage's table, the table it is row-aligned to) of every table that is there."""
    out = []
    for stage in (*DECIDING, "tokenize"):
        for shard in plan.shards if stage in rundir.recipe.stages else ():
            path = frames.decision_path(rundir, stage, shard)
            if store.exists(path):
                aligned = (
                    rundir.documents(shard) if stage == "classify" else rundir.survivors(shard)
                )
                out.append((stage, shard, path, aligned))
    return out


def _books(rundir: RunDirectory, plan: Plan) -> Result:
    extracted = [
        ("extract", s, rundir.documents(s), "")
        for s in plan.shards
        if store.exists(rundir.documents(s))
    ]
    tables = extracted + _tables(rundir, plan)

    def problems() -> Problems:
        for stage, shard, path, _ in tables:
            try:
                own = store.need_footer(path).ledger
                ledger.check(stage, str(shard), own)
                before = previous_ledger(rundir, stage, shard)
                if before is not None:
                    ledger.check_chain(stage, str(shard), before, own)
                yield from _kept_rows(rundir, stage, path, own)
            except BooksError as error:
                yield str(error)

    return _result("books balance", f"{len(tables)} tables", problems())


def _kept_rows(rundir: RunDirectory, stage: str, path: str, own: ledger.Ledger) -> Problems:
    """The rows themselves against the ledger in the footer."""
    if stage == "extract":
        rows = store.need_footer(path).rows
        if rows != ledger.documents(own, ledger.KEPT):
            yield f"{path}: {rows} rows, but the books say {ledger.documents(own, ledger.KEPT)} documents"
        return
    table = store.read_table(path, ["keep", "reason"])
    kept = int(np.sum(table.column("keep").fill_null(False).to_numpy()))
    if kept != ledger.documents(own, ledger.KEPT):
        yield f"{path}: {kept} rows say keep, but the books say {ledger.documents(own, ledger.KEPT)}"
    counts = {
        p["values"]: p["counts"]
        for p in table.column("reason").drop_null().value_counts().to_pylist()
    }
    said = {reason: n[0] for reason, n in ledger.removed(own).items() if n[0]}
    if counts != said:
        yield f"{path}: reasons {counts}, but the books say {said}"


def _rows(rundir: RunDirectory, plan: Plan) -> Result:
    tables = _tables(rundir, plan)

    def problems() -> Problems:
        for stage, shard, path, aligned in tables:
            have, need = store.need_footer(path).rows, store.need_footer(aligned).rows
            if have != need:
                yield f"{stage} {shard}: {have} rows for {need} documents"

    return _result("a row for every document", f"{len(tables)} tables", problems())


# ---- tokens ----------------------------------------------------------------------------------------------------------------------------


def _round_trips(rundir: RunDirectory, plan: Plan) -> Result:
    """Tokens of sampled documents, decoded, against the pieces of their texts."""
    facts = store.read_json(rundir.path("tokens", "encoding.json"))
    coder, dtype = encoding(facts["encoding"]), np.dtype(facts["dtype"]).newbyteorder("<")
    shards = [
        s
        for s in plan.shards
        if store.exists(rundir.table("tokens", s)) and store.exists(rundir.survivors(s))
    ]

    def problems() -> Problems:
        for shard in shards:
            path = rundir.table("tokens", shard)
            kept = np.flatnonzero(
                frames.column(path, "keep").fill_null(False).to_numpy(zero_copy_only=False)
            )
            order = np.argsort(
                draws.uniforms(0, "inspect/check", (int(r).to_bytes(8, "little") for r in kept)),
                kind="stable",
            )
            rows = kept[order[:SAMPLED]]
            found = frames.take(path, rows, ["id", "tokens"]).to_pylist()
            texts = frames.take(rundir.survivors(shard), rows, ["text"]).column(0).to_pylist()
            pieces = pieces_left(rundir, shard, rows)
            for row, text, spans in zip(found, texts, pieces, strict=True):
                parts = [text] if spans is None else [text[s["start"] : s["end"]] for s in spans]
                decoded = [np.frombuffer(tokens, dtype).tolist() for tokens in row["tokens"]]
                if any(not tokens or tokens[-1] != facts["end_of_text"] for tokens in decoded):
                    yield f"{shard} {row['id']}: a piece does not end with the end-of-text token"
                elif max(map(max, decoded)) >= facts["vocabulary"]:
                    yield f"{shard} {row['id']}: a token is outside the vocabulary of {facts['vocabulary']:,}"
                elif [coder.decode(tokens[:-1]) for tokens in decoded] != [
                    part for part in parts if part
                ]:
                    yield f"{shard} {row['id']}: its tokens do not decode to its text"

    return _result(
        "tokens decode to texts", f"{SAMPLED} documents of each of {len(shards)} tables", problems()
    )
