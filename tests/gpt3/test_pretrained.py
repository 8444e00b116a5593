"""Parity with Hugging Face's GPT-1, GPT-2 and GPT-Neo on shared random weights."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from curation.errors import InputError
from curation.gpt3.model import GPT3, empty
from curation.gpt3.pretrained import load_pretrained, pretrained_size
from curation.gpt3.sizes import SIZES, Size
from curation.gpt3.train import Options, train

MakeShards = Callable[..., Path]


@pytest.fixture(scope="module")
def transformers() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"
    return pytest.importorskip("transformers", reason="the extra `dev` is not installed")


def ours(folder: Path) -> GPT3:
    size = pretrained_size(folder, SIZES["tiny"])
    model = empty(size).to_empty(device="cpu")
    load_pretrained(folder, size, model)
    return model


def saved(model: Any, folder: Path) -> Any:
    """Biases and norms too are random: freshly made they are zeros and ones, which hide
    mistakes.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    model.eval().save_pretrained(folder)
    return model


def gpt2(transformers: Any, folder: Path, vocabulary: int = 61) -> Any:
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=24, n_embd=16, n_layer=3, n_head=4
    )
    torch.manual_seed(1)
    return saved(transformers.GPT2LMHeadModel(config), folder)


def test_logits_and_gradients_are_those_of_gpt2(transformers: Any, tmp_path: Path) -> None:
    theirs = gpt2(transformers, tmp_path)
    model = ours(tmp_path)
    assert model.size.patterns == ("dense",) * 3
    ids = torch.randint(0, 61, (2, 24))
    torch.testing.assert_close(model(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)
    loss, expected = model.loss(ids), theirs(ids, labels=ids).loss
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)
    for one in (loss, expected):
        one.backward()
    torch.testing.assert_close(
        model.tokens.weight.grad, theirs.transformer.wte.weight.grad, atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize("name", ["gpt2-117M", "gpt2-345M", "gpt2-762M", "gpt2-1542M", "gpt1"])
def test_logits_and_every_gradient_at_each_shape(
    transformers: Any, tmp_path: Path, name: str
) -> None:
    """The layers and heads of each size, a few numbers a head wide."""
    size = SIZES[name]
    shape = {
        "vocab_size": 61,
        "n_positions": 24,
        "n_embd": 2 * size.heads,
        "n_layer": size.layers,
        "n_head": size.heads,
        **{f"{part}_pdrop": 0.0 for part in ("resid", "embd", "attn")},
    }
    torch.manual_seed(1)
    if name == "gpt1":
        theirs = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**shape))
    else:
        theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape))
    saved(theirs, tmp_path / "weights")
    model = ours(tmp_path / "weights")
    assert (model.size.layers, model.size.norm) == (size.layers, size.norm)
    ids = torch.randint(0, 61, (2, 24))
    torch.testing.assert_close(model(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)
    loss, expected = model.loss(ids), theirs(ids, labels=ids).loss
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    for one in (loss, expected):
        one.backward()
    with torch.no_grad():  # their gradients, read as weights are
        for parameter in theirs.parameters():
            parameter.copy_(parameter.grad)
    theirs.save_pretrained(tmp_path / "gradients")
    wanted = dict(ours(tmp_path / "gradients").named_parameters())
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[key].data, atol=1e-5, rtol=1e-4)


def test_logits_are_those_of_gpt_neo_with_its_local_layers(
    transformers: Any, tmp_path: Path
) -> None:
    config = transformers.GPTNeoConfig(
        vocab_size=61,
        max_position_embeddings=24,
        hidden_size=16,
        num_layers=4,
        num_heads=4,
        window_size=5,
        attention_types=[[["global", "local"], 2]],
    )
    torch.manual_seed(2)
    theirs = saved(transformers.GPTNeoForCausalLM(config), tmp_path)
    model = ours(tmp_path)
    assert model.size.patterns == ("dense", "banded", "dense", "banded")
    assert model.size.band == 5
    ids = torch.randint(0, 61, (2, 24))
    torch.testing.assert_close(model(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)


def test_training_starts_from_gpt2_weights(
    transformers: Any, make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    gpt2(transformers, tmp_path / "gpt2")
    options = Options(tokens=480, learning_rate=1e-9, init_from=tmp_path / "gpt2")
    result = train(make_shards(), tmp_path / "out", size, replace(options, max_steps=1))
    state = json.loads((result.checkpoint / "state.json").read_text())
    assert state["config"]["size"]["name"] == "gpt2"
    weights = ours(tmp_path / "gpt2").state_dict()
    trained = ours(result.checkpoint).state_dict()  # a checkpoint can be started from too
    for name, value in weights.items():
        torch.testing.assert_close(trained[name], value, atol=1e-6, rtol=1e-6)
    assert train(tmp_path / "shards-uint16-1", tmp_path / "out", size, options).step > 1


def test_what_cannot_be_started_from_is_refused(
    transformers: Any, make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    folder = tmp_path / "gpt2"
    with pytest.raises(InputError, match=r"expected config.json and model.safetensors"):
        pretrained_size(folder, size)
    gpt2(transformers, folder, vocabulary=70)
    with pytest.raises(InputError, match=r"a vocabulary of 70 tokens, the shards .* one of 61"):
        train(make_shards(), tmp_path / "out", size, Options(init_from=folder))
    weights = folder / "model.safetensors"
    whole, config = weights.read_bytes(), json.loads((folder / "config.json").read_text())
    weights.write_bytes(whole[:-8])
    with pytest.raises(InputError, match="does not hold the weights"):
        ours(folder)
    weights.write_bytes(whole)
    for change, words in (
        ({"n_layer": 4}, "does not hold the weights"),
        ({"n_positions": 23}, r"positions.weight should be \(23, 16\), is \(24, 16\)"),
        (
            {"activation_function": "relu"},
            "activation_function is 'relu'; this model computes 'gelu_new' only",
        ),
        ({"afn": "relu"}, "afn is 'relu'; this model computes 'gelu' only"),
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"n_head": None}, "heads must be a whole number from 1 to 100,000, not None"),
    ):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(InputError, match=words):
            ours(folder)
    odd = (None, "x", -1, 2.5, 10**30, [], {}, [["global", 10**30]], [[["global"], 10**12]])
    for key, model_type in itertools.product(
        [*config, "attention_types"], ("gpt2", "gpt_neo", "openai-gpt")
    ):
        for value in odd:
            change = {**config, "model_type": model_type, "num_layers": 2, "hidden_size": 16}
            (folder / "config.json").write_text(json.dumps({**change, key: value}))
            with contextlib.suppress(InputError):
                pretrained_size(folder, size)
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="is not a model's configuration"):
        pretrained_size(folder, size)
    (folder / "config.json").write_text(json.dumps(config))
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="is a pickle"):
        ours(folder)
