"""Step 2: the reward model (Ouyang et al. 2022, section 3.5 and appendix C.2).

The fine-tuned model without its last layer: one number, read off the hidden state of the end-of-text
token, instead of the vocabulary. From the K answers to one prompt

    loss = - 1 / C(K, 2) * sum over pairs of log sigmoid(r better - r worse)

All pairs of one prompt are one element of the batch: K passes through the model instead of
K (K - 1), and no answer is seen in several steps. The loss does not change when a constant is added
to every reward, so after training an offset makes the mean reward of the demonstrations 0.

Declared: the last layer starts with normal values of deviation 1 / sqrt(width + 1), the offset at 0
and never trained. The reward is always read at an end-of-text, also of an answer that was cut off
before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from curation import store
from curation.gpt3 import checkpoint, epochs
from curation.gpt3.epochs import Give, nothing
from curation.gpt3.instruct.data import (
    Encoding,
    Tokens,
    labelers,
    read_demonstrations,
    read_rankings,
)
from curation.gpt3.instruct.sequences import Batch, batch_of
from curation.gpt3.log import Tell, untold
from curation.gpt3.model import GPT3, empty
from curation.gpt3.options import RewardConfig
from curation.gpt3.parallel import device_named
from curation.gpt3.sizes import Size
from curation.gpt3.starting import Start, model_of, opened


class RewardModel(nn.Module):
    """A language model whose last layer is one number a token; also PPO's value network."""

    def __init__(self, trunk: GPT3) -> None:
        super().__init__()
        self.trunk = trunk
        self.last = nn.Linear(trunk.size.width, 1, bias=False)
        self.offset = nn.Parameter(torch.zeros(1), requires_grad=False)

    @property
    def size(self) -> Size:
        return self.trunk.size

    def values(self, ids: Tensor) -> Tensor:
        """A number for each token of `ids` (N, T): (N, T)."""
        found: Tensor = self.last(self.trunk.hidden(ids)[0])
        return found.squeeze(-1).float() + self.offset

    def forward(self, batch: Batch) -> Tensor:
        """The reward of each sequence, read at its last token: (N,)."""
        return self.values(batch.ids).gather(1, batch.length[:, None] - 1)[:, 0]


@dataclass(frozen=True)
class Compared:
    """The answers to one prompt as tokens, the best first."""

    answers: tuple[Tokens, ...]


@dataclass(frozen=True)
class RewardResult:
    """How the training ended, who ranked, and the share of held-out pairs that are put right."""

    outcome: epochs.Outcome
    labelers: list[str]
    accuracy: float | None
    pairs: int


def ranking_loss(rewards: Tensor) -> Tensor:
    """The loss of one prompt from the rewards (K,) of its answers, the best first.

    >>> round(ranking_loss(torch.tensor([1.0, 0.0])).item(), 4)  # log(1 + exp(-1))
    0.3133
    """
    better, worse = torch.triu_indices(len(rewards), len(rewards), 1)
    return -F.logsigmoid(rewards[better] - rewards[worse]).mean()


def reward(
    path: Path,
    rankings: Path,
    out: Path,
    options: RewardConfig | None = None,
    demonstrations: Path | None = None,
    held_out: Path | None = None,
    encoding: Encoding | None = None,
    tell: Tell = untold,
) -> RewardResult:
    """Train a reward model from the model in `path` on the rankings in a file.

    With `demonstrations` their mean reward becomes 0; with `held_out` rankings, the share of their
    pairs that the model puts right is measured at the end.
    """
    options = options or RewardConfig()
    start = opened(path, "", "sft", "ppo")
    coder = start.coder(encoding)

    def compared(file: Path) -> tuple[list[Compared], list[str]]:
        rows = read_rankings(file)
        found = []
        for row in rows:
            texts = [text for _, text in sorted(zip(row.ranks, row.responses, strict=True))]
            answers = (coder.answered(row.prompt, text, row.where) for text in texts)
            found.append(Compared(tuple(answers)))
        return found, labelers(rows)

    examples, who = compared(rankings)
    shown = [
        coder.answered(row.prompt, row.response, row.where)
        for row in (read_demonstrations(demonstrations) if demonstrations else ())
    ]
    others = compared(held_out)[0] if held_out else []
    config = {
        "kind": "reward",
        "size": asdict(start.size),
        "encoding": start.encoding,
        "end_of_text": start.end_of_text,
        "separator": coder.separator,
        "labelers": who,
        "options": epochs.settings(options),
        "from": start.identity(),
        "data": store.sha256(str(rankings)),
        "demonstrations": store.sha256(str(demonstrations)) if demonstrations else None,
    }
    give = partial(start.give_vocabulary, encoding)
    outcome, model = train_reward(start, examples, out, options, config, shown, tell, give)
    right, pairs = accuracy(model, others, start.end_of_text)
    return RewardResult(outcome, who, right / pairs if pairs else None, pairs)


