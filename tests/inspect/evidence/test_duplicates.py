"""The report's estimate of what deduplication missed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from curation.inspect.evidence.duplicates import missed
from curation.inspect.evidence.report import report
from curation.web.report import page

LEAKY: dict[str, Any] = {
    "stages": ["extract", "dedup"],
    "dedup": {"bands": 1, "rows": 12},
}  # finds one pair in ten


def _rows(pairs: int, alone: int) -> list[dict[str, str]]:
    rng = random.Random(3)
    rows = []
    for number in range(pairs + alone):
        words = [f"w{rng.randrange(5000)}" for _ in range(90)]
        rows.append({"id": f"{number}", "text": " ".join(words)})
        if number < pairs:
            rows.append(
                {"id": f"{number} again", "text": " ".join([*words[:86], "x", *words[87:]])}
            )  # Jaccard 0.89
    return rows


def test_all_compared_is_a_count_and_bands_that_leak_are_seen(
    run_recipe: Callable[..., Any],
) -> None:
    opened = run_recipe({"a": _rows(60, 40)}, LEAKY)
    found = report(*opened).duplicates
    assert found is not None
    assert found.missed is not None
    assert found.missed.found == 60 - found.removed
    assert 20 < found.missed.found < 60
    assert found.missed.low == found.missed.high == found.missed.found
    assert "every pair of them was compared" in page(report(*opened))


def test_a_sample_tells_the_whole_without_bias(run_recipe: Callable[..., Any]) -> None:
    """A fifth is drawn, by 40 seeds: the mean is the truth, and nearly all intervals hold it."""
    import dataclasses

    rundir, plan = run_recipe({"a": _rows(300, 200)}, LEAKY)
    truth = missed(rundir, plan)
    assert truth is not None
    estimates, held = [], 0
    for seed in range(40):
        other = dataclasses.replace(rundir, recipe=dataclasses.replace(rundir.recipe, seed=seed))
        found = missed(other, plan, size=160)
        assert found is not None
        assert 100 < found.sample < 220
        estimates.append(found.estimate)
        held += found.low <= truth.found <= found.high
    assert np.mean(estimates) == pytest.approx(
        truth.found, rel=4 * np.std(estimates) / 40**0.5 / truth.found
    )
    assert held >= 36


def test_nothing_missed_has_an_upper_bound(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe({"a": _rows(0, 400)}, {"stages": ["extract", "dedup"]})
    found = missed(rundir, plan, size=100)
    assert found is not None
    assert (found.found, found.estimate, found.low) == (0, 0.0, 0.0)
    assert 3.6 / 0.8 * 3 < found.high < 3.8 / 0.8 * 6
