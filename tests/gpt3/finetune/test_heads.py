from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch.nn import functional as F

from curation.gpt3.finetune.heads import FineTuned, answers, padded, with_head
from curation.gpt3.finetune.inputs import Record, Rows, rows_of
from curation.gpt3.finetune.train import gradient
from curation.gpt3.model import build
from curation.gpt3.options import Task
from curation.gpt3.sizes import Size

TEXTS = {
    "classify": ("w5 w6 w7",),
    "entailment": ("w1 w2 w3", "w4"),
    "similarity": ("w1 w2", "w3 w9 w8"),
    "choice": ("w1 w2", "w3", "w4 w5", "w6"),
}


def example(task: Task, words: Any, texts: tuple[str, ...] | None = None) -> Rows:
    label = "1" if task == "choice" else "b"
    record = Record(texts or TEXTS[task], label)
    return rows_of([record], task, ("a", "b"), words.encode_ordinary, 61, 16, "x")[0]


def model(size: Size, task: Task) -> FineTuned:
    """With norms and biases that are no ones and zeros."""
    tuned = with_head(build(size, 1), task, 2, 3)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return tuned.eval()


def by_hand(tuned: FineTuned, one: Rows) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The logits of an example and its ordinary tokens' losses, row by row, without padding."""
    vocabulary = tuned.model.size.vocabulary
    table = torch.cat((tuned.model.tokens.weight, tuned.special))
    extracted, losses = [], []
    for row in one.rows:
        ids = torch.tensor([row])
        hidden = tuned.model.hidden(ids, embedded=table[ids])[0][0]
        extracted.append(hidden[-1])
        shares = tuned.model.logits(hidden).log_softmax(-1)
        losses += [
            -shares[place, token] for place, token in enumerate(row[1:]) if token < vocabulary
        ]
    if tuned.task == "choice":
        return torch.stack([tuned.head(x)[0] for x in extracted]), losses
    return tuned.head(torch.stack(extracted).sum(0)), losses


@pytest.mark.parametrize("task", get_args(Task))
def test_the_losses_are_those_by_hand_term_by_term(dense: Size, task: Task, words: Any) -> None:
    tuned = model(dense, task)
    one = example(task, words)
    shorter = tuple(text.split(" ")[0] for text in TEXTS[task])
    other = example(task, words, shorter)  # rows of another length beside it
    l2, l1, tokens, _ = tuned.losses([one, other])
    parts = [by_hand(tuned, example_) for example_ in (one, other)]
    wanted = sum(F.cross_entropy(logits, torch.tensor(1)) for logits, _ in parts)
    torch.testing.assert_close(l2, wanted, atol=1e-5, rtol=1e-5)
    losses = [loss for _, of_example in parts for loss in of_example]
    torch.testing.assert_close(l1, torch.stack(losses).sum(), atol=1e-4, rtol=1e-5)
    assert tokens == len(losses) == one.ordinary + other.ordinary


@pytest.mark.parametrize("task", get_args(Task))
def test_l3_is_l2_and_lambda_l1_and_so_is_its_gradient(dense: Size, task: Task, words: Any) -> None:
    tuned = model(dense, task)
    some = [example(task, words), example(task, words, tuple(reversed(TEXTS[task])))]

    def of(aux: float) -> tuple[dict[str, float], list[torch.Tensor]]:
        tuned.zero_grad()
        found = gradient(tuned, some, aux, 0, 0)
        return found, [
            torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in tuned.parameters()
        ]

    (without, g0), (half, g1), (more, g2) = of(0.0), of(0.5), of(2.0)
    assert without["loss"] == without["l2"] == half["l2"]
    assert half["loss"] == pytest.approx(half["l2"] + 0.5 * half["l1"], rel=1e-6)
    assert more["loss"] == pytest.approx(more["l2"] + 2 * more["l1"], rel=1e-6)
    for a, b, c in zip(g0, g1, g2, strict=True):
        torch.testing.assert_close(b - a, (c - a) / 4, atol=1e-5, rtol=1e-3)
    head = [name for name, _ in tuned.named_parameters()].index("head.weight")
    torch.testing.assert_close(g0[head], g2[head])
    with torch.no_grad():
        l2, l1, tokens, _ = tuned.losses(some)
    assert half["l2"] == pytest.approx(float(l2) / 2, rel=1e-5)
    assert half["l1"] == pytest.approx(float(l1) / tokens, rel=1e-5)


def test_similarity_is_symmetric(dense: Size, words: Any) -> None:
    tuned = model(dense, "similarity")
    first, second = TEXTS["similarity"]
    there, back = (
        example("similarity", words, texts) for texts in ((first, second), (second, first))
    )
    scores = [logits_of(tuned, one) for one in (there, back)]
    torch.testing.assert_close(*scores, atol=1e-6, rtol=0)
    other = example("entailment", words, (second, first))
    assert not torch.allclose(logits_of(tuned, other), scores[0], atol=1e-3)


def test_a_choice_does_not_depend_on_the_order_of_the_answers(dense: Size, words: Any) -> None:
    tuned = model(dense, "choice")
    context, *options = TEXTS["choice"]
    scores = logits_of(tuned, example("choice", words))
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        texts = (context, *(options[n] for n in order))
        moved = logits_of(tuned, example("choice", words, texts))
        torch.testing.assert_close(moved, scores[order], atol=1e-6, rtol=0)


def logits_of(tuned: FineTuned, one: Rows) -> torch.Tensor:
    with torch.no_grad():
        ids, lengths, counts = padded([one], "cpu")
        return tuned.scores(tuned.hidden(ids), lengths, counts)[0]


def test_answers_do_not_depend_on_the_batch(dense: Size, words: Any) -> None:
    tuned = model(dense, "choice")
    context, *options = TEXTS["choice"]
    many = [
        example("choice", words, (" ".join([context] * n), *options[: 2 + n % 2]))
        for n in range(1, 6)
    ]
    numbers, losses = answers(tuned, many)
    again, each = answers(tuned, many, batch_tokens=1)
    assert numbers == again
    assert losses == pytest.approx(each, abs=1e-5)
    for one, number, loss in zip(many, numbers, losses, strict=True):
        with torch.no_grad():
            logits, _ = by_hand(tuned, one)
        assert int(logits.argmax()) == number
        assert loss == pytest.approx(float(F.cross_entropy(logits, torch.tensor(1))), abs=1e-5)


def test_the_further_tokens_are_random_and_no_outputs(dense: Size) -> None:
    wide = Size("x", 1, 512, 4, 64, 1e-3, vocabulary=61)
    first, again, other = (with_head(build(wide, 0), "classify", 8, seed) for seed in (1, 1, 2))
    assert torch.equal(first.special, again.special)
    assert not torch.equal(first.special, other.special)
    for values in (first.special, first.head.weight):
        assert values.std().item() == pytest.approx(0.02, rel=0.1)
    tuned = with_head(build(dense, 0), "entailment", 2, 0)
    assert tuned.model.logits(torch.zeros(1, 16)).shape == (1, 61)
    with torch.no_grad():
        l2, l1, tokens, _ = tuned.eval().losses([Rows(((61, 1, 62, 2, 63),), 0, False, 2)])
    assert float(l2) == pytest.approx(math.log(2), rel=0.2)
    assert float(l1) / tokens == pytest.approx(math.log(61), rel=0.2)
