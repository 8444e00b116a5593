from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from curation.gpt3.attention import naive_attention
from curation.gpt3.model import GPT3, build
from curation.gpt3.sizes import Size


def test_a_model_equals_one_written_with_naive_attention(
    size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.gpt3 import model as module

    model, ids = build(size, 1), torch.randint(0, size.vocabulary, (2, size.context))
    found = model(ids)
    monkeypatch.setattr(module, "attention", lambda *inputs, mask: naive_attention(*inputs))
    torch.testing.assert_close(model(ids), found, atol=1e-5, rtol=1e-5)


def test_a_banded_layer_sees_its_band_and_a_dense_one_everything(size: Size) -> None:
    def reach(attention: str) -> list[int]:
        model = build(replace(size, layers=1, attention=(attention,)), 1)
        ids = torch.zeros(1, size.context, dtype=torch.long)
        other = ids.clone()
        other[0, 5] = 1
        moved = (model(ids) - model(other)).abs().amax((0, 2)) > 1e-7
        return moved.nonzero().flatten().tolist()

    assert reach("dense") == list(range(5, size.context))
    assert reach("strided") == list(range(5, size.context, size.band))
    assert reach("banded") == list(range(5, 5 + size.band))


def test_layers_alternate(size: Size) -> None:
    patterns = [block.attention.pattern for block in build(replace(size, layers=5), 0).blocks]
    assert patterns == ["dense", "banded", "dense", "banded", "dense"]


def test_the_initialisation_is_gpt2s_and_a_function_of_the_seed() -> None:
    size = Size("x", 8, 64, 4, 64, 1e-3, context=64, vocabulary=500)
    model, again, other = build(size, 3), build(size, 3), build(size, 4)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(model.tokens.weight, other.tokens.weight)
    deviations = {
        "tokens.weight": 0.02,
        "positions.weight": 0.01,
        "blocks.7.attention.qkv.weight": 0.02,
        "blocks.7.attention.out.weight": 0.02 / math.sqrt(16),
        "blocks.7.down.weight": 0.02 / math.sqrt(16),
    }
    for name, deviation in deviations.items():
        assert model.state_dict()[name].std().item() == pytest.approx(deviation, rel=0.05)
    assert model.blocks[0].norm_1.weight.unique().tolist() == [1.0]
    assert all(
        not value.any() for name, value in model.state_dict().items() if name.endswith("bias")
    )


def test_an_untrained_model_knows_nothing_and_embeddings_are_tied(size: Size) -> None:
    model = build(size, 0)
    windows = torch.randint(0, size.vocabulary, (8, size.context + 1))
    loss = model.loss(windows)
    assert loss.item() == pytest.approx(math.log(size.vocabulary), rel=0.02)
    logits = model(windows[:, :-1])
    torch.testing.assert_close(
        loss, F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    )
    assert not any("head" in name for name in model.state_dict())


def test_a_model_on_the_meta_device_has_no_values(size: Size) -> None:
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in GPT3(size).parameters())


def written_out(model: GPT3, ids: torch.Tensor) -> torch.Tensor:
    """GPT-1's hidden states by its equations: norms after the sums, none at the end."""
    x = model.tokens.weight[ids] + model.positions.weight[: ids.shape[1]]
    for block in model.blocks:
        qkv = block.attention.qkv(x).view(*ids.shape, -1, 3, model.size.head_width)
        y = naive_attention(*qkv.transpose(1, 2).unbind(3)).transpose(1, 2).flatten(2)
        x = block.norm_1(x + block.attention.out(y))
        x = block.norm_2(x + block.down(F.gelu(block.up(x), approximate="tanh")))
    return x


def test_norms_may_stand_after_the_sums(size: Size) -> None:
    model = build(replace(size, norm="post", attention=("dense",)), 1)
    ids = torch.randint(0, size.vocabulary, (2, size.context))
    with torch.no_grad():
        torch.testing.assert_close(model.hidden(ids)[0], written_out(model, ids))
    names = {name for name, _ in model.named_parameters()}
    assert not any(name.startswith("norm.") for name in names)
    wide = Size("x", 8, 64, 4, 64, 1e-3, context=64, vocabulary=500, norm="post")
    for name, value in build(wide, 3).named_parameters():
        if name.endswith(".weight") and "norm" not in name:
            assert value.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_dropout_is_for_training_alone(size: Size, norm: str) -> None:
    ids = torch.randint(0, size.vocabulary, (2, size.context))
    plain = build(replace(size, norm=norm), 1)
    model = build(replace(size, norm=norm, dropout=0.3), 1)
    assert torch.equal(model.eval()(ids), plain(ids))
    model.train()
    torch.manual_seed(1)
    first, second = model(ids), model(ids)
    torch.manual_seed(1)
    assert torch.equal(model(ids), first)
    assert not torch.equal(first, second)


def test_dropout_is_in_each_of_its_places(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded tokens, and in each layer the attention weights and what its two parts add."""
    from curation.gpt3 import model as module

    shares: list[float] = []

    def noted(*inputs: Any, mask: Any = None) -> torch.Tensor:
        shares.append(inputs[6] if len(inputs) > 6 else 0.0)
        return naive_attention(*inputs[:6])

    def dropped(x: torch.Tensor, share: float) -> torch.Tensor:
        shares.append(-share)
        return x

    monkeypatch.setattr(module, "attention", noted)
    monkeypatch.setattr(module, "masked_attention", noted)
    monkeypatch.setattr(module.F, "dropout", dropped)
    model = build(replace(size, dropout=0.25), 1)
    model(torch.zeros(1, 4, dtype=torch.long))
    assert shares == [-0.25, *[0.25, -0.25, -0.25] * size.layers]
    shares.clear()
    model.eval()(torch.zeros(1, 4, dtype=torch.long))
    assert shares == [0.0] * size.layers
