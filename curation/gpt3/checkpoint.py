"""Checkpoints: one folder a step, whole or not there at all, and without pickle.

    out/step-0000100/model.safetensors       the weights by name
    out/step-0000100/optimizer.safetensors   AdamW's NAME/exp_avg, NAME/exp_avg_sq, NAME/step
    out/step-0000100/state.json              step, window (the next one to read), tokens, config

A checkpoint is written under a hidden name, flushed to disk and renamed; the last two are kept. Cost: three
times the size of the weights in 32-bit floats. Trap: a folder is only read as a checkpoint by its final name,
so do not rename the hidden ones; the next run removes them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from curation.errors import InputError
from curation.gpt3.model import GPT3, build
from curation.gpt3.sizes import Size

FORMAT = 1
KEEP = 2
_NAME = re.compile(r"step-(\d{7,})")


@dataclass(frozen=True)
class State:
    """Where training stands: steps done, next window of the stream, tokens seen, what is being trained."""

    step: int
    window: int
    tokens: int
    config: dict[str, Any]

    @property
    def size(self) -> Size:
        """The model's size, as `train` wrote it into the config."""
        return Size(**{**self.config["size"], "attention": tuple(self.config["size"]["attention"])})


def save(out: Path, state: State, model: GPT3, optimizer: torch.optim.Optimizer) -> Path:
    """Write a checkpoint into `out`, atomically, and remove all but the last two; returns its folder."""
    final = out / f"step-{state.step:07d}"
    temporary = out / f".step-{state.step:07d}.{os.getpid()}"
    temporary.mkdir(parents=True)
    save_file(model.state_dict(), temporary / "model.safetensors")
    save_file(_moments(model, optimizer), temporary / "optimizer.safetensors")
    text = {"format": FORMAT, "step": state.step, "window": state.window, "tokens": state.tokens}
    (temporary / "state.json").write_text(json.dumps({**text, "config": state.config}, indent=2) + "\n")
    for file in (*temporary.iterdir(), temporary):
        _flush(file)
    if final.exists():  # only when a damaged newest checkpoint was trained past again
        shutil.rmtree(final)
    temporary.rename(final)
    _flush(out)
    for old in steps(out)[:-KEEP]:
        shutil.rmtree(old)
    return final


def steps(out: Path) -> list[Path]:
    """The checkpoint folders in `out`, oldest first."""
    found = [(int(match[1]), path) for path in out.glob("step-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


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
            raise InputError(f"{path} is of format {raw['format']}; this version reads format {FORMAT}")
        state = State(int(raw["step"]), int(raw["window"]), int(raw["tokens"]), dict(raw["config"]))
        state.size  # noqa: B018 - a config without a usable size is no checkpoint
    except FileNotFoundError as error:
        raise InputError(f"{folder} is not a checkpoint: it has no state.json") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a checkpoint's state ({type(error).__name__}: {error})") from error
    return state


def load_model(folder: Path, size: Size) -> GPT3:
    """The model of `size` with the weights in `folder`; InputError when they are broken or do not fit."""
    model = build(size, seed=0)
    path = folder / "model.safetensors"
    weights = _tensors(path)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise InputError(
                f"{path} is not a model of size {size.name!r}: expected {name} of shape "
                f"{wanted.get(name)}, found {found.get(name)}"
            )
    model.load_state_dict(weights)
    return model


def load_optimizer(folder: Path, model: GPT3, optimizer: torch.optim.Optimizer) -> None:
    """Put the moments stored in `folder` into `optimizer`, which was made for `model`."""
    path = folder / "optimizer.safetensors"
    stored = _tensors(path)
    names = {parameter: name for name, parameter in model.named_parameters()}
    for parameter, name in names.items():
        keys = [f"{name}/{part}" for part in ("exp_avg", "exp_avg_sq", "step")]
        if any(key not in stored for key in keys):
            raise InputError(f"{path} does not hold the optimiser's state of {name}; remove {folder}")
        optimizer.state[parameter] = {key.rsplit("/", 1)[1]: stored[key] for key in keys}


def _moments(model: GPT3, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); remove {path.parent} to go on from "
            "the checkpoint before it"
        ) from error
    return tensors


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
