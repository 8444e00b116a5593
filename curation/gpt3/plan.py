"""What a training run will take, without running it and without torch: `curation train --plan`.

Operations a token: 6 for each weight that a token is multiplied with (2 forward, 4 backward; the
paper's appendix D counts the same), and 12 * width for each token it attends to in each layer.
Memory a GPU: 16 bytes a parameter (weights, gradient and two moments in 32 bits) over the ranks
that share them; 34 bytes * width a layer and token for what the backward pass needs (Korthikanti et
al. 2022, section 4, without the attention matrix, which the kernels never store; 24 of the 34 are
split by tensor parallelism); logits and gradient of the vocabulary's matrix.

Trap: an estimate. Days come from the utilisation you state; what a cluster reaches is in the log of
a run (`mfu`).
"""

from __future__ import annotations

from dataclasses import dataclass

from curation.gpt3.schedule import Schedule, batch_windows, learning_rate
from curation.gpt3.sizes import Size

_LOGIT_ROWS = 2048
_BARS = "▁▂▃▄▅▆▇█"


def parameters(size: Size) -> int:
    """How many parameters a model of `size` has: what `model.parameter_count` counts.

    >>> from curation.gpt3.sizes import SIZES
    >>> f"{parameters(SIZES['175B']):,}"
    '174,604,259,328'
    """
    embeddings = (size.vocabulary + size.context) * size.width
    return embeddings + size.layers * (12 * size.width**2 + 13 * size.width) + 2 * size.width


def training_flops(size: Size) -> float:
    """Floating point operations to train on one token (multiplications and additions, forward and
    backward).
    """
    weights = size.layers * 12 * size.width**2 + size.vocabulary * size.width
    return 6 * weights + 12 * size.width * sum(
        tokens_seen(size, pattern) for pattern in size.patterns
    )


