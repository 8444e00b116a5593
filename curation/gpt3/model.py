"""GPT-3 (Brown et al. 2020, section 2.1): GPT-2 with alternating dense and banded attention.

GPT-2 is the same with dense layers alone. GPT-1 (Radford et al. 2018, section 4.1) has its norms
after each sum instead of before, none at the end, and dropout: `norm` and `dropout` of `Size`.

Learned positions, tied embeddings, GELU in its tanh form, biases everywhere; the attention patterns
are in `attention.py`, the loss over the vocabulary in `loss.py`.

Trap: the rows of `qkv.weight` are ordered (head, q|k|v, head width), not GPT-2's (q|k|v, head, head
width), so that a slice of rows is a set of whole heads and can move to another device as one.

Letters in shapes: B sequences, T tokens, H heads, D head width, W model width = H * D, V
vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from curation.gpt3.attention import attention, block_mask, masked_attention, seen_by_last
from curation.gpt3.loss import linear_cross_entropy
from curation.gpt3.sizes import Pattern, Size

# Of one layer, (B, H, T, D) each: what generation keeps of the tokens so far.
KeysValues = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """Multi-head causal self-attention of one pattern; (B, T, W) in and out."""

    def __init__(self, size: Size, pattern: Pattern) -> None:
        super().__init__()
        self.head_width = size.head_width
        self.pattern = pattern
        self.band = size.band
        self.stride = size.columns
        self.dropout = size.dropout
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)

    def forward(
        self, x: Tensor, past: KeysValues | None = None, mask: Any = None
    ) -> tuple[Tensor, KeysValues]:
        # (B, H, T, 3, D).
        qkv = self.qkv(x).view(*x.shape[:2], -1, 3, self.head_width).transpose(1, 2)
        q, k, v = qkv.unbind(3)
        if past is None:
            parts = (q, k, v, self.pattern, self.band, self.stride)
            if self.dropout and self.training:
                y = masked_attention(*parts, self.dropout)
            else:
                y = attention(*parts, mask=mask)
        else:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
            seen = [seen_by_last(x, self.pattern, self.band, self.stride) for x in (k, v)]
            y = F.scaled_dot_product_attention(q, seen[0], seen[1])
        # Nothing is learnt through them, and a compiled layer would carry their gradients.
        return self.out(y.transpose(1, 2).flatten(2)), (k.detach(), v.detach())


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); the inner width is four times the
    model's. With the norm after: norm(x + attention(x)), then norm(x + feed-forward(x))."""

    def __init__(self, size: Size, pattern: Pattern) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(size.width)
        self.attention = Attention(size, pattern)
        self.norm_2 = nn.LayerNorm(size.width)
        self.up = nn.Linear(size.width, 4 * size.width)
        self.down = nn.Linear(4 * size.width, size.width)
        self.post = size.norm == "post"
        self.dropout = size.dropout

    def forward(
        self, x: Tensor, past: KeysValues | None = None, mask: Any = None
    ) -> tuple[Tensor, KeysValues]:
        if self.post:
            y, kept = self.attention(x, past, mask)
            x = self.norm_1(x + self._dropped(y))
            return self.norm_2(x + self._dropped(self._feed_forward(x))), kept
        y, kept = self.attention(self.norm_1(x), past, mask)
        x = x + self._dropped(y)
        return x + self._dropped(self._feed_forward(self.norm_2(x))), kept

    def _feed_forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(F.gelu(self.up(x), approximate="tanh"))
        return y

    def _dropped(self, x: Tensor) -> Tensor:
        return dropped(x, self.dropout, self.training)


def layer_mask(block: nn.Module, x: Tensor) -> Any:
    """What a layer's kernel needs beside its input `x` (B, T, W), made outside of compiled code;
    None for most."""
    this: Any = block.attention
    return block_mask(this.pattern, this.band, this.stride, x.shape[1], x)


def dropped(x: Tensor, share: float, training: bool) -> Tensor:
    """`x` with a random `share` of its values set to zero and the others scaled up, in training."""
    return F.dropout(x, share) if share and training else x


