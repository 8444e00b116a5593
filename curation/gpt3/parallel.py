"""Many processes: data parallel (DDP, FSDP2), tensor parallel within each matrix product, and
pipeline parallel across the layers (`pipeline.py`).

    torchrun --nproc-per-node 4 -m curation train RUN --out model                 # DDP
    torchrun --nproc-per-node 4 -m curation train RUN --out model --fsdp          # sharded
    torchrun --nproc-per-node 4 -m curation train RUN --out model --tensor-parallel 2
    torchrun --nproc-per-node 4 -m curation train RUN --out model --pipeline-parallel 2

Everything is torch.distributed's own; this module only says what is split. Tensor parallel: the
rows of `qkv` and `up` (whole heads, hidden units) and the columns of `out` and `down`, one
all-reduce for each pair; embeddings and norms are replicated. Where data meets another kind, it is
sharded too (FSDP2). The mesh has three dimensions: stages, shares of the batch, and parts of each
matrix, of neighbouring processes. A mesh of one process talks to nobody.

Trap: every rank must make the same collective calls in the same order, so a rank whose share of a
batch is shorter computes on a repeated window with weight zero.
"""

from __future__ import annotations

import logging
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
from curation.gpt3.model import GPT3, Block
from curation.gpt3.sizes import Size


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, `pipe` times `data` times `tensor` of them, and which one this
    is."""

    device: torch.device
    rank: int = 0
    data: int = 1
    tensor: int = 1
    fsdp: bool = False
    mesh: DeviceMesh | None = None  # (pipe, data, tensor)
    pipe: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the log and the checkpoints."""
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        """Which share of each batch this process computes."""
        return self.rank // self.tensor % self.data

    @property
    def stage(self) -> int:
        """Which stage of the pipeline this process holds."""
        return self.rank // (self.tensor * self.data)

    @property
    def devices(self) -> int:
        return self.pipe * self.data * self.tensor

    def group(self, dimension: str) -> dist.ProcessGroup:
        """The processes that differ from this one in a dimension of the mesh only."""
        assert self.mesh is not None
        return self.mesh[dimension].get_group()

    def summed(self, *values: float, over: str = "data") -> list[float]:
        """The sums of numbers over the shares of the batch, or over another dimension of the mesh,
        the same on every rank."""
        if self.mesh is None:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total, group=self.group(over))
        return [float(value) for value in total.tolist()]

    def summed_over_stages(self, value: float) -> float:
        """The sum of a number over the stages of the pipeline, the same on each."""
        return value if self.pipe == 1 else self.summed(value, over="pipe")[0]

    def of_first(self, number: float) -> float:
        """The first rank's number, on every rank: for what hangs on a clock or a machine."""
        if self.mesh is None:
            return number
        told = torch.tensor([number], dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return float(told.item())

    def wait(self) -> None:
        """Until every rank is here."""
        if self.mesh is not None:
            dist.barrier()


ONE = Ranks(torch.device("cpu"))


def device_named(name: str | None) -> torch.device:
    """The device asked for, by default a GPU where there is one; InputError for a GPU that is not
    there."""
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
def ranks(
    device_name: str | None, size: Size, tensor: int, fsdp: bool, pipe: int = 1
) -> Iterator[Ranks]:
    """The processes that `torchrun` started (its environment says how many), joined until the block
    ends."""
    world, rank, local = (
        int(os.environ.get(key, n))
        for key, n in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0))
    )
    if tensor < 1 or world % tensor or size.heads % tensor:
        raise InputError(
            f"tensor parallel {tensor} must divide the number of processes ({world}; torchrun "
            f"--nproc-per-node sets it) and the {size.heads} heads of size {size.name!r}"
        )
    if pipe < 1 or world % (pipe * tensor) or pipe > size.layers:
        raise InputError(
            f"pipeline parallel {pipe} times tensor parallel {tensor} must divide the number of "
            f"processes ({world}; torchrun --nproc-per-node sets it), with no more stages than the "
            f"{size.layers} layers of size {size.name!r}"
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
        data = world // (tensor * pipe)
        mesh = init_device_mesh(
            device.type, (pipe, data, tensor), mesh_dim_names=("pipe", "data", "tensor")
        )
        # Of one share nothing is sharded.
        fsdp = (fsdp and (data > 1 or pipe == 1)) or (data > 1 and tensor * pipe > 1)
        yield Ranks(device, rank, data, tensor, fsdp, mesh, pipe)
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
    blocks = [block for block in model.blocks if isinstance(block, Block)]
    if here.tensor > 1:
        plan = {
            "attention.qkv": ColwiseParallel(),
            "attention.out": RowwiseParallel(),
            "up": ColwiseParallel(),
            "down": RowwiseParallel(),
        }
        for block in blocks:
            parallelize_module(block, here.mesh["tensor"], plan)
    if here.fsdp:
        mesh = here.mesh["data"]
        policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
        for block in blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)


@torch.no_grad()
def fill(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into a parameter (or moment) that may be split; every rank gives the same
    `value`."""
    if isinstance(target, DTensor):
        mesh = target.device_mesh
        whole = DTensor.from_local(
            value.to(target.device), mesh, [Replicate()] * mesh.ndim, run_check=False
        )
        target.to_local().copy_(whole.redistribute(placements=target.placements).to_local())
    else:
        target.copy_(value)


def kinds(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Parameters grouped by how they are split: torch's fused operations take one kind at a
    time."""
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
    return float(gradient_norm_tensor(model))


def gradient_norm_tensor(model: nn.Module) -> Tensor:
    """As `gradient_norm`, left on the device: nothing waits for it."""
    return norm_of(model.parameters())


def norm_of(parameters: Iterable[Tensor]) -> Tensor:
    """The norm of the gradients of `parameters`, which may be split."""
    norms = []
    for group in kinds(parameters):
        norm = torch.nn.utils.get_total_norm([p.grad for p in group if p.grad is not None])
        norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    return norms[0] if len(norms) == 1 else torch.stack(norms).double().square().sum().sqrt()
