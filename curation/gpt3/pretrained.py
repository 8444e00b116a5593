"""Weights to start from: a GPT-1, GPT-2 or GPT-Neo folder as Hugging Face publishes them, or a checkpoint
of ours.

    config.json           the shape; only what this model computes is accepted
    model.safetensors     the weights (pytorch_model.bin alone is refused: it is a pickle)

GPT-1 and GPT-2 store transposed matrices and `qkv` as (q|k|v, head, head width), ours has
whole heads together. GPT-Neo does not divide attention scores by the square root of the head width: its query
rows are multiplied by it here. Its missing biases are zeros.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from curation.errors import MISSHAPEN, InputError
from curation.gpt3 import checkpoint
from curation.gpt3.model import GPT3, empty
from curation.gpt3.parallel import fill
from curation.gpt3.sizes import MOST, Pattern, Size
from curation.shown import brief


def pretrained_size(folder: Path, size: Size) -> Size:
    """`size` with the shape of the model in `folder`; batch, learning rate and budget stay as they
    are."""
    if (folder / "state.json").is_file():
        there = checkpoint.read_state(folder).size
        shape = {
            key: getattr(there, key)
            for key in (
                *("layers", "width", "heads", "context", "band", "stride", "attention", "norm"),
            )
        }
        return replace(size, name=f"{folder.name}", vocabulary=there.vocabulary, **shape)
    config = _config(folder)
    try:
        if config["model_type"] in ("gpt2", "openai-gpt"):
            return replace(
                size,
                name=config["model_type"],
                norm="pre" if config["model_type"] == "gpt2" else "post",
                layers=config["n_layer"],
                width=config["n_embd"],
                heads=config["n_head"],
                context=config["n_positions"],
                vocabulary=config["vocab_size"],
                attention=("dense",),
            )
        names: dict[str, Pattern] = {"global": "dense", "local": "banded"}
        if sum(len(kinds) * times for kinds, times in config["attention_types"]) > MOST["layers"]:
            raise ValueError(f"attention_types: at most {MOST['layers']} layers expected")
        patterns = tuple(
            names[kind] for kinds, times in config["attention_types"] for kind in kinds * times
        )
        return replace(
            size,
            name="gpt_neo",
            norm="pre",
            layers=config["num_layers"],
            width=config["hidden_size"],
            heads=config["num_heads"],
            context=config["max_position_embeddings"],
            vocabulary=config["vocab_size"],
            band=config["window_size"],
            attention=patterns,
        )
    except MISSHAPEN as error:
        raise InputError(
            f"{folder / 'config.json'} lacks what a model needs ({brief(error)})"
        ) from error


def load_pretrained(folder: Path, size: Size, model: GPT3) -> None:
    """Fill `model` of `size` (see `pretrained_size`) with the weights in `folder`."""
    if (folder / "state.json").is_file():
        checkpoint.load_weights(folder, size, model)
        return
    read = {"openai-gpt": _gpt1, "gpt2": _gpt2, "gpt_neo": _gpt_neo}[_config(folder)["model_type"]]
    path = folder / "model.safetensors"
    if not path.is_file():
        raise InputError(
            f"{folder} has no model.safetensors; other forms (pytorch_model.bin is a pickle, "
            "several files) are not read: save it again with transformers' save_pretrained"
        )
    shapes = {name: value.shape for name, value in empty(size).named_parameters()}
    parameters = dict(model.named_parameters())
    try:
        with safe_open(path, "pt") as stored:
            wrapped = any(key.startswith("transformer.") for key in stored.keys())  # noqa: SIM118
            prefix = "transformer." if wrapped else ""
            for name, value in read(lambda key: stored.get_tensor(prefix + key).float(), size):
                if value.shape != shapes[name]:
                    raise InputError(
                        f"{path} does not fit its config.json: {name} should be "
                        f"{tuple(shapes[name])}, is {tuple(value.shape)}"
                    )
                fill(parameters[name], value)
    # A file cut short; a tensor missing, or of another shape.
    except (
        OSError,
        SafetensorError,
        RuntimeError,
    ) as error:
        raise InputError(
            f"{path} does not hold the weights config.json announces ({error})"
        ) from error


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = dict(json.loads(path.read_bytes()))
        inner = [4 * int(config.get(key) or 0) for key in ("n_embd", "hidden_size")]
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is not a model to start from: expected config.json and model.safetensors "
            "(GPT-1, GPT-2 or GPT-Neo of Hugging Face), or state.json (a checkpoint)"
        ) from error
    except MISSHAPEN as error:
        raise InputError(f"{path} is not a model's configuration ({brief(error)})") from error
    wanted = {
        "model_type": ("gpt2", "gpt_neo", "openai-gpt"),
        "afn": ("gelu", None),
        "activation_function": ("gelu_new", None),
        "layer_norm_epsilon": (1e-5, None),
        "layer_norm_eps": (1e-5, None),
        "n_inner": (None, inner[0]),
        "intermediate_size": (None, inner[1]),
        "scale_attn_weights": (True, None),
        "scale_attn_by_inverse_layer_idx": (False, None),
        "tie_word_embeddings": (True, None),
    }
    for key, values in wanted.items():
        if config.get(key) not in values:
            raise InputError(
                f"{path}: {key} is {brief(config.get(key))}; this model computes {values[0]!r} only"
            )
    return config


def _gpt1(get: Callable[[str], Tensor], size: Size) -> Iterator[tuple[str, Tensor]]:
    yield "tokens.weight", get("tokens_embed.weight")
    yield "positions.weight", get("positions_embed.weight")
    yield from _layers(get, size)


def _gpt2(get: Callable[[str], Tensor], size: Size) -> Iterator[tuple[str, Tensor]]:
    yield "tokens.weight", get("wte.weight")
    yield "positions.weight", get("wpe.weight")
    yield from _layers(get, size)
    yield from _same(get, "", "", {"ln_f": "norm"})


def _layers(get: Callable[[str], Tensor], size: Size) -> Iterator[tuple[str, Tensor]]:
    """The layers of GPT-1 and GPT-2, which have the same names."""
    for layer in range(size.layers):
        theirs, ours = f"h.{layer}.", f"blocks.{layer}."
        yield from _same(get, theirs, ours, {"ln_1": "norm_1", "ln_2": "norm_2"})
        qkv = get(theirs + "attn.c_attn.weight").T.chunk(3)
        yield ours + "attention.qkv.weight", _by_heads(qkv, size)
        yield (
            ours + "attention.qkv.bias",
            _by_heads(get(theirs + "attn.c_attn.bias").chunk(3), size),
        )
        for there, here in {
            "attn.c_proj": "attention.out",
            "mlp.c_fc": "up",
            "mlp.c_proj": "down",
        }.items():
            yield f"{ours}{here}.weight", get(f"{theirs}{there}.weight").T
            yield f"{ours}{here}.bias", get(f"{theirs}{there}.bias")


def _gpt_neo(get: Callable[[str], Tensor], size: Size) -> Iterator[tuple[str, Tensor]]:
    yield "tokens.weight", get("wte.weight")
    yield "positions.weight", get("wpe.weight")
    for layer in range(size.layers):
        theirs, ours = f"h.{layer}.", f"blocks.{layer}."
        q, k, v = (get(f"{theirs}attn.attention.{part}_proj.weight") for part in "qkv")
        yield ours + "attention.qkv.weight", _by_heads((q * math.sqrt(size.head_width), k, v), size)
        yield ours + "attention.qkv.bias", torch.zeros(3 * size.width)
        pairs = {"ln_1": "norm_1", "ln_2": "norm_2", "attn.attention.out_proj": "attention.out"}
        yield from _same(get, theirs, ours, pairs | {"mlp.c_fc": "up", "mlp.c_proj": "down"})
    yield from _same(get, "", "", {"ln_f": "norm"})


def _same(
    get: Callable[[str], Tensor], theirs: str, ours: str, names: dict[str, str]
) -> Iterator[tuple[str, Tensor]]:
    for there, here in names.items():
        for part in ("weight", "bias"):
            yield f"{ours}{here}.{part}", get(f"{theirs}{there}.{part}")


def _by_heads(qkv: tuple[Tensor, ...], size: Size) -> Tensor:
    """Three tensors with rows (head, head width) as one with rows (head, q|k|v, head width)."""
    return torch.stack([part.reshape(size.heads, -1, *part.shape[1:]) for part in qkv], 1).flatten(
        0, 2
    )
