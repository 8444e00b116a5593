"""Attention to two sets of tokens with one softmax, without a matrix of all scores.

Each set is computed by torch's own kernel, which also returns the logarithm of the sum of the
exponentiated scores of each row (LSE). Two results y1, y2 of disjoint sets are merged exactly:

    lse = log(exp(lse1) + exp(lse2))        y = y1 exp(lse1 - lse) + y2 exp(lse2 - lse)

Backward, each kernel is called with the merged `y` and `lse`: then exp(score - lse) are the shares
of the one softmax, and the gradients of the sets add up. torch does not differentiate LSE, so both
directions are written here.

Trap: the kernels are torch's internal operators for CPUs (`_scaled_dot_product_flash_attention_
for_cpu`), which `scaled_dot_product_attention` itself calls; a GPU takes FlexAttention instead. A
row that sees nothing has no LSE: no set may hold one.

Letters in shapes: N sequences, B of them in the batch, H heads, T tokens, L rows, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Layout = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """Some (query, key) pairs as short sequences of their own.

    `rows` lays out the queries (B, H, T, D) as (N, H, L, D), with zeros where there is no token,
    `keys` the keys and values; `back` returns the rows to their tokens: (B, H, T - start, D), token
    `start` the first. `mask` (L, keys) is added to the scores; None is causal.
    """

    start: int
    rows: Layout
    keys: Layout
    back: Layout
    mask: Tensor | None = None


def merged_attention(q: Tensor, k: Tensor, v: Tensor, band: list[Part], others: Part) -> Tensor:
    """Attention (B, H, T, D) to the pairs of `band` (parts that cover all tokens one after
    another) and of `others`, which has none in common with them, in one softmax."""
    parts = (*band, others)
    laid_out = [x for part in parts for x in (part.rows(q), part.keys(k), part.keys(v))]
    merged: Tensor = _Merged.apply(parts, *laid_out)  # type: ignore[no-untyped-call]
    return merged


def part_forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Attention (N, H, L, D) of one part and its LSE (N, H, L)."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    y, lse = kernel(q, k, v, is_causal=mask is None, attn_mask=mask)
    return y, lse


class _Merged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: tuple[Part, ...], *laid_out: Tensor) -> Tensor:
        found = []
        for number, part in enumerate(parts):
            q, k, v = laid_out[3 * number : 3 * number + 3]
            y, lse = part_forward(q, k, v, part.mask)
            found.append((part.back(y), part.back(lse[..., None])))
        y = torch.cat([part_y for part_y, _ in found[:-1]], 2)
        lse = torch.cat([part_lse for _, part_lse in found[:-1]], 2)
        start, (other_y, other_lse) = parts[-1].start, found[-1]
        merged = torch.logaddexp(lse[:, :, start:], other_lse)
        tail = y[:, :, start:] * (lse[:, :, start:] - merged).exp()
        tail = tail + other_y * (other_lse - merged).exp()
        y = torch.cat((y[:, :, :start], tail.to(y.dtype)), 2)
        lse = torch.cat((lse[:, :, :start], merged), 2)
        ctx.parts = parts
        ctx.save_for_backward(y, lse, *laid_out)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
        y, lse, *laid_out = ctx.saved_tensors
        out: list[Tensor] = []
        for number, part in enumerate(ctx.parts):
            gradient, rows = (part.rows(x).contiguous() for x in (gradients[0], y))
            sums = part.rows(lse)[..., 0].contiguous()
            q, k, v = laid_out[3 * number : 3 * number + 3]
            causal = part.mask is None
            out += kernel(gradient, q, k, v, rows, sums, 0.0, causal, attn_mask=part.mask)
        return None, *out
