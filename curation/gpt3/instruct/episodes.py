"""Episodes: answers sampled from the model that is trained, with all that an update needs of them.

Log probabilities are computed in the same passes as in the update, rows in the same parts. So in the
first minibatch, before any update, the ratio of new to old is exactly 1, and in the first step the
KL from the SFT model is exactly 0.

The reward model reads prompt, answer and an end-of-text, also where the answer was cut off before
it: it was trained on such texts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from curation.gpt3.instruct.data import Tokens
from curation.gpt3.instruct.objective import advantages, token_rewards, whitened
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
