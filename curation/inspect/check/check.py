"""`curation check`: is a run complete, and do its shards hold what its ledgers say?

Cost: every file's bytes are read and hashed once; tables column by column; token shards once more;
texts of a few sampled documents. With `quick` only the sizes of files are compared.

Trap: a check that has nothing to look at (its stage has not run) is left out, not passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from curation import draws, store
from curation.errors import CurationError
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
from curation.kernels.vocabularies import is_file
from curation.pipeline.line import ledgers
from curation.recipe.line import STAGES
from curation.rundir import ledger
from curation.rundir import manifest as manifests
from curation.rundir import plan as plans
from curation.rundir.encodings import run_encoding
from curation.rundir.results import previous_ledger
from curation.rundir.survivors import leaving, masks_column, masks_of

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check looked at (a count and a noun) and what it found wrong."""

    name: str
    looked_at: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def check_run(out: str, quick: bool = False) -> list[CheckResult]:
    """Every file against the manifest that names it, the plan and its copy; then, unless `quick`,
    every other check.

    Raises RunError where no run ever was.
    """
    stored = manifests.stored_plan(out)
    stages = [*stored["recipe"]["stages"], "export"] if stored else [*STAGES, "export"]
    stages = [stage for stage in stages if store.exists(manifests.path(out, stage))]
    if not stages:
        plans.read(out)
    results = [_result("files are as they were written", *_files(out, stages, quick))]
    results.append(_result("the plan is kept twice", "2 files", _plans(out)))
    if stored is None:
        return results
    rundir, plan = plans.read(out)
    quickly = [_finished(rundir), *_ledger_file(rundir, plan)]
    return results + (quickly if quick else check(rundir, plan))


