"""GPT-3 (Brown et al. 2020, section 2.1): GPT-2 with alternating dense and banded attention.

Learned positions, tied embeddings, GELU in its tanh form, biases everywhere. A dense layer costs length
squared; a banded layer cuts the sequence into blocks of `band` tokens and attends within its own and the
previous block, so its cost is linear in the length (twice the band per token, a mask cutting the block pair
down to the exact band).

Trap: the rows of `qkv.weight` are ordered (head, q|k|v, head width), not GPT-2's (q|k|v, head, head width),
so that a slice of rows is a set of whole heads and can move to another device as one.

Letters in shapes: B sequences, T tokens, H heads, D head width, W model width = H * D, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from curation.gpt3.loss import linear_cross_entropy
from curation.gpt3.sizes import Pattern, Size

KeysValues = tuple[Tensor, Tensor]  # of one layer, (B, H, T, D) each: what generation keeps of the tokens so far


def naive_attention(q: Tensor, k: Tensor, v: Tensor, band: int | None = None) -> Tensor:
    """Causal attention written out with a full T x T mask: the reference the kernels are tested against.

    q, k, v and the result are (B, H, T, D). With `band`, token i sees tokens i - band + 1 .. i.
    """
    i = torch.arange(q.shape[2], device=q.device)
    behind = i[:, None] - i[None, :]
    seen = (behind >= 0) & (behind < (band or q.shape[2]))
    scores = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v


def dense_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over everything so far; (B, H, T, D) in and out."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def banded_attention(q: Tensor, k: Tensor, v: Tensor, band: int) -> Tensor:
    """Causal attention over the last `band` tokens; (B, H, T, D) in and out, cost linear in T.

    Equal to `naive_attention(q, k, v, band)`. The first block has no block before it and is plain causal
    attention; all other blocks go through one call with a (band, 2 * band) mask that they share.
    """
    length = q.shape[2]
    if length <= band:
        return dense_attention(q, k, v)
    blocks = -(-length // band)
    padding = blocks * band - length
    if padding:  # after the end, where causality hides it from every real token
        q, k, v = (F.pad(x, (0, 0, 0, padding)) for x in (q, k, v))
    first = dense_attention(q[:, :, :band], k[:, :, :band], v[:, :, :band])
    rest = F.scaled_dot_product_attention(
        _fold(q, band, blocks)[:, 1:].flatten(0, 1),
        _pairs(_fold(k, band, blocks)),
        _pairs(_fold(v, band, blocks)),
        attn_mask=_band_mask(band, q.device),
    )
    rest = rest.reshape(q.shape[0], blocks - 1, q.shape[1], band, q.shape[3]).transpose(1, 2).flatten(2, 3)
    return torch.cat((first, rest), 2)[:, :, :length]


def _fold(x: Tensor, band: int, blocks: int) -> Tensor:
    """(B, H, blocks * band, D) -> (B, blocks, H, band, D)."""
    return x.reshape(x.shape[0], x.shape[1], blocks, band, x.shape[3]).transpose(1, 2)


def _pairs(x: Tensor) -> Tensor:
    """(B, blocks, H, band, D) -> (B * (blocks - 1), H, 2 * band, D): each block after the one before it."""
    return torch.cat((x[:, :-1], x[:, 1:]), 3).flatten(0, 1)


def _band_mask(band: int, device: torch.device) -> Tensor:
    """(band, 2 * band), true where query a of a block sees key c of the block pair: a < c <= a + band."""
    a = torch.arange(band, device=device)[:, None]
    c = torch.arange(2 * band, device=device)[None, :]
    return (c > a) & (c <= a + band)


class Attention(nn.Module):
    """Multi-head causal self-attention, dense or banded; (B, T, W) in and out."""

    def __init__(self, size: Size, pattern: Pattern) -> None:
        super().__init__()
        self.head_width = size.head_width
        self.band = size.band if pattern == "banded" else None
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)

    def forward(self, x: Tensor, past: KeysValues | None = None) -> tuple[Tensor, KeysValues]:
        qkv = self.qkv(x).view(*x.shape[:2], -1, 3, self.head_width).transpose(1, 2)  # (B, H, T, 3, D)
        q, k, v = qkv.unbind(3)
        if past is not None:  # one new token: everything kept is in sight of it
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
            if self.band is not None:
                k, v = k[:, :, -self.band :], v[:, :, -self.band :]
            y = F.scaled_dot_product_attention(q, k, v)
        elif self.band is None:
            y = dense_attention(q, k, v)
        else:
            y = banded_attention(q, k, v, self.band)
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); the inner width is four times the model's."""

    def __init__(self, size: Size, pattern: Pattern) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(size.width)
        self.attention = Attention(size, pattern)
        self.norm_2 = nn.LayerNorm(size.width)
        self.up = nn.Linear(size.width, 4 * size.width)
        self.down = nn.Linear(4 * size.width, size.width)

    def forward(self, x: Tensor, past: KeysValues | None = None) -> tuple[Tensor, KeysValues]:
        y, kept = self.attention(self.norm_1(x), past)
        x = x + y
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh")), kept


