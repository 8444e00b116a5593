"""The attention patterns of GPT-3's layers, each as a kernel and all as one naive reference.

    dense     token i sees every token j <= i
    banded    j <= i and i - j < band: the last `band` tokens, itself included
    strided   j <= i and (i - j) a multiple of stride: its column, when the text is laid out in
              rows of `stride` tokens
    sparse    j <= i and one of the last `band` tokens or in its column: one softmax over both

Section 2.1 of Brown et al. 2020 says "alternating dense and locally banded sparse attention
patterns in the layers of the transformer, similar to the Sparse Transformer". The Sparse
Transformer's own strided pattern (Child et al. 2019, section 4.3, its two parts interleaved layer
by layer) is banded and strided layers in turn; "sparse" is the same pattern with both parts merged
in each layer.

Cost in the length T: dense T squared; banded T times twice the band, as blocks of `band` tokens
attend to their own and the previous block; strided T squared over the band, as each column is a
short sequence of its own; sparse is both together (`merged.py`). On a GPU banded and sparse layers
are FlexAttention, compiled at the first use of each shape, with a mask that is made once
(`block_mask`); where nothing is to be learnt, so that shapes vary with the prompt, they are torch's
masked attention, which compiles nothing.

Traps: FlexAttention is slow where it is not compiled (torch does not differentiate it compiled on a
CPU), so there it only serves the tests. It skips blocks of 128 x 128 that nothing sees: a band is
cheaper by that, the columns of a sparse layer are not where its stride is 128 or less.

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

from curation.gpt3.merged import Part, merged_attention
from curation.gpt3.sizes import Pattern


def visible(i: Tensor, j: Tensor, pattern: Pattern, band: int, stride: int | None = None) -> Tensor:
    """Whether token i sees token j; the definition of the patterns, elementwise. Without a stride
    it is the band.

    >>> i, j = torch.arange(4)[:, None], torch.arange(4)[None, :]
    >>> visible(i, j, "banded", 2).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    >>> visible(i, j, "strided", 2).int().tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    >>> visible(i, j, "sparse", 2, 3).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]]
    """
    behind, stride = i - j, stride or band
    if pattern == "banded":
        return (behind >= 0) & (behind < band)
    if pattern == "strided":
        return (behind >= 0) & (behind % stride == 0)
    if pattern == "sparse":
        return (behind >= 0) & ((behind < band) | (behind % stride == 0))
    return behind >= 0


def seen_by_last(x: Tensor, pattern: Pattern, band: int, stride: int | None = None) -> Tensor:
    """Of keys or values (B, H, T, D) those that the last token sees, in their order.

    >>> x = torch.arange(7)[None, None, :, None]
    >>> seen_by_last(x, "sparse", 2, 3).flatten().tolist()
    [0, 3, 5, 6]
    """
    length, stride = x.shape[2], stride or band
    if pattern == "banded":
        return x[:, :, -band:]
    if pattern == "strided":
        return x[:, :, (length - 1) % stride :: stride]
    if pattern == "sparse":
        column = x[:, :, (length - 1) % stride : max(0, length - band) : stride]
        return torch.cat((column, x[:, :, -band:]), 2)
    return x


def naive_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: Pattern = "dense",
    band: int = 1,
    stride: int | None = None,
) -> Tensor:
    """Attention written out with a full T x T mask: the reference the kernels are tested against.

    q, k, v and the result are (B, H, T, D).
    """
    i = torch.arange(q.shape[2], device=q.device)
    scores = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    seen = visible(i[:, None], i[None, :], pattern, band, stride)
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: Pattern,
    band: int,
    stride: int | None = None,
    mask: Any = None,
) -> Tensor:
    """Attention by the fastest kernel there is for the pattern and device; (B, H, T, D) in
    and out. Without a stride it is the band. `mask` is what `block_mask` made of the same."""
    stride = stride or band
    if pattern == "dense" or (pattern in ("banded", "sparse") and q.shape[2] <= band):
        return dense_attention(q, k, v)
    if pattern == "strided":
        return strided_attention(q, k, v, stride)
    if q.is_cuda:
        if torch.is_grad_enabled():
            return flex_attention(q, k, v, pattern, band, stride, mask)
        return masked_attention(q, k, v, pattern, band, stride)
    if pattern == "banded":
        return banded_attention(q, k, v, band)
    return sparse_attention(q, k, v, band, stride)


def dense_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over everything so far; (B, H, T, D) in and out."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def masked_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: Pattern,
    band: int,
    stride: int | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Any pattern at the cost of a dense one, by torch's kernel with a T x T mask; with `dropout`
    that random share of the weights is set to zero, for training. (B, H, T, D) in and out."""
    if pattern == "dense":
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    i = torch.arange(q.shape[2], device=q.device)
    seen = visible(i[:, None], i[None, :], pattern, band, stride)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)


def banded_attention(q: Tensor, k: Tensor, v: Tensor, band: int) -> Tensor:
    """Causal attention over the last `band` tokens; (B, H, T, D) in and out, cost linear in T.

    The first block has no block before it and is plain causal attention; all other blocks go
    through one call with a (band, 2 * band) mask that they share.
    """
    if q.shape[2] <= band:
        return dense_attention(q, k, v)
    first, rest = _band_parts(q, band)
    y = dense_attention(*(first.rows(x) for x in (q, k, v)))
    others = F.scaled_dot_product_attention(
        rest.rows(q), rest.keys(k), rest.keys(v), attn_mask=rest.mask
    )
    return torch.cat((y, rest.back(others)), 2)