def check(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    """Run every check of content that has something to look at, in the order of the line."""
    results = [_finished(rundir)]
    parts = {
        "ledgers balance": _ledgers,
        "ledger.json": _ledger_file,
        "a row for every document": _rows,
        "tokens decode to texts": _round_trips,
        "token shards": _token_shards,
    }
    for name, part in parts.items():
        try:
            results += part(rundir, plan)
        except UNREADABLE as error:
            results.append(CheckResult(name, "1 run", (_sentence(error),)))
    return results


def _finished(rundir: RunDirectory) -> CheckResult:
    sentence = plans.unfinished(rundir)
    return CheckResult("the run is finished", "1 run", (sentence,) if sentence else ())


def _token_shards(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    manifest = rundir.path("shards", "manifest.parquet")
    if "mix" not in rundir.recipe.stages or not store.exists(manifest):
        return []
    rows = store.read_table(manifest).to_pylist()
    what = f"{len(rows)} token shards"
    results = [_result(name, what, problems) for name, problems in shard_problems(rundir, rows)]
    tables = f"{len(plan.of(*mixture(rundir)))} tables"
    results.append(_result("train and validation apart", tables, apart(rundir, plan, rows)))
    if "decontaminate" in rundir.recipe.stages:
        results.append(_result("no benchmark gram left", what, grams_left(rundir, rows)))
    datasets = f"{len(mixture(rundir))} datasets"
    results.append(_result("mixture as planned", datasets, shares(rundir, plan, rows)))
    return results


# A damaged file is a finding, not the end of the check.
UNREADABLE = (CurationError, pa.ArrowException, OSError, ValueError, KeyError)


def _sentence(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _result(name: str, looked_at: str, problems: Problems) -> CheckResult:
    found: list[str] = []
    try:
        found.extend(problems)
    except UNREADABLE as error:
        found.append(_sentence(error))
    return CheckResult(name, looked_at, tuple(found))


def _each(items: Iterable[T], look: Callable[[T], Problems]) -> Problems:
    """The problems of every item; one that cannot be read is a problem."""
    for item in items:
        try:
            yield from look(item)
        except UNREADABLE as error:
            yield _sentence(error)


# ---- files


def _files(out: str, stages: Sequence[str], quick: bool) -> tuple[str, Problems]:
    """How many files, and those that are not what their stage's manifest says."""
    named = {stage: manifests.read(out, stage) for stage in stages}
    count = sum(len(manifest.files) for manifest in named.values() if manifest)

    def problems() -> Problems:
        for stage, manifest in named.items():
            if manifest is None:
                place = manifests.path(out, stage)
                yield f"{place}: damaged; the next run compares the footers of {stage}'s tables"
                continue
            wrong = manifests.misfits(out, manifest)
            for name, what in wrong.items():
                yield f"{store.join(out, name)}: {what}; the next run makes it again"
            hashed = [name for name, entry in manifest.files.items() if entry.sha256 and not quick]
            same = [name for name in hashed if name not in wrong]
            with ThreadPoolExecutor() as pool:
                digests = pool.map(store.sha256, [store.join(out, name) for name in same])
                for name, digest in zip(same, digests, strict=True):
                    if digest != manifest.files[name].sha256:
                        yield (
                            f"{store.join(out, name)}: its sha256 is not that of the manifest; the "
                            "next run would reuse it, since its size fits: delete the file, and "
                            "the next run makes it again"
                        )

    return f"{count} files", problems()


def _plans(out: str) -> Problems:
    """The plan and its copy."""
    if (plan := manifests.stored_plan(out)) is None:
        yield (
            f"{store.join(out, 'plan.json')}: it and its copy are missing or damaged; the next run "
            "cannot compare its inputs, and reads all of them again"
        )
        return
    for place in (store.join(out, name) for name in manifests.PLANS):
        if manifests.read_data(place) != plan:
            yield f"{place}: missing or damaged; the next run writes it again"


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


def _ledgers(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    tables = _tables(rundir, plan)

    def problems(table: tuple[str, Shard, str]) -> Problems:
        stage, shard, path = table
        said = store.need_footer(path).ledger
        ledger.check(stage, str(shard), said, rundir.recipe.filter.reasons())
        before = previous_ledger(rundir, stage, shard)
        if before is not None:
            ledger.check_chain(stage, str(shard), before, said)
        yield from _kept_rows(stage, path, said)

    return [_result("ledgers balance", f"{len(tables)} tables", _each(tables, problems))]


def _ledger_file(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    """ledger.json against the ledgers that it was made from."""
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

    def told() -> Problems:
        for problem in _each([()], lambda _: problems()):
            yield f"{problem}; the next run writes {path} again"

    return [_result("ledger.json", "1 file", told())]


def _kept_rows(stage: str, path: str, said: ledger.Ledger) -> Problems:
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


def _rows(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    tables = [table for table in _tables(rundir, plan) if table[0] != "extract"]

    def problems(table: tuple[str, Shard, str]) -> Problems:
        stage, shard, path = table
        rows = store.need_footer(path).rows
        need = store.need_footer(frames.aligned_table(rundir, stage, shard)).rows
        if rows != need:
            yield f"{stage} {shard}: {rows} rows for {need} documents"

    return [_result("a row for every document", f"{len(tables)} tables", _each(tables, problems))]


# ---- tokens


def _round_trips(rundir: RunDirectory, plan: Plan) -> list[CheckResult]:
    """Tokens of sampled documents, decoded, against the pieces of their texts."""
    if not store.exists(rundir.path("tokens", "encoding.json")):
        return []
    facts = store.read_json(rundir.path("tokens", "encoding.json"))
    coder, dtype = run_encoding(rundir), np.dtype(facts["dtype"]).newbyteorder("<")
    of_file = is_file(facts["encoding"])  # it may normalise a text: then its tokens spell another
    shards = [
        s
        for s in plan.shards
        if store.exists(rundir.table("tokens", s)) and store.exists(rundir.survivors(s))
    ]

    def problems(shard: Shard) -> Problems:
        path = rundir.table("tokens", shard)
        keep = frames.column(path, "keep").fill_null(False).to_numpy(zero_copy_only=False)
        kept = np.flatnonzero(keep)
        keys = (int(row).to_bytes(8, "little") for row in kept)
        order = np.argsort(draws.uniforms(0, "inspect/check", keys), kind="stable")
        rows = kept[order[:SAMPLED]]
        documents = frames.take(path, rows, ["id", "tokens"]).to_pylist()
        names = ["text", *masks_column(rundir, shard)]
        survivors = frames.take(rundir.survivors(shard), rows, names).combine_chunks()
        texts, masks = survivors.column("text").to_pylist(), masks_of(survivors)
        pieces = pieces_left(rundir, shard, rows)
        for row, text, spans, masked in zip(documents, texts, pieces, masks, strict=True):
            _, parts, _ = leaving(text, spans, masked)
            decoded = [np.frombuffer(tokens, dtype).tolist() for tokens in row["tokens"]]
            if any(not tokens or tokens[-1] != facts["end_of_text"] for tokens in decoded):
                yield f"{shard} {row['id']}: a piece does not end with the end-of-text token"
            elif max(map(max, decoded)) >= facts["vocabulary"]:
                vocabulary = f"the vocabulary of {facts['vocabulary']:,}"
                yield f"{shard} {row['id']}: a token is outside {vocabulary}"
            elif of_file and [tokens[:-1] for tokens in decoded] != coder.encode_many(parts):
                yield f"{shard} {row['id']}: its tokens are not those of its text"
            elif not of_file and [coder.decode(tokens[:-1]) for tokens in decoded] != parts:
                yield f"{shard} {row['id']}: its tokens do not decode to its text"

    what = f"{SAMPLED} documents of each of {len(shards)} tables"
    return [_result("tokens decode to texts", what, _each(shards, problems))]
