"""Log-likelihoods of completions and greedy answers, in batches: what every evaluation is made of.

A request is a context and a completion, as token ids. Requests are sorted by length and padded at
the end, where causality hides the padding; only the rows that predict a completion go through the
vocabulary, which at small widths is nearly all of the cost.

Trap: where context and completion are longer than the model's window, the context loses its
beginning (`cut` says so); a completion alone that is too long is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from curation.errors import InputError
from curation.gpt3.model import GPT3

BATCH_TOKENS = 8192
_ROWS = 256  # of logits at a time


class Request(NamedTuple):
    """Token ids; the context holds at least one (a document begins after end-of-text)."""

    context: tuple[int, ...]
    completion: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """Of a completion: log probability in nats, its number of tokens, whether each is the
    likeliest, whether the context was cut.
    """

    log_probability: float
    tokens: int
    greedy: bool
    cut: bool


@torch.no_grad()
def log_likelihoods(model: GPT3, requests: Sequence[Request]) -> list[Score]:
    """The score of each request, in their order; equal requests are computed once. Raises
    InputError for empty or too long ones.
    """
    window = model.size.context
    for request in requests:
        if not request.context or not 0 < len(request.completion) <= window:
            raise InputError(
                f"a context and a completion of 1 to {window} tokens expected, got "
                f"{len(request.context)} and {len(request.completion)}"
            )
    unique = sorted(set(requests), key=lambda r: (-len(r.context) - len(r.completion), r))
    score_of: dict[Request, Score] = {}
    while unique:
        longest = min(len(unique[0].context) + len(unique[0].completion) - 1, window)
        batch, unique = (
            unique[: max(1, BATCH_TOKENS // longest)],
            unique[max(1, BATCH_TOKENS // longest) :],
        )
        score_of.update(zip(batch, _batch(model, batch, longest), strict=True))
    return [score_of[request] for request in requests]


def _batch(model: GPT3, batch: Sequence[Request], longest: int) -> list[Score]:
    device = model.tokens.weight.device
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    places: list[int] = []
    targets: list[int] = []
    for row, (context, completion) in enumerate(batch):
        read = (context + completion)[:-1][-longest:]
        ids[row, : len(read)] = torch.tensor(read)
        places += [row * longest + at for at in range(len(read) - len(completion), len(read))]
        targets += completion
    hidden = model.hidden(ids.to(device))[0].flatten(0, 1)[torch.tensor(places, device=device)]
    target = torch.tensor(targets, device=device)[:, None]
    chosen, likeliest = [], []
    for start in range(0, len(hidden), _ROWS):
        logits = model.logits(hidden[start : start + _ROWS]).float()
        some = target[start : start + _ROWS]
        chosen.append((logits.gather(1, some) - logits.logsumexp(1, keepdim=True))[:, 0])
        likeliest.append(logits.argmax(1) == some[:, 0])
    lengths = [len(request.completion) for request in batch]
    rows = zip(
        batch,
        torch.split(torch.cat(chosen), lengths),
        torch.split(torch.cat(likeliest), lengths),
        strict=True,
    )
    return [
        Score(
            float(p.double().sum()),
            len(p),
            bool(g.all()),
            len(r.context) + len(r.completion) - 1 > longest,
        )
        for r, p, g in rows
    ]


@torch.no_grad()
def greedy(
    model: GPT3,
    contexts: Sequence[tuple[int, ...]],
    max_tokens: int,
    ended: Callable[[list[int]], bool],
) -> list[list[int]]:
    """The likeliest next tokens after each context, until `ended` says so of an answer or it has
    `max_tokens`.

    Contexts of one length are read together, with a key/value cache. A context loses its beginning
    where window and answer need the room.
    """
    window = model.size.context
    room = window - max_tokens
    if room < 1:
        raise InputError(f"{max_tokens} new tokens do not fit into the model's window of {window}")
    groups: dict[int, list[int]] = {}
    for number, context in enumerate(contexts):
        groups.setdefault(min(len(context), room), []).append(number)
    out: list[list[int]] = [[] for _ in contexts]
    for length, numbers in sorted(groups.items()):
        size = max(1, BATCH_TOKENS // length)
        for start in range(0, len(numbers), size):
            some = numbers[start : start + size]
            for number, answer in zip(
                some,
                _greedy(model, [contexts[n][-length:] for n in some], max_tokens, ended),
                strict=True,
            ):
                out[number] = answer
    return out


def _greedy(
    model: GPT3,
    contexts: list[tuple[int, ...]],
    max_tokens: int,
    ended: Callable[[list[int]], bool],
) -> list[list[int]]:
    device = model.tokens.weight.device
    read, past, start = torch.tensor(contexts, device=device), None, 0
    answers: list[list[int]] = [[] for _ in contexts]
    open_ = set(range(len(contexts)))
    for _ in range(max_tokens):
        hidden, past = model.hidden(read, past, start)
        start += read.shape[1]
        read = model.logits(hidden[:, -1]).argmax(-1)[:, None]
        for number, token in enumerate(read[:, 0].tolist()):
            if number in open_:
                answers[number].append(token)
                if ended(answers[number]):
                    open_.discard(number)
        if not open_:
            break
    return answers
