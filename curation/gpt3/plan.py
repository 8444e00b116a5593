"""What a training run will take, without running it and without torch: `curation train --plan`.

Operations a token: 6 for each weight that a token is multiplied with (2 forward, 4 backward; the
paper's appendix D counts the same), and 12 * width for each token it attends to in each layer.
Memory a GPU: 16 bytes a parameter (weights, gradient and two moments in 32 bits) over the ranks
that share them; 34 bytes * width a layer and token for what the backward pass needs (Korthikanti et
al. 2022, section 4, without the attention matrix, which the kernels never store; 24 of the 34 are
split by tensor parallelism); logits and gradient of the vocabulary's matrix. A pipeline of S stages
holds a layer's share of all but the embeddings, and the activations of up to S passes at once; (S -
1) / (passes + S - 1) of its time is waiting.
Energy: watts of a GPU times hours times PUE (of the building, over what the machines take).

Trap: an estimate. Days come from the utilisation you state; what a cluster reaches is in the log of
a run (`mfu`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from curation.errors import InputError
from curation.gpt3.options import Machines
from curation.gpt3.schedule import Schedule, batch_windows, learning_rate
from curation.gpt3.sizes import Size

_LOGIT_ROWS = 8192  # in 16 bits, with their gradient
_PASS_TOKENS = 65_536  # half as many: 3 % slower on an H200 at 125M
_FILLED = 0.7  # of a GPU's memory, by the estimate, which is some 10 % too low
_BARS = "▁▂▃▄▅▆▇█"


def parameters(size: Size) -> int:
    """How many parameters a model of `size` has: what `model.parameter_count` counts.

    >>> from curation.gpt3.sizes import SIZES
    >>> f"{parameters(SIZES['175B']):,}"
    '174,604,259,328'
    """
    embeddings = (size.vocabulary + size.context) * size.width
    last_norm = 2 * size.width if size.norm == "pre" else 0
    return embeddings + size.layers * (12 * size.width**2 + 13 * size.width) + last_norm


def flops_per_token(size: Size) -> float:
    """Floating point operations to train on one token (multiplications and additions, forward and
    backward)."""
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
    """How a model is laid over GPUs: `data` times `tensor` times `pipe` of them, sharded (FSDP) or
    replicated (DDP)."""

    data: int
    tensor: int
    fsdp: bool
    pipe: int = 1

    def __str__(self) -> str:
        kind = "FSDP" if self.fsdp else "DDP" if self.data > 1 else "one copy"
        tensor = f" x tensor {self.tensor}" if self.tensor > 1 else ""
        return f"{kind} {self.data}{tensor}" + (f" x stages {self.pipe}" if self.pipe > 1 else "")

    def waiting(self, windows: int, micro: int) -> float:
        """The share of time that a stage waits, where a batch has so many windows.

        >>> Layout(1, 1, False, 4).waiting(12, 1)
        0.2
        """
        passes = max(1, -(-windows // (self.data * micro)))
        return (self.pipe - 1) / (passes + self.pipe - 1)


def memory_bytes(size: Size, layout: Layout, micro: int = 1) -> dict[str, float]:
    """Estimated memory of one GPU by purpose, with `micro` windows in a pass; the fullest stage of
    a pipeline is the first, which has the embeddings and all passes under way."""
    layers = -(-size.layers // layout.pipe)
    blocks = layers * 12 * size.width**2
    rest = parameters(size) - size.layers * 12 * size.width**2
    shards = layout.data if layout.fsdp else 1
    states = 16 * (blocks / layout.tensor + rest) / shards
    gathered = 2 * (2 * 12 * size.width**2 / layout.tensor + rest) if layout.fsdp else 0
    tokens = micro * size.context
    return {
        "weights, gradient, moments": states,
        "gathered weights": gathered,
        "activations": tokens * layers * layout.pipe * size.width * (10 + 24 / layout.tensor),
        "logits": 4 * _LOGIT_ROWS * size.vocabulary + 6 * size.vocabulary * size.width,
    }


def windows_in_pass(size: Size, layout: Layout, batch: int, memory: float) -> int:
    """How many windows of a batch go through a model at once on a GPU of `memory` bytes: few, long
    passes of about equal length, for the GPU waits for the CPU where a pass is short; but two of
    them, which the noise scale (`noise.py`) is measured by.

    >>> from curation.gpt3.sizes import SIZES
    >>> [windows_in_pass(SIZES[name], Layout(1, 1, False), 244, 85e9) for name in ("125M", "1.3B")]
    [31, 8]
    """
    most = max(1, _PASS_TOKENS // size.context)
    while most > 1 and sum(memory_bytes(size, layout, most).values()) > _FILLED * memory:
        most //= 2
    share = -(-batch // layout.data)
    return -(-share // max(2, -(-share // most)))


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
    utilisation."""
    return flops_per_token(size) * tokens / (gpus * tflops * 1e12 * utilisation) / 86400


