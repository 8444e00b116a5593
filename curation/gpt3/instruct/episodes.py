"""Episodes: answers sampled from the model that is trained, with all that an update needs of them.

Log probabilities are computed in the same passes as in the update, rows in the same parts. So in the
first minibatch, before any update, the ratio of new to old is exactly 1, and in the first step the
KL from the SFT model is exactly 0.

The reward model reads prompt, answer and an end-of-text, also where the answer was cut off before
it: it was trained on such texts alone.

The objective (Ouyang et al. 2022, section 3.5, equation 2):

    maximise   E [ r(x, y) - beta * log(pi(y | x) / pi_SFT(y | x)) ]  +  gamma * E [ log pi(x) ]

The KL term is paid token by token, the reward at the answer's last token. Advantages are Schulman et
al.'s (2016) with gamma 1 and lambda .95, the surrogate is PPO's with clipping at .2. At the optimum
without the second term pi is pi_SFT * exp(r / beta) / Z, which the tests check.

Shapes as in `sequences.py`: (N, T - 1), where position t is about token t + 1; 0 off the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from curation.gpt3.instruct.data import Tokens
from curation.gpt3.instruct.reward import RewardModel
from curation.gpt3.instruct.sampling import sample_answers
from curation.gpt3.instruct.sequences import Batch, answer_log_probabilities, batch_of
from curation.gpt3.model import GPT3
from curation.gpt3.options import PpoConfig

# The reward of each answer of a batch that ends in end-of-text: (N,).
Scorer = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class Episodes:
    """N answers; all tensors but `reward` (N,) are (N, T - 1)."""

    batch: Batch
    old: Tensor
    log_ratio: Tensor
    entropy: Tensor
    reward: Tensor
    advantage: Tensor
    returns: Tensor

    def rows(self, chosen: slice) -> Episodes:
        """Some of the episodes."""
        tensors = [getattr(self, f.name)[chosen] for f in fields(self)[1:]]
        return Episodes(self.batch.rows(chosen), *tensors)

    def kl(self) -> float:
        """Estimated KL from the SFT model in nats an answer: the mean of log(pi / pi_SFT)."""
        return self.log_ratio.sum(1).mean().item()

    def finite(self) -> bool:
        """Whether every number that the update uses is one."""
        return all(bool(x.isfinite().all()) for x in (self.old, self.log_ratio, self.returns))


@torch.no_grad()
def episodes_of(
    policy: GPT3,
    reference: GPT3,
    value: RewardModel,
    score: Scorer,
    prompts: Sequence[tuple[int, ...]],
    end_of_text: int,
    seed: int,
    options: PpoConfig,
) -> tuple[Episodes, list[Tokens]]:
    """One answer to each prompt, scored; and the answers' tokens."""
    answers = sample_answers(policy, prompts, options.max_tokens, end_of_text, seed)
    device = policy.tokens.weight.device
    batch = batch_of(answers, end_of_text, device)
    ended = batch_of([_ended(one, end_of_text) for one in answers], end_of_text, device)
    parts = []
    for rows in parts_of(len(batch), options):
        part, mask = batch.rows(rows), batch.rows(rows).mask()
        old, entropy = answer_log_probabilities(policy, part)
        before, _ = answer_log_probabilities(reference, part)
        values = value.values(part.ids[:, :-1]) * mask
        parts.append((old, old - before, entropy, score(ended.rows(rows)), values))
    old, log_ratio, entropy, reward, values = (
        torch.cat(column) for column in zip(*parts, strict=True)
    )
    mask = batch.mask()
    rewards = token_rewards(reward, log_ratio, mask, options.kl_weight)
    advantage, returns = advantages(rewards, values, mask, options.gae_gamma, options.gae_lambda)
    if options.whiten:
        advantage = whitened(advantage, mask)
    return Episodes(batch, old, log_ratio, entropy, reward, advantage, returns), answers


def parts_of(rows: int, options: PpoConfig) -> list[slice]:
    """The rows of each pass: minibatches, and parts of them that are small enough."""
    return [part for one in minibatches_of(rows, options) for part in passes_of(one, options)]


def minibatches_of(rows: int, options: PpoConfig) -> list[slice]:
    """The rows of each minibatch.

    >>> minibatches_of(6, PpoConfig(batch=6, minibatches=2))
    [slice(0, 3, None), slice(3, 6, None)]
    """
    each = rows // options.minibatches
    return [slice(start, start + each) for start in range(0, rows, each)]


def passes_of(rows: slice, options: PpoConfig) -> list[slice]:
    """A minibatch's rows in parts of at most `micro_batch`."""
    each = options.micro_batch
    return [
        slice(start, min(start + each, rows.stop)) for start in range(rows.start, rows.stop, each)
    ]


def _ended(answer: Tokens, end_of_text: int) -> Tokens:
    if len(answer.ids) > answer.prompt and answer.ids[-1] == end_of_text:
        return answer
    return Tokens((*answer.ids, end_of_text), answer.prompt)


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
