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

import itertools
import math
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import xxhash
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from curation.gpt3.data import Windows
from curation.gpt3.model import GPT3, Block
from curation.gpt3.parallel import Ranks, gradient_norm_tensor, kinds
from curation.gpt3.parallel import gradient_norm as gradient_norm
from curation.gpt3.pipeline import Stage
from curation.gpt3.plan import Layout, windows_in_pass
from curation.gpt3.sizes import Size

BETAS = (0.9, 0.95)  # GPT-3's; a size may say another second one, as GPT-1's does
EPSILON = 1e-8
CLIP_NORM = 1.0
MICRO_TOKENS = {"cpu": 2048, "cuda": 16384}  # tokens in one pass, where nothing else is said


@dataclass(frozen=True)
class Learner:
    """A model with its optimiser on the ranks it is trained by; `net` is what is called, `model`
    what is saved."""

    model: GPT3
    net: nn.Module
    optimizer: torch.optim.AdamW
    here: Ranks
    dtype: torch.dtype
    micro: int  # windows in one pass, at most
    compiled: bool = False
    # DDP: squared norms of the rank's own gradient, by bucket.
    norms: list[Tensor] = field(default_factory=list)

    def loss(self, windows: Tensor) -> Tensor:
        """Mean loss in nats of windows (B, T + 1), through whatever is wrapped around the model."""
        if self.here.device.type == "cuda":
            # Pinned: a copy from other memory waits until the GPU has done all it was asked.
            windows = windows.pin_memory()
        windows = windows.to(self.here.device, non_blocking=True)
        with self.autocast():
            loss: Tensor = self.net(windows[:, :-1], windows[:, 1:])
        return loss

    def autocast(self, on: bool = True) -> torch.autocast:
        """Products in `dtype`. Weights that were cast within one such context are cast once."""
        kind = self.here.device.type
        return torch.autocast(kind, self.dtype, enabled=on and self.dtype != torch.float32)


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


