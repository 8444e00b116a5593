"""Batched scores and greedy answers equal what the model says of one sequence at a time."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.errors import InputError  # noqa: E402
from curation.gpt3.generate import sample  # noqa: E402
from curation.gpt3.model import GPT3, build  # noqa: E402
from curation.gpt3.scoring import Request, greedy, log_likelihoods  # noqa: E402
from curation.gpt3.sizes import Size  # noqa: E402


@pytest.fixture
def model(size: Size) -> GPT3:
    """Random weights, larger than at the start of training, so that probabilities differ."""
    model = build(size, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    return model


REQUESTS = [
    Request((1, 2, 3), (4,)),
    Request((5,), (6, 7, 8)),
    Request(tuple(range(9)), (10, 11)),
    Request((1, 2, 3), (4,)),
    Request(tuple(range(30)), (3, 4)),
]


def alone(model: GPT3, request: Request) -> tuple[float, bool]:
    """Log probability of a completion from the full logits of one sequence."""
    ids = list(request.context + request.completion)[-(model.size.context + 1) :]
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]]))[0].log_softmax(-1)
    rows = range(len(ids) - 1 - len(request.completion), len(ids) - 1)
    picked = [logits[row, ids[row + 1]].item() for row in rows]
    return sum(picked), all(int(logits[row].argmax()) == ids[row + 1] for row in rows)


def test_batches_equal_single_sequences(model: GPT3) -> None:
    scores = log_likelihoods(model, REQUESTS)
    for request, score in zip(REQUESTS, scores, strict=True):
        wanted, likeliest = alone(model, request)
        assert score.log_probability == pytest.approx(wanted, abs=1e-4)
        assert score.greedy == likeliest
        assert score.tokens == len(request.completion)
        assert score.cut == (len(request.context) > 16)


def test_what_is_likeliest_is_greedy(model: GPT3) -> None:
    with torch.no_grad():
        best = int(model(torch.tensor([[1, 2, 3]]))[0, -1].argmax())
    assert log_likelihoods(model, [Request((1, 2, 3), (best,))])[0].greedy


def test_greedy_answers_equal_sampling_at_temperature_0(model: GPT3) -> None:
    contexts = [(1, 2, 3), (4, 5), (6, 7, 8), tuple(range(9))]
    answers = greedy(model, contexts, 6, lambda ids: False)
    for context, answer in zip(contexts, answers, strict=True):
        assert answer == list(sample(model, list(context), 6, temperature=0.0))


def test_an_answer_ends_where_it_is_told_to(model: GPT3) -> None:
    contexts = [(1, 2, 3), (3, 2, 1)]
    whole = greedy(model, contexts, 6, lambda ids: False)
    assert greedy(model, contexts, 6, lambda ids: len(ids) == 2) == [answer[:2] for answer in whole]


@pytest.mark.parametrize(
    "request_", [Request((), (1,)), Request((1,), ()), Request((1,), tuple(range(17)))]
)
def test_what_cannot_be_scored_is_refused(model: GPT3, request_: Request) -> None:
    with pytest.raises(InputError, match="a context and a completion of 1 to 16 tokens expected"):
        log_likelihoods(model, [request_])


def test_answers_need_room(model: GPT3) -> None:
    with pytest.raises(InputError, match="16 new tokens do not fit into the model's window of 16"):
        greedy(model, [(1,)], 16, lambda ids: False)
