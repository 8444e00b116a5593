"""Does a reward model reach the ceiling that its labeler's noise sets? `python -m perf.instruct_ceiling`

Answers of eight random tokens; the hidden score is how often token 5 occurs in one. A simulated
labeler of 73 % agreement ranks four answers to each of 1,000 prompts; the model is measured on the
labeler's rankings of 300 others, beside the rule itself and the expected ceiling. The control is
trained and measured on shuffled rankings. Intervals are over held-out prompts, since pairs of one prompt are not independent.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import torch

from curation.gpt3 import checkpoint
from curation.gpt3.checkpoint import State
from curation.gpt3.instruct import labeler
from curation.gpt3.instruct.data import Tokens
from curation.gpt3.instruct.reward import Compared, RewardModel, accuracy, train_reward
from curation.gpt3.model import build
from curation.gpt3.options import RewardConfig
from curation.gpt3.sizes import Size
from curation.gpt3.starting import Start, opened
from curation.gpt3.update import optimizer_for

SIZE = Size("c", 2, 16, 2, 64, 1e-2, context=16, band=4, vocabulary=19)
OPTIONS = RewardConfig(epochs=1, batch=8, micro_batch=8, learning_rate=6e-3)
TRAINED, HELD_OUT, K, LENGTH = 1000, 300, 4, 8


def untrained(folder: Path, seed: int) -> Start:
    """A model without training, as a checkpoint to start from."""
    model = build(SIZE, seed)
    size = json.loads(json.dumps(asdict(SIZE)))
    config = {"size": size, "encoding": "none", "end_of_text": 0}
    checkpoint.save(folder, State(0, 0, 0, config), model, optimizer_for(model))
    return opened(folder, "")


def ranked(seed: int) -> tuple[list[Compared], list[list[float]], float]:
    """Answers as the labeler ranks them, best first; their hidden scores in that order; the scale."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(6, 19, (TRAINED + HELD_OUT, K, LENGTH))
    rows[generator.random(rows.shape) < generator.random((*rows.shape[:2], 1))] = 5
    scores = (rows == 5).sum(2).astype(float)
    scale = labeler.scale_for(labeler.PAPER_AGREEMENT, scores.tolist())
    found, ordered = [], []
    for number, (answers, one) in enumerate(zip(rows, scores, strict=True)):
        order = np.argsort(labeler.ranking(scale, one.tolist(), seed, str(number)))
        found.append(Compared(tuple(Tokens((1, 2, *answers[n].tolist(), 0), 2) for n in order)))
        ordered.append(one[order].tolist())
    return found, ordered, scale


def shares(model: RewardModel, examples: list[Compared]) -> list[float]:
    """The share of pairs that the model puts right, by prompt."""
    counts = (accuracy(model, [one], 0) for one in examples)
    return [right / pairs for right, pairs in counts]


def rule_shares(scores: list[list[float]]) -> list[float]:
    """The same for the rule itself; equal scores are half right."""
    first, second = zip(*(labeler.pairs([one]) for one in scores), strict=True)
    return [float(((a > b) + 0.5 * (a == b)).mean()) for a, b in zip(first, second, strict=True)]


@click.command()
@click.option("--seeds", default=5, show_default=True)
def main(seeds: int) -> None:
    """One line a seed: accuracy, rule, ceiling, their difference with its interval, and chance."""
    torch.set_num_threads(1)
    print("seed  model  rule  ceiling  model - rule (95 %)  shuffled (95 %)")
    for seed in range(seeds):
        examples, scores, scale = ranked(seed)
        held_out, rule = examples[TRAINED:], np.array(rule_shares(scores[TRAINED:]))
        generator = np.random.default_rng((seed, 1))
        mixed = [
            Compared(tuple(one.answers[n] for n in generator.permutation(K))) for one in examples
        ]
        measured = []
        with tempfile.TemporaryDirectory() as folder:
            start = untrained(Path(folder) / "base", seed)
            for name, rows in (("ranked", examples[:TRAINED]), ("mixed", mixed[:TRAINED])):
                config = {"kind": "reward", "size": start.config["size"]}
                _, model = train_reward(start, rows, Path(folder) / name, OPTIONS, config)
                judged = held_out if name == "ranked" else mixed[TRAINED:]
                measured.append(np.array(shares(model, judged)))
        model_shares, shuffled = measured
        half = [1.96 * x.std() / HELD_OUT**0.5 for x in (model_shares - rule, shuffled)]
        print(
            f"{seed:>4}  {model_shares.mean():.3f}  {rule.mean():.3f}  "
            f"{labeler.ceiling(scale, scores[TRAINED:]):.3f}    "
            f"{(model_shares - rule).mean():+.3f} ± {half[0]:.3f}       "
            f"{shuffled.mean():.3f} ± {half[1]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
