"""Checkpoints that many processes write together, by torch.distributed.checkpoint.

    step-0000100/model/shard-00001-...safetensors   what the first process holds of the weights
    step-0000100/model/shard-00002-...              ...

Each process writes the parts of tensors that it holds, once where several hold the same; any number
of processes, one too, reads the parts that it needs. The files are safetensors (torch's Hugging
Face storage), where torch's own form would be a pickle, which runs code when it is read.

Trap: all processes must see the folder. Where a file is missing, torch would leave the holes as they
were, so `shapes` counts the stored elements of each tensor first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from curation.errors import InputError


def write(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the parts of `tensors` that this process holds; every process calls it."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    values = {name: tensor.detach() for name, tensor in tensors.items()}
    save(values, storage_writer=writer)


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors in `folder`; InputError where one cannot be read or is not
    whole."""
    again = f"remove {folder.parent} to go on from the checkpoint before it"
    try:
        stored = _reader(folder).read_metadata().state_dict_metadata
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} cannot be read ({type(error).__name__}: {error}); {again}"
        ) from error
    for name, tensor in stored.items():
        found = sum(math.prod(chunk.sizes) for chunk in tensor.chunks)
        if found != math.prod(tensor.size):
            raise InputError(
                f"{folder} holds {found:,} of the {math.prod(tensor.size):,} numbers of {name}: a "
                f"file of it is missing; {again}"
            )
    return {name: tuple(tensor.size) for name, tensor in stored.items()}


def read(folder: Path, targets: Mapping[str, Tensor]) -> None:
    """Fill `targets`, which may be split over processes, with the tensors of their names; check
    `shapes` before. No process waits for another."""
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.state_dict_loader import load

    values = {name: tensor.detach() for name, tensor in targets.items()}
    try:
        with warnings.catch_warnings():  # it says that no other process takes part
            warnings.simplefilter("ignore")
            load(values, storage_reader=_reader(folder), no_dist=True)
    except CheckpointException as error:
        raise InputError(
            f"{folder} cannot be read; remove {folder.parent} to go on from the checkpoint before "
            f"it ({str(error).strip().splitlines()[-1][:300]})"
        ) from error


def _reader(folder: Path) -> Any:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    return HuggingFaceStorageReader(str(folder))
