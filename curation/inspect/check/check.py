"""`curation check`: is a run complete, and do its shards hold what its ledgers say?

Cost: every token shard's bytes are read and hashed once; other tables column by column; texts of a
few sampled documents.

Trap: a check that has nothing to look at (its stage has not run) is left out, not passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from curation import draws, store
from curation.errors import CurationError, LedgerError
from curation.inspect.check.grams import grams_left
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
from curation.kernels.bpe import encoding
from curation.pipeline.line import ledgers
from curation.rundir import ledger
from curation.rundir.plan import unfinished
from curation.rundir.results import previous_ledger

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check looked at (a count and a noun) and what it found wrong."""

    name: str
    looked_at: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def check(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    """Run every check that has something to look at, in the order of the line."""
    sentence = unfinished(rundir, plan)
    results = [CheckResult("the run is finished", "1 run", (sentence,) if sentence else ())]
    results.append(_ledgers(rundir, plan))
    if store.exists(rundir.path("ledger.json")):
        results.append(_ledger_file(rundir, plan))
    results.append(_rows(rundir, plan))
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


def _result(name: str, looked_at: str, problems: Problems) -> CheckResult:
    # A damaged file is a finding, not the end of the check.
    try:
        return CheckResult(name, looked_at, tuple(problems))
    except (CurationError, pa.ArrowInvalid, OSError, ValueError) as error:
        return CheckResult(name, looked_at, (str(error).splitlines()[0],))


# ---- tables


def _tables(rundir: RunDirectory, plan: Plan) -> list[tuple[str, Shard, str]]:
    """(stage, shard, the stage's table) of every table with a ledger that is there."""
    return [
        (stage, shard, path)
        for stage in frames.REMOVING
        if stage in rundir.recipe.stages
        for shard in plan.shards
        if (path := rundir.ledger_table(stage, shard)) and store.exists(path)
    ]


def _ledgers(rundir: RunDirectory, plan: Plan) -> CheckResult:
    tables = _tables(rundir, plan)

    def problems() -> Problems:
        for stage, shard, path in tables:
            try:
                said = store.need_footer(path).ledger
                ledger.check(stage, str(shard), said)
                before = previous_ledger(rundir, stage, shard)
                if before is not None:
                    ledger.check_chain(stage, str(shard), before, said)
                yield from _kept_rows(rundir, stage, path, said)
            except LedgerError as error:
                yield str(error)

    return _result("ledgers balance", f"{len(tables)} tables", problems())


def _ledger_file(rundir: RunDirectory, plan: Plan) -> CheckResult:
    """ledger.json against the footers that it was made from."""
    path = rundir.path("ledger.json")

    def problems() -> Problems:
        written = store.read_json(path)
        counted = ledgers(rundir, plan, written)
        for stage, dataset in sorted(
            {(s, d) for by_stage in (written, counted) for s in by_stage for d in by_stage[s]}
        ):
            says = written.get(stage, {}).get(dataset)
            expected = counted.get(stage, {}).get(dataset)
            if says != expected:
                yield f"{path}: {stage} of {dataset} is {says}, but its tables say {expected}"

    return _result("ledger.json", "1 file", problems())


def _kept_rows(rundir: RunDirectory, stage: str, path: str, said: ledger.Ledger) -> Problems:
    """The rows themselves against the ledger in the footer."""
    kept = ledger.documents(said, ledger.KEPT)
    if stage == "extract":
        rows = store.need_footer(path).rows
        if rows != kept:
            yield f"{path}: {rows} rows, but the ledger says {kept} documents"
        return
    table = store.read_table(path, ["keep", "reason"])
    kept_rows = int(np.sum(table.column("keep").fill_null(False).to_numpy()))
    if kept_rows != kept:
        yield f"{path}: {kept_rows} rows say keep, but the ledger says {kept}"
    reasons = table.column("reason").drop_null().value_counts().to_pylist()
    counts = {pair["values"]: pair["counts"] for pair in reasons}
    expected = {reason: n[0] for reason, n in ledger.removed(said).items() if n[0]}
    if counts != expected:
        yield f"{path}: reasons {counts}, but the ledger says {expected}"


def _rows(rundir: RunDirectory, plan: Plan) -> CheckResult:
    tables = [table for table in _tables(rundir, plan) if table[0] != "extract"]

    def problems() -> Problems:
        for stage, shard, path in tables:
            rows = store.need_footer(path).rows
            need = store.need_footer(frames.aligned_table(rundir, stage, shard)).rows
            if rows != need:
                yield f"{stage} {shard}: {rows} rows for {need} documents"

    return _result("a row for every document", f"{len(tables)} tables", problems())


# ---- tokens


def _round_trips(rundir: RunDirectory, plan: Plan) -> CheckResult:
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
            keep = frames.column(path, "keep").fill_null(False).to_numpy(zero_copy_only=False)
            kept = np.flatnonzero(keep)
            keys = (int(row).to_bytes(8, "little") for row in kept)
            order = np.argsort(draws.uniforms(0, "inspect/check", keys), kind="stable")
            rows = kept[order[:SAMPLED]]
            documents = frames.take(path, rows, ["id", "tokens"]).to_pylist()
            texts = frames.take(rundir.survivors(shard), rows, ["text"]).column(0).to_pylist()
            pieces = pieces_left(rundir, shard, rows)
            for row, text, spans in zip(documents, texts, pieces, strict=True):
                parts = [text] if spans is None else [text[s["start"] : s["end"]] for s in spans]
                decoded = [np.frombuffer(tokens, dtype).tolist() for tokens in row["tokens"]]
                if any(not tokens or tokens[-1] != facts["end_of_text"] for tokens in decoded):
                    yield f"{shard} {row['id']}: a piece does not end with the end-of-text token"
                elif max(map(max, decoded)) >= facts["vocabulary"]:
                    vocabulary = f"the vocabulary of {facts['vocabulary']:,}"
                    yield f"{shard} {row['id']}: a token is outside {vocabulary}"
                elif [coder.decode(tokens[:-1]) for tokens in decoded] != [
                    part for part in parts if part
                ]:
                    yield f"{shard} {row['id']}: its tokens do not decode to its text"

    return _result(
        "tokens decode to texts", f"{SAMPLED} documents of each of {len(shards)} tables", problems()
    )
