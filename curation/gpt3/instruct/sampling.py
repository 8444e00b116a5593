"""Answers to many prompts at once, at temperature 1 unless told otherwise.

Prompts of one length go through the key and value cache together, since positions are learned and
absolute. Trap: a set of prompts that all differ in length is sampled one by one.

Each token is drawn by one number in [0, 1) from a generator that `seed` starts, laid out by row and
position before anything is sampled. So an answer depends on its row, not on how rows are grouped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from curation.gpt3.generate import next_tokens
from curation.gpt3.instruct.data import Tokens
from curation.gpt3.model import GPT3


@torch.no_grad()
def sample_answers(
    model: GPT3,
    prompts: Sequence[tuple[int, ...]],
    max_tokens: int,
    end_of_text: int,
    seed: int,
    temperature: float = 1.0,
    rows_in_pass: int = 64,
) -> list[Tokens]:
    """An answer to each prompt: up to `max_tokens` tokens, the end-of-text included where it
    comes."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(len(prompts), max_tokens, generator=generator, dtype=torch.float64)
    by_length: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(row)
    answers: list[Tokens | None] = [None] * len(prompts)
    for rows in by_length.values():
        for start in range(0, len(rows), rows_in_pass):
            part = rows[start : start + rows_in_pass]
            ids = torch.tensor([prompts[row] for row in part], device=model.tokens.weight.device)
            new = _sampled(model, ids, draws[part], end_of_text, temperature)
            for row, answer in zip(part, new, strict=True):
                answers[row] = Tokens((*prompts[row], *answer), len(prompts[row]))
    return [answer for answer in answers if answer is not None]


def _sampled(
    model: GPT3, ids: Tensor, draws: Tensor, end_of_text: int, temperature: float
) -> list[list[int]]:
    """The new tokens of each row of `ids` (N, T), up to and with its first end-of-text."""

    def chosen(logits: Tensor, position: int) -> Tensor:
        return drawn(logits.cpu(), draws[:, position], temperature)

    rows: list[list[int]] = [[] for _ in ids]
    for tokens in next_tokens(model, ids, chosen, draws.shape[1]):
        for row, token in zip(rows, tokens, strict=True):
            row.append(token)
        if all(end_of_text in row for row in rows):
            break
    return [row[: row.index(end_of_text) + 1] if end_of_text in row else row for row in rows]


def drawn(logits: Tensor, draws: Tensor, temperature: float) -> Tensor:
    """A token of each row of `logits` (N, V): the first whose cumulative share is above its draw.

    Temperature 0 takes the likeliest.

    >>> drawn(torch.zeros(3, 4), torch.tensor([0.1, 0.26, 0.99]), 1.0).tolist()
    [0, 1, 3]
    """
    if temperature == 0:
        return logits.argmax(-1)
    sums = (logits.double() / temperature).softmax(-1).cumsum(-1)
    found = torch.searchsorted(sums, draws[:, None].double() * sums[:, -1:], right=True)[:, 0]
    return found.clamp(max=logits.shape[1] - 1)
