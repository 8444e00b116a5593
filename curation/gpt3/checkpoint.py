"""Checkpoints: one folder a step, whole or not there at all, and without pickle.

    out/step-0000100/model.safetensors       the weights by name
    out/step-0000100/optimizer.safetensors   AdamW's NAME/exp_avg, NAME/exp_avg_sq, NAME/step
    out/step-0000100/state.json              step, window (the next one to read), tokens, config

A checkpoint is written under a hidden name, flushed to disk and renamed; the last two are kept
unless told otherwise. Many processes write folders `model/` and `optimizer/` instead, each process
a file of the parts that it holds (`sharded.py`). Both are read by any number of processes in any
layout. Cost: three times the size of the weights in 32-bit floats. Trap: a folder is only read as a
checkpoint by its final name, so do not rename the hidden ones; the next run removes them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from curation.errors import MISSHAPEN, InputError
from curation.gpt3 import sharded
from curation.gpt3.model import GPT3, empty
from curation.gpt3.noise import NoiseScale
from curation.gpt3.parallel import ONE, Ranks, fill
from curation.gpt3.schedule import FINAL_SHARE
from curation.gpt3.sizes import Size
from curation.shown import brief

FORMAT = 2
_NAME = re.compile(r"step-(\d{7,})")
# What a training that was interrupted before its first checkpoint has in its folder, and hidden files.
_OWN = re.compile(r"\.|log\.jsonl$|tensorboard$|vocabulary-[0-9a-f]{16}\.")


@dataclass(frozen=True)
class State:
    """Where training stands: steps done, next window of the stream, tokens seen, what is being
    trained.

    And the running averages of the gradient noise scale, so that the log of a resumed run goes on
    unbroken.
    """

    step: int
    window: int
    tokens: int
    config: dict[str, Any]
    noise: NoiseScale = field(default_factory=NoiseScale)

    @property
    def size(self) -> Size:
        """The model's size, as `train` wrote it into the config."""
        return Size(**{**self.config["size"], "attention": tuple(self.config["size"]["attention"])})


def save(
    out: Path,
    state: State,
    model: GPT3,
    optimizer: torch.optim.Optimizer,
    here: Ranks = ONE,
    keep: int = 2,
) -> Path:
    """Write a checkpoint into `out`, atomically, and remove all but the last `keep`; returns its
    folder.

    Every rank calls it; each writes what it holds into the folder, which all of them see.
    """
    parts: dict[str, Mapping[str, Tensor]] = {
        "model": dict(model.named_parameters()),
        "optimizer": moments(dict(model.named_parameters()), optimizer),
    }
    return save_parts(out, state, parts, here, keep)


def save_parts(
    out: Path,
    state: State,
    parts: Mapping[str, Mapping[str, Tensor]],
    here: Ranks = ONE,
    keep: int = 2,
) -> Path:
    """As `save`, of any tensors: a file NAME.safetensors for each name in `parts`."""
    final = out / f"step-{state.step:07d}"
    temporary = out / f".step-{state.step:07d}"
    if here.first:
        remove_unfinished(out)
        temporary.mkdir(parents=True)
    here.wait()
    for name, tensors in parts.items():
        if here.mesh is None:
            _write(temporary / f"{name}.safetensors", tensors)
        else:
            sharded.write(temporary / name, tensors)
    here.wait()
    if here.first:
        text = {"format": FORMAT, **asdict(state)}
        (temporary / "state.json").write_text(json.dumps(text, indent=2) + "\n")
        for file in (*temporary.rglob("*"), temporary):
            _flush(file)
        # It exists only where a damaged newest checkpoint was trained past again.
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _flush(out)
        for old in steps(out)[:-keep]:
            shutil.rmtree(old)
    here.wait()
    return final


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file of 32-bit floats, written tensor by tensor: no second copy of all is
    made."""
    header: dict[str, Any] = {}
    end = 0
    for name in sorted(tensors):
        start, end = end, end + 4 * tensors[name].numel()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            values = tensors[name].detach().cpu().float().contiguous()
            file.write(values.numpy().astype("<f4", copy=False).data)


def steps(out: Path) -> list[Path]:
    """The checkpoint folders in `out`, oldest first."""
    steps_and_folders = [
        (int(match[1]), path)
        for path in out.glob("step-*")
        if (match := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(steps_and_folders)]


def newest(path: Path) -> Path:
    """The checkpoint folder at `path`, or the newest in it; InputError where there is none."""
    if (path / "state.json").is_file():
        return path
    folders = steps(path)
    if not folders:
        raise InputError(
            f"{path} holds no checkpoint of ours; expected state.json in it, or folders named "
            "step-...; other weights go through `curation train --init-from` first"
        )
    return folders[-1]


def last_good(out: Path) -> str:
    """The newest checkpoint in `out`, for a message; "none" where there is none."""
    folders = steps(out)
    return str(folders[-1]) if folders else "none"


def need_own_folder(out: Path) -> None:
    """Raise InputError where `out` is a file, or holds no checkpoint and something that no training
    writes."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out: a folder to train into expected, {out} is a file")
    if not out.is_dir() or steps(out):
        return
    strange = sorted(path.name for path in out.iterdir() if not _OWN.match(path.name))
    if strange:
        raise InputError(
            f"--out: {out} holds no checkpoint, and is not empty ({brief(strange[0])} is in it); name "
            "a new folder to train into"
        )


