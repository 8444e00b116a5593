"""Validation loss of each dataset, in nats per token and in bits per byte of text.

Bits per byte compares models with different tokens: the loss of all predicted tokens over the bytes
they spell. An end-of-text token costs loss and spells nothing.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from curation.errors import InputError
from curation.gpt3.data import Shards, Windows, windows
from curation.gpt3.model import GPT3
from curation.gpt3.parallel import ONE, Ranks


@dataclass(frozen=True)
class Held:
    """Loss over held-out windows: nats per token, and bits per byte (None where the tokens spell
    nothing)."""

    loss: float
    bits_per_byte: float | None


def validated(
    model: GPT3, shards: Shards, limit: int, per_pass: int, here: Ranks, autocast: Any
) -> dict[str, Held]:
    """Each dataset's validation loss over its first `limit` windows; datasets without a token are
    left out."""
    losses = {}
    with autocast:
        for dataset, names in shards.validation.items():
            held_out = windows(shards, names, model.size.context, seed=None)
            lengths = token_bytes(shards.encoding_path, shards.vocabulary, shards.end_of_text)
            loss = held_out_loss(model, held_out, limit, per_pass, here, lengths)
            if loss is not None:
                losses[dataset] = loss
    # The outermost weights stay gathered after a forward pass, for a backward pass that never
    # comes. fully_shard adds the method.
    if here.fsdp:
        model.reshard()  # type: ignore[operator]
    return losses


def validation_loss(model: GPT3, held_out: Windows, limit: int) -> float | None:
    """Mean loss in nats per token over the first `limit` windows; None when there is nothing to
    predict.

    Where there are fewer windows the tail shorter than a window counts too.
    """
    loss = held_out_loss(model, held_out, limit)
    return None if loss is None else loss.loss


@torch.no_grad()
def held_out_loss(
    model: GPT3,
    held_out: Windows,
    limit: int,
    per_pass: int = 1,
    here: Ranks = ONE,
    lengths: NDArray[np.int64] | None = None,
) -> Held | None:
    """As `validation_loss`, `per_pass` windows at a time, shared out over the ranks; `lengths` are
    bytes by token."""
    count = min(limit, len(held_out))
    parts = [
        held_out.batch(start, min(per_pass, count - start)) for start in range(0, count, per_pass)
    ]
    if count == len(held_out) < limit:
        parts.append(held_out.rest()[None])
    parts = [part for part in parts if part.shape[1] > 1]
    total, tokens, size = 0.0, 0, 0
    training = model.training
    model.eval()  # no dropout
    for turn in range(0, len(parts), here.data):
        mine = turn + here.data_rank
        part = parts[mine] if mine < len(parts) else parts[0]  # every rank makes as many passes
        loss = model.loss(torch.from_numpy(part).to(here.device)).item()
        if mine < len(parts):
            predicted = part[:, 1:]
            total += loss * predicted.size
            tokens += predicted.size
            size += int(lengths[predicted].sum()) if lengths is not None else 0
    model.train(training)
    total, tokens_all, size_all = here.summed(total, tokens, size)
    if not tokens_all:
        return None
    return Held(total / tokens_all, total / math.log(2) / size_all if size_all else None)


@functools.lru_cache(maxsize=2)
def token_bytes(name: str, vocabulary: int, end_of_text: int) -> NDArray[np.int64] | None:
    """How many bytes each token of the encoding spells, end-of-text none: (vocabulary,).

    None where the encoding cannot be had here (training does not need it): then there are no bits
    per byte.
    """
    from curation.kernels import bpe

    try:
        encoding = bpe.encoding(name)
    except InputError:
        return None
    known = min(vocabulary, encoding.n_vocab)
    lengths = np.zeros(vocabulary, np.int64)
    for token in range(known):
        try:
            lengths[token] = len(encoding.decode_single_token_bytes(token))
        except KeyError:  # some encodings have gaps
            continue
    lengths[end_of_text] = 0
    return lengths
