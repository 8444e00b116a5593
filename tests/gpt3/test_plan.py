from __future__ import annotations

import pytest

from curation.gpt3 import plan
from curation.gpt3.model import parameter_count
from curation.gpt3.schedule import schedule_for
from curation.gpt3.sizes import SIZES


@pytest.mark.parametrize("name", SIZES)
def test_the_formula_counts_what_the_model_has(name: str) -> None:
    assert plan.parameters(SIZES[name]) == parameter_count(SIZES[name])


# Table D.1: petaflop/s-days of training on 300 billion tokens.
@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("125M", 2.60),
        ("350M", 7.42),
        ("760M", 15.8),
        ("1.3B", 27.5),
        ("2.7B", 55.2),
        ("6.7B", 139),
        ("13B", 268),
        ("175B", 3640),
    ],
)
def test_operations_are_those_of_the_paper_and_its_attention(name: str, days: float) -> None:
    """The paper leaves attention out and counts all parameters: exact without it, and a little more
    with it.
    """
    size = SIZES[name]
    assert 6 * plan.parameters(size) * 300e9 / 8.64e19 == pytest.approx(days, rel=0.02)
    assert 1 <= plan.training_flops(size) / (6 * plan.parameters(size)) < 1.12


def test_steps_count_the_ramp() -> None:
    size = SIZES["tiny"]
    assert plan.steps(schedule_for(size, size.tokens)) == 128
    wide = schedule_for(SIZES["125M"], 10_000_000)
    tokens, steps = 0, 0
    while tokens < 10_000_000:
        tokens += plan.batch_windows(wide, tokens) * 2048
        steps += 1
    assert plan.steps(wide) == steps


def test_the_plan_says_what_fits() -> None:
    size = SIZES["175B"]
    text = plan.plan_text(size, schedule_for(size, size.tokens), 512, 1, 1, 312, 0.4)
    assert "174,604,259,328 parameters" in text
    assert "32,768 to 3,198,976 tokens (1,562 windows)" in text
    assert "57.4 days on 512 GPUs of 312 TFLOP/s at 40% utilisation" in text
    assert "DDP 512 " in text
    assert "FSDP 64 x tensor 8 " in text
    sharded = plan.memory_bytes(size, plan.Layout(64, 8, True))
    assert sharded["weights, gradient, moments"] == pytest.approx(16 * 174.6e9 / 512, rel=0.03)
    one = plan.plan_text(SIZES["125M"], schedule_for(SIZES["125M"], 10**9), 1, 1, 8, 312, 0.4)
    assert "one copy 1" in one
    assert "FSDP" not in one
