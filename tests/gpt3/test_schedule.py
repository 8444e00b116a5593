from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.gpt3.schedule import batch_windows, learning_rate, schedule_for
from curation.gpt3.sizes import SIZES

BILLION = 10**9
GPT3 = schedule_for(SIZES["175B"], 300 * BILLION)


@pytest.mark.parametrize(
    ("tokens", "share"),
    [
        (0, 0.0),
        (187_500_000, 0.5),
        (375_000_000, 1.0),
        ((375_000_000 + 260 * BILLION) // 2, 0.55),
        (260 * BILLION, 0.1),
        (300 * BILLION, 0.1),
    ],
)
def test_the_learning_rate_is_appendix_b(tokens: int, share: float) -> None:
    assert learning_rate(GPT3, tokens) == pytest.approx(0.6e-4 * share)


def test_the_batch_grows_linearly_from_32k_tokens_in_whole_sequences() -> None:
    assert [batch_windows(GPT3, t * BILLION) for t in (0, 6, 12, 300)] == [16, 789, 1562, 1562]


@pytest.mark.parametrize("budget", [3 * BILLION, 600 * BILLION])
def test_durations_scale_with_the_budget(budget: int) -> None:
    size = SIZES["125M"]
    whole, scaled = schedule_for(size, 300 * BILLION), schedule_for(size, budget)
    for percent in (0.05, 0.1, 1, 30, 90):
        then, now = int(3 * BILLION * percent), int(budget * percent / 100)
        assert learning_rate(scaled, now) == pytest.approx(learning_rate(whole, then), rel=1e-5)
        assert batch_windows(scaled, now) == batch_windows(whole, then)


def test_given_durations_are_not_scaled() -> None:
    schedule = schedule_for(
        SIZES["125M"], BILLION, warmup_tokens=7, decay_tokens=11, ramp_tokens=13, learning_rate=0.5
    )
    assert (schedule.warmup_tokens, schedule.decay_tokens, schedule.ramp_tokens) == (7, 11, 13)
    assert schedule.learning_rate == 0.5


@given(st.sampled_from(sorted(SIZES)), st.integers(1, 400 * BILLION), st.integers(0, 400 * BILLION))
def test_rate_and_batch_stay_in_bounds(name: str, budget: int, tokens: int) -> None:
    size = SIZES[name]
    schedule = schedule_for(size, budget)
    assert 0 <= learning_rate(schedule, tokens) <= size.learning_rate
    assert 1 <= batch_windows(schedule, tokens) <= size.batch_tokens / size.context + 0.5


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="before the warm-up does"):
        schedule_for(SIZES["tiny"], 1000, warmup_tokens=500, decay_tokens=100)
    with pytest.raises(InputError, match="positive number, not nan"):
        schedule_for(SIZES["tiny"], 1000, learning_rate=float("nan"))


def test_gpt1_warms_up_over_2000_updates_and_decays_to_nothing() -> None:
    size = SIZES["gpt1"]
    schedule = schedule_for(size, size.tokens)
    step = size.batch_tokens
    assert batch_windows(schedule, 0) == batch_windows(schedule, size.tokens) == 64
    assert learning_rate(schedule, 1000 * step) == pytest.approx(1.25e-4)
    assert learning_rate(schedule, 2000 * step) == pytest.approx(2.5e-4)
    middle = (2000 * step + size.tokens) // 2
    assert learning_rate(schedule, middle) == pytest.approx(1.25e-4, rel=1e-6)
    assert learning_rate(schedule, size.tokens) == 0
    tenth = schedule_for(size, size.tokens // 10)
    assert (tenth.warmup_tokens, tenth.decay_tokens) == (200 * step, size.tokens // 10)
