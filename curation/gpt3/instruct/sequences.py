"""Sequences of unequal length as one batch, and what a model says of their answers.

Rows are padded on the right: attention is causal, so no real token sees the padding. Position t of
`answer_mask` and of log probabilities is about token t + 1, which is read off the hidden state at t.

Letters in shapes: N sequences, T tokens of the longest, W model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from curation.gpt3.instruct.data import Tokens
from curation.gpt3.model import GPT3


@dataclass(frozen=True)
class Batch:
    """`ids` (N, T) padded on the right; `prompt` and `length` (N,) are tokens before the answer and
    in all."""

    ids: Tensor
    prompt: Tensor
    length: Tensor

    def __len__(self) -> int:
        return self.ids.shape[0]

    def rows(self, chosen: Tensor | slice) -> Batch:
        """Some of the sequences."""
        return Batch(self.ids[chosen], self.prompt[chosen], self.length[chosen])

    def mask(self) -> Tensor:
        """(N, T - 1), true at t where token t + 1 belongs to the answer."""
        t = torch.arange(1, self.ids.shape[1], device=self.ids.device)
        return (t >= self.prompt[:, None]) & (t < self.length[:, None])


def batch_of(
    sequences: Sequence[Tokens], padding: int, device: torch.device | str = "cpu"
) -> Batch:
    """Sequences as one batch.

    >>> batch = batch_of([Tokens((5, 6, 7), 2), Tokens((8, 9), 1)], 0)
    >>> batch.ids.tolist(), batch.mask().int().tolist()
    ([[5, 6, 7], [8, 9, 0]], [[0, 1], [1, 0]])
    """
    longest = max(len(one.ids) for one in sequences)
    ids = torch.tensor([[*one.ids, *[padding] * (longest - len(one.ids))] for one in sequences])
    prompt = torch.tensor([one.prompt for one in sequences])
    length = torch.tensor([len(one.ids) for one in sequences])
    return Batch(ids.to(device), prompt.to(device), length.to(device))


def answer_log_probabilities(model: GPT3, batch: Batch) -> tuple[Tensor, Tensor]:
    """(N, T - 1) log probability of each token of the answers, 0 elsewhere; and the entropy there.

    Only the answers' rows meet the vocabulary.
    """
    mask = batch.mask()
    hidden = model.hidden(batch.ids[:, :-1])[0]
    logs = model.logits(hidden[mask]).float().log_softmax(-1)
    chosen = logs.gather(1, batch.ids[:, 1:][mask][:, None])[:, 0]
    entropy = -(logs.detach().exp() * logs.detach()).sum(-1)
    empty = torch.zeros(mask.shape, device=mask.device)
    return empty.masked_scatter(mask, chosen), empty.masked_scatter(mask, entropy)
