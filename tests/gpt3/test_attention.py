from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch
import torch.nn.attention.flex_attention

from curation.gpt3.attention import (
    _block_mask,
    attention,
    banded_attention,
    block_mask,
    dense_attention,
    flex_attention,
    masked_attention,
    naive_attention,
    sparse_attention,
    strided_attention,
    visible,
)
from curation.gpt3.sizes import Pattern


def heads(length: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, length, 8, generator=generator, requires_grad=True) for _ in range(3)]


def assert_same(found: torch.Tensor, expected: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    """Equal values and equal gradients."""
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * weights).sum(), inputs) for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 11, 12, 31])
@pytest.mark.parametrize("band", [1, 4, 7, 40])
def test_sparse_kernels_are_the_masked_reference(length: int, band: int) -> None:
    inputs = heads(length)
    assert_same(banded_attention(*inputs, band), naive_attention(*inputs, "banded", band), inputs)
    assert_same(strided_attention(*inputs, band), naive_attention(*inputs, "strided", band), inputs)
    for pattern in get_args(Pattern):
        torch.testing.assert_close(
            attention(*inputs, pattern, band),
            naive_attention(*inputs, pattern, band),
            atol=1e-5,
            rtol=1e-5,
        )


def test_dense_attention_is_the_masked_reference() -> None:
    inputs = heads(13)
    assert_same(dense_attention(*inputs), naive_attention(*inputs), inputs)


@pytest.mark.parametrize("length", [1, 5, 8, 12, 13, 31, 40])
@pytest.mark.parametrize(
    ("band", "stride"), [(1, 1), (1, 3), (4, 1), (4, 4), (4, 6), (6, 4), (7, 3), (40, 5), (3, 40)]
)
def test_band_and_stride_share_one_softmax(length: int, band: int, stride: int) -> None:
    inputs = heads(length)
    for found in (
        sparse_attention(*inputs, band, stride),
        attention(*inputs, "sparse", band, stride),
        masked_attention(*inputs, "sparse", band, stride),
    ):
        assert_same(found, naive_attention(*inputs, "sparse", band, stride), inputs)


def test_a_token_in_band_and_column_counts_once() -> None:
    """With equal scores each seen token has one share; two softmaxes added would give others."""
    q, v = torch.zeros(1, 1, 20, 20), torch.eye(20)[None, None]
    y = sparse_attention(q, q, v, 5, 3)[0, 0]
    i = torch.arange(20)
    seen = visible(i[:, None], i[None, :], "sparse", 5, 3).float()
    assert seen[19].nonzero().flatten().tolist() == [1, 4, 7, 10, 13, 15, 16, 17, 18, 19]
    torch.testing.assert_close(y, seen / seen.sum(1, keepdim=True))


def test_the_merged_kernel_in_double_precision_and_in_bfloat16() -> None:
    exact = [x.detach().double().requires_grad_() for x in heads(37)]
    expected = naive_attention(*exact, "sparse", 8, 5)
    found = sparse_attention(*exact, 8, 5)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=1e-13)
    gradients = [torch.autograd.grad(y.sin().sum(), exact) for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-12)
    rough = [x.detach().bfloat16() for x in exact]
    torch.testing.assert_close(
        sparse_attention(*rough, 8, 5).double(), expected, atol=0.03, rtol=0.03
    )