def remove_unfinished(out: Path) -> None:
    """Delete what an interrupted `save` left behind."""
    for path in out.glob(".step-*"):
        shutil.rmtree(path)


def read_state(folder: Path) -> State:
    """The state of the checkpoint in `folder`; InputError when it is not one."""
    path = folder / "state.json"
    try:
        raw = json.loads(path.read_bytes())
        if raw["format"] != FORMAT:
            raise InputError(
                f"{path} is of format {raw['format']}; this version reads format {FORMAT}"
            )
        noise = NoiseScale(**raw["noise"])
        state = State(
            int(raw["step"]), int(raw["window"]), int(raw["tokens"]), dict(raw["config"]), noise
        )
        # A config without a usable size is no checkpoint; one written before a size had some key
        # has that key's default.
        state.config["size"] = json.loads(json.dumps(asdict(state.size)))
        if "schedule" in state.config:
            state.config["schedule"] = {"final_share": FINAL_SHARE, **state.config["schedule"]}
    except FileNotFoundError as error:
        raise InputError(f"{folder} is not a checkpoint: it has no state.json") from error
    except MISSHAPEN as error:
        raise InputError(f"{path} is not a checkpoint's state ({brief(error)})") from error
    return state


def load_model(folder: Path, size: Size, device: str | torch.device = "cpu") -> GPT3:
    """The model of `size` with the weights in `folder`, without dropout until it is told to train;
    InputError when they are broken or do not fit."""
    model = empty(size)
    model.to_empty(device=device)
    load_weights(folder, size, model)
    return model.eval()


def load_weights(folder: Path, size: Size, model: GPT3) -> None:
    """Fill `model` of `size`, which may be split over ranks, with the weights in `folder`."""
    wanted = {name: tuple(value.shape) for name, value in empty(size).named_parameters()}
    path, shapes = _stored(folder, "model")
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            raise InputError(
                f"{path} is not a model of size {size.name!r}: expected {name} of shape "
                f"{wanted.get(name)}, found {shapes.get(name)}"
            )
    _read(path, dict(model.named_parameters()))


def load_optimizer(folder: Path, model: GPT3, optimizer: torch.optim.Optimizer) -> None:
    """Put the moments stored in `folder` into `optimizer`, which was made for `model`."""
    whole = {name: value.shape for name, value in empty(model.size).named_parameters()}
    path, shapes = _stored(folder, "optimizer")
    parameters = dict(model.named_parameters())
    for name in parameters:
        wanted = {"exp_avg": whole[name], "exp_avg_sq": whole[name], "step": ()}
        for part, shape in wanted.items():
            if shapes.get(f"{name}/{part}") != tuple(shape):
                raise InputError(
                    f"{path} does not hold the optimiser's state of {name}; remove {folder}"
                )
    _read(path, moments(parameters, optimizer))


def _stored(folder: Path, part: str) -> tuple[Path, dict[str, tuple[int, ...]]]:
    """Where a part of a checkpoint is, one file or a folder of them, and its tensors' shapes."""
    if (folder / part).is_dir():
        return folder / part, sharded.shapes(folder / part)
    path = folder / f"{part}.safetensors"
    with _opened(path) as stored:
        names = list(stored.keys())
        return path, {name: tuple(stored.get_slice(name).get_shape()) for name in names}


def _read(path: Path, targets: dict[str, Tensor]) -> None:
    """Fill tensors, which may be split, with the stored ones of their names."""
    if path.is_dir():
        sharded.read(path, targets)
        return
    with _opened(path) as stored:
        for name, target in targets.items():
            fill(target, stored.get_tensor(name))


def load_parts(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill `tensors` with those that `save_parts` wrote into `path`; InputError where one is
    missing or of another shape."""
    with _opened(path) as stored:
        names = set(stored.keys())
        for name, tensor in tensors.items():
            if name not in names or list(stored.get_slice(name).get_shape()) != list(tensor.shape):
                raise InputError(
                    f"{path} does not hold {name} of shape {tuple(tensor.shape)}; remove "
                    f"{path.parent} to go on from the checkpoint before it"
                )
            fill(tensor, stored.get_tensor(name))


def moments(
    parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """AdamW's state by NAME/exp_avg, NAME/exp_avg_sq and NAME/step; zeros before the first step."""
    found: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        found |= {f"{name}/{key}": state[key] for key in ("exp_avg", "exp_avg_sq", "step")}
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as stored:
            yield stored
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); remove {path.parent} to go "
            "on from the checkpoint before it"
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
