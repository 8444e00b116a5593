"""Many processes: data parallel (DDP, FSDP2), and tensor parallel within each matrix product.

    torchrun --nproc-per-node 4 -m curation train RUN --out model                 # DDP
    torchrun --nproc-per-node 4 -m curation train RUN --out model --fsdp          # sharded
    torchrun --nproc-per-node 4 -m curation train RUN --out model --tensor-parallel 2

Everything is torch.distributed's own; this module only says what is split. Tensor parallel: the
rows of `qkv` and `up` (whole heads, hidden units) and the columns of `out` and `down`, one
all-reduce for each pair; embeddings and norms are replicated. Where both kinds are used the data
dimension is sharded too (FSDP2 over a two-dimensional mesh). A mesh of one process talks to nobody.

Trap: every rank must make the same collective calls in the same order, so a rank whose share of a
batch is shorter computes on a repeated window with weight zero.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from curation.errors import InputError
from curation.gpt3.model import GPT3
from curation.gpt3.sizes import Size


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, `data` times `tensor` of them, and which one this is."""

    device: torch.device
    rank: int = 0
    data: int = 1
    tensor: int = 1
    fsdp: bool = False
    mesh: DeviceMesh | None = None  # (data, tensor)

    @property
    def first(self) -> bool:
        """Whether this process writes the log and the checkpoints."""
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        """Which share of each batch this process computes."""
        return self.rank // self.tensor

    def summed(self, *values: float) -> list[float]:
        """The sums of numbers over the shares of the batch, the same on every rank."""
        if self.mesh is None:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total, group=self.mesh["data"].get_group())
        return [float(value) for value in total.tolist()]

    def agreed(self, answer: bool) -> bool:
        """The first rank's answer, on every rank: for what hangs on a clock."""
        if self.mesh is None:
            return answer
        told = torch.tensor([int(answer)], device=self.device)
        dist.broadcast(told, src=0)
        return bool(told.item())

    def wait(self) -> None:
        """Until every rank is here."""
        if self.mesh is not None:
            dist.barrier()


ONE = Ranks(torch.device("cpu"))


def device_named(name: str | None) -> torch.device:
    """The device asked for, by default a GPU where there is one; InputError for a GPU that is not
    there.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise InputError(f"there is no device {name!r}; expected cpu or cuda (or cuda:N)")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {name} was asked for, but torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} GPUs "
            "here; use --device cpu, or install the torch made for your GPU and driver"
        )
    return device


@contextmanager
def ranks(device_name: str | None, size: Size, tensor: int, fsdp: bool) -> Iterator[Ranks]:
    """The processes that `torchrun` started (its environment says how many), joined until the block
    ends.
    """
    world, rank, local = (
        int(os.environ.get(key, n))
        for key, n in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0))
    )
    if tensor < 1 or world % tensor or size.heads % tensor:
        raise InputError(
            f"tensor parallel {tensor} must divide the number of processes ({world}; torchrun "
            f"--nproc-per-node sets it) and the {size.heads} heads of size {size.name!r}"
        )
    if world == 1:
        yield Ranks(device_named(device_name))
        return
    device = device_named(device_name)
    if device.type == "cuda":
        device = device_named(f"cuda:{local}")
        torch.cuda.set_device(device)
    # Advice on speed, per rank.
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
    joined = not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        mesh = init_device_mesh(
            device.type, (world // tensor, tensor), mesh_dim_names=("data", "tensor")
        )
        data = world // tensor
        yield Ranks(device, rank, data, tensor, fsdp or (tensor > 1 and data > 1), mesh)
    finally:
        if joined:
            dist.destroy_process_group()


def split(model: GPT3, here: Ranks, dtype: torch.dtype) -> None:
    """Split a model without values over the ranks, in place; its parameters become DTensors where
    they are split.

    The widest shape is never held by one rank: give the model values afterwards.
    """
    if here.mesh is None:
        return
    if here.tensor > 1:
        plan = {
            "attention.qkv": ColwiseParallel(),
            "attention.out": RowwiseParallel(),
            "up": ColwiseParallel(),
            "down": RowwiseParallel(),
        }
        for block in model.blocks:
            parallelize_module(block, here.mesh["tensor"], plan)
    if here.fsdp:
        mesh = here.mesh["data"]
        policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
        for block in model.blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)


@torch.no_grad()
def fill(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into a parameter (or moment) that may be split; every rank gives the same
    `value`.
    """
    if isinstance(target, DTensor):
        mesh = target.device_mesh
        whole = DTensor.from_local(
            value.to(target.device), mesh, [Replicate()] * mesh.ndim, run_check=False
        )
        target.to_local().copy_(whole.redistribute(placements=target.placements).to_local())
    else:
        target.copy_(value)


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor on the CPU, gathered where it is split (then every rank must ask)."""
    detached = tensor.detach()
    return (detached.full_tensor() if isinstance(detached, DTensor) else detached).cpu()


def kinds(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Parameters grouped by how they are split: torch's fused operations take one kind at a
    time.
    """
    groups: dict[object, list[Tensor]] = {}
    for parameter in parameters:
        key = (
            (parameter.device_mesh, parameter.placements)
            if isinstance(parameter, DTensor)
            else None
        )
        groups.setdefault(key, []).append(parameter)
    return list(groups.values())


def gradient_norm(model: nn.Module) -> float:
    """The norm of the whole gradient, of parts that other ranks hold too."""
    norms = []
    for group in kinds(model.parameters()):
        norm = torch.nn.utils.get_total_norm([p.grad for p in group if p.grad is not None])
        norms.append(float(norm.full_tensor() if isinstance(norm, DTensor) else norm))
    return norms[0] if len(norms) == 1 else math.sqrt(sum(norm**2 for norm in norms))
