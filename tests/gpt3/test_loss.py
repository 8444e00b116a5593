from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from curation.gpt3 import loss as loss_module
from curation.gpt3.loss import linear_cross_entropy, padded_cross_entropy


@pytest.mark.parametrize("count", [1, 255, 256, 257, 600])
def test_loss_and_gradients_are_those_of_torch(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    hidden = torch.randn(count, 8, generator=generator, requires_grad=True)
    weight = torch.randn(50, 8, generator=generator, requires_grad=True)
    targets = torch.randint(0, 50, (count,), generator=generator)
    expected = F.cross_entropy(F.linear(hidden, weight), targets)
    expected_gradients = torch.autograd.grad(3 * expected, (hidden, weight))
    found = linear_cross_entropy(hidden, weight, targets)
    found_gradients = torch.autograd.grad(3 * found, (hidden, weight))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_gradients, expected_gradients)


def test_large_logits_do_not_overflow() -> None:
    weight = torch.tensor([[1.0], [-1.0]])
    loss = linear_cross_entropy(torch.full((2, 1), 1000.0), weight, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(1000.0)


def test_no_gradient_is_made_when_none_is_wanted() -> None:
    hidden, weight = torch.zeros(3, 2, requires_grad=True), torch.zeros(5, 2)
    with torch.no_grad():
        assert not linear_cross_entropy(hidden, weight, torch.tensor([0, 1, 2])).requires_grad


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("count", "vocabulary"), [(1, 50), (7, 127), (9, 128), (20, 129)])
def test_the_loss_of_a_gpu_on_a_padded_vocabulary_is_that_of_torch(
    count: int, vocabulary: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The padding has no share in the softmax. Compiled by the compiler's front end, as a GPU's is
    by the whole of it."""
    if compiled:
        rows = torch.compile(loss_module.rows_of_logits, backend="aot_eager")
        monkeypatch.setattr(loss_module, "rows_of_logits", rows)
    generator = torch.Generator().manual_seed(count)
    hidden = torch.randn(count, 8, generator=generator, requires_grad=True)
    # All real logits far below zero: a padded column's zero would have nearly all of the softmax.
    hidden.data[:, 0] = 40.0
    weight = torch.randn(vocabulary, 8, generator=generator, requires_grad=True)
    weight.data[:, 0] = -1.0
    targets = torch.randint(0, vocabulary, (count,), generator=generator)
    expected = F.cross_entropy(F.linear(hidden, weight), targets)
    gradients = torch.autograd.grad(expected, (hidden, weight))
    for differentiate in (True, False):
        with torch.no_grad():
            found, *both = padded_cross_entropy(
                hidden, weight, targets, differentiate, torch.float32, step=6
            )
        torch.testing.assert_close(found, expected)
        if differentiate:
            torch.testing.assert_close(tuple(both), gradients, atol=1e-5, rtol=1e-5)
