from __future__ import annotations

import pytest
import torch

from curation.gpt3.instruct.episodes import (
    advantages,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)


def episodes(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """20 random episodes: mask, rewards by token, values, log ratios; noise off the answers too."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.randint(0, 6, (20, 1), generator=generator)
    length = torch.randint(1, 7, (20, 1), generator=generator)
    t = torch.arange(12)
    mask = (t >= start) & (t < start + length)
    noise = [torch.randn(20, 12, generator=generator) for _ in range(3)]
    return mask, noise[0] * mask, noise[1], noise[2]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.99, 0.0)])
def test_advantages_and_returns_equal_a_loop(gamma: float, lam: float) -> None:
    mask, rewards, values, _ = episodes(1)
    found, returns = advantages(rewards, values, mask, gamma, lam)
    for row in range(20):
        places = mask[row].nonzero()[:, 0].tolist()
        for place in places:
            total = 0.0
            for later in places:
                if later < place:
                    continue
                following = values[row, later + 1] if later + 1 in places else 0.0
                delta = rewards[row, later] + gamma * following - values[row, later]
                total += (gamma * lam) ** (later - place) * float(delta)
            assert found[row, place].item() == pytest.approx(total, abs=1e-5)
            wanted = total + values[row, place].item()
            assert returns[row, place].item() == pytest.approx(wanted, abs=1e-5)
    assert found[~mask].abs().max() == 0
    assert returns[~mask].abs().max() == 0


def test_with_gamma_and_lambda_1_the_return_is_the_sum_of_later_rewards() -> None:
    mask, rewards, values, _ = episodes(2)
    _, returns = advantages(rewards, values, mask, 1.0, 1.0)
    later = rewards.flip(1).cumsum(1).flip(1)
    assert torch.allclose(returns, later * mask, atol=1e-5)


def test_rewards_of_an_episode_add_up_to_the_reward_minus_beta_times_the_ratio() -> None:
    mask, _, reward, ratio = episodes(3)
    found = token_rewards(reward[:, 0], ratio, mask, 0.3)
    assert torch.allclose(found.sum(1), reward[:, 0] - 0.3 * (ratio * mask).sum(1), atol=1e-5)
    assert found[~mask].abs().max() == 0


def test_whitened_advantages_have_mean_0_and_deviation_1_where_they_count() -> None:
    mask, _, values, _ = episodes(4)
    found = whitened(values * 7 + 3, mask)
    assert found[mask].mean().item() == pytest.approx(0, abs=1e-5)
    assert found[mask].std().item() == pytest.approx(1, abs=1e-5)
    assert found[~mask].abs().max() == 0


def test_the_surrogate_stops_gaining_and_never_stops_losing() -> None:
    """Gradients with respect to the log probability, on both sides of the clip."""
    for ratio, advantage, moves in (
        (1.0, 1.0, True),
        (1.1, 1.0, True),
        (1.3, 1.0, False),
        (0.7, 1.0, True),
        (0.7, -1.0, False),
        (1.3, -1.0, True),
    ):
        logs = torch.tensor([[ratio]]).log().requires_grad_()
        mask = torch.ones(1, 1, dtype=torch.bool)
        loss, clipped = policy_loss(logs, torch.zeros(1, 1), torch.tensor([[advantage]]), mask, 0.2)
        loss.backward()  # type: ignore[no-untyped-call]
        assert logs.grad is not None
        assert logs.grad.item() == pytest.approx(-advantage * ratio if moves else 0.0)
        assert bool(clipped) is not moves


def test_the_value_loss_is_half_the_squared_error_over_the_answers() -> None:
    mask, returns, values, _ = episodes(5)
    wanted = 0.5 * ((values - returns)[mask] ** 2).sum()
    assert torch.allclose(value_loss(values, returns, mask), wanted)