def tokens_seen(size: Size, pattern: str) -> float:
    """How many tokens a token of the context sees in a layer, itself included, on average.

    >>> size = Size("x", 1, 1, 1, 1, 1.0, context=4, band=2)
    >>> [tokens_seen(size, pattern) for pattern in ("dense", "banded", "strided", "sparse")]
    [2.5, 1.75, 1.5, 2.25]
    """
    context, band, stride = size.context, min(size.band, size.context), size.columns
    banded = (band * (band + 1) / 2 + (context - band) * band) / context
    if pattern == "banded":
        return banded
    if pattern == "strided":
        return sum(i // stride + 1 for i in range(context)) / context
    if pattern == "sparse":
        # Of the column only what is not in the band already.
        return (
            banded + sum(i // stride - (band - 1) // stride for i in range(band, context)) / context
        )
    return (context + 1) / 2


@dataclass(frozen=True)
class Layout:
    """How a model is laid over GPUs: `data` times `tensor` of them, sharded (FSDP) or replicated
    (DDP).
    """

    data: int
    tensor: int
    fsdp: bool

    def __str__(self) -> str:
        kind = "FSDP" if self.fsdp else "DDP" if self.data > 1 else "one copy"
        return f"{kind} {self.data}" + (f" x tensor {self.tensor}" if self.tensor > 1 else "")


def memory_bytes(size: Size, layout: Layout, micro: int = 1) -> dict[str, float]:
    """Estimated memory of one GPU by purpose, with `micro` windows in a pass."""
    blocks = size.layers * 12 * size.width**2
    rest = parameters(size) - blocks
    shards = layout.data if layout.fsdp else 1
    states = 16 * (blocks / layout.tensor + rest) / shards
    gathered = 2 * (2 * 12 * size.width**2 / layout.tensor + rest) if layout.fsdp else 0
    tokens = micro * size.context
    return {
        "weights, gradient, moments": states,
        "gathered weights": gathered,
        "activations": tokens * size.layers * size.width * (10 + 24 / layout.tensor),
        "logits": 6 * _LOGIT_ROWS * size.vocabulary + 4 * size.vocabulary * size.width,
    }


def steps(schedule: Schedule) -> int:
    """How many optimiser steps the schedule's budget is, batch ramp included."""
    tokens, count = 0, 0
    while tokens < min(schedule.ramp_tokens, schedule.budget_tokens):
        tokens += batch_windows(schedule, tokens) * schedule.context
        count += 1
    full = batch_windows(schedule, schedule.budget_tokens) * schedule.context
    return count + max(0, -(-(schedule.budget_tokens - tokens) // full))


def days(size: Size, tokens: int, gpus: int, tflops: float, utilisation: float) -> float:
    """How long `gpus` of `tflops` (10^12 operations a second at best) take for `tokens` at that
    utilisation.
    """
    return training_flops(size) * tokens / (gpus * tflops * 1e12 * utilisation) / 86400


def layouts(size: Size, gpus: int, tensor: int) -> list[Layout]:
    """The layouts worth a look: replicated and sharded, with the tensor parallelism asked for or
    some.
    """
    degrees = (
        [tensor]
        if tensor > 1
        else [n for n in (1, 2, 4, 8) if gpus % n == 0 and size.heads % n == 0]
    )
    layouts = [Layout(gpus // n, n, fsdp) for n in degrees for fsdp in (False, True)]
    return [
        one for one in layouts if one.fsdp == (one.data > 1) or (not one.fsdp and one.tensor == 1)
    ]


def plan_text(
    size: Size,
    schedule: Schedule,
    gpus: int,
    tensor: int,
    micro: int,
    tflops: float,
    utilisation: float,
) -> str:
    """The plan in words: size, schedule with its two curves, time, and memory by layout."""
    budget, first = schedule.budget_tokens, batch_windows(schedule, 0) * schedule.context
    full = batch_windows(schedule, budget) * schedule.context
    flops = training_flops(size)
    points = [budget * column // 59 for column in range(60)]
    lines = [
        f"size {size.name}: {parameters(size):,} parameters; {size.layers} layers x {size.width} x "
        f"{size.heads} heads; "
        f"context {size.context}; attention {','.join(size.attention)}, band {size.band}"
        + (f", stride {size.stride}" if size.stride else ""),
        f"tokens: {budget:,} in {steps(schedule):,} steps of {first:,} to {full:,} tokens "
        f"({full // size.context:,} windows)",
        f"learning rate {_curve([learning_rate(schedule, t) for t in points])}  peak "
        f"{schedule.learning_rate:g} at "
        f"{schedule.warmup_tokens:,} tokens, {schedule.learning_rate * 0.1:g} from "
        f"{schedule.decay_tokens:,}",
        f"batch         {_curve([float(batch_windows(schedule, t)) for t in points])}  full at "
        f"{schedule.ramp_tokens:,} tokens",
        f"operations: {flops:.3g} a token, {flops * budget:.3g} in all "
        f"({flops * budget / 8.64e19:,.1f} petaflop/s-days)",
        f"time: {days(size, budget, gpus, tflops, utilisation):,.1f} days on {gpus} GPUs of "
        f"{tflops:g} TFLOP/s at "
        f"{utilisation:.0%} utilisation",
        f"memory per GPU, {micro} window{'s' * (micro > 1)} of {size.context} tokens in a pass "
        "(estimated):",
    ]
    for layout in layouts(size, gpus, tensor):
        parts = memory_bytes(size, layout, micro)
        detail = ", ".join(f"{name} {value / 1e9:,.1f}" for name, value in parts.items() if value)
        idle = (
            ""
            if full // size.context >= layout.data
            else f"; {layout.data - full // size.context} ranks idle"
        )
        lines.append(f"  {layout!s:<22} {sum(parts.values()) / 1e9:>9,.1f} GB  ({detail}){idle}")
    return "\n".join(lines)


def _curve(values: list[float]) -> str:
    top = max(values)
    return "".join(_BARS[min(7, int(8 * value / top))] for value in values)
