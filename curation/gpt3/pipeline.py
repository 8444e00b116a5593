"""Pipeline parallelism: the layers of the network over several processes ("model parallelism ...
across the layers of the network", Brown et al. 2020, section 2.3), by torch.distributed.pipelining.

Stage s holds layers s * L / S .. (s + 1) * L / S - 1 of L, the first stage the embeddings too, the
last one the final norm. The tied embedding is on the first and the last stage; each step they
exchange its gradient, add both and take the same optimiser step, so the copies stay equal bit by
bit. Windows go through the stages `micro` at a time: one forward, one backward in turn (1F1B) where
there are at least as many passes as stages, else all forward and then all backward (GPipe).

Cost: of P passes through S stages, (S - 1) / (P + S - 1) of the time is waiting. Traps: torch's
stages expect equal shapes, so a share that is no multiple of `micro` is filled up with windows of
targets -1, which have no loss; and each new number of passes is set up anew, once.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from curation.errors import InputError
from curation.gpt3.loss import linear_cross_entropy
from curation.gpt3.model import GPT3, layer_mask
from curation.gpt3.parallel import Ranks, norm_of
from curation.gpt3.sizes import Size


def layers_of(layers: int, stage: int, stages: int) -> range:
    """The layers of a stage; their numbers differ by one at most.

    >>> [list(layers_of(5, stage, 2)) for stage in (0, 1)]
    [[0, 1], [2, 3, 4]]
    """
    return range(stage * layers // stages, (stage + 1) * layers // stages)


class Stage(GPT3):
    """The part of a model that one stage of the pipeline holds; parameters have the names of the
    whole model's. Called with what the stage before it sends (the first: token ids), it returns
    hidden states, the last stage the sum of its windows' mean losses, shape (1,)."""

    def __init__(self, size: Size, here: Ranks, dtype: torch.dtype) -> None:
        if size.dropout:
            raise InputError(
                f"{size.name} trains with dropout {size.dropout:g}, which stages of a pipeline do not "
                "draw alike; leave --pipeline-parallel out"
            )
        super().__init__(size)
        self.here, self.dtype = here, dtype
        self.first, self.last = here.stage == 0, here.stage == here.pipe - 1
        self.layers = layers_of(size.layers, here.stage, here.pipe)
        for layer in range(size.layers):
            if layer not in self.layers:
                self.blocks[layer] = nn.Identity()
        if not self.first:
            del self.positions
        if not self.last:
            del self.norm
        if not self.first and not self.last:
            del self.tokens
        self.filled = False  # whether a pass may hold windows without a loss
        self.scale = 1.0  # of losses before they are differentiated
        self.schedules: dict[tuple[int, ...], Any] = {}

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        here, dtype = self.here, self.dtype
        with torch.autocast(here.device.type, dtype, enabled=dtype != torch.float32):
            if self.first:
                places = torch.arange(x.shape[1], device=x.device)
                x = self.tokens(x) + self.positions(places)
            for layer in self.layers:
                block = self.blocks[layer]
                x, _ = block(x, None, layer_mask(block, x))
            if not self.last:
                return x.to(self._sent_dtype)
            assert targets is not None
            return self._losses(self.norm(x), targets)[None]

    def _losses(self, hidden: Tensor, targets: Tensor) -> Tensor:
        if self.filled:
            real = targets[:, 0] >= 0
            hidden, targets = hidden[real], targets[real]
            if not len(hidden):  # nothing to learn, but the same calls on every rank
                return 0.0 * (hidden.sum() + self.tokens.weight.sum().float())
        mean = linear_cross_entropy(hidden.flatten(0, 1), self.tokens.weight, targets.flatten())
        return mean * len(targets)

    @property
    def _sent_dtype(self) -> torch.dtype:
        """Of hidden states between stages: sharded weights are gathered in the type of products,
        and so the residual stream is of that type."""
        return self.dtype if self.here.fsdp else torch.float32

    def train_windows(self, windows: Tensor, rows: int, micro: int, scale: float) -> float:
        """Accumulate the gradient of `scale` times the sum of the mean losses of the first `rows`
        of the windows (N, T + 1), N a multiple of `micro`; returns that sum, on every stage."""
        targets = windows[:, 1:].clone()
        targets[rows:] = -1
        self.filled, self.scale = rows < len(windows), scale
        losses: list[Tensor] = []
        schedule = self._schedule(micro, windows.shape[1] - 1, len(windows) // micro, True)
        device, context = self.here.device, {"return_outputs": False}
        ids = (windows[:, :-1].contiguous().to(device),) if self.first else ()
        if self.last:
            targets = targets.to(device)
            schedule.step(*ids, targets=targets, target=targets, losses=losses, **context)
        else:
            schedule.step(*ids, **context)
        self._exchange_tied()
        total = float(torch.stack(losses).detach().sum()) / scale if self.last else 0.0
        return self.here.summed_over_stages(total)

    def loss(self, windows: Tensor) -> Tensor:
        """As the whole model's, on every stage; every stage calls it with the same windows."""
        self.filled = False
        schedule = self._schedule(len(windows), windows.shape[1] - 1, 1, False)
        ids = (windows[:, :-1].contiguous(),) if self.first else ()
        total = 0.0
        with torch.no_grad():
            if self.last:
                out = schedule.step(*ids, targets=windows[:, 1:].contiguous())
                total = float(out) / len(windows)
            else:
                schedule.step(*ids)
        return torch.tensor(self.here.summed_over_stages(total))

    def gradient_norm(self) -> float:
        """The norm of the whole model's gradient, the same on every stage."""
        counted_elsewhere = self.last and not self.first
        parameters = [
            parameter
            for name, parameter in self.named_parameters()
            if not (counted_elsewhere and name == "tokens.weight")
        ]
        square = self.here.summed_over_stages(float(norm_of(parameters)) ** 2)
        return float(square**0.5)

    def _schedule(self, micro: int, length: int, passes: int, learn: bool) -> Any:
        key = (micro, length, passes, learn)
        if key not in self.schedules:
            from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

            def hidden() -> Tensor:
                shape = (micro, length, self.size.width)
                return torch.empty(
                    shape, dtype=self._sent_dtype, device="meta", requires_grad=learn
                )

            ids = torch.empty((micro, length), dtype=torch.long, device="meta")
            loss = torch.empty(1, device="meta", requires_grad=learn)
            here = self.here
            stage = PipelineStage(
                self,
                here.stage,
                here.pipe,
                here.device,
                input_args=ids if self.first else hidden(),
                output_args=loss if self.last else hidden(),
                group=here.group("pipe"),
            )
            kind = Schedule1F1B if passes >= here.pipe else ScheduleGPipe
            loss_of = self._scaled if learn else None
            self.schedules[key] = kind(stage, passes, loss_fn=loss_of, scale_grads=False)
        return self.schedules[key]

    def _scaled(self, loss: Tensor, _targets: Tensor) -> Tensor:
        return loss.sum() * self.scale

    def _exchange_tied(self) -> None:
        """Add up the gradients of the embedding's two copies, on the first and the last stage."""
        if self.first == self.last:
            return
        gradient = self.tokens.weight.grad
        assert gradient is not None
        ours = gradient.to_local() if isinstance(gradient, DTensor) else gradient
        theirs = torch.empty_like(ours)
        group = self.here.group("pipe")
        peer = dist.get_global_rank(group, self.here.pipe - 1 if self.first else 0)
        calls = [
            dist.P2POp(dist.isend, ours.contiguous(), peer, group),
            dist.P2POp(dist.irecv, theirs, peer, group),
        ]
        for work in dist.batch_isend_irecv(calls):
            work.wait()
        ours.add_(theirs)