def _embedding(rows: int, width: int) -> nn.Embedding:
    """Without first values: drawing them on the meta device would load torch's compiler, which
    takes seconds."""
    values = torch.empty(rows, width)
    embedding: nn.Embedding
    embedding = nn.Embedding.from_pretrained(values, freeze=False)  # type: ignore[no-untyped-call]
    return embedding


class GPT3(nn.Module):
    """The language model. Built without values: `build` makes one that can be trained."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.tokens = _embedding(size.vocabulary, size.width)
        self.positions = _embedding(size.context, size.width)
        self.blocks = nn.ModuleList(Block(size, pattern) for pattern in size.patterns)
        self.norm = nn.LayerNorm(size.width) if size.norm == "pre" else nn.Identity()

    def hidden(
        self,
        ids: Tensor,
        past: list[KeysValues] | None = None,
        start: int = 0,
        embedded: Tensor | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """The final hidden states (B, T, W) of token ids (B, T), and each layer's keys and values
        (without gradients).

        With `past` (one entry a layer, from the call before) `ids` is the one next token of each
        sequence, (B, 1), and `start` how many tokens came before it. `embedded` (B, T, W) stands in
        for the tokens' embeddings.
        """
        x = self.tokens(ids) if embedded is None else embedded
        x = x + self.positions(torch.arange(start, start + ids.shape[1], device=ids.device))
        x = dropped(x, self.size.dropout, self.training)
        kept: list[KeysValues] = []
        for layer, block in enumerate(self.blocks):
            x, keys_values = block(x, past[layer] if past else None, layer_mask(block, x))
            kept.append(keys_values)
        return self.norm(x), kept

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of the next token after each of `ids` (B, T), T at most the context.

        With `targets` (B, T) their mean loss in nats instead, without ever holding all logits;
        where there are fewer of them than `ids`, of the first ones.
        """
        hidden = self.hidden(ids)[0]
        if targets is None:
            return self.logits(hidden)
        hidden = hidden[: len(targets)]
        return linear_cross_entropy(hidden.flatten(0, 1), self.tokens.weight, targets.flatten())

    def logits(self, hidden: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, V) through the tied embedding."""
        return F.linear(hidden, self.tokens.weight)

    def loss(self, windows: Tensor) -> Tensor:
        """Mean loss in nats of predicting windows[:, 1:] from windows[:, :-1]; windows is (B, T +
        1)."""
        loss: Tensor = self(windows[:, :-1], windows[:, 1:])
        return loss


def build(size: Size, seed: int, device: str = "cpu") -> GPT3:
    """A freshly initialised model on `device`, a function of `size` and `seed` alone."""
    model = empty(size)
    model.to_empty(device=device)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), initial_values(size, seed), strict=True):
            parameter.copy_(value)
    return model


def empty(size: Size) -> GPT3:
    """A model on the meta device: shapes without values."""
    with torch.device("meta"):
        return GPT3(size)


def initial_values(size: Size, seed: int) -> Iterator[Tensor]:
    """GPT-2's initialisation: a value on the CPU for each of the model's parameters, in their
    order.

    Weights are normal with deviation 0.02 (positions 0.01, as in OpenAI's GPT-2 source), those of
    the two projections into the residual stream divided by sqrt(2 * layers) (Radford et al. 2019,
    section 2.3); biases are 0, norms 1. With the norms after the sums (GPT-1, section 4.1) every
    weight has deviation 0.02. One tensor at a time, so that a model larger than one
    machine can be filled.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in empty(size).named_parameters():
        value = torch.zeros(parameter.shape)
        if name.endswith(".weight") and "norm" in name:
            value.fill_(1.0)
        elif name.endswith(".weight"):
            deviation = 0.01 if name == "positions.weight" and size.norm == "pre" else 0.02
            if size.norm == "pre" and name.endswith(("attention.out.weight", "down.weight")):
                deviation /= math.sqrt(2 * size.layers)
            value.normal_(std=deviation, generator=generator)
        yield value


def parameter_count(size: Size) -> int:
    """How many parameters a model of `size` has, without allocating them.

    >>> from curation.gpt3.sizes import SIZES
    >>> f"{parameter_count(SIZES['175B']):,}"
    '174,604,259,328'
    """
    return sum(parameter.numel() for parameter in empty(size).parameters())