@pytest.mark.parametrize("pattern", get_args(Pattern))
@pytest.mark.parametrize(("length", "band"), [(13, 4), (150, 70)])
def test_flex_attention_is_the_masked_reference(
    pattern: Pattern, length: int, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eagerly, as torch runs it on a CPU: the mask is the same that a GPU gets.

    torch refuses to differentiate it on a CPU, though its eager form can: the refusal is taken away
    here.
    """
    monkeypatch.setattr(
        sys.modules["torch.nn.attention.flex_attention"], "_validate_device", lambda *_: None
    )
    inputs = heads(length)
    for stride in (None, band // 2 + 1):
        mask = _block_mask(pattern, band, stride or band, length, inputs[0].device)
        for given in (None, mask):
            assert_same(
                flex_attention(*inputs, pattern, band, stride, given),
                naive_attention(*inputs, pattern, band, stride),
                inputs,
            )


@dataclass
class OnGPU:
    """As much of a tensor on a GPU as is asked for; the blocks are made on the CPU."""

    device: torch.device = torch.device("cpu")
    is_cuda: bool = True


def test_blocks_are_made_once_for_layers_that_are_trained_on_a_gpu() -> None:
    x: Any = OnGPU()
    made = block_mask("banded", 32, 32, 200, x)
    assert made is block_mask("banded", 32, 32, 200, x)
    assert made.shape[-2:] == (200, 200)
    assert block_mask("sparse", 32, 8, 200, x) is not None
    assert block_mask("banded", 200, 200, 200, x) is None  # dense
    assert block_mask("dense", 32, 32, 200, x) is None
    assert block_mask("strided", 32, 32, 200, x) is None
    assert block_mask("banded", 32, 32, 200, torch.zeros(1)) is None
    with torch.no_grad():
        assert block_mask("banded", 32, 32, 200, x) is None


@pytest.mark.parametrize("kernel", [banded_attention, strided_attention])
def test_the_sparse_kernels_never_hold_a_full_matrix(
    kernel: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores in all calls together: linear in the length for the band, length squared over the band
    for the stride.
    """
    from curation.gpt3 import attention as module

    def scores(length: int) -> int:
        seen = []
        original = torch.nn.functional.scaled_dot_product_attention

        def counting(
            q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: object
        ) -> torch.Tensor:
            seen.append(q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2])
            return original(q, k, v, **options)

        with monkeypatch.context() as patch:
            patch.setattr(module.F, "scaled_dot_product_attention", counting)
            x = torch.zeros(1, 1, length, 8)
            kernel(x, x, x, 16)
        return sum(seen)

    if kernel is banded_attention:
        assert [scores(16 * n) for n in (2, 4, 8)] == [
            16 * 16 + 16 * 32 * (n - 1) for n in (2, 4, 8)
        ]
    else:
        assert [scores(16 * n) for n in (2, 4, 8)] == [16 * n * n for n in (2, 4, 8)]


@pytest.mark.parametrize("pattern", get_args(Pattern))
def test_dropout_keeps_the_mean_of_the_attention(pattern: Pattern) -> None:
    """Over many draws the outputs have the mean of those without dropout, and differ from them."""
    torch.manual_seed(1)
    q, k, v = (x.detach().repeat(2500, 1, 1, 1) for x in heads(9))
    expected = attention(q, k, v, pattern, 4)
    torch.testing.assert_close(masked_attention(q, k, v, pattern, 4), expected)
    found = masked_attention(q, k, v, pattern, 4, dropout=0.2)
    assert not torch.allclose(found, expected, atol=0.1)
    means = (x.view(2500, 2, *x.shape[1:]).mean(0) for x in (found, expected))
    torch.testing.assert_close(*means, atol=0.15, rtol=0)


def test_the_cost_of_band_and_stride_is_below_length_squared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scores in all calls together: twice the band for each token, and a column's square for each
    column, less the rows that the band has.
    """
    from curation.gpt3 import merged as module

    original = module.part_forward

    def scores(length: int, band: int, stride: int) -> int:
        seen = []

        def counting(
            q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None
        ) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2])
            return original(q, k, v, mask)

        with monkeypatch.context() as patch:
            patch.setattr(module, "part_forward", counting)
            x = torch.zeros(1, 1, length, 8)
            sparse_attention(x, x, x, band, stride)
        return sum(seen)

    for n in (4, 8, 16):
        band = 16 * 16 + 16 * 32 * (n - 1)
        assert scores(16 * n, 16, 16) == band + 16 * (n - 1) ** 2
        assert scores(16 * n, 16, 8) == band + 8 * (2 * n - 2) ** 2
    # With band and stride of the order of the root of the length the cost is length to the 1.5.
    assert scores(1024, 32, 32) < 1024**2 / 10
