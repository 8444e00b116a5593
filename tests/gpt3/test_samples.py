from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from one_text import sample

from curation.errors import InputError
from curation.gpt3.generate import choose
from curation.gpt3.model import build
from curation.gpt3.options import Drawing
from curation.gpt3.samples import draw, generate_many, read_prompts
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train

MakeShards = Callable[..., Path]


def test_one_text_is_that_of_sample(size: Size) -> None:
    model = build(size, 1)
    for prompt in ([1], list(range(15)), list(range(16)), list(range(40))):
        drawing = Drawing(40, 0.9, 0.95, None, 7)
        (texts,) = draw(model, [prompt], 1, drawing)
        assert texts == [list(sample(model, prompt, 40, 0.9, 0.95, 7))]


def test_a_text_does_not_depend_on_those_beside_it(
    size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.gpt3 import samples as module

    model = build(size, 1)
    prompts = [[1], [2, 3], [4], list(range(30)), [5, 6], [7]]
    together = list(draw(model, prompts, 3, Drawing(25, seed=5)))
    assert [len(texts) for texts in together] == [3] * 6
    assert len({tuple(text) for texts in together for text in texts}) == 18
    monkeypatch.setattr(module, "BATCH_TOKENS", 1)
    assert list(draw(model, prompts, 3, Drawing(25, seed=5))) == together
    assert [texts[:2] for texts in draw(model, prompts, 2, Drawing(25, seed=5))] == [
        texts[:2] for texts in together
    ]
    assert list(draw(model, prompts[:2], 3, Drawing(25, seed=5))) == together[:2]


def test_a_text_ends_where_it_is_told_to(size: Size) -> None:
    model = build(size, 1)
    free = next(draw(model, [[1]], 4, Drawing(30)))
    ended = next(draw(model, [[1]], 4, Drawing(30), lambda ids: ids[-1] < 20))
    for one, cut in zip(free, ended, strict=True):
        first = next((place for place, token in enumerate(one) if token < 20), 29)
        assert cut == one[: first + 1]


def test_top_k_keeps_the_likeliest() -> None:
    logits = torch.tensor([0.1, 0.4, 0.2, 0.3]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = [choose(logits, 1.0, 1.0, generator, 2) for _ in range(500)]
    assert set(drawn) == {1, 3}
    assert drawn.count(1) / 500 == pytest.approx(4 / 7, abs=0.08)
    assert {choose(logits, 1.0, 1.0, generator, 1) for _ in range(20)} == {1}
    assert {choose(logits, 1.0, 0.5, generator, 3) for _ in range(200)} == {1, 3}  # of the three
    first, second = (torch.Generator().manual_seed(3) for _ in range(2))
    assert choose(logits, 1.0, 0.9, first, 9) == choose(logits, 1.0, 0.9, second)


def test_prompts_and_samples_of_a_checkpoint(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train(make_shards(), out, size, Options(max_steps=3, tokens=640))
    drawing = Drawing(6, seed=2)
    rows = list(generate_many(out, ['"', "#", ""], 2, drawing))
    assert [(row["prompt"], row["sample"]) for row in rows] == [
        ('"', 0), ('"', 1), ("#", 0), ("#", 1), ("", 0), ("", 1)
    ]  # fmt: skip
    step = sorted(out.glob("step-*"))[-1]
    assert rows == list(generate_many(step, ['"', "#", ""], 2, drawing))
    stop = rows[0]["text"][2:4]
    cut = next(generate_many(out, ['"'], 1, drawing, [stop, ""]))["text"]
    assert cut == rows[0]["text"].partition(stop)[0]
    assert stop not in cut


def test_files_of_prompts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n\n two \nthree")
    assert read_prompts(path) == ["one", " two ", "three"]
    lines = tmp_path / "a.jsonl"
    lines.write_text(json.dumps({"prompt": "a\nb"}) + "\n" + json.dumps({"prompt": ""}) + "\n")
    assert read_prompts(lines) == ["a\nb", ""]
    lines.write_text('{"text": "a"}\n')
    with pytest.raises(InputError, match=r"a.jsonl, line 1: a text called `prompt` expected"):
        read_prompts(lines)
    path.write_text("\n")
    with pytest.raises(InputError, match="1 to 100,000 prompts expected, found 0"):
        read_prompts(path)


def test_nonsense_is_refused() -> None:
    for change in ({"top_p": 0.0}, {"temperature": -1.0}, {"top_k": 0}, {"max_tokens": 0}):
        with pytest.raises(InputError, match="expected"):
            replace(Drawing(), **change)
