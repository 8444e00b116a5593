from __future__ import annotations

import pytest

from curation.errors import LedgerError
from curation.rundir import ledger


def test_balanced_books_pass_and_unbalanced_ones_do_not() -> None:
    counts = {"in": [3, 30, 0], "kept": [1, 8, 0], "low_quality": [2, 20, 0], "cut": [0, 2, 0]}
    ledger.check("x", "d/0", counts)
    for outcome, column in (("kept", 0), ("low_quality", 1), ("cut", 1)):
        broken = {k: list(v) for k, v in counts.items()}
        broken[outcome][column] += 1
        with pytest.raises(LedgerError, match="d/0"):
            ledger.check("x", "d/0", broken)


def test_a_reason_nobody_declared_is_refused() -> None:
    with pytest.raises(LedgerError, match="bad_mood"):
        ledger.check("x", "d/0", {"in": [1, 1, 0], "bad_mood": [1, 1, 0]})


def test_what_enters_must_be_what_was_kept() -> None:
    ledger.check_chain("x", "d/0", {"kept": [2, 9, 0]}, {"in": [2, 9, 0]})
    with pytest.raises(LedgerError, match="kept 2 documents"):
        ledger.check_chain("x", "d/0", {"kept": [2, 9, 0]}, {"in": [1, 9, 0]})
