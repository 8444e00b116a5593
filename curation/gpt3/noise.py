"""The gradient noise scale of McCandlish et al. 2018 (appendix A.1), from two batch sizes of the
same step.

"we use the measured gradient noise scale to guide our choice of batch size" (Brown et al. 2020,
section 2.3). The squared norm of a gradient averaged over B tokens is |G|^2 + S / B in expectation:
G the true gradient, S the summed variance of one token's. Two sizes give both, and S / |G|^2 is the
batch, in tokens, above which more tokens a step stop paying. The small gradient costs nothing more
than its norm: it is that of the first micro-batch, or of one rank.

Trap: a single estimate is so noisy that it is often negative; S and |G|^2 are averaged over steps,
apart, and only then divided, since the mean of a ratio is not the ratio of the means.
"""

from __future__ import annotations

from dataclasses import dataclass

DECAY = 0.98  # of the running averages: about the last 50 steps


@dataclass(frozen=True)
class NoiseScale:
    """Running averages of |G|^2 and S (`signal`, `noise`), both zero before the first
    measurement."""

    signal: float = 0.0
    noise: float = 0.0

    @property
    def tokens(self) -> float | None:
        """S / |G|^2; None while there is no positive estimate of both."""
        return self.noise / self.signal if self.signal > 0 and self.noise > 0 else None

    def updated(self, small: int, small_norm: float, large: int, large_norm: float) -> NoiseScale:
        """With one more measurement: gradient norms of batches of `small` and of `large` tokens,
        small < large.

        >>> # |G|^2 = 4 and S = 60: squared norms 4 + 60 / 10 and 4 + 60 / 60
        >>> round(NoiseScale().updated(10, 10**0.5, 60, 5**0.5).tokens, 6)
        15.0
        """
        signal, noise = estimate(small, small_norm, large, large_norm)
        return NoiseScale(
            DECAY * self.signal + (1 - DECAY) * signal, DECAY * self.noise + (1 - DECAY) * noise
        )


def estimate(small: int, small_norm: float, large: int, large_norm: float) -> tuple[float, float]:
    """Unbiased |G|^2 and S from one step (appendix A.1); either can be negative by chance."""
    signal = (large * large_norm**2 - small * small_norm**2) / (large - small)
    noise = (small_norm**2 - large_norm**2) / (1 / small - 1 / large)
    return signal, noise
