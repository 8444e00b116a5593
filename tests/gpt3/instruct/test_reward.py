from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from word_encoding import WORDS, WordEncoding

from curation.errors import InputError, RunError
from curation.gpt3 import checkpoint
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.instruct import labeler
from curation.gpt3.instruct import reward as module
from curation.gpt3.instruct.data import Tokens, read_demonstrations
from curation.gpt3.instruct.reward import (
    Compared,
    RewardModel,
    accuracy,
    fresh,
    load_reward,
    mean_reward,
    ranking_loss,
    train_reward,
)
from curation.gpt3.instruct.sequences import batch_of
from curation.gpt3.options import RewardConfig
from curation.gpt3.starting import opened

Make, Write = Callable[..., Path], Callable[..., Path]
OPTIONS = RewardConfig(learning_rate=3e-3, batch=8, checkpoint_every=3, epochs=2)


def answers(count: int, seed: int, prompt: int = 3) -> list[Tokens]:
    """Random answers to one random prompt, of unequal lengths, each ended."""
    generator = np.random.default_rng(seed)
    start = generator.integers(1, 19, prompt).tolist()
    lengths = generator.integers(1, 12, count)
    return [
        Tokens((*start, *generator.integers(1, 19, length).tolist(), 0), prompt)
        for length in lengths
    ]


@pytest.fixture
def model(make_checkpoint: Make) -> RewardModel:
    return fresh(opened(make_checkpoint(), ""), 0, "cpu")


def test_nine_answers_cost_nine_passes_and_give_the_mean_over_36_pairs(model: RewardModel) -> None:
    best_first = answers(9, 1)
    rows: list[int] = []
    model.trunk.norm.register_forward_hook(lambda _m, _i, out: rows.append(out.shape[0]))
    (rewards,) = module._rewards(model, [Compared(tuple(best_first))], 0)
    loss = ranking_loss(rewards)
    assert sum(rows) == 9
    rows.clear()
    by_hand = []
    for better, worse in combinations(best_first, 2):
        difference = model(batch_of([better], 0)) - model(batch_of([worse], 0))
        by_hand.append(-math.log(1 / (1 + math.exp(-difference.item()))))
    assert (len(by_hand), sum(rows)) == (36, 72)
    assert loss.item() == pytest.approx(sum(by_hand) / 36, abs=1e-5)


def test_the_gradient_is_the_mean_of_the_pairs_too(model: RewardModel) -> None:
    best_first = answers(9, 2)
    names = ["last.weight", "trunk.blocks.0.up.weight"]
    parameters = [dict(model.named_parameters())[name] for name in names]
    whole = torch.autograd.grad(ranking_loss(model(batch_of(best_first, 0))), parameters)
    sums = [torch.zeros_like(p) for p in parameters]
    for better, worse in combinations(best_first, 2):
        pair = ranking_loss(model(batch_of([better, worse], 0)))
        for total, one in zip(sums, torch.autograd.grad(pair, parameters), strict=True):
            total += one / 36
    for one, total in zip(whole, sums, strict=True):
        assert torch.allclose(one, total, atol=1e-6)


def test_a_constant_added_to_every_reward_changes_nothing(model: RewardModel) -> None:
    rewards = model(batch_of(answers(7, 3), 0))
    assert ranking_loss(rewards + 123).item() == pytest.approx(
        ranking_loss(rewards).item(), abs=1e-5
    )
    assert ranking_loss(rewards.flip(0)).item() != pytest.approx(ranking_loss(rewards).item())


def test_the_reward_is_read_at_the_end_whatever_the_padding(model: RewardModel) -> None:
    rows = answers(5, 4)
    together = model(batch_of(rows, 0))
    for row, one in enumerate(rows):
        assert model(batch_of([one], 0)).item() == pytest.approx(together[row].item(), abs=1e-5)
        hidden = model.trunk.hidden(torch.tensor([one.ids]))[0][0, -1]
        wanted = (hidden @ model.last.weight[0]).item()
        assert together[row].item() == pytest.approx(wanted, abs=1e-5)


