"""Batched scores and greedy answers equal what the model says of one sequence at a time."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from one_text import sample  # noqa: E402

from curation.errors import InputError  # noqa: E402
from curation.gpt3.model import GPT3, build  # noqa: E402
from curation.gpt3.scoring import Request, beam, greedy, log_likelihoods  # noqa: E402
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


def toy(size: Size, seed: int, scale: float = 12) -> GPT3:
    """A model of 5 tokens; the larger `scale`, the more their probabilities differ."""
    model = build(replace(size, vocabulary=5), seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


def ends(ids: list[int]) -> bool:
    return ids[-1] == 0


def best_of_all(model: GPT3, context: tuple[int, ...], length: int, penalty: float) -> float:
    """The most that any answer of at most `length` tokens is worth: each of them scored."""
    answers = [
        ids
        for n in range(1, length + 1)
        for ids in itertools.product(range(5), repeat=n)
        if 0 not in ids[:-1] and (n == length or ids[-1] == 0)
    ]
    scores = log_likelihoods(model, [Request(context, ids) for ids in answers])
    return max(s.log_probability / ((5 + s.tokens) / 6) ** penalty for s in scores)


def worth(model: GPT3, context: tuple[int, ...], answer: list[int], penalty: float) -> float:
    score = log_likelihoods(model, [Request(context, tuple(answer))])[0]
    return score.log_probability / ((5 + len(answer)) / 6) ** penalty


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_beam_that_holds_every_prefix_is_exhaustive_search(size: Size, penalty: float) -> None:
    """5 tokens, length 4: 4 ** 3 prefixes go on at most. Several contexts share a batch."""
    contexts = [(1, 2), (3, 4), (0, 0), (2, 1), (4,)]
    found_shorter = 0
    for seed in range(6):
        model = toy(size, seed)
        answers = beam(model, contexts, 4, ends, width=5**3, penalty=penalty)
        for context, answer in zip(contexts, answers, strict=True):
            found_shorter += len(answer) < 4
            wanted = best_of_all(model, context, 4, penalty)
            assert worth(model, context, answer, penalty) == pytest.approx(wanted, abs=1e-4)
    assert found_shorter


def test_a_beam_of_as_many_as_there_are_tokens_is_seldom_wrong(size: Size) -> None:
    """Width 5 keeps 5 of up to 64 prefixes, so it may miss the best; it is never above it."""
    missed = 0
    contexts = [(1, 2), (3, 4), (2, 1)]
    for seed in range(10):
        model = toy(size, seed)
        for context, answer in zip(contexts, beam(model, contexts, 4, ends, width=5), strict=True):
            value, wanted = worth(model, context, answer, 0.6), best_of_all(model, context, 4, 0.6)
            assert value <= wanted + 1e-4
            missed += value < wanted - 1e-4
    assert missed <= 3


def test_a_beam_of_one_is_greedy(model: GPT3) -> None:
    contexts = [(1, 2, 3), (4, 5), (6, 7, 8), tuple(range(9))]
    for ended in (lambda ids: False, lambda ids: ids[-1] % 3 == 0):
        assert beam(model, contexts, 6, ended, width=1) == greedy(model, contexts, 6, ended)


def test_the_penalty_makes_answers_longer(size: Size) -> None:
    """A long answer loses more probability, and gets more of it back."""
    lengths = []
    for penalty in (0.0, 0.6, 5.0):
        models = (toy(size, seed, 5) for seed in range(8))
        answers = [beam(m, [(1, 2)], 4, ends, width=125, penalty=penalty)[0] for m in models]
        lengths.append(sum(map(len, answers)))
    assert lengths[0] <= lengths[1] <= lengths[2]
    assert lengths[0] < lengths[2]


def test_a_beam_cannot_have_no_width(model: GPT3) -> None:
    with pytest.raises(InputError, match="width 1 or more and a penalty of 0 or more expected"):
        beam(model, [(1,)], 3, lambda ids: False, width=0)