def train_reward(
    start: Start,
    examples: Sequence[Compared],
    out: Path,
    options: RewardConfig,
    config: dict[str, Any],
    demonstrations: Sequence[Tokens] = (),
    tell: Tell = untold,
    give: Give = nothing,
) -> tuple[epochs.Outcome, RewardModel]:
    """As `reward`, on answers that are tokens already."""
    device = device_named(options.device)
    model = fresh(start, options.seed, device)

    def terms(chosen: list[int]) -> Iterator[tuple[Tensor, dict[str, float]]]:
        for begin in range(0, len(chosen), options.micro_batch):
            part = [examples[one] for one in chosen[begin : begin + options.micro_batch]]
            rewards = _rewards(model, part, start.end_of_text)
            losses = torch.stack([ranking_loss(one) for one in rewards])
            right = sum(float((one[:-1] > one[1:]).float().mean()) for one in rewards)
            share = 1 / len(chosen)
            yield losses.sum() * share, {"neighbours_right": right * share}

    def finish() -> dict[str, float]:
        if not demonstrations:
            return {}
        mean = mean_reward(model, demonstrations, start.end_of_text)
        with torch.no_grad():
            model.offset.sub_(mean)
        return {"demonstrations_reward_before": mean}

    job = epochs.Job.of(options, out, config, len(examples), tell, give)
    return epochs.run(job, model, terms, finish), model


def fresh(start: Start, seed: int, device: torch.device | str) -> RewardModel:
    """A reward model with the layers of the language model in `start` and a new last layer."""
    model = RewardModel(model_of(start, device)).to(device)
    width = start.size.width
    generator = torch.Generator().manual_seed(epochs.keyed_seed("reward", seed))
    with torch.no_grad():
        values = torch.empty(1, width).normal_(std=(width + 1) ** -0.5, generator=generator)
        model.last.weight.copy_(values)
    return model.eval()


def load_reward(start: Start, device: torch.device | str) -> RewardModel:
    """The reward model in a checkpoint of `curation tune reward`."""
    trunk = empty(start.size)
    trunk.to_empty(device=device)
    model = RewardModel(trunk).to(device)
    checkpoint.load_parts(start.folder / "model.safetensors", dict(model.named_parameters()))
    return model.eval()


def _rewards(model: RewardModel, compared: Sequence[Compared], padding: int) -> list[Tensor]:
    """The rewards of each prompt's answers, from one pass over all of them."""
    answers = [answer for one in compared for answer in one.answers]
    rewards: Tensor = model(batch_of(answers, padding, model.offset.device))
    counts = [len(one.answers) for one in compared]
    return list(torch.split(rewards, counts))


@torch.no_grad()
def mean_reward(model: RewardModel, examples: Sequence[Tokens], padding: int) -> float:
    """The mean reward of some answers."""
    total = 0.0
    for begin in range(0, len(examples), 64):
        batch = batch_of(examples[begin : begin + 64], padding, model.offset.device)
        total += model(batch).double().sum().item()
    return total / len(examples)


@torch.no_grad()
def accuracy(model: RewardModel, compared: Sequence[Compared], padding: int) -> tuple[int, int]:
    """How many pairs the model puts right, and how many there are; equal rewards are wrong."""
    right = pairs = 0
    for begin in range(0, len(compared), 16):
        for rewards in _rewards(model, compared[begin : begin + 16], padding):
            better, worse = torch.triu_indices(len(rewards), len(rewards), 1)
            right += int((rewards[better] > rewards[worse]).sum())
            pairs += len(better)
    return right, pairs