def planted(count: int, seed: int, shuffled: bool = False) -> list[Compared]:
    """Prompts with four answers; the more often token 5 occurs in it, the better an answer is."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rows = generator.integers(6, 19, (4, 8))
        for row, times in enumerate((6, 4, 2, 0)):
            rows[row, generator.permutation(8)[:times]] = 5
        order = generator.permutation(4) if shuffled else np.arange(4)
        found.append(Compared(tuple(Tokens((1, 2, *rows[n].tolist(), 0), 2) for n in order)))
    return found


def test_a_rule_is_learned_and_shuffled_rankings_leave_chance(
    make_checkpoint: Make, tmp_path: Path
) -> None:
    start = opened(make_checkpoint(), "")
    held_out = planted(60, 9)
    shares = {}
    for shuffled in (False, True):
        outcome, model = train_reward(
            start,
            planted(160, 1, shuffled),
            tmp_path / str(shuffled),
            OPTIONS,
            {"kind": "reward", "size": start.config["size"]},
        )
        assert outcome.step == outcome.steps == 40
        right, pairs = accuracy(model, held_out, 0)
        assert pairs == 360
        shares[shuffled] = right / pairs
    assert shares[False] > 0.95
    # Held out in random order, the model of random rankings has half of the pairs; here the order
    # is the rule's, so it may be on either side, and only far from having learned it.
    right, pairs = accuracy(model, planted(200, 8, shuffled=True), 0)
    assert abs(right / pairs - 0.5) < 0.06


def rows_of_words(count: int, seed: int) -> list[dict[str, object]]:
    generator = np.random.default_rng(seed)
    return [
        {
            "prompt": "name a river?",
            "responses": [
                " ".join(generator.choice(WORDS[2:], n)) for n in generator.integers(1, 9, 3)
            ],
            "ranking": (generator.permutation(3) + 1).tolist(),
            "by": "simulated labeler (rule x)",
        }
        for _ in range(count)
    ]


def test_a_resumed_run_is_bitwise_the_undisturbed_one(
    make_checkpoint: Make, write_lines: Write, tmp_path: Path, encoding: WordEncoding
) -> None:
    base = make_checkpoint("sft", kind="sft", separator="\n")
    rankings = write_lines("r.jsonl", *rows_of_words(20, 1))
    shown = write_lines("d.jsonl", {"prompt": "name a river?", "response": "the Nile."})
    arguments = {"demonstrations": shown, "held_out": rankings, "encoding": encoding}

    def train(name: str, stop: int | None) -> module.RewardResult:
        options = replace(OPTIONS, max_steps=stop)
        return module.reward(base, rankings, tmp_path / name, options, **arguments)

    whole = train("whole", None)
    for stop in (1, 3, 4, None):
        parts = train("parts", stop)
    assert (whole.outcome.step, whole.outcome.steps, whole.pairs) == (6, 6, 60)
    assert parts.accuracy == whole.accuracy
    for name in ("model", "optimizer"):
        files = [r.outcome.checkpoint / f"{name}.safetensors" for r in (whole, parts)]
        assert files[0].read_bytes() == files[1].read_bytes()
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for line in (tmp_path / name / "log.jsonl").read_text().splitlines()
        ]
        for name in ("whole", "parts")
    ]
    assert logs[0] == logs[1]
    assert whole.labelers == ["simulated labeler (rule x)"]
    assert opened(tmp_path / "whole", "reward").config["labelers"] == whole.labelers


def test_after_training_the_mean_reward_of_the_demonstrations_is_0(
    make_checkpoint: Make, write_lines: Write, tmp_path: Path, encoding: WordEncoding
) -> None:
    base = make_checkpoint("sft", kind="sft", separator="\n")
    shown = write_lines(
        "d.jsonl",
        *({"prompt": "name a river?", "response": text} for text in ("the Nile.", "Rhine", "a of")),
    )
    rankings = write_lines("r.jsonl", *rows_of_words(16, 2))
    module.reward(base, rankings, tmp_path / "rm", OPTIONS, shown, encoding=encoding)
    start = opened(tmp_path / "rm", "reward")
    coder = start.coder(encoding)
    rows = [coder.answered(d.prompt, d.response, d.where) for d in read_demonstrations(shown)]
    model = load_reward(start, "cpu")
    assert mean_reward(model, rows, 0) == pytest.approx(0, abs=1e-6)
    assert abs(model.offset.item()) > 1e-4


def test_other_files_and_kinds_are_refused(
    make_checkpoint: Make, write_lines: Write, tmp_path: Path, encoding: WordEncoding
) -> None:
    base = make_checkpoint("sft", kind="sft", separator="\n")
    first, second = (write_lines(f"{n}.jsonl", *rows_of_words(8, n)) for n in (1, 2))
    module.reward(base, first, tmp_path / "rm", OPTIONS, encoding=encoding)
    with pytest.raises(RunError, match=r"another training \(--rankings was"):
        module.reward(base, second, tmp_path / "rm", OPTIONS, encoding=encoding)
    with pytest.raises(InputError, match=r"is of `curation tune reward`; a checkpoint of"):
        module.reward(tmp_path / "rm", first, tmp_path / "x", OPTIONS, encoding=encoding)
    with pytest.raises(InputError, match="a reward model, which writes no text"):
        load_checkpoint(tmp_path / "rm")
    long = {"prompt": "a", "responses": ["a", "the " * 14], "ranking": [1, 2]}
    with pytest.raises(
        InputError, match=r"line 1: prompt .* longer than the model's context of 16"
    ):
        module.reward(
            base, write_lines("l.jsonl", long), tmp_path / "y", OPTIONS, encoding=encoding
        )
    assert [path.name for path in checkpoint.steps(tmp_path / "rm")] == ["step-0000002"]


def test_noisy_rankings_are_learned_nearly_up_to_the_ceiling_of_their_noise(
    make_checkpoint: Make, tmp_path: Path
) -> None:
    """The long form, over seeds with intervals, is `perf/instruct_ceiling.py`."""
    generator = np.random.default_rng(3)
    rows = generator.integers(6, 19, (700, 4, 8))
    rows[generator.random(rows.shape) < generator.random((700, 4, 1))] = 5
    scores = (rows == 5).sum(2).astype(float).tolist()
    scale = labeler.scale_for(0.73, scores)
    examples = []
    for number, (answers, one) in enumerate(zip(rows, scores, strict=True)):
        order = np.argsort(labeler.ranking(scale, one, 0, str(number)))
        examples.append(Compared(tuple(Tokens((1, 2, *answers[n], 0), 2) for n in order)))
    start = opened(make_checkpoint(), "")
    options = replace(OPTIONS, epochs=1, learning_rate=6e-3, micro_batch=8)
    config = {"kind": "reward", "size": start.config["size"]}
    _, model = train_reward(start, examples[:500], tmp_path / "rm", options, config)
    right, pairs = accuracy(model, examples[500:], 0)
    ceiling = labeler.ceiling(scale, scores[500:])
    assert pairs == 1200
    assert 0.75 < ceiling < 0.85
    assert abs(right / pairs - ceiling) < 0.04
