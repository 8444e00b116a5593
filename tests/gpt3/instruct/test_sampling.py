from __future__ import annotations

import torch

from curation.gpt3.instruct.sampling import drawn, sample_answers
from curation.gpt3.model import build
from curation.gpt3.sizes import Size

PROMPTS = [(5, 6), (7, 8, 9), (5, 6), (4,), (9, 8, 7)]


def test_an_answer_does_not_depend_on_how_rows_are_grouped(word_size: Size) -> None:
    model = build(word_size, 3)
    together = sample_answers(model, PROMPTS, 10, 0, seed=4)
    alone = sample_answers(model, PROMPTS, 10, 0, seed=4, rows_in_pass=1)
    assert together == alone
    assert [one.ids[: one.prompt] for one in together] == PROMPTS
    assert together[0] != together[2]  # the same prompt, another row
    assert together != sample_answers(model, PROMPTS, 10, 0, seed=5)


def test_an_answer_ends_with_its_first_end_of_text_or_at_the_limit(word_size: Size) -> None:
    model = build(word_size, 3)
    answers = [one.ids[one.prompt :] for one in sample_answers(model, PROMPTS * 20, 12, 0, seed=1)]
    assert all(0 not in answer[:-1] for answer in answers)
    assert all(answer[-1] == 0 or len(answer) == 12 for answer in answers)
    assert {answer[-1] == 0 for answer in answers} == {True, False}


def test_temperature_0_is_the_likeliest_token_read_without_a_cache(word_size: Size) -> None:
    model = build(word_size, 3)
    with torch.no_grad():
        model.tokens.weight.mul_(40)  # sharp enough that two tokens never tie
    answer = sample_answers(model, [(5, 6)], 10, end_of_text=-1, seed=0, temperature=0)[0]
    ids = [5, 6]
    for _ in range(10):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert list(answer.ids) == ids


def test_draws_have_the_shares_of_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -2.0, 0.5])
    draws = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for temperature in (1.0, 0.5):
        tokens = drawn(logits.expand(20_000, 4), draws, temperature)
        shares = torch.bincount(tokens, minlength=4) / 20_000
        assert torch.allclose(shares, (logits / temperature).softmax(-1), atol=0.012)
    edge = torch.tensor([1.0 - 2**-53], dtype=torch.float64)
    assert drawn(logits[None], edge, 1.0).item() == 3
