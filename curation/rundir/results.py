"""What a stage's task on a shard returns, made at most once, and the check of the ledgers of a
stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from curation import store
from curation.recipe.line import folders
from curation.rundir import ledger
from curation.rundir import manifest as manifests
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.entries import Entry


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a shard's task returns to the driver: the identity, the ledger and the notes of its
    table."""

    identity: str
    ledger: ledger.Ledger = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


def run_once(
    path: str, digest: str, make: Callable[[], ShardResult], beside: str = ""
) -> ShardResult:
    """`make()`, unless the table it writes last, and the one it writes `beside` it, are there
    already under this digest."""
    footer = None if store.is_fresh(path) else store.done(path, digest)
    other = store.done(beside, digest) if footer and beside else None
    if footer and (other or not beside):
        return ShardResult(footer.identity, footer.ledger, footer.notes)
    return make()


def check_ledgers(rundir: RunDirectory, stage: str, results: Mapping[Shard, ShardResult]) -> None:
    """Check a stage's ledgers shard by shard, and against the stage before: what enters is what
    was kept. Those of the stages before are in their manifests."""
    reasons = rundir.recipe.filter.reasons()
    before = {shard: rundir.ledger_before(stage, shard) for shard in results}
    known = table_facts(rundir, [path for path in before.values() if path])
    for shard, result in results.items():
        ledger.check(stage, str(shard), result.ledger, reasons)
        if path := before[shard]:
            ledger.check_chain(stage, str(shard), known[path].ledger, result.ledger)


def table_facts(rundir: RunDirectory, paths: Sequence[str]) -> dict[str, Entry | store.Footer]:
    """Identity and ledger of some tables of stages that have ended, from their manifests: no table
    is opened. Where a stage has no manifest, from the footers.

    Raises RunError where a table is in no manifest and not there.
    """
    owners = {folder: stage for stage in rundir.recipe.stages
              for folder in folders(stage, rundir.recipe.stages)}  # fmt: skip
    start = len(rundir.path("")) if paths else 0
    stages = {path: owners.get(path[start:].partition("/")[0], "") for path in paths}
    made = {stage: manifests.read(rundir.out, stage) for stage in {*stages.values()} - {""}}
    facts: dict[str, Entry | store.Footer] = {}
    for path, stage in stages.items():
        manifest = made.get(stage)
        known = manifest.files.get(path[start:]) if manifest else None
        facts[path] = known or store.need_footer(path)
    return facts


def previous_ledger(rundir: RunDirectory, stage: str, shard: Shard) -> ledger.Ledger | None:
    """The ledger of the nearest stage before `stage` that has one for this shard."""
    path = rundir.ledger_before(stage, shard)
    return store.need_footer(path).ledger if path else None


def stored_ledgers(rundir: RunDirectory, stage: str) -> dict[str, ledger.Ledger]:
    """A stage's ledgers by dataset, from ledger.json of a finished run; empty where there is
    none."""
    path = rundir.path("ledger.json")
    ledgers: dict[str, ledger.Ledger] = {}
    if store.exists(path):
        ledgers = store.read_json(path).get(stage, {})
    return ledgers
