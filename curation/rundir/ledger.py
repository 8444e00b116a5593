"""The ledgers: for every shard and stage, documents in are documents kept plus documents removed.

A shard's ledger maps an outcome to [documents, characters, tokens]. `in` is what entered, `kept`
what stays, every other key a reason of `schema.REASONS`; `cut` holds characters removed from
documents that stay, `masked` those that masks stand for in what is kept. It lives in the footer of
the stage's decision table. Tokens are known from `tokenize` on; before it the third number is 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from curation.errors import LedgerError
from curation.rundir.schema import REASONS

Counts = list[int]  # documents, characters, tokens
Ledger = dict[str, Counts]

IN, KEPT, CUT, MASKED = "in", "kept", "cut", "masked"
NO_REASONS = (IN, KEPT, CUT, MASKED)


def add(ledger: Ledger, outcome: str, documents: int, chars: int = 0, tokens: int = 0) -> None:
    """Count documents, characters and tokens under an outcome, in place."""
    counts = ledger.setdefault(outcome, [0, 0, 0])
    counts[0] += documents
    counts[1] += chars
    counts[2] += tokens


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """The sum of some ledgers.

    >>> total([{"in": [2, 10, 0], "kept": [2, 10, 0]}, {"in": [1, 5, 0], "low_quality": [1, 5, 0]}])
    {'in': [3, 15, 0], 'kept': [2, 10, 0], 'low_quality': [1, 5, 0]}
    """
    out: Ledger = {}
    for ledger in ledgers:
        for outcome, counts in ledger.items():
            add(out, outcome, *counts)
    return out


def removed(ledger: Ledger) -> Ledger:
    """What was removed, by reason."""
    return {outcome: counts for outcome, counts in ledger.items() if outcome not in NO_REASONS}


def check(stage: str, where: str, ledger: Ledger, rules: Collection[str] = ()) -> None:
    """Raise LedgerError unless documents and characters in are those kept plus those removed, and
    every reason is a known one, or the name of one of the recipe's `rules`."""
    unknown = set(removed(ledger)) - set(REASONS) - set(rules)
    if unknown:
        raise LedgerError(
            f"{stage} {where}: unknown reason {sorted(unknown)[0]!r}; schema.REASONS and the "
            "recipe's rules list them"
        )
    for column, unit in ((0, "documents"), (1, "characters")):
        entered = ledger.get(IN, [0, 0, 0])[column]
        accounted = sum(
            counts[column] for outcome, counts in ledger.items() if outcome not in (IN, MASKED)
        )
        if entered != accounted:
            raise LedgerError(
                f"{stage} {where}: {entered} {unit} came in, but {accounted} are accounted for; "
                "this is a bug, please report it"
            )


def check_chain(stage: str, where: str, before: Ledger, after: Ledger) -> None:
    """Raise LedgerError unless what enters a stage is what the one before kept (documents and
    characters)."""
    kept, entered = before.get(KEPT, [0, 0, 0]), after.get(IN, [0, 0, 0])
    if kept[:2] != entered[:2]:
        raise LedgerError(
            f"{stage} {where}: the stage before kept {kept[0]} documents ({kept[1]} characters), "
            f"but {entered[0]} ({entered[1]}) entered; this is a bug, please report it"
        )


def documents(ledger: Mapping[str, Counts], outcome: str) -> int:
    """Documents under an outcome; 0 where it did not occur."""
    return ledger.get(outcome, [0, 0, 0])[0]
