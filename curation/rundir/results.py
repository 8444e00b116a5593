"""What a stage's task on a shard returns, made at most once, and the check of the ledgers of a
stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from curation import store
from curation.rundir import ledger
from curation.rundir.directory import RunDirectory, Shard


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a shard's task returns to the driver: the identity of its table and its ledger."""

    identity: str
    ledger: ledger.Ledger = field(default_factory=dict)


def run_once(
    path: str, digest: str, make: Callable[[], ShardResult], beside: str = ""
) -> ShardResult:
    """`make()`, unless the table it writes last, and the one it writes `beside` it, are there
    already under this digest."""
    footer = store.done(path, digest)
    if footer and (not beside or store.done(beside, digest)):
        return ShardResult(footer.identity, footer.ledger)
    return make()


def check_ledgers(rundir: RunDirectory, stage: str, results: Mapping[Shard, ShardResult]) -> None:
    """Check a stage's ledgers shard by shard, and against the stage before: what enters is what
    was kept."""
    for shard, result in results.items():
        ledger.check(stage, str(shard), result.ledger, rundir.recipe.filter.reasons())
        before = previous_ledger(rundir, stage, shard)
        if before is not None:
            ledger.check_chain(stage, str(shard), before, result.ledger)


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
