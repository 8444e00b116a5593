from __future__ import annotations

import math

import numpy as np
import pytest

from curation.gpt3.noise import NoiseScale, estimate


def test_the_noise_scale_of_a_known_problem_is_found() -> None:
    """A gradient of known mean and covariance: noise scale tr(covariance) / |mean|^2, from two
    batch sizes.
    """
    generator = np.random.default_rng(0)
    mean, deviations = generator.normal(size=20) * 0.3, generator.uniform(0.5, 2.0, 20)
    known = float((deviations**2).sum() / (mean**2).sum())
    scale, estimates = NoiseScale(), []
    for _ in range(3000):
        samples = mean + deviations * generator.normal(size=(64, 20))
        small, large = (float(np.linalg.norm(samples[:count].mean(0))) for count in (8, 64))
        scale = scale.updated(8, small, 64, large)
        estimates.append(estimate(8, small, 64, large))
    signal, noise = np.mean(estimates, 0)
    assert noise / signal == pytest.approx(known, rel=0.05)
    assert scale.tokens == pytest.approx(known, rel=0.35)  # of about fifty steps only


def test_it_is_unknown_until_both_estimates_are_positive() -> None:
    assert NoiseScale().tokens is None
    # More tokens, larger gradient: noise is negative.
    assert NoiseScale().updated(1, 1.0, 4, 2.0).tokens is None
    assert NoiseScale().updated(10, math.sqrt(10), 60, math.sqrt(5)).tokens == pytest.approx(15)
