"""One optimiser step (Brown et al. 2020, appendix B): gradients accumulated over micro-batches,
clipped, applied.

"we use Adam with beta1 = 0.9, beta2 = 0.95, and epsilon = 1e-8, we clip the global norm of the
gradient at 1.0 ... All models use weight decay of 0.1". The paper does not say on what, nor whether
decoupled: here AdamW, and on matrices (embeddings included), not on biases and layer norms.
Products are made in bfloat16 on a GPU (autocast; the paper trained in 16 bits on V100s), weights
and moments kept in 32 bits.

A step's windows are shared out over the data-parallel ranks, each share goes through the model
`micro` windows at a time, and gradients meet once, in the last pass. Trap: torch averages gradients
over ranks, so each pass is weighted with ranks * its windows / the step's windows; an empty share
has weight zero.

Dropout is drawn anew in each pass by a seed made of the run's and of the pass's first window, so a
resumed run draws what an undisturbed one does. Trap: with dropout, another `micro` or number of
ranks is another draw, not a difference in rounding.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import xxhash
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from curation.gpt3.data import Windows
from curation.gpt3.model import GPT3
from curation.gpt3.parallel import Ranks, gradient_norm, kinds
from curation.gpt3.sizes import Size

BETAS = (0.9, 0.95)
EPSILON = 1e-8
WEIGHT_DECAY = 0.1
CLIP_NORM = 1.0
MICRO_TOKENS = {"cpu": 2048, "cuda": 16384}  # tokens in one pass, where the user does not say


@dataclass(frozen=True)
class Learner:
    """A model with its optimiser on the ranks it is trained by; `net` is what is called, `model`
    what is saved.
    """

    model: GPT3
    net: nn.Module
    optimizer: torch.optim.AdamW
    here: Ranks
    dtype: torch.dtype
    micro: int  # windows in one pass
    # DDP: squared norms of the rank's own gradient, by bucket.
    norms: list[Tensor] = field(default_factory=list)

    def loss(self, windows: Tensor) -> Tensor:
        """Mean loss in nats of windows (B, T + 1), through whatever is wrapped around the model."""
        windows = windows.to(self.here.device)
        with torch.autocast(self.here.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss: Tensor = self.net(windows[:, :-1], windows[:, 1:])
        return loss


@dataclass(frozen=True)
class Gradient:
    """What one step's gradient was: mean loss, its norm before clipping, and the norm of a smaller
    batch's.

    `small` is how many windows that smaller batch had; None where the step had no part to measure.
    """

    loss: float
    norm: float
    small: int | None
    small_norm: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def learner(
    model: GPT3, here: Ranks, dtype: torch.dtype, micro: int | None, compiled: bool
) -> Learner:
    """Wrap a model that has its values, and make its optimiser."""
    # Each block for itself: twelve equal blocks are compiled once.
    if compiled:
        for block in model.blocks:
            block.compile()
    net: nn.Module = model
    windows = micro or max(1, MICRO_TOKENS[here.device.type] // model.size.context)
    if here.data == 1 or here.fsdp:
        return Learner(model, net, optimizer_for(model), here, dtype, windows)
    net = DistributedDataParallel(
        model, device_ids=[here.device] if here.device.type == "cuda" else None
    )
    learner = Learner(model, net, optimizer_for(model), here, dtype, windows)
    # A lambda, since torch reads a function's annotations and does not understand postponed ones.
    net.register_comm_hook(learner.norms, lambda norms, bucket: _measured_allreduce(norms, bucket))
    return learner


def optimizer_for(model: GPT3) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only, fused (torch has it for CPUs and GPUs)."""
    groups: list[dict[str, Any]] = []
    for matrices, decay in ((True, WEIGHT_DECAY), (False, 0.0)):
        parameters = [p for p in model.parameters() if (p.dim() >= 2) == matrices]
        groups += [{"params": kind, "weight_decay": decay} for kind in kinds(parameters)]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)


def _measured_allreduce(norms: list[Tensor], bucket: Any) -> torch.futures.Future[Tensor]:
    """DDP's all-reduce of a GradBucket, which first notes the squared norm of what this rank brings
    to it.
    """
    norms.append(bucket.buffer().norm() ** 2)
    return allreduce_hook(None, bucket)  # type: ignore[arg-type]  # None: all ranks


def gradient(this: Learner, train: Windows, position: int, count: int) -> Gradient:
    """The gradient of the mean loss over windows position .. position + count - 1, left in the
    parameters.
    """
    here = this.here
    # Windows of a rank; those of the last ranks may be fewer, or none.
    share = -(-count // here.data)
    start = here.data_rank * share
    stop = min(start + share, count)
    shortest = max(0, count - (here.data - 1) * share)
    passes = range(start, start + share, this.micro)
    total = torch.zeros((), device=here.device)
    small, small_norm = None, 0.0
    this.norms.clear()
    for number, begin in enumerate(passes):
        rows = max(0, min(begin + this.micro, stop) - begin)
        part = train.batch(position + begin, rows) if rows else train.batch(position, 1)
        measured = (
            number == 0 and len(passes) > 1 and this.net is this.model and shortest >= this.micro
        )
        seed_dropout(this.model.size, train.seed, position + begin)
        with _meeting(this, measured or number == len(passes) - 1):
            loss = this.loss(torch.from_numpy(part))
            weight = here.data * rows / count
            (loss * weight).backward()  # type: ignore[no-untyped-call]
        total += loss.detach() * rows
        if measured:
            small, small_norm = this.micro * here.data, gradient_norm(this.model) / weight
    norm = gradient_norm(this.model)
    if this.norms and share * here.data == count:
        squares = here.summed(float(torch.stack(this.norms).sum()))[0]
        small, small_norm = share, math.sqrt(squares / here.data)
    return Gradient(here.summed(total.item())[0] / count, norm, small, small_norm)


def seed_dropout(size: Size, seed: int | None, place: int) -> None:
    """Set torch's generators for one pass, which begins at `place` of the run's data; nothing
    without dropout.
    """
    if size.dropout:
        torch.manual_seed(xxhash.xxh3_64_intdigest(f"gpt3/dropout/{seed}/{place}".encode()) >> 1)


def _meeting(this: Learner, now: bool) -> Any:
    """Whether gradients are added up over the ranks after this pass."""
    if isinstance(this.net, DistributedDataParallel):
        return nullcontext() if now else this.net.no_sync()
    if this.here.fsdp:
        # fully_shard adds the method.
        this.model.set_requires_gradient_sync(now)  # type: ignore[operator]
    return nullcontext()


def apply(this: Learner, gradient: Gradient, rate: float) -> None:
    """Clip the gradient, take a step at learning rate `rate`, forget the gradient."""
    scale = CLIP_NORM / (gradient.norm + 1e-6)
    if scale < 1:
        for parameter in this.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)
    for group in this.optimizer.param_groups:
        group["lr"] = rate
    this.optimizer.step()
    this.optimizer.zero_grad(set_to_none=True)
