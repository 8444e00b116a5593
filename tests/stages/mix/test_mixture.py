from __future__ import annotations

import numpy as np
import pytest

from curation.errors import InputError
from curation.stages.mix import stage as mix
from curation.stages.mix.mixture import (
    PAPER,
    bound,
    paper_epochs,
    paper_notes,
    plan_mixture,
    spread,
)


@pytest.mark.parametrize(
    ("epochs", "shards"), [(0.3, 4), (1.0, 8), (2.5, 4), (3.7, 7), (40.2, 3), (0.05, 10)]
)
def test_spread_is_the_variance_of_the_draws(epochs: float, shards: int) -> None:
    keys = [i.to_bytes(4, "little") for i in range(4000)]
    placed = np.zeros((len(keys), shards))
    for epoch in range(int(np.ceil(epochs))):
        at = mix.positions(0, epoch, keys, epochs)
        inside = np.flatnonzero(at < 1)
        np.add.at(placed, (inside, (at[inside] * shards).astype(int)), 1)
    for shard in range(shards):
        assert placed[:, shard].var() == pytest.approx(spread(epochs, shards, shard), abs=0.03)
        assert placed[:, shard].mean() == pytest.approx(epochs / shards, abs=0.03)
    assert placed.sum(axis=1).var() == pytest.approx(spread(epochs, shards), abs=0.03)


def runs(seed: int, lengths: np.ndarray, epochs: float, shards: int) -> np.ndarray:
    """Tokens in each shard of one correct run, by the stage's own draws."""
    keys = [i.to_bytes(4, "little") for i in range(len(lengths))]
    placed = np.zeros(shards)
    for epoch in range(int(np.ceil(epochs))):
        at = mix.positions(seed, epoch, keys, epochs)
        inside = at < 1
        placed += np.bincount((at[inside] * shards).astype(int), lengths[inside], shards)
    return placed


@pytest.mark.parametrize(
    ("epochs", "seeds"),
    [(0.37, range(250)), (1.0, range(250, 500)), (2.6, range(500, 750)), (0.04, range(750, 1000))],
)
def test_no_false_alarm_in_1000_correct_runs(epochs: float, seeds: range) -> None:
    """Chunk lengths with a heavy tail: most are short, some are 32,768 tokens."""
    lengths = np.minimum(np.random.default_rng(1).pareto(1.1, 300) * 200 + 5, 32_768).round()
    shards = 5
    closest = 0.0
    for seed in seeds:
        placed = runs(seed, lengths, epochs, shards)
        for got, mean, shard in [
            (placed.sum(), epochs * lengths.sum(), None),
            *((p, epochs * lengths.sum() / shards, s) for s, p in enumerate(placed)),
        ]:
            allowed = bound(
                (lengths**2).sum() * spread(epochs, shards, shard), lengths.max(), shards + 1
            )
            closest = max(closest, abs(got - mean) / allowed)
    assert closest < 1
    assert closest > 0.1  # a bound that nothing comes near would find nothing


def test_a_wrong_mixture_is_found() -> None:
    """A fifth more of a dataset than planned, among as many chunks as a small corpus has."""
    lengths = np.random.default_rng(1).lognormal(6, 1, 40_000).round() + 1
    wanted = runs(0, lengths, 0.5, 4)
    mean = 0.5 * lengths.sum() / 4
    allowed = bound((lengths**2).sum() * spread(0.5, 4, 0), lengths.max(), 5)
    assert abs(wanted[0] - mean) < allowed < 0.2 * mean


def test_table_22_and_what_does_not_fit_in_it() -> None:
    assert sum(row[2] for row in PAPER) == 101
    assert paper_epochs(410, 60) == pytest.approx(0.4347, abs=1e-4)
    notes = paper_notes()
    assert "101" in notes[0]
    assert [note.partition(":")[0] for note in notes[1:]] == ["WebText2", "Wikipedia"]
    assert "3.44 epochs (3.47 with weights as printed), not 2.9" in notes[1]


def test_a_budget_of_zero_and_no_tokens() -> None:
    shares = plan_mixture({"a": 60, "b": 40}, 0, {"a": (600, 0), "b": (100, 0)})
    assert [share.epochs for share in shares] == pytest.approx([0.25, 1.0])
    assert plan_mixture({"a": 1, "b": 0}, 10, {"a": (100, 0), "b": (0, 0)})[0].epochs == 0.1
    with pytest.raises(InputError, match="'b' has weight 1 but no tokens"):
        plan_mixture({"a": 1, "b": 1}, 10, {"a": (100, 0), "b": (0, 7)})


def test_a_budget_that_repeats_a_dataset_too_often_is_refused() -> None:
    counted = {"a": (1000, 0), "b": (100, 0)}
    assert plan_mixture({"a": 1, "b": 1}, 3200, counted, 16)[1].epochs == 16
    with pytest.raises(InputError, match=r"4,000 tokens .*'b' 20.0 times.*16; ask for 3,200"):
        plan_mixture({"a": 1, "b": 1}, 4000, counted, 16)