class GPT3(nn.Module):
    """The language model. Built without values: `build` makes one that can be trained."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.positions = nn.Embedding(size.context, size.width)
        patterns = [size.attention[layer % len(size.attention)] for layer in range(size.layers)]
        self.blocks = nn.ModuleList(Block(size, pattern) for pattern in patterns)
        self.norm = nn.LayerNorm(size.width)

    def hidden(
        self, ids: Tensor, past: list[KeysValues] | None = None, start: int = 0
    ) -> tuple[Tensor, list[KeysValues]]:
        """The final hidden states (B, T, W) of token ids (B, T), and each layer's keys and values.

        With `past` (one entry a layer, from the call before) `ids` is the one next token of each sequence,
        (B, 1), and `start` how many tokens came before it.
        """
        x = self.tokens(ids) + self.positions(torch.arange(start, start + ids.shape[1], device=ids.device))
        kept: list[KeysValues] = []
        for layer, block in enumerate(self.blocks):
            x, keys_values = block(x, past[layer] if past else None)
            kept.append(keys_values)
        return self.norm(x), kept

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) of the next token after each of `ids` (B, T), T at most the context."""
        return self.logits(self.hidden(ids)[0])

    def logits(self, hidden: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, V) through the tied embedding."""
        return F.linear(hidden, self.tokens.weight)

    def loss(self, windows: Tensor) -> Tensor:
        """Mean loss in nats of predicting windows[:, 1:] from windows[:, :-1]; windows is (B, T + 1)."""
        hidden = self.hidden(windows[:, :-1])[0]
        return linear_cross_entropy(hidden.flatten(0, 1), self.tokens.weight, windows[:, 1:].flatten())


def build(size: Size, seed: int, device: str = "cpu") -> GPT3:
    """A freshly initialised model on `device`: GPT-2's initialisation, a function of `seed` alone.

    Weights are normal with deviation 0.02 (positions 0.01, as in OpenAI's GPT-2 source), those of the two
    projections into the residual stream divided by sqrt(2 * layers) (Radford et al. 2019, section 2.3);
    biases are 0, norms 1.
    """
    with torch.device("meta"):
        model = GPT3(size)
    model.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith(".bias") or name == "norm.bias":
            nn.init.zeros_(parameter)
        elif "norm" in name:
            nn.init.ones_(parameter)
        else:
            deviation = 0.01 if name == "positions.weight" else 0.02
            if name.endswith(("attention.out.weight", "down.weight")):
                deviation /= math.sqrt(2 * size.layers)
            nn.init.normal_(parameter, std=deviation, generator=generator)
    return model


def parameter_count(size: Size) -> int:
    """How many parameters a model of `size` has, without allocating them.

    >>> from curation.gpt3.sizes import SIZES
    >>> f"{parameter_count(SIZES['175B']):,}"
    '174,604,259,328'
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in GPT3(size).parameters())