def pass_windows(size: Size, here: Ranks, batch: int) -> int:
    """How many windows go through the model at once where the user does not say: on a GPU as many
    as its memory holds, so that batches of `batch` windows are cut into few passes."""
    if here.device.type == "cpu" or here.pipe > 1:  # stages wait less for small passes
        return max(1, MICRO_TOKENS[here.device.type] // size.context)
    memory = here.of_first(float(torch.cuda.get_device_properties(here.device).total_memory))
    return windows_in_pass(size, Layout(here.data, here.tensor, here.fsdp), batch, memory)


def learner(model: GPT3, here: Ranks, dtype: torch.dtype, micro: int, compiled: bool) -> Learner:
    """Wrap a model that has its values, and make its optimiser."""
    # Each block for itself: twelve equal blocks are compiled once.
    if compiled:
        for block in model.blocks:
            if isinstance(block, Block):
                block.compile()
    net: nn.Module = model
    if here.data == 1 or here.fsdp:
        return Learner(model, net, optimizer_for(model), here, dtype, micro, compiled)
    net = DistributedDataParallel(
        model, device_ids=[here.device] if here.device.type == "cuda" else None
    )
    learner = Learner(model, net, optimizer_for(model), here, dtype, micro, compiled)
    # A lambda, since torch reads a function's annotations and does not understand postponed ones.
    net.register_comm_hook(learner.norms, lambda norms, bucket: _measured_allreduce(norms, bucket))
    return learner


def optimizer_for(model: GPT3) -> torch.optim.AdamW:
    """AdamW with the size's weight decay on matrices only."""
    betas = (BETAS[0], model.size.second_beta)
    return adamw(model.parameters(), model.size.weight_decay, betas)


def adamw(
    parameters: Iterable[nn.Parameter], weight_decay: float, betas: tuple[float, float]
) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only, fused (torch has it for CPUs and GPUs)."""
    every = list(parameters)
    groups: list[dict[str, Any]] = []
    for matrices, decay in ((True, weight_decay), (False, 0.0)):
        chosen = [p for p in every if (p.dim() >= 2) == matrices]
        groups += [{"params": kind, "weight_decay": decay} for kind in kinds(chosen)]
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=EPSILON, fused=True)


def _measured_allreduce(norms: list[Tensor], bucket: Any) -> torch.futures.Future[Tensor]:
    """DDP's all-reduce of a GradBucket, which first notes the squared norm of what this rank brings
    to it."""
    norms.append(bucket.buffer().norm() ** 2)
    return allreduce_hook(None, bucket)  # type: ignore[arg-type]  # None: all ranks


def gradient(this: Learner, train: Windows, position: int, count: int) -> Gradient:
    """The gradient of the mean loss over windows position .. position + count - 1, left in the
    parameters."""
    here = this.here
    # Windows of a rank; those of the last ranks may be fewer, or none.
    share = -(-count // here.data)
    start = here.data_rank * share
    stop = min(start + share, count)
    shortest = max(0, count - (here.data - 1) * share)
    if isinstance(this.model, Stage):
        return _pipelined(this, this.model, train, position, range(start, stop), share, count)
    # Of equal length, but for a window: a compiled layer sees no more than two lengths in a step,
    # on the last ranks a few more, which may have fewer windows.
    count_of_passes = -(-share // this.micro)
    borders = [start + share * number // count_of_passes for number in range(count_of_passes + 1)]
    first_windows = borders[1] - start
    measured_first = this.net is this.model and count_of_passes > 1 and shortest >= first_windows
    total = torch.zeros((), device=here.device)
    first: tuple[Tensor, float] | None = None  # norm and weight of the first pass
    this.norms.clear()
    with this.autocast():  # around all passes, so that weights are cast once
        for begin, end in itertools.pairwise(borders):
            rows = max(0, min(end, stop) - begin)
            part = train.batch(position + begin, rows) if rows else train.batch(position, 1)
            measured = measured_first and begin == start
            seed_dropout(this.model.size, train.seed, position + begin)
            with _meeting(this, measured or end == borders[-1]):
                loss = this.loss(torch.from_numpy(part))
                weight = here.data * rows / count
                with this.autocast(False):
                    (loss * weight).backward()  # type: ignore[no-untyped-call]
            total += loss.detach() * rows
            if measured:
                first = gradient_norm_tensor(this.model), weight
    norm = gradient_norm_tensor(this.model)
    # The one place where the GPU is waited for.
    numbers = [total, norm, norm if first is None else first[0]]
    on_host = torch.stack([number.double() for number in numbers]).tolist()
    small, small_norm = None, 0.0
    if first is not None:
        small, small_norm = first_windows * here.data, on_host[2] / first[1]
    if this.norms and share * here.data == count:
        squares = here.summed(float(torch.stack(this.norms).sum()))[0]
        small, small_norm = share, math.sqrt(squares / here.data)
    return Gradient(here.summed(on_host[0])[0] / count, on_host[1], small, small_norm)


def _pipelined(
    this: Learner,
    stage: Stage,
    train: Windows,
    position: int,
    mine: range,
    share: int,
    count: int,
) -> Gradient:
    """As `gradient`, by the stages of a pipeline; nothing smaller is measured on the way."""
    here, micro = this.here, min(this.micro, share)
    rows = len(mine)
    part = torch.from_numpy(
        train.batch(position + mine.start, rows) if rows else train.batch(position, 1)
    )
    filled = part[:1].expand(-(-share // micro) * micro, -1).clone()
    filled[:rows] = part[:rows]
    total = stage.train_windows(filled, rows, micro, here.data / count)
    return Gradient(here.summed(total)[0] / count, stage.gradient_norm(), None, 0.0)


def seed_dropout(size: Size, seed: int | None, place: int) -> None:
    """Set torch's generators for one pass, which begins at `place` of the run's data; nothing
    without dropout."""
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
    take_step(this.model.parameters(), this.optimizer, gradient.norm, rate)


def take_step(
    parameters: Iterable[nn.Parameter], optimizer: torch.optim.AdamW, norm: float, rate: float
) -> None:
    """Clip the gradient, whose norm is `norm`, take a step at learning rate `rate`, forget the
    gradient."""
    scale = CLIP_NORM / (norm + 1e-6)
    if scale < 1:
        for kind in kinds(parameters):
            torch._foreach_mul_([p.grad for p in kind if p.grad is not None], scale)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
