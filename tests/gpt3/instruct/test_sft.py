from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from word_encoding import WordEncoding

from curation.errors import InputError, RunError
from curation.gpt3.epochs import Outcome, visited
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.instruct.data import Tokens
from curation.gpt3.instruct.sft import answer_loss, sft
from curation.gpt3.model import build
from curation.gpt3.options import SftConfig
from curation.gpt3.sizes import Size
from curation.gpt3.starting import opened

Make, Write = Callable[..., Path], Callable[..., Path]
OPTIONS = SftConfig(epochs=3, batch=4, micro_batch=3, learning_rate=1e-2, checkpoint_every=2)
ROWS = [
    {"prompt": f"{verb} a {thing}?", "response": answer}
    for verb in ("name", "tell")
    for thing, answer in (("river", "the Nile."), ("peak", "the Alps is high."), ("of", "long"))
]


def test_the_loss_is_over_the_answers_and_their_end_alone(word_size: Size) -> None:
    model = build(word_size, 2)
    rows = [Tokens((5, 6, 7, 8, 0), 2), Tokens((9, 10, 0), 2)]
    total = 0.0
    for one in rows:
        logs = model(torch.tensor([one.ids]))[0].log_softmax(-1)
        total -= sum(logs[t - 1, one.ids[t]].item() for t in range(one.prompt, len(one.ids)))
    assert answer_loss(model, rows, 0).item() == pytest.approx(total / 4, abs=1e-5)


def test_it_learns_and_says_what_it_is(
    make_checkpoint: Make, write_lines: Write, tmp_path: Path, encoding: WordEncoding
) -> None:
    shown = write_lines("d.jsonl", *ROWS)
    options = replace(OPTIONS, epochs=30, dropout=0.0, separator="\\n")
    told: list[str] = []
    outcome = sft(make_checkpoint(), shown, tmp_path / "sft", options, encoding, told.append)
    assert len(told) == 61
    assert told[0].startswith("step 0 of 60: ")
    assert re.fullmatch(r"step 30 of 60: loss \d\.\d{3}, about \d+ s left", told[30])
    assert re.fullmatch(r"step 60 of 60: loss \d\.\d{3}", told[60])
    log = [json.loads(line) for line in (tmp_path / "sft/log.jsonl").read_text().splitlines()]
    assert (outcome.step, outcome.steps, len(log)) == (60, 60, 60)
    assert log[-1]["loss"] < log[0]["loss"] / 4
    assert log[0]["lr"] == 1e-2
    assert log[-1]["lr"] == pytest.approx(1e-3, rel=0.02)
    start = opened(tmp_path / "sft", "sft")
    assert (start.separator, start.kind, start.size.dropout) == ("\n", "sft", 0.0)
    model, _, end = load_checkpoint(tmp_path / "sft")
    ids = start.coder(encoding).prompt("name a river?", "here")
    best = model(torch.tensor([ids]))[0, -1].argmax()
    assert encoding.decode([int(best)]) == "the"
    assert end == 0


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_resumed_run_is_bitwise_the_undisturbed_one(
    make_checkpoint: Make,
    write_lines: Write,
    tmp_path: Path,
    encoding: WordEncoding,
    dropout: float,
) -> None:
    base, shown = make_checkpoint(), write_lines("d.jsonl", *ROWS)

    def train(name: str, stop: int | None) -> Outcome:
        options = replace(OPTIONS, dropout=dropout, max_steps=stop)
        return sft(base, shown, tmp_path / name, options, encoding)

    whole = train("whole", None)
    for stop in (1, 2, 5, None):
        parts = train("parts", stop)
    assert parts.step == whole.step == 6
    for name in ("model", "optimizer"):
        stored = [one.checkpoint / f"{name}.safetensors" for one in (whole, parts)]
        assert stored[0].read_bytes() == stored[1].read_bytes()


def test_dropout_changes_the_training(
    make_checkpoint: Make, write_lines: Write, tmp_path: Path, encoding: WordEncoding
) -> None:
    base, shown = make_checkpoint(), write_lines("d.jsonl", *ROWS)
    stored = [
        sft(
            base, shown, tmp_path / str(share), replace(OPTIONS, dropout=share), encoding
        ).checkpoint
        for share in (0.0, 0.2)
    ]
    assert len({(one / "model.safetensors").read_bytes() for one in stored}) == 2


def test_other_demonstrations_or_options_are_another_run(
    make_checkpoint: Make, write_lines: Write, tmp_path: Path, encoding: WordEncoding
) -> None:
    base, shown = make_checkpoint(), write_lines("d.jsonl", *ROWS)
    sft(base, shown, tmp_path / "sft", replace(OPTIONS, max_steps=1), encoding)
    with pytest.raises(RunError, match="another training"):
        sft(base, shown, tmp_path / "sft", replace(OPTIONS, learning_rate=1e-3), encoding)
    with pytest.raises(RunError, match=r"another training \(CHECKPOINT was"):
        sft(make_checkpoint("b", seed=2), shown, tmp_path / "sft", OPTIONS, encoding)
    long = write_lines("l.jsonl", {"prompt": "a", "response": "the " * 14})
    with pytest.raises(InputError, match=r"line 1: .* longer than the model's context"):
        sft(base, long, tmp_path / "x", OPTIONS, encoding)
    with pytest.raises(InputError, match="holds no checkpoint"):
        sft(tmp_path, shown, tmp_path / "x", OPTIONS, encoding)


def test_each_epoch_visits_every_example_once() -> None:
    order = visited(3, "x", 10, 0, 30)
    for start in (0, 10, 20):
        assert sorted(order[start : start + 10]) == list(range(10))
    assert order[:10] != order[10:20]
    assert visited(3, "x", 10, 7, 9) == order[7:16]
