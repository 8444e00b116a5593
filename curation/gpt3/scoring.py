"""Log-likelihoods of completions, greedy answers and beam search, in batches: what every evaluation
is made of.

A request is a context and a completion, as token ids. Requests are sorted by length and padded at
the end, where causality hides the padding; only the rows that predict a completion go through the
vocabulary, which at small widths is nearly all of the cost.

Trap: where context and completion are longer than the model's window, the context loses its
beginning (`cut` says so); a completion alone that is too long is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from curation.errors import InputError
from curation.gpt3.generate import next_tokens
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
    likeliest, whether the context was cut."""

    log_probability: float
    tokens: int
    greedy: bool
    cut: bool


@torch.no_grad()
def log_likelihoods(model: GPT3, requests: Sequence[Request]) -> list[Score]:
    """The score of each request, in their order; equal requests are computed once. Raises
    InputError for empty or too long ones."""
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


Ended = Callable[[list[int]], bool]


@torch.no_grad()
def greedy(
    model: GPT3, contexts: Sequence[tuple[int, ...]], max_tokens: int, ended: Ended
) -> list[list[int]]:
    """The likeliest next tokens after each context, until `ended` says so of an answer or it has
    `max_tokens`.

    Contexts of one length are read together, with a key/value cache. A context loses its beginning
    where window and answer need the room.
    """
    return _by_length(
        model, contexts, max_tokens, 1, lambda some: _greedy(model, some, max_tokens, ended)
    )


@torch.no_grad()
def beam(
    model: GPT3,
    contexts: Sequence[tuple[int, ...]],
    max_tokens: int,
    ended: Ended,
    width: int = 4,
    penalty: float = 0.6,
) -> list[list[int]]:
    """The best answer to each context by beam search (section 2.4: width 4, length penalty 0.6).

    An answer of n tokens is worth its log probability / ((5 + n) / 6) ** penalty, as T5's. Of the
    `width` likeliest continuations at each step, those that `ended` are finished and the others go
    on; the search stops when none of those can become better than the best finished one. Width 1
    is greedy. Contexts are read and cut as by `greedy`.
    """
    if width < 1 or penalty < 0:
        raise InputError(
            f"a beam of width 1 or more and a penalty of 0 or more expected, got {width} and "
            f"{penalty}"
        )
    return _by_length(
        model,
        contexts,
        max_tokens,
        width,
        lambda some: _beam(model, some, max_tokens, ended, width, penalty),
    )


def _by_length(
    model: GPT3,
    contexts: Sequence[tuple[int, ...]],
    max_tokens: int,
    width: int,
    answers_of: Callable[[list[tuple[int, ...]]], list[list[int]]],
) -> list[list[int]]:
    """What `answers_of` says of contexts of one length at a time, `width` sequences for each."""
    window = model.size.context
    room = window - max_tokens
    if room < 1:
        raise InputError(f"{max_tokens} new tokens do not fit into the model's window of {window}")
    groups: dict[int, list[int]] = {}
    for number, context in enumerate(contexts):
        groups.setdefault(min(len(context), room), []).append(number)
    out: list[list[int]] = [[] for _ in contexts]
    for length, numbers in sorted(groups.items()):
        size = max(1, BATCH_TOKENS // (width * length))
        for start in range(0, len(numbers), size):
            some = numbers[start : start + size]
            answers = answers_of([contexts[n][-length:] for n in some])
            for number, answer in zip(some, answers, strict=True):
                out[number] = answer
    return out


def _greedy(
    model: GPT3,
    contexts: list[tuple[int, ...]],
    max_tokens: int,
    ended: Ended,
) -> list[list[int]]:
    ids = torch.tensor(contexts, device=model.tokens.weight.device)
    answers: list[list[int]] = [[] for _ in contexts]
    open_ = set(range(len(contexts)))
    for tokens in next_tokens(model, ids, lambda logits, _: logits.argmax(-1), max_tokens):
        for number, token in enumerate(tokens):
            if number in open_:
                answers[number].append(token)
                if ended(answers[number]):
                    open_.discard(number)
        if not open_:
            break
    return answers


class _Path(NamedTuple):
    """An answer so far: its log probability, its tokens, the row of the batch it was made from."""

    log_probability: float
    tokens: list[int]
    row: int


def _continued(
    paths: list[_Path], values: list[list[float]], tokens: list[list[int]]
) -> list[_Path]:
    """Each path with each of the likeliest next tokens of its row, the likeliest first.

    The best of all continuations are among the best of each path.
    """
    new = [
        _Path(path.log_probability + value, [*path.tokens, token], path.row)
        for path in paths
        for value, token in zip(values[path.row], tokens[path.row], strict=True)
    ]
    return sorted(new, key=lambda path: -path.log_probability)


def _beam(
    model: GPT3,
    contexts: list[tuple[int, ...]],
    max_tokens: int,
    ended: Ended,
    width: int,
    penalty: float,
) -> list[list[int]]:
    device = model.tokens.weight.device
    worth = [((5 + n) / 6) ** penalty for n in range(max_tokens + 1)]
    best: list[tuple[float, list[int]]] = [(-math.inf, [])] * len(contexts)
    paths = {number: [_Path(0.0, [], number)] for number in range(len(contexts))}
    hidden, past = model.hidden(torch.tensor(contexts, device=device))
    for count in range(1, max_tokens + 1):
        likely = model.logits(hidden[:, -1]).float().log_softmax(-1)
        values, tokens = (t.tolist() for t in likely.topk(min(width, likely.shape[1])))
        on: dict[int, list[_Path]] = {}
        for number, of_context in paths.items():
            for path in _continued(of_context, values, tokens)[:width]:
                if count == max_tokens or ended(path.tokens):
                    done = (path.log_probability / worth[count], path.tokens)
                    best[number] = max(best[number], done, key=lambda answer: answer[0])
                else:
                    on.setdefault(number, []).append(path)
            # Log probabilities only fall, so this is the most that an answer can come to be worth.
            if number in on and on[number][0].log_probability / worth[-1] <= best[number][0]:
                del on[number]
        if not on:
            break
        kept = [path for of_context in on.values() for path in of_context]
        rows = torch.tensor([path.row for path in kept], device=device)
        past = [(keys[rows], values_[rows]) for keys, values_ in past]
        read = torch.tensor([path.tokens[-1:] for path in kept], device=device)
        hidden, past = model.hidden(read, past, len(contexts[0]) + count - 1)
        numbered = iter(range(len(kept)))
        paths = {
            number: [path._replace(row=next(numbered)) for path in of_context]
            for number, of_context in on.items()
        }
    return [tokens for _, tokens in best]