def inference_flops(size: Size, context: int | None = None) -> float:
    """Operations to read or write one token after `context` others (half the window, if not said):
    2 for each weight, and 4 * width for each token it attends to in each layer."""
    seen = replace(size, context=2 * context) if context else size
    return flops_per_token(seen) / 3


PAGE_TOKENS = 500  # of a page of text, about: the paper does not say


def page_kwh(size: Size, machines: Machines, pages: int = 100) -> float:
    """Energy to write pages of text token by token. "Even with the full GPT-3 175B, generating 100
    pages of content from a trained model can cost on the order of 0.4 kW-hr" (Brown et al. 2020,
    section 6.3), for which the machines of then must be named."""
    return machines.kwh(inference_flops(size) * PAGE_TOKENS * pages)


def layouts(size: Size, gpus: int, tensor: int, pipe: int = 1) -> list[Layout]:
    """The layouts worth a look: replicated and sharded, with the tensor and pipeline parallelism
    asked for or some."""
    tensors = [tensor] if tensor > 1 else [1, 2, 4, 8]
    pipes = [pipe] if pipe > 1 else [1, 8] if gpus >= 64 and size.layers >= 64 else [1]
    found = [
        Layout(gpus // (n * stages), n, fsdp, stages)
        for stages in pipes
        for n in tensors
        for fsdp in (False, True)
        if gpus % (n * stages) == 0 and size.heads % n == 0 and stages <= size.layers
    ]
    return [
        one
        for one in found
        if one.fsdp == (one.data > 1) or (not one.fsdp and one.tensor == one.pipe == 1)
    ]


def plan_text(
    size: Size,
    schedule: Schedule,
    machines: Machines,
    tensor: int = 1,
    micro: int = 1,
    pipe: int = 1,
) -> str:
    """The plan in words: size, schedule with its two curves, time, energy, and memory by layout."""
    gpus, tflops, utilisation = machines.gpus, machines.tflops, machines.utilisation
    possible = layouts(size, gpus, tensor, pipe)
    if not possible:
        raise InputError(
            f"--tensor-parallel {tensor} times --pipeline-parallel {pipe} must divide the {gpus:,} GPUs "
            f"of --gpus, with a divisor of {size.heads} heads for the first and at most {size.layers} "
            "stages for the second"
        )
    budget, first = schedule.budget_tokens, batch_windows(schedule, 0) * schedule.context
    full = batch_windows(schedule, budget) * schedule.context
    flops = flops_per_token(size)
    points = [budget * column // 59 for column in range(60)]
    lines = [
        f"size {size.name}: {parameters(size):,} parameters; {size.layers} layers x {size.width} x "
        f"{size.heads} heads; "
        f"context {size.context}; attention {','.join(size.attention)}"
        + (f", band {size.band}" if {*size.attention} != {"dense"} else "")
        + (f", stride {size.stride}" if size.stride else ""),
        f"tokens: {budget:,} in {steps(schedule):,} steps of {first:,} to {full:,} tokens "
        f"({full // size.context:,} windows)",
        f"learning rate {_curve([learning_rate(schedule, t) for t in points])}  peak "
        f"{schedule.learning_rate:g} at "
        f"{schedule.warmup_tokens:,} tokens, {schedule.learning_rate * schedule.final_share:g} from "
        f"{schedule.decay_tokens:,}",
        f"batch         {_curve([float(batch_windows(schedule, t)) for t in points])}  full at "
        f"{schedule.ramp_tokens:,} tokens",
        f"operations: {flops:.3g} a token, {flops * budget:.3g} in all "
        f"({flops * budget / 8.64e19:,.1f} petaflop/s-days)",
        f"time: {days(size, budget, gpus, tflops, utilisation):,.1f} days on {gpus} GPUs of "
        f"{tflops:g} TFLOP/s at "
        f"{100 * utilisation:.0f} % utilisation",
        f"energy: {machines.kwh(flops * budget):,.0f} kWh at {machines.watts:g} W a GPU, PUE "
        f"{machines.pue:g}; 100 pages of {PAGE_TOKENS} tokens written by the model: "
        f"{page_kwh(size, machines):.2g} kWh",
        f"memory per GPU, {micro} window{'s' * (micro > 1)} of {size.context} tokens in a pass "
        "(estimated):",
    ]
    for layout in possible:
        parts = memory_bytes(size, layout, micro)
        detail = ", ".join(f"{name} {value / 1e9:,.1f}" for name, value in parts.items() if value)
        windows = full // size.context
        idle = f"; {layout.data - windows} shares idle" if windows < layout.data else ""
        if layout.pipe > 1:
            idle += f"; {100 * layout.waiting(windows, micro):.0f} % of time waiting"
        lines.append(f"  {layout!s:<32} {sum(parts.values()) / 1e9:>9,.1f} GB  ({detail}){idle}")
    return "\n".join(lines)


def _curve(values: list[float]) -> str:
    top = max(values)
    return "".join(_BARS[min(7, int(8 * value / top))] for value in values)
