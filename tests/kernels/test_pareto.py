from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from curation import draws
from curation.kernels import pareto


def keyed(n: int, seed: int = 0) -> np.ndarray:
    return draws.uniforms(seed, "pareto", [str(i).encode() for i in range(n)])


@pytest.mark.parametrize("alpha", [1.0, 9.0, 20.0])
def test_the_rule_keeps_with_probability_2_minus_s_to_the_minus_alpha(alpha: float) -> None:
    u = keyed(50_000)
    draw = pareto.pareto_draw(u, alpha)
    for score in (0.0, 0.5, 0.9):
        expected = float(pareto.keep_chance(np.array(score), alpha)) * len(u)
        kept = int((draw > 1 - score).sum())
        assert stats.chisquare([kept, len(u) - kept], [expected, len(u) - expected]).pvalue > 1e-4
    assert (draw > 0).mean() > 0.9999  # a score of 1 is always kept, but for a draw of exactly 0


def test_draws_follow_numpys_pareto() -> None:
    theirs = np.random.default_rng(0).pareto(9.0, 20_000)
    assert stats.ks_2samp(pareto.pareto_draw(keyed(20_000, 3), 9.0), theirs).pvalue > 1e-4


def law(n: int, alpha: float, seed: int = 0) -> np.ndarray:
    """Scores that follow the truncated law."""
    return 1.0 - pareto.pareto_draw(keyed(n, seed) * (1 - 2.0**-alpha), alpha)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 9.0, 60.0])
def test_the_fit_finds_the_alpha_that_made_the_scores_and_its_interval_holds_it(
    alpha: float,
) -> None:
    fit = pareto.fit_alpha(law(20_000, alpha))
    assert fit.low < alpha < fit.high
    assert fit.high - fit.low < 0.1 * alpha + 0.2
    assert fit.distance < 0.02


def test_the_fit_is_the_maximum_of_the_likelihood() -> None:
    score = law(500, 5.0) * 0.9  # not of the law

    def loss(alpha: float) -> float:
        x = 1 - score
        return -float(np.sum(np.log(alpha) - (alpha + 1) * np.log1p(x) - np.log(1 - 2**-alpha)))

    best = optimize.minimize_scalar(
        loss, bounds=(0.01, 50), method="bounded", options={"xatol": 1e-9}
    )
    fit = pareto.fit_alpha(score)
    assert fit.alpha == pytest.approx(best.x, abs=1e-4)
    assert [2 * (loss(edge) - best.fun) for edge in (fit.low, fit.high)] == pytest.approx(
        [pareto.CHI2_95] * 2, abs=1e-3
    )


def test_the_interval_holds_the_truth_in_19_of_20_runs() -> None:
    fits = [pareto.fit_alpha(law(300, 4.0, seed)) for seed in range(300)]
    held = sum(fit.low < 4.0 < fit.high for fit in fits)
    assert stats.binomtest(held, 300, 0.95).pvalue > 1e-4


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    score = law(300, 4.0) ** 2
    fit = pareto.fit_alpha(score)
    assert fit.distance == pytest.approx(
        stats.kstest(1 - score, lambda x: pareto.law_share(x, fit.alpha)).statistic
    )


@pytest.mark.parametrize(
    ("score", "why"),
    [([], "no scores"), ([0.5, 0.1, 0.2], "no alpha gives"), ([1.0, 1.0], "every score is 1")],
)
def test_what_no_alpha_fits_is_refused_with_the_reason(score: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pareto.fit_alpha(np.array(score, float))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1, exclude_max=True)), max_size=30),
    st.floats(0.5, 50),
)
def test_a_higher_alpha_keeps_a_part_of_what_a_lower_one_keeps(
    pairs: list[tuple[float, float]], alpha: float
) -> None:
    score, u = np.array(pairs, float).reshape(-1, 2).T
    edges = np.linspace(0, 1, 11)
    low, high = pareto.kept_counts(score, u, [alpha, alpha + 1], edges)
    assert (high <= low).all()
    assert low.sum() == (pareto.pareto_draw(u, alpha) > 1 - score).sum()
