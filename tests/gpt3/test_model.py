from __future__ import annotations

import math
from dataclasses import replace

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
    monkeypatch.setattr(module, "attention", naive_attention)
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
