"""One text, token by token: the obvious form of what `curation.gpt3.samples` does in batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from curation.gpt3.generate import choose
from curation.gpt3.model import GPT3


@torch.no_grad()
def sample(
    model: GPT3,
    ids: list[int],
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[int]:
    """Up to `max_tokens` tokens after `ids`, each drawn by `choose`; a function of its
    arguments.
    """
    generator = torch.Generator().manual_seed(seed)
    context = model.size.context
    read, past, start = ids[-context:], None, 0
    for _ in range(max_tokens):
        hidden, past = model.hidden(torch.tensor([read]), past, start)
        start += len(read)
        token = choose(model.logits(hidden[0, -1]), temperature, top_p, generator)
        yield token
        ids = [*ids, token]
        if start == context:
            read, past, start = ids[-max(1, context // 2) :], None, 0
        else:
            read = [token]