def strided_attention(q: Tensor, k: Tensor, v: Tensor, stride: int) -> Tensor:
    """Causal attention over every `stride`-th token before; (B, H, T, D) in and out, cost T squared
    over `stride`.

    Tokens i, i + stride, i + 2 stride ... only see each other: they become a sequence of their own.
    """
    column = _column_part(q, stride, 0)
    return column.back(dense_attention(column.rows(q), column.keys(k), column.keys(v)))


def sparse_attention(q: Tensor, k: Tensor, v: Tensor, band: int, stride: int) -> Tensor:
    """Causal attention over the last `band` tokens and every `stride`-th token before, in one
    softmax; (B, H, T, D) in and out, cost T times twice the band plus T squared over `stride`.

    What is in the band is left out of the columns: there a token sees those at least `skipped` rows
    above it.
    """
    skipped = -(-band // stride)
    if q.shape[2] <= band or stride == 1:
        return dense_attention(q, k, v)
    if q.shape[2] <= skipped * stride:
        return banded_attention(q, k, v, band)
    return merged_attention(q, k, v, _band_parts(q, band), _column_part(q, stride, skipped))


def block_mask(pattern: Pattern, band: int, stride: int, length: int, x: Tensor) -> Any:
    """The blocks of FlexAttention for a layer whose input is `x`, None where another kernel is used.

    Made outside of compiled layers: torch's compiler passes over the cache of a function, and would
    make the mask anew in each layer of each pass.
    """
    if not x.is_cuda or not torch.is_grad_enabled() or length <= band:
        return None
    if pattern not in ("banded", "sparse"):
        return None
    return _block_mask(pattern, band, stride, length, x.device)


def flex_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: Pattern,
    band: int,
    stride: int | None = None,
    mask: Any = None,
) -> Tensor:
    """Any pattern through torch's FlexAttention, which skips the blocks of 128 x 128 that nothing
    sees."""
    if mask is None:
        mask = _block_mask(pattern, band, stride or band, q.shape[2], q.device)
    y: Tensor = _flex_kernel(q.is_cuda)(q, k, v, block_mask=mask)
    return y


def _flex_kernel(on_gpu: bool) -> Any:
    from torch.nn.attention.flex_attention import flex_attention as kernel

    if torch.compiler.is_compiling():
        return kernel  # a part of the layer that is being compiled
    return _compiled_flex() if on_gpu else _eager_flex


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
def _block_mask(pattern: Pattern, band: int, stride: int, length: int, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    def seen(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return visible(i, j, pattern, band, stride)

    return create_block_mask(seen, None, None, length, length, device=str(device))


def _band_parts(q: Tensor, band: int) -> list[Part]:
    """The first block of `band` tokens, and all others with the block before each."""
    (batch, heads, length, _), blocks = q.shape, -(-q.shape[2] // band)

    def in_blocks(x: Tensor) -> Tensor:  # (B, blocks, H, band, D)
        return _padded(x, band).reshape(batch, heads, blocks, band, -1).transpose(1, 2)

    def first(x: Tensor) -> Tensor:
        return x[:, :, :band]

    def rows(x: Tensor) -> Tensor:
        return in_blocks(x)[:, 1:].flatten(0, 1)

    def keys(x: Tensor) -> Tensor:  # (B * (blocks - 1), H, 2 * band, D)
        x = in_blocks(x)
        return torch.cat((x[:, :-1], x[:, 1:]), 3).flatten(0, 1)

    def back(y: Tensor) -> Tensor:
        y = y.reshape(batch, blocks - 1, heads, band, -1).transpose(1, 2).flatten(2, 3)
        return y[:, :, : length - band]

    mask = _band_mask(band, q.dtype, q.device)
    return [Part(0, first, first, lambda y: y), Part(band, rows, keys, back, mask)]


def _column_part(q: Tensor, stride: int, skipped: int) -> Part:
    """Each column of the text in rows of `stride` tokens, its token seeing those at least `skipped`
    rows above."""
    (batch, heads, length, _), lines = q.shape, -(-q.shape[2] // stride)

    def columns(x: Tensor) -> Tensor:  # (B * stride, H, lines, D)
        x = _padded(x, stride).reshape(batch, heads, lines, stride, -1)
        return x.permute(0, 3, 1, 2, 4).flatten(0, 1)

    def back(y: Tensor) -> Tensor:
        y = y.reshape(batch, stride, heads, lines - skipped, -1).permute(0, 2, 3, 1, 4)
        return y.flatten(2, 3)[:, :, : length - skipped * stride]

    return Part(
        skipped * stride,
        lambda x: columns(x)[:, :, skipped:],
        lambda x: columns(x)[:, :, : lines - skipped],
        back,
    )


def _padded(x: Tensor, band: int) -> Tensor:
    """Zeros after the end up to whole blocks: causality hides them from every real token."""
    missing = -x.shape[2] % band
    return F.pad(x, (0, 0, 0, missing)) if missing else x


def _band_mask(band: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(band, 2 * band) to add to scores: 0 where query a of a block sees key c of the block pair (a
    < c <= a + band), else minus infinity."""
    a = torch.arange(band, device=device)[:, None]
    c = torch.arange(2 * band, device=device)[None, :]
    hidden = (c <= a) | (c > a + band)
    return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill(hidden, -math.inf)
