"""The three attention patterns of GPT-3's layers, each as a kernel and all as one naive reference.

    dense     token i sees every token j <= i
    banded    j <= i and i - j < band: the last `band` tokens, itself included
    strided   j <= i and (i - j) a multiple of band: its column, when the text is laid out in
              rows of `band` tokens

Section 2.1 of Brown et al. 2020 says "alternating dense and locally banded sparse attention
patterns in the layers of the transformer, similar to the Sparse Transformer". The Sparse
Transformer's own strided pattern (Child et al. 2019, section 4.3, its two parts interleaved layer
by layer) is banded and strided layers in turn.

Cost in the length T: dense T squared; banded T times twice the band, as blocks of `band` tokens
attend to their own and the previous block; strided T squared over the band, as each column is a
short sequence of its own. On a GPU the two sparse ones are FlexAttention, compiled at their first
use.

Trap: FlexAttention is slow where it is not compiled (torch does not differentiate it compiled on a
CPU), so there it only serves the tests.

Letters in shapes: B sequences, H heads, T tokens, D head width.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from curation.gpt3.sizes import Pattern


def visible(i: Tensor, j: Tensor, pattern: Pattern, band: int) -> Tensor:
    """Whether token i sees token j; the definition of the patterns, elementwise.

    >>> i, j = torch.arange(4)[:, None], torch.arange(4)[None, :]
    >>> visible(i, j, "banded", 2).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    >>> visible(i, j, "strided", 2).int().tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    """
    behind = i - j
    if pattern == "banded":
        return (behind >= 0) & (behind < band)
    if pattern == "strided":
        return (behind >= 0) & (behind % band == 0)
    return behind >= 0


def naive_attention(
    q: Tensor, k: Tensor, v: Tensor, pattern: Pattern = "dense", band: int = 1
) -> Tensor:
    """Attention written out with a full T x T mask: the reference the kernels are tested against.

    q, k, v and the result are (B, H, T, D).
    """
    i = torch.arange(q.shape[2], device=q.device)
    scores = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    seen = visible(i[:, None], i[None, :], pattern, band)
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v


def attention(q: Tensor, k: Tensor, v: Tensor, pattern: Pattern, band: int) -> Tensor:
    """Attention by the fastest kernel there is for the pattern and device; (B, H, T, D) in
    and out.
    """
    if pattern == "dense" or (pattern == "banded" and q.shape[2] <= band):
        return dense_attention(q, k, v)
    if q.is_cuda:
        return flex_attention(q, k, v, pattern, band)
    return (
        banded_attention(q, k, v, band) if pattern == "banded" else strided_attention(q, k, v, band)
    )


def dense_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over everything so far; (B, H, T, D) in and out."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def dropped_attention(
    q: Tensor, k: Tensor, v: Tensor, pattern: Pattern, band: int, dropout: float
) -> Tensor:
    """Attention with a random share `dropout` of its weights set to zero, for training; (B, H, T, D)
    in and out. Every pattern costs T squared here: sparse ones are a mask.
    """
    if pattern == "dense":
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    i = torch.arange(q.shape[2], device=q.device)
    seen = visible(i[:, None], i[None, :], pattern, band)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)


def banded_attention(q: Tensor, k: Tensor, v: Tensor, band: int) -> Tensor:
    """Causal attention over the last `band` tokens; (B, H, T, D) in and out, cost linear in T.

    The first block has no block before it and is plain causal attention; all other blocks go
    through one call with a (band, 2 * band) mask that they share.
    """
    (batch, heads, length, width), blocks = q.shape, -(-q.shape[2] // band)
    if length <= band:
        return dense_attention(q, k, v)
    q, k, v = (_padded(x, band) for x in (q, k, v))
    first = dense_attention(q[:, :, :band], k[:, :, :band], v[:, :, :band])
    q, k, v = (x.reshape(batch, heads, blocks, band, width).transpose(1, 2) for x in (q, k, v))
    rest = F.scaled_dot_product_attention(
        q[:, 1:].flatten(0, 1), _pairs(k), _pairs(v), attn_mask=_band_mask(band, q.device)
    )
    rest = rest.reshape(batch, blocks - 1, heads, band, width).transpose(1, 2).flatten(2, 3)
    return torch.cat((first, rest), 2)[:, :, :length]


def strided_attention(q: Tensor, k: Tensor, v: Tensor, band: int) -> Tensor:
    """Causal attention over every `band`-th token before; (B, H, T, D) in and out, cost T squared
    over `band`.

    Tokens i, i + band, i + 2 band ... only see each other: they become a sequence of their own.
    """
    (batch, heads, length, width), rows = q.shape, -(-q.shape[2] // band)
    columns = [
        _padded(x, band)
        .reshape(batch, heads, rows, band, width)
        .permute(0, 3, 1, 2, 4)
        .flatten(0, 1)
        for x in (q, k, v)
    ]
    y = dense_attention(*columns).reshape(batch, band, heads, rows, width)
    return y.permute(0, 2, 3, 1, 4).flatten(2, 3)[:, :, :length]


def flex_attention(q: Tensor, k: Tensor, v: Tensor, pattern: Pattern, band: int) -> Tensor:
    """Any pattern through torch's FlexAttention, which skips the blocks of 128 x 128 that nothing
    sees.
    """
    mask = _block_mask(pattern, band, q.shape[2], q.device)
    kernel = _compiled_flex() if q.is_cuda else _eager_flex
    y: Tensor = kernel(q, k, v, block_mask=mask)
    return y


@functools.cache
def _compiled_flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention as kernel

    return torch.compile(kernel, dynamic=False)


def _eager_flex(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    from torch.nn.attention.flex_attention import flex_attention as kernel

    # The warning says that it is slow; see the module's trap.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kernel(q, k, v, **options)


@functools.lru_cache(maxsize=16)
def _block_mask(pattern: Pattern, band: int, length: int, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    def seen(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return visible(i, j, pattern, band)

    return create_block_mask(seen, None, None, length, length, device=str(device))


def _padded(x: Tensor, band: int) -> Tensor:
    """Zeros after the end up to whole blocks: causality hides them from every real token."""
    missing = -x.shape[2] % band
    return F.pad(x, (0, 0, 0, missing)) if missing else x


def _pairs(x: Tensor) -> Tensor:
    """(B, blocks, H, band, D) -> (B * (blocks - 1), H, 2 * band, D): each block after the one
    before it.
    """
    return torch.cat((x[:, :-1], x[:, 1:]), 3).flatten(0, 1)


def _band_mask(band: int, device: torch.device) -> Tensor:
    """(band, 2 * band), true where query a of a block sees key c of the block pair: a < c <= a +
    band.
    """
    a = torch.arange(band, device=device)[:, None]
    c = torch.arange(2 * band, device=device)[None, :]
    return (c > a) & (c <= a + band)
