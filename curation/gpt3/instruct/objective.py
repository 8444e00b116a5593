"""The objective of step 3 (Ouyang et al. 2022, section 3.5, equation 2), piece by piece.

    maximise   E [ r(x, y) - beta * log(pi(y | x) / pi_SFT(y | x)) ]  +  gamma * E [ log pi(x) ]

The KL term is paid token by token, the reward at the answer's last token. Advantages are Schulman et
al.'s (2016) with gamma 1 and lambda .95, the surrogate is PPO's with clipping at .2. At the optimum
without the second term pi is pi_SFT * exp(r / beta) / Z, which the tests check.

Shapes as in `sequences.py`: (N, T - 1), where position t is about token t + 1; 0 off the answer.
"""

from __future__ import annotations

import torch
from torch import Tensor


def token_rewards(reward: Tensor, log_ratio: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    """(N, T - 1): -beta * log(pi / pi_SFT) at each token, and the reward (N,) at the last.

    >>> mask = torch.tensor([[False, True, True]])
    >>> token_rewards(torch.tensor([2.0]), torch.tensor([[0.0, 1.0, 3.0]]), mask, 0.5)
    tensor([[ 0.0000, -0.5000,  0.5000]])
    """
    later = mask.flip(1).cumsum(1).flip(1)  # answer tokens from here on
    last = mask & (later == 1)
    return -kl_weight * log_ratio * mask + reward[:, None] * last


def advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantages and the returns that the value network learns, both (N, T - 1).

    `values` at t is the value of what was read up to token t. After the last token it is 0.
    """
    real = mask.float()
    advantage = torch.zeros_like(rewards[:, 0])
    columns: list[Tensor] = []
    for t in range(rewards.shape[1] - 1, -1, -1):
        more = real[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(advantage)
        following = values[:, t + 1] * more if t + 1 < rewards.shape[1] else more
        delta = rewards[:, t] + gamma * following - values[:, t]
        advantage = (delta + gamma * lam * advantage * more) * real[:, t]
        columns.append(advantage)
    found = torch.stack(columns[::-1], 1)
    return found, (found + values) * real


def whitened(x: Tensor, mask: Tensor) -> Tensor:
    """`x` with mean 0 and deviation 1 over the true places of `mask`, 0 elsewhere."""
    chosen = x[mask]
    spread = chosen.std() if len(chosen) > 1 else torch.ones((), device=x.device)
    return (x - chosen.mean()) / (spread + 1e-8) * mask


def policy_loss(
    logs: Tensor, old: Tensor, advantage: Tensor, mask: Tensor, clip: float
) -> tuple[Tensor, Tensor]:
    """PPO's clipped surrogate to be minimised, summed over tokens, and how many tokens are clipped.

    >>> logs = torch.tensor([[0.5]]); mask = torch.ones(1, 1, dtype=torch.bool)
    >>> [round(x.item(), 3) for x in policy_loss(logs, 0 * logs, 0 * logs + 1, mask, 0.2)]
    [-1.2, 1]
    """
    ratio = (logs - old).exp()
    plain = ratio * advantage
    limited = ratio.clamp(1 - clip, 1 + clip) * advantage
    loss = -(torch.minimum(plain, limited) * mask).sum()
    return loss, ((limited < plain) & mask).sum()


def value_loss(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Half the squared error of the value network, summed over tokens."""
    return 0.5 * ((values - returns).square() * mask).sum()
