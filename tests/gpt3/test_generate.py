from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from one_text import sample

from curation.errors import InputError
from curation.gpt3.generate import choose, load_checkpoint
from curation.gpt3.model import build
from curation.gpt3.sizes import Pattern, Size
from curation.gpt3.train import Options, train

MakeShards = Callable[..., Path]


@pytest.mark.parametrize(
    ("attention", "stride"),
    [
        (("dense", "banded"), None),
        (("banded", "strided"), None),
        (("dense",), None),
        (("strided",), 3),
        (("sparse",), None),
        (("sparse", "dense"), 3),
        (("sparse",), 6),
    ],
)
def test_cached_and_uncached_logits_agree(
    size: Size, attention: tuple[Pattern, ...], stride: int | None
) -> None:
    model = build(replace(size, attention=attention, stride=stride), 1)
    ids = torch.randint(0, size.vocabulary, (1, size.context))
    expected = model.hidden(ids)[0]
    for prompt in (1, 3, 7):
        found, past = model.hidden(ids[:, :prompt])
        rows = [found]
        for position in range(prompt, size.context):
            found, past = model.hidden(ids[:, position : position + 1], past, position)
            rows.append(found)
        torch.testing.assert_close(torch.cat(rows, 1), expected, atol=1e-5, rtol=1e-5)


def test_greedy_text_is_what_the_whole_forward_pass_says(size: Size) -> None:
    model = build(size, 1)
    ids = [1, 2, 3]
    with torch.no_grad():
        for token in sample(model, ids, size.context - 3, temperature=0):
            assert token == int(model(torch.tensor([ids]))[0, -1].argmax())
            ids = [*ids, token]


def test_text_may_be_longer_than_the_context(size: Size) -> None:
    model = build(size, 1)
    for prompt in ([1], list(range(15)), list(range(16)), list(range(40))):
        assert len(list(sample(model, prompt, 50, seed=3))) == 50
    one = replace(size, context=1)
    assert len(list(sample(build(one, 0), [1, 2], 5))) == 5


def test_the_same_seed_gives_the_same_text(size: Size) -> None:
    model = build(size, 1)
    first, again, other = (list(sample(model, [1], 30, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_choose_keeps_to_the_nucleus() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = [choose(logits, 1.0, 0.7, generator) for _ in range(300)]
    assert set(drawn) == {0, 1}
    assert drawn.count(0) / 300 == pytest.approx(0.5 / 0.8, abs=0.1)
    assert {choose(logits, 1.0, 1.0, generator) for _ in range(300)} == {0, 1, 2, 3}
    assert {choose(logits, 1.0, 1e-9, generator) for _ in range(20)} == {0}
    assert {choose(logits, 0.01, 1.0, generator) for _ in range(20)} == {0}


def test_a_checkpoint_is_found_in_either_folder(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    result = train(make_shards(), tmp_path / "out", size, Options(max_steps=3, tokens=640))
    for path in (tmp_path / "out", result.checkpoint):
        model, name, end_of_text = load_checkpoint(path)
        assert (model.size, name, end_of_text) == (size, "gpt2", 0)
    with pytest.raises(InputError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)
